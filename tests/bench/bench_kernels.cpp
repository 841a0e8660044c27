// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Throughput of the methods in memory, through the CPU backend as the pipeline uses it: one large bf16 tensor, each
// method, each instruction set that this processor has, 1 and 2 threads; a memory copy beside them. No files.
//   items_per_second = parameters of the output; bytes_per_second = inputs once and output
#include "src/cpu/isa.h"

#include "gpumerge/backend.h"
#include "gpumerge/method.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace gpumerge {
namespace {

// Four inputs and the output are 80 MB, more than usual caches hold.
constexpr uint64_t kElems = 8 << 20;
constexpr uint32_t kModels = 3;
// As in checkpoints: weights and what fine-tuning changes of them, both stored in bf16, so that many deltas tie.
constexpr float kBaseDeviation = 0.02f, kDeltaDeviation = 1e-3f;

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

uint16_t RoundToBf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float WidenBf16(uint16_t stored) {
  const uint32_t bits = static_cast<uint32_t>(stored) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct Tensors {
  Memory base = Allocate(kElems * 2), output = Allocate(kElems * 2);
  std::vector<Memory> models;

  Tensors() {
    std::mt19937_64 random(1);
    std::normal_distribution<float> weights(0, kBaseDeviation), deltas(0, kDeltaDeviation);
    auto* stored_base = reinterpret_cast<uint16_t*>(base.get());
    for (uint64_t e = 0; e < kElems; ++e) stored_base[e] = RoundToBf16(weights(random));
    for (uint32_t m = 0; m < kModels; ++m) {
      models.push_back(Allocate(kElems * 2));
      auto* stored = reinterpret_cast<uint16_t*>(models.back().get());
      for (uint64_t e = 0; e < kElems; ++e) stored[e] = RoundToBf16(WidenBf16(stored_base[e]) + deltas(random));
    }
  }
};

const Tensors& TheTensors() {
  static const Tensors tensors;
  return tensors;
}

double BenchValue(const ParamSpec& spec) {
  if (spec.name == "density" || spec.name == "t") return 0.5;
  if (spec.name == "scale") return 0.9;  // with 1 it would be a copy
  return spec.default_value.value_or(1.0);
}

MergeJob MakeJob(uint32_t method) {
  const MethodInfo& info = *Methods()[method].info;
  MergeJob job;
  job.method = method;
  job.has_base = info.base == BaseUse::kRequired;
  const uint32_t n_models = std::min(kModels, info.max_models);
  if (job.has_base) job.inputs.push_back({DType::kBF16, 0});
  for (uint32_t m = 0; m < n_models; ++m) job.inputs.push_back({DType::kBF16, m});
  job.out_dtype = DType::kBF16;
  job.shape = {kElems};
  job.n_elems = kElems;
  for (const ParamSpec& spec : info.params) {
    const size_t n_values = spec.scope == ParamScope::kShared ? 1 : job.inputs.size();
    job.params.push_back({std::vector<double>(n_values, BenchValue(spec))});
  }
  return job;
}

void Merge(benchmark::State& state, uint32_t method, const std::string& isa, uint32_t threads) {
  const Tensors& tensors = TheTensors();
  const MergeJob job = MakeJob(method);
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
