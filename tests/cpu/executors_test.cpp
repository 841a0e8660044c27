// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The CPU executor gives the reference's bits: over every method, element type, odd size, number of threads,
// instruction set and way of cutting a tensor into chunks.
#include "src/cpu/isa.h"
#include "tests/support/jobs.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using testing::Describe;
using testing::MakeTestJob;
using testing::RunTestJob;
using testing::TestJob;
using testing::TestResult;

const std::vector<DType> kFloats = {DType::kF32,    DType::kBF16,   DType::kF16,
                                    DType::kF8E4M3, DType::kF8E5M2, DType::kF64};

// The first index at which two outputs differ, or -1.
long FirstDifference(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  if (a.size() != b.size()) return 0;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) return static_cast<long>(i);
  return -1;
}

TestResult OnReference(const TestJob& test) { return RunTestJob(*MakeReferenceBackend(), test, 0); }

void ExpectResult(const TestResult& reference, const TestJob& test, Backend& backend, uint64_t chunk_elems) {
  const auto result = RunTestJob(backend, test, chunk_elems);
  ASSERT_EQ(FirstDifference(reference.output, result.output), -1)
      << Describe(test) << " on " << backend.Info().detail << " chunk " << chunk_elems;
  for (uint32_t i = 0; i < test.job.inputs.size(); ++i)
    EXPECT_EQ(reference.state->InputNonFinite(i).has_value(), result.state->InputNonFinite(i).has_value());
  ASSERT_EQ(reference.state->OutputOverflow().has_value(), result.state->OutputOverflow().has_value());
  if (reference.state->OutputOverflow()) {
    EXPECT_EQ(reference.state->OutputOverflow()->first_index, result.state->OutputOverflow()->first_index);
    EXPECT_EQ(reference.state->OutputOverflow()->count, result.state->OutputOverflow()->count);
    EXPECT_EQ(reference.state->OutputOverflow()->largest_finite, result.state->OutputOverflow()->largest_finite);
  }
  EXPECT_EQ(reference.state->UsedLerp(), result.state->UsedLerp());
  EXPECT_EQ(reference.state->Loss().error_squares, result.state->Loss().error_squares) << Describe(test);
  EXPECT_EQ(reference.state->Loss().change_squares, result.state->Loss().change_squares) << Describe(test);
  EXPECT_EQ(reference.state->Problem() != nullptr, result.state->Problem() != nullptr);
}

void ExpectSame(const TestJob& test, Backend& backend) { ExpectResult(OnReference(test), test, backend, 0); }

class EveryMethod : public ::testing::TestWithParam<uint32_t> {};

TEST_P(EveryMethod, SameBitsAtOddSizes) {
  const auto backend = MakeCpuBackend(2, "");
  uint32_t variant = 0;
  for (const uint64_t n :
       {0u, 1u, 2u, 3u, 15u, 16u, 17u, 63u, 64u, 65u, 1023u, 1024u, 1025u, 4095u, 4096u, 4097u, 70'001u})
    for (uint32_t repeat = 0; repeat < 6; ++repeat)
      ExpectSame(MakeTestJob(GetParam(), 3, n, {DType::kBF16}, DType::kBF16, variant++), *backend);
}

TEST_P(EveryMethod, SameBitsForEveryType) {
  const auto backend = MakeCpuBackend(2, "");
  uint32_t variant = 0;
  for (const DType in : kFloats)
    for (const DType out : kFloats)
      for (uint32_t repeat = 0; repeat < 3; ++repeat)
        ExpectSame(MakeTestJob(GetParam(), 3, 5000, {in}, out, variant++), *backend);
  ExpectSame(MakeTestJob(GetParam(), 5, 5000, kFloats, DType::kF32, 1), *backend);
}

TEST_P(EveryMethod, SameBitsForAnyNumberOfModels) {
  const auto backend = MakeCpuBackend(2, "");
  for (const uint32_t models : {1u, 2u, 3u, 4u, 5u, 9u, kMaxModels})
    for (uint32_t variant = 0; variant < 6; ++variant)
      ExpectSame(MakeTestJob(GetParam(), models, 3000, {DType::kF32, DType::kBF16}, DType::kF32, variant), *backend);
}

TEST_P(EveryMethod, SameBitsForAnyThreadsAndChunks) {
  for (uint32_t variant = 0; variant < 6; ++variant) {
    const uint64_t n_elems = variant % 2 == 0 ? 200'003 : 201'600;  // one row, and rows of many
    const TestJob test = MakeTestJob(GetParam(), 3, n_elems, {DType::kBF16}, DType::kBF16, variant);
    const TestResult reference = OnReference(test);
    for (const uint32_t threads : {1u, 2u, 7u}) {
      const auto backend = MakeCpuBackend(threads, "");
      for (const uint64_t chunk : {uint64_t{0}, kBlockElems, 5 * kBlockElems, 64 * kBlockElems})
        ExpectResult(reference, test, *backend, chunk);
    }
  }
}

TEST_P(EveryMethod, SameBitsForEveryInstructionSet) {
  for (const CpuIsaMethods* isa : UsableIsas()) {
    const auto backend = MakeCpuBackend(2, std::string(isa->isa));
    for (uint32_t variant = 0; variant < 6; ++variant) {
      ExpectSame(MakeTestJob(GetParam(), 3, 9001, {DType::kBF16}, DType::kBF16, variant), *backend);
      ExpectSame(MakeTestJob(GetParam(), 2, 9001, {DType::kF16, DType::kF32}, DType::kF16, variant), *backend);
      ExpectSame(MakeTestJob(GetParam(), 6, 9001, {DType::kF8E4M3}, DType::kF8E5M2, variant), *backend);
    }
  }
}

TEST_P(EveryMethod, FindsNonFiniteInputs) {
  const auto backend = MakeCpuBackend(2, "");
  for (const uint64_t at : {uint64_t{0}, uint64_t{70'000}, uint64_t{150'000}}) {
    TestJob test = MakeTestJob(GetParam(), 3, 150'001, {DType::kF32}, DType::kF32, 0);
    const uint32_t input = static_cast<uint32_t>(test.inputs.size() - 1);
    const float values[] = {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()};
    std::memcpy(test.inputs[input].data() + at * sizeof(float), &values[at % 2], sizeof(float));
    for (const uint64_t chunk : {uint64_t{0}, kBlockElems * 3}) {
      const auto result = RunTestJob(*backend, test, chunk);
      ASSERT_TRUE(result.state->InputNonFinite(input).has_value()) << Describe(test);
      EXPECT_EQ(result.state->InputNonFinite(input)->first_index, at);
      EXPECT_EQ(result.state->InputNonFinite(input)->count, 1u);
      if (input > 0) {
        EXPECT_FALSE(result.state->InputNonFinite(0).has_value());
      }
      // A sum over the whole tensor spreads a NaN; elementwise methods must not blame the output for it.
      if (Methods()[test.job.method].passes(test.job).size() == 1) {
        EXPECT_FALSE(result.state->OutputOverflow().has_value());
      }
    }
  }
}

std::vector<uint32_t> MethodRows() {
  std::vector<uint32_t> rows(Methods().size());
  for (uint32_t i = 0; i < rows.size(); ++i) rows[i] = i;
  return rows;
}

INSTANTIATE_TEST_SUITE_P(All, EveryMethod, ::testing::ValuesIn(MethodRows()),
                         [](const auto& row) { return std::string(Methods()[row.param].info->name); });

}  // namespace
}  // namespace gpumerge
