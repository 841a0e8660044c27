// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of each method take on GPU 0, through the CUDA backend as the pipeline uses it: one large bf16
// tensor, resident on the device, timed by the backend's own events; copies within the device's memory beside them.
//   bench_gpu [MILLIONS-OF-ELEMENTS]      one line of JSON a measurement, the median of several rounds
//   bytes: what the passes read and write in device memory, each input once a reading
#include "tests/bench/bench_job.h"

#include "gpumerge/backend.h"
#include "gpumerge/error.h"
#include "gpumerge/method.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cuda_runtime.h>
#include <memory>
#include <string_view>
#include <vector>

namespace gpumerge {
namespace {

constexpr int kRounds = 7;
constexpr uint64_t kBytesPerElem = 2;
constexpr uint64_t kRoomForAlignment = 1 << 20;

void Check(cudaError_t status) {
  if (status == cudaSuccess) return;
  throw Error({.code = ErrorCode::kDeviceFailed, .message = cudaGetErrorString(status)});
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + kRounds / 2, values.end());
  return values[kRounds / 2];
}

void Print(std::string_view name, double seconds, uint64_t bytes) {
  fmt::print("{{\"name\": \"{}\", \"seconds\": {:.9f}, \"bytes\": {}, \"bytes_per_second\": {:.6g}}}\n", name, seconds,
             bytes, static_cast<double>(bytes) / seconds);
}

// The memory's own speed: a copy reads and writes each byte once.
void MeasureCopy(uint64_t bytes) {
  void *from = nullptr, *to = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  Check(cudaMalloc(&from, bytes));
  Check(cudaMalloc(&to, bytes));
  Check(cudaMemset(from, 1, bytes));
  Check(cudaEventCreate(&begin));
  Check(cudaEventCreate(&end));
  std::vector<double> seconds;
  for (int round = 0; round <= kRounds; ++round) {
    float milliseconds = 0;
    Check(cudaEventRecord(begin));
    Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice));
    Check(cudaEventRecord(end));
    Check(cudaEventSynchronize(end));
    Check(cudaEventElapsedTime(&milliseconds, begin, end));
    if (round > 0) seconds.push_back(static_cast<double>(milliseconds) / 1e3);  // the first one warms up
  }
  Print("copy", Median(seconds), 2 * bytes);
  Check(cudaEventDestroy(begin));
  Check(cudaEventDestroy(end));
  Check(cudaFree(from));
  Check(cudaFree(to));
}

void MeasureMethod(uint32_t method, uint64_t n_elems) {
  const MergeJob job = MakeBenchJob(method, n_elems);
  const PassList passes = Methods()[method].passes(job);
  const uint64_t tensor_bytes = n_elems * kBytesPerElem;
  const uint64_t all_bytes = tensor_bytes * (kBenchModels + 2);  // with the base and the output
  const std::unique_ptr<Backend> backend = MakeCudaBackend(0, 0);
  backend->AllocateDevice({all_bytes + backend->DeviceStateBytes(job, passes, false) + kRoomForAlignment, 1, 0});
  std::byte* const staging = backend->AllocateStaging(all_bytes).data();
  std::vector<std::byte*> models;
  for (uint32_t m = 0; m < kBenchModels; ++m) models.push_back(staging + tensor_bytes * (m + 1));
  FillBenchTensors(staging, models, n_elems);

  Work work{&job, nullptr, 0, n_elems, {}, staging + tensor_bytes * (kBenchModels + 1), 0, TotalReads(passes)};
  if (job.has_base) work.inputs.push_back(staging);
  for (uint32_t m = 0; m < job.n_models(); ++m) work.inputs.push_back(models[m]);
  std::vector<double> seconds;
  for (int round = 0; round <= kRounds; ++round) {
    const std::unique_ptr<JobState> state = backend->NewState(job, passes);
    work.state = state.get();
    const double before = backend->ComputeSeconds();
    backend->Wait(backend->Submit({&work, 1}));
    if (round > 0) seconds.push_back(backend->ComputeSeconds() - before);
  }
  Print(Methods()[method].info->name, Median(seconds), tensor_bytes * (job.inputs.size() * TotalReads(passes) + 1));
}

}  // namespace
}  // namespace gpumerge

int main(int argc, char** argv) {
  const uint64_t n_elems = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 64) * 1'000'000 / 8 * 8;
  try {
    gpumerge::MeasureCopy(n_elems * 8);
    for (uint32_t method = 0; method < gpumerge::Methods().size(); ++method) gpumerge::MeasureMethod(method, n_elems);
  } catch (const gpumerge::Error& error) {
    fmt::print(stderr, "bench_gpu: {}\n", error.what());
    return 1;
  }
  return 0;
}
