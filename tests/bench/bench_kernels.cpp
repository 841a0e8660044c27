// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Throughput of the methods in memory, through the CPU backend as the pipeline uses it: one large bf16 tensor, each
// method, each instruction set that this processor has, 1 and 2 threads; a memory copy beside them. No files.
//   items_per_second = parameters of the output; bytes_per_second = inputs once and output
#include "src/cpu/isa.h"
#include "tests/bench/bench_job.h"

#include "gpumerge/backend.h"
#include "gpumerge/method.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace gpumerge {
namespace {

// Four inputs and the output are 80 MB, more than usual caches hold.
constexpr uint64_t kElems = 8 << 20;

struct FreeMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<std::byte, FreeMemory>;

// In huge pages where the system gives them, as staging memory is.
Memory Allocate(uint64_t bytes) {
  constexpr uint64_t kHugePage = 2 << 20;
  Memory memory(
      static_cast<std::byte*>(std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage)));
  if (!memory) throw std::bad_alloc();
  std::memset(memory.get(), 0, bytes);
  return memory;
}

struct Tensors {
  Memory base = Allocate(kElems * 2), output = Allocate(kElems * 2);
  std::vector<Memory> models;

  Tensors() {
    std::vector<std::byte*> stored;
    for (uint32_t m = 0; m < kBenchModels; ++m) stored.push_back(models.emplace_back(Allocate(kElems * 2)).get());
    FillBenchTensors(base.get(), stored, kElems);
  }
};

const Tensors& TheTensors() {
  static const Tensors tensors;
  return tensors;
}

void Merge(benchmark::State& state, uint32_t method, const std::string& isa, uint32_t threads) {
  const Tensors& tensors = TheTensors();
  const MergeJob job = MakeBenchJob(method, kElems);
  const PassList passes = Methods()[method].passes(job);
  const std::unique_ptr<Backend> backend = MakeCpuBackend(threads, isa);
  std::vector<const std::byte*> inputs;
  if (job.has_base) inputs.push_back(tensors.base.get());
  for (uint32_t m = 0; m < job.n_models(); ++m) inputs.push_back(tensors.models[m].get());
  for (auto _ : state) {
    const std::unique_ptr<JobState> job_state = backend->NewState(job, passes);
    const Work work{&job, job_state.get(), 0, kElems, inputs, tensors.output.get(), 0, TotalReads(passes)};
    backend->Wait(backend->Submit({&work, 1}));
  }
  const auto rounds = static_cast<int64_t>(state.iterations());
  state.SetItemsProcessed(rounds * static_cast<int64_t>(kElems));
  state.SetBytesProcessed(rounds * static_cast<int64_t>((inputs.size() + 1) * kElems * 2));
}

void Copy(benchmark::State& state, uint32_t threads) {
  const Tensors& tensors = TheTensors();
  const uint64_t share = kElems * 2 / threads;
  const auto copy = [&](uint32_t t) {
    std::memcpy(tensors.output.get() + t * share, tensors.base.get() + t * share, share);
  };
  for (auto _ : state) {
    std::vector<std::thread> others;
    for (uint32_t t = 1; t < threads; ++t) others.emplace_back(copy, t);
    copy(0);
    for (std::thread& other : others) other.join();
    benchmark::ClobberMemory();
  }
  const auto rounds = static_cast<int64_t>(state.iterations());
  state.SetItemsProcessed(rounds * static_cast<int64_t>(kElems));
  state.SetBytesProcessed(rounds * static_cast<int64_t>(kElems * 4));
}

void Register(const std::string& name, const std::function<void(benchmark::State&)>& run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime()->Unit(benchmark::kMillisecond);
}

void RegisterAll() {
  for (uint32_t threads = 1; threads <= 2; ++threads) {
    const std::string suffix = "/threads:" + std::to_string(threads);
    Register("copy" + suffix, [threads](benchmark::State& state) { Copy(state, threads); });
    for (const CpuIsaMethods* isa : UsableIsas()) {
      for (uint32_t method = 0; method < Methods().size(); ++method) {
        const std::string name = std::string(Methods()[method].info->name) + "/" + std::string(isa->isa) + suffix;
        Register(name, [method, isa, threads](benchmark::State& state) {
          Merge(state, method, std::string(isa->isa), threads);
        });
      }
    }
  }
}

}  // namespace
}  // namespace gpumerge

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  gpumerge::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
