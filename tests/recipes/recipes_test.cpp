// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// All that recipes can do, on the CPU as on the reference executor: shapes, ways of cutting, threads. What the values
// of groups and ranks are is worked out by hand.
#include "tests/support/jobs.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using testing::Describe;
using testing::MakeTestJob;
using testing::RunTestJob;
using testing::TestJob;

uint32_t Row(std::string_view name) { return static_cast<uint32_t>(FindMethod(name) - Methods().data()); }

TestJob JobOf(std::string_view name, std::vector<uint64_t> shape, uint32_t n_models, uint32_t variant,
              DType dtype = DType::kBF16) {
  uint64_t n_elems = 1;
  for (const uint64_t extent : shape) n_elems *= extent;
  TestJob test = MakeTestJob(Row(name), n_models, n_elems, {dtype, DType::kF32}, DType::kF32, variant);
  test.job.shape = std::move(shape);
  return test;
}

testing::TestResult Expected(const TestJob& test) { return RunTestJob(*MakeReferenceBackend(), test, 0); }

void ExpectSame(const testing::TestResult& expected, const TestJob& test, Backend& backend, uint64_t chunk_elems) {
  const auto found = RunTestJob(backend, test, chunk_elems);
  const auto differs = std::mismatch(expected.output.begin(), expected.output.end(), found.output.begin());
  ASSERT_EQ(differs.first - expected.output.begin(), std::ssize(expected.output))
      << Describe(test) << " rows of " << test.job.row_elems() << " chunk " << chunk_elems;
  EXPECT_EQ(expected.state->Loss().error_squares, found.state->Loss().error_squares);
  EXPECT_EQ(expected.state->Loss().change_squares, found.state->Loss().change_squares);
}

class EveryRecipe : public ::testing::TestWithParam<std::string_view> {};

TEST_P(EveryRecipe, SameBitsForEveryShape) {
  const auto backend = MakeCpuBackend(2, "");
  const std::vector<std::vector<uint64_t>> shapes = {
      {},     {0},       {1},       {5},       {0, 4},    {4, 0},     {1, 1},      {1, 7},
      {7, 1}, {3, 5},    {33, 3},   {64, 2},   {2, 64},   {5, 1021},  {1021, 5},   {4096},
      {4097}, {3, 4097}, {4097, 3}, {2, 3, 7}, {2, 8193}, {40, 1000}, {1, 20'000}, {20'000, 1}};
  uint32_t variant = 0;
  for (const std::vector<uint64_t>& shape : shapes)
    for (const uint32_t n_models : {1u, 3u}) {
      const TestJob test = JobOf(GetParam(), shape, n_models, variant++);
      ExpectSame(Expected(test), test, *backend, 0);
    }
}

TEST_P(EveryRecipe, SameBitsForAnyThreadsAndChunks) {
  const std::vector<std::vector<uint64_t>> shapes = {{70, 1536}, {1536, 70}, {3, 35'000},
                                                     {91'000},   {200, 513}, {8, 5, 2500}};
  uint32_t variant = 0;
  for (const std::vector<uint64_t>& shape : shapes) {
    const TestJob test = JobOf(GetParam(), shape, 2, variant++);
    const testing::TestResult expected = Expected(test);
    for (const uint32_t threads : {1u, 3u, 7u}) {
      const auto backend = MakeCpuBackend(threads, "");
      for (const uint64_t chunk : {uint64_t{0}, kBlockElems, 7 * kBlockElems})
        ExpectSame(expected, test, *backend, chunk);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryRecipe, ::testing::Values("rows", "columns", "ranks", "selections"),
                         [](const auto& name) { return std::string(name.param); });

TestJob FloatJob(std::string_view name, std::vector<uint64_t> shape, const std::vector<std::vector<float>>& inputs) {
  TestJob test = JobOf(name, std::move(shape), static_cast<uint32_t>(inputs.size() - 1), 0, DType::kF32);
  test.job.params[0].values = {0};
  for (size_t i = 0; i < inputs.size(); ++i)
    std::memcpy(test.inputs[i].data(), inputs[i].data(), inputs[i].size() * sizeof(float));
  return test;
}

std::vector<float> RunOn(Backend& backend, const TestJob& test) {
  const auto result = RunTestJob(backend, test, 0);
  std::vector<float> values(test.job.n_elems);
  std::memcpy(values.data(), result.output.data(), result.output.size());
  return values;
}

// out = x1 * mean + length of x1's draws - x0 * stray; x1 = 0 leaves -x0 * (largest + largest of the negatives).
TEST(Groups, RowsAndColumnsOfASmallMatrix) {
  const std::vector<float> base = {1, 2, 3,  //
                                   4, 6, 14};
  for (const auto& backend : {MakeReferenceBackend(), MakeCpuBackend(2, "")}) {
    // Rows: means 2 and 8. Largest distances 1 and 6, from lanes that begin at 0, so that negatives give 0.
    EXPECT_EQ(RunOn(*backend, FloatJob("rows", {2, 3}, {base, std::vector<float>(6)})),
              (std::vector<float>{-1, -2, -3, -24, -36, -84}));
    // Columns: means 2.5, 4 and 8.5; distances 1.5, 2, 5.5. Two terms, both -distance: nothing is left.
    EXPECT_EQ(RunOn(*backend, FloatJob("columns", {2, 3}, {base, std::vector<float>(6)})), std::vector<float>(6));
  }
}

TEST(Groups, TheFirstGroupWithoutAMergeIsNamed) {
  std::vector<float> base(3000 * 40, 1.0f);
  for (uint64_t i = 0; i < 40; ++i) base[2000 * 40 + i] = 7, base[2900 * 40 + i] = base[10 * 40 + i] = 8;
  const TestJob rows = FloatJob("rows", {3000, 40}, {base, base});
  const TestJob columns = FloatJob("columns", {3000, 40}, {base, base});
  for (const auto& backend : {MakeReferenceBackend(), MakeCpuBackend(1, ""), MakeCpuBackend(3, "")}) {
    const auto result = RunTestJob(*backend, rows, 0);
    ASSERT_NE(result.state->Problem(), nullptr) << backend->Info().name;
    EXPECT_EQ(result.state->Problem()->message, "a mean of eight");
    EXPECT_EQ(RunTestJob(*backend, columns, 0).state->Problem(), nullptr);
  }
}

// out = 0 + x1 where rank + a random bit > 2, else 0.25: ranks 0 and 1 never, ranks from 3 on always.
TEST(Ranks, SmallestFirstTiesByIndexWithinEachRow) {
  const std::vector<float> base(10), model = {5, 4, 3, 2, 1,  //
                                              2, 2, 2, 2, 2};
  for (const auto& backend : {MakeReferenceBackend(), MakeCpuBackend(2, "")}) {
    const std::vector<float> out = RunOn(*backend, FloatJob("ranks", {2, 5}, {base, model}));
    EXPECT_EQ((std::vector<float>{out[0], out[1], out[3], out[4]}), (std::vector<float>{5, 4, 0.25f, 0.25f}));
    EXPECT_EQ((std::vector<float>{out[5], out[6], out[8], out[9]}), (std::vector<float>{0.25f, 0.25f, 2, 2}));
  }
}

}  // namespace
}  // namespace gpumerge
