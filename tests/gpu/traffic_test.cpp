// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What crosses the link and what the driver is asked for: every input byte once, no more, few launches for many small
// tensors, nothing allocated once the work is under way.
#include "tests/gpu/gpu_compare.h"
#include "tests/gpu/runtime_spy.h"
#include "tests/support/literal_jobs.h"

#if GPUMERGE_ON_EMULATOR

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

// 300 tensors of the size of a layer's norm, in one batch.
struct SmallTensors {
  SmallTensors(GpuBackend& gpu, const std::vector<std::string_view>& methods, uint32_t variant) {
    for (uint32_t t = 0; t < 300; ++t) {
      const uint32_t method = MethodNumber(methods[t % methods.size()]);
      jobs.push_back(MakeTestJob(method, 2, 16 + t % 50, {DType::kBF16}, DType::kBF16, variant));
      for (const auto& input : jobs.back().inputs) input_bytes += input.size();
      n_inputs += jobs.back().inputs.size();
    }
    for (const TestJob& job : jobs) {
      tensors.push_back(gpu.Begin(job));
      batch.push_back(tensors.back().get());
    }
  }
  std::vector<TestJob> jobs;
  std::vector<std::unique_ptr<GpuTensor>> tensors;
  std::vector<GpuTensor*> batch;
  uint64_t input_bytes = 0, n_inputs = 0;
};

uint64_t CopiedBytes(cudaMemcpyKind kind) {
  uint64_t bytes = 0;
  for (const RuntimeSpy::Copy& copy : Spy().copies) bytes += copy.kind == kind ? copy.bytes : 0;
  return bytes;
}

TEST(GpuTraffic, SmallTensorsTakeFewLaunches) {
  GpuBackend gpu;
  const std::vector<std::vector<std::string_view>> mixes = {
      {"ties"}, {"linear"}, {"slerp"}, {"dare_ties"}, {"task_arithmetic"}, {"linear", "ties", "slerp"}};
  for (const auto& methods : mixes)
    for (const uint32_t variant : {0u, 2u, 3u}) {  // no rescaling, l1, l2 among them
      SmallTensors small(gpu, methods, variant);
      Spy().Reset();
      gpu.Submit(small.batch);
      gpu.Drain();
      EXPECT_LE(Spy().Launches(), methods.size() == 1 ? 10u : 12u) << methods[0] << " " << variant;
      EXPECT_GE(Spy().Launches(), 2u);
      // Findings come back beside the outputs.
      EXPECT_LE(Spy().CallsOf("cudaMemcpyAsync"), 3u) << methods[0] << " " << variant;
      const uint64_t copied = CopiedBytes(cudaMemcpyHostToDevice);
      EXPECT_GE(copied, small.input_bytes);
      EXPECT_LE(copied, small.input_bytes + 63 * small.n_inputs);
      for (size_t t = 0; t < small.jobs.size(); t += 37)
        ExpectSame(small.jobs[t], Expected(small.jobs[t]), small.tensors[t]->result);
    }
}

// How often every byte of the staging memory was copied to the device.
std::vector<uint32_t> CopiesOfStaging(const GpuBackend& gpu) {
  std::vector<uint32_t> copies(gpu.staging().size());
  for (const RuntimeSpy::Copy& copy : Spy().copies) {
    if (copy.kind != cudaMemcpyHostToDevice) continue;
    EXPECT_GE(copy.from, gpu.staging().data());
    EXPECT_LE(copy.from + copy.bytes, gpu.staging().data() + gpu.staging().size());
    for (uint64_t i = 0; i < copy.bytes; ++i) ++copies.at(static_cast<uint64_t>(copy.from - gpu.staging().data()) + i);
  }
  return copies;
}

// Whole or kept, a tensor crosses the link once, whatever the number of its passes; sizes without padding, so exactly.
TEST(GpuTraffic, EveryInputByteOnce) {
  for (uint32_t method = 0; method < Methods().size(); ++method)
    for (const GpuMode mode : {GpuMode::kWhole, GpuMode::kKept}) {
      GpuBackend gpu;
      const TestJob test = MakeTestJob(method, 3, 3 * kBlockElems + 64, {DType::kBF16}, DType::kBF16, 2);
      uint64_t input_bytes = 0;
      for (const auto& input : test.inputs) input_bytes += input.size();
      Spy().Reset();
      gpu.Run(test, {mode});
      EXPECT_EQ(CopiedBytes(cudaMemcpyHostToDevice), input_bytes) << Describe(test);
      const std::vector<uint32_t> copies = CopiesOfStaging(gpu);
      EXPECT_LE(*std::max_element(copies.begin(), copies.end()), 1u);
      // Back comes the output, and a line of findings.
      const uint64_t findings_bytes = (test.inputs.size() + 1) * 24;
      EXPECT_EQ(CopiedBytes(cudaMemcpyDeviceToHost), test.job.n_elems * 2 + findings_bytes) << Describe(test);
    }
}

TEST(GpuTraffic, StreamedOnceAReading) {
  GpuBackend gpu;
  const TestJob test = MakeTestJob(MethodNumber("ties"), 2, 2 * kBlockElems, {DType::kF32}, DType::kF32, 0);
  const uint64_t reads = TotalReads(Methods()[test.job.method].passes(test.job));
  Spy().Reset();
  gpu.Run(test, {GpuMode::kStreamed});
  EXPECT_EQ(CopiedBytes(cudaMemcpyHostToDevice), reads * 3 * 2 * kBlockElems * 4);
}

// Events are made until as many batches as may be are under way; memory never again.
TEST(GpuTraffic, NothingAllocatedInTheSteadyState) {
  GpuBackend gpu;
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 2 * Methods().size(); ++t)
    tests.push_back(MakeTestJob(t % static_cast<uint32_t>(Methods().size()), 2, 4099, {DType::kBF16}, DType::kBF16, t));
  const auto run_all = [&] {
    for (const GpuMode mode : {GpuMode::kWhole, GpuMode::kStreamed, GpuMode::kKept})
      for (const TestJob& test : tests) gpu.Run(test, {mode});
  };
  gpu.Run(tests[0]);
  Spy().Reset();
  run_all();
  EXPECT_EQ(Spy().CallsOf("cudaMalloc") + Spy().CallsOf("cudaHostAlloc"), 0u);
  EXPECT_EQ(Spy().CallsOf("cudaFree") + Spy().CallsOf("cudaFreeHost"), 0u);
  Spy().Reset();
  run_all();
  EXPECT_EQ(Spy().Allocations(), 0u);
  EXPECT_EQ(Spy().CallsOf("cudaStreamSynchronize"), 0u);
}

}  // namespace
}  // namespace gpumerge

#endif
