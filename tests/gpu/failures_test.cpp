// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every call of the CUDA runtime fails once, or from then on: each time an Error of a device comes out, nothing leaks,
// and the backend can be destroyed. And what a GPU's states of being unusable are called.
#include "tests/gpu/gpu_compare.h"
#include "tests/gpu/runtime_spy.h"
#include "tests/support/errors.h"
#include "tests/support/literal_jobs.h"

#include "gpumerge/gpu.h"

#if GPUMERGE_ON_EMULATOR

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using test::CodeOf;
using test::FirstDiagnosticOf;
using test::TextOf;

TestJob SmallJob(std::string_view method, uint64_t n, uint32_t variant) {
  return MakeTestJob(MethodNumber(method), 2, n, {DType::kBF16}, DType::kBF16, variant);
}

// A batch of whole tensors whose sums are deferred, a streamed and a kept tensor.
struct Scenario {
  std::vector<TestJob> jobs = {SmallJob("slerp", 100, 1), SmallJob("ties", 100, 3), SmallJob("linear", 9, 0),
                               SmallJob("dare_linear", kBlockElems + 1, 3), SmallJob("ties", kBlockElems + 1, 2)};
  std::vector<TestResult> expected;
  uint64_t calls_of_work = 0;

  Scenario() {
    for (const TestJob& job : jobs) expected.push_back(Expected(job));
  }
  // Throws what the backend throws.
  void Run() {
    GpuBackend gpu({64 << 10, 2, 2 << 20, 64 << 10});
    std::vector<std::unique_ptr<GpuTensor>> tensors;
    for (size_t t = 0; t < jobs.size(); ++t)
      tensors.push_back(gpu.Begin(jobs[t], {t < 3 ? GpuMode::kWhole : t == 3 ? GpuMode::kStreamed : GpuMode::kKept}));
    gpu.Submit(std::vector<GpuTensor*>{tensors[0].get(), tensors[1].get(), tensors[2].get()});
    for (size_t t = 3; t < tensors.size(); ++t)
      while (!tensors[t]->AtEnd()) gpu.Submit(*tensors[t]);
    gpu.Drain();
    for (size_t t = 0; t < jobs.size(); ++t) ExpectSame(jobs[t], expected[t], tensors[t]->result);
    calls_of_work = Spy().n_calls;
  }
};

bool IsOfDevice(const std::string& code) { return code.starts_with("DEV-") || code == "RES-MEM"; }

// Makes every stride-th call fail, beginning with a different one for every kind of failure.
void FailEveryCall(bool lasting, cudaError_t status, uint64_t first, uint64_t stride) {
  Scenario scenario;
  Spy().Reset();
  scenario.Run();
  ASSERT_FALSE(::testing::Test::HasFailure());
  const uint64_t all_calls = Spy().n_calls, calls_of_work = scenario.calls_of_work;
  ASSERT_GT(calls_of_work, 100u);
  ASSERT_GT(all_calls, calls_of_work);
  for (uint64_t n = first; n <= all_calls; n += stride) {
    Spy().Reset();
    Spy().fail_at = n;
    Spy().fail_with = status;
    Spy().lasting = lasting;
    const std::string code = CodeOf([&] { scenario.Run(); });
    if (n <= calls_of_work) {
      EXPECT_TRUE(IsOfDevice(code)) << "call " << n << " of " << all_calls << ": " << code;
    } else {
      EXPECT_EQ(code, "") << "call " << n << " of " << all_calls << ", when the work is done";
    }
    EXPECT_TRUE(Spy().held.empty()) << "call " << n << " of " << all_calls << " leaves " << Spy().held.size();
  }
  Spy().Reset();
  scenario.Run();  // nothing of it stays
}

TEST(GpuFailures, EveryCallOnceEagerOnly) { FailEveryCall(false, cudaErrorUnknown, 1, 1); }
TEST(GpuFailures, ManyCallsOnce) { FailEveryCall(false, cudaErrorLaunchFailure, 3, 7); }
TEST(GpuFailures, FaultsThatLast) { FailEveryCall(true, cudaErrorIllegalAddress, 2, 11); }
TEST(GpuFailures, OutOfMemory) { FailEveryCall(false, cudaErrorMemoryAllocation, 5, 13); }

// What a failing first call is reported as.
Diagnostic DiagnosticOf(const std::string& function, cudaError_t status) {
  Spy().Reset();
  Spy().fail_at = 1;
  Spy().fail_function = function;
  Spy().fail_with = status;
  const Diagnostic diagnostic = FirstDiagnosticOf([] { GpuBackend gpu({1 << 20, 1, 0, 1 << 20}); });
  Spy().Reset();
  return diagnostic;
}

TEST(GpuFailures, CodesEagerOnly) {
  EXPECT_EQ(DiagnosticOf("cudaSetDevice", cudaErrorNoDevice).code, ErrorCode::kDeviceUnavailable);
  EXPECT_EQ(DiagnosticOf("cudaSetDevice", cudaErrorInsufficientDriver).code, ErrorCode::kDeviceDriver);
  EXPECT_EQ(DiagnosticOf("cudaSetDevice", cudaErrorDevicesUnavailable).code, ErrorCode::kDeviceBusy);
  EXPECT_EQ(DiagnosticOf("cudaStreamCreateWithFlags", cudaErrorUnknown).code, ErrorCode::kDeviceFailed);
  const Diagnostic device = DiagnosticOf("cudaMalloc", cudaErrorMemoryAllocation);
  EXPECT_EQ(device.code, ErrorCode::kDeviceMemory);
  EXPECT_NE(device.found.find("free"), std::string::npos) << TextOf(device);
  EXPECT_NE(device.expected, "") << TextOf(device);
  Spy().Reset();
  const auto backend = MakeCudaBackend(0, 0);
  backend->AllocateDevice({1 << 20, 1, 0});
  Spy().fail_at = 1;
  Spy().fail_function = "cudaHostAlloc";
  Spy().fail_with = cudaErrorMemoryAllocation;
  const Diagnostic pinned = FirstDiagnosticOf([&] { backend->AllocateStaging(1 << 20); });
  EXPECT_EQ(pinned.code, ErrorCode::kResMemory);
  EXPECT_NE(TextOf(pinned).find("--pinned"), std::string::npos) << TextOf(pinned);
  Spy().Reset();
  // The next smaller request may succeed: a failure is not remembered.
  EXPECT_EQ(CodeOf([&] { backend->AllocateDevice({1 << 19, 1, 0}); }), "");
}

// The failing call, its place and the runtime's own name for the error are in the text.
TEST(GpuFailures, TextNamesTheCallEagerOnly) {
  const Diagnostic diagnostic = DiagnosticOf("cudaStreamCreateWithFlags", cudaErrorUnknown);
  EXPECT_NE(diagnostic.where.find("cudaStreamCreateWithFlags"), std::string::npos) << TextOf(diagnostic);
  EXPECT_NE(diagnostic.where.find("src/cuda/"), std::string::npos) << TextOf(diagnostic);
  EXPECT_NE(diagnostic.found.find("cudaErrorUnknown"), std::string::npos) << TextOf(diagnostic);
}

// A larger allocation than the device has, the emulator's own way.
TEST(GpuFailures, MoreThanTheDeviceHasEagerOnly) {
  const auto backend = MakeCudaBackend(0, 0);
  EXPECT_EQ(CodeOf([&] { backend->AllocateDevice({uint64_t{1} << 40, 2, 0}); }), "DEV-MEMORY");
  EXPECT_EQ(CodeOf([] { MakeCudaBackend(0, 4096); }), "DEV-MEMORY");
  EXPECT_TRUE(IsOfDevice(CodeOf([] { MakeCudaBackend(7, 0); })));
  EXPECT_EQ(CodeOf([&] { backend->AllocateDevice({1 << 20, 2, 1 << 20}); }), "");
}

GpuSurvey SurveyWith(const std::string& function, cudaError_t status) {
  Spy().Reset();
  Spy().fail_at = 1;
  Spy().fail_function = function;
  Spy().fail_with = status;
  const GpuSurvey survey = SurveyGpus();
  Spy().Reset();
  return survey;
}

TEST(GpuSurveys, WorkingGpuEagerOnly) {
  Spy().Reset();
  const GpuSurvey survey = SurveyGpus();
  EXPECT_TRUE(survey.built_with_cuda);
  EXPECT_FALSE(survey.problem);
  ASSERT_EQ(survey.gpus.size(), 1u);
  EXPECT_NE(survey.gpus[0].name, "");
  EXPECT_NE(survey.gpus[0].compute_capability, "");
  EXPECT_GT(survey.gpus[0].memory_bytes, 0u);
  EXPECT_LE(survey.gpus[0].free_bytes, survey.gpus[0].memory_bytes);
  EXPECT_FALSE(survey.gpus[0].problem);
}

TEST(GpuSurveys, EveryProblemHasItsTextEagerOnly) {
  const GpuSurvey none = SurveyWith("cudaGetDeviceCount", cudaErrorNoDevice);
  ASSERT_TRUE(none.problem);
  EXPECT_EQ(none.problem->code, ErrorCode::kDeviceUnavailable);
  EXPECT_TRUE(none.gpus.empty());
  const GpuSurvey old = SurveyWith("cudaGetDeviceCount", cudaErrorInsufficientDriver);
  ASSERT_TRUE(old.problem);
  EXPECT_EQ(old.problem->code, ErrorCode::kDeviceDriver);
  EXPECT_NE(TextOf(*old.problem).find("too old"), std::string::npos) << TextOf(*old.problem);
  const GpuSurvey busy = SurveyWith("cudaSetDevice", cudaErrorDevicesUnavailable);
  ASSERT_TRUE(busy.problem);
  EXPECT_EQ(busy.problem->code, ErrorCode::kDeviceBusy);
  ASSERT_EQ(busy.gpus.size(), 1u);
  EXPECT_TRUE(busy.gpus[0].problem);
  const GpuSurvey full = SurveyWith("cudaMemGetInfo", cudaErrorMemoryAllocation);
  ASSERT_TRUE(full.problem);
  EXPECT_EQ(full.problem->code, ErrorCode::kDeviceMemory);
  const GpuSurvey broken = SurveyWith("cudaGetDeviceProperties", cudaErrorUnknown);
  ASSERT_TRUE(broken.problem);
  EXPECT_EQ(broken.problem->code, ErrorCode::kDeviceFailed);
  // No two of them read the same.
  std::set<std::string> texts;
  for (const GpuSurvey& survey : {none, old, busy, full, broken}) texts.insert(survey.problem->message);
  EXPECT_EQ(texts.size(), 5u);
}

TEST(GpuSurveys, LinkIsMeasuredEagerOnly) {
  Spy().Reset();
  const LinkBandwidth link = MeasureLink(0);
  EXPECT_GT(link.to_device_bytes_per_second, 0);
  EXPECT_GT(link.to_host_bytes_per_second, 0);
  EXPECT_TRUE(Spy().held.empty());
}

}  // namespace
}  // namespace gpumerge

#endif
