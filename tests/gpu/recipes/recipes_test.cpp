// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// All that recipes can do, on the GPU as on the reference executor: shapes, ways of bringing a tensor to the device,
// tensors alone and many at once.
#include "tests/gpu/gpu_compare.h"

#include <string>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

const std::vector<GpuRun> kRuns = {{GpuMode::kWhole},
                                   {GpuMode::kStreamed, kBlockElems},
                                   {GpuMode::kKept, kBlockElems, 2 * kBlockElems},
                                   {GpuMode::kKept, 2 * kBlockElems, kBlockElems}};

TestJob JobOf(uint32_t recipe, std::vector<uint64_t> shape, uint32_t n_models, uint32_t variant,
              DType dtype = DType::kBF16) {
  uint64_t n_elems = 1;
  for (const uint64_t extent : shape) n_elems *= extent;
  TestJob test = MakeTestJob(recipe, n_models, n_elems, {dtype, DType::kF32}, DType::kF32, variant);
  test.job.shape = std::move(shape);
  return test;
}

class GpuEveryRecipe : public ::testing::TestWithParam<uint32_t> {};

TEST_P(GpuEveryRecipe, Whole) {
  GpuBackend gpu({4 << 20, 2, 1 << 20, 2 << 20});
  const std::vector<std::vector<uint64_t>> shapes = {{},      {0, 4},    {1},      {5},     {1, 7},
                                                     {7, 1},  {3, 5},    {33, 3},  {64, 2}, {2, 64},
                                                     {2, 65}, {5, 1021}, {700, 5}, {4096},  {2, 4097}};
  uint32_t variant = 0;
  for (const std::vector<uint64_t>& shape : shapes) {
    ExpectReference(JobOf(GetParam(), shape, 1 + 2 * (variant % 2), variant), gpu);
    ++variant;
  }
}

TEST_P(GpuEveryRecipe, InParts) {
  GpuBackend gpu({8 << 20, 2, 32 << 20, 4 << 20});
  const std::vector<std::vector<uint64_t>> shapes = {{70, 128}, {128, 70}, {3, 64, 64}, {9'009}};
  uint32_t variant = 0;
  for (const std::vector<uint64_t>& shape : shapes) {
    const TestJob test = JobOf(GetParam(), shape, 2, variant++);
    const TestResult expected = Expected(test);
    for (const GpuRun& run : kRuns) ExpectSame(test, expected, gpu.Run(test, run), Text(run));
  }
}

INSTANTIATE_TEST_SUITE_P(All, GpuEveryRecipe, ::testing::Range(0u, static_cast<uint32_t>(Methods().size())),
                         [](const auto& test) { return std::string(Methods()[test.param].info->name); });

// In batches, while sums of others are waited for, and in both lanes.
TEST(GpuRecipes, ManyAtOnce) {
  GpuBackend gpu({8 << 20, 3, 32 << 20, 8 << 20});
  std::vector<TestJob> tests;
  const uint32_t n_recipes = static_cast<uint32_t>(Methods().size());
  for (uint32_t t = 0; t < 5 * n_recipes; ++t)
    tests.push_back(JobOf(t % n_recipes, {1 + t * 7 % 40, 1 + t * 5 % 30}, 1 + t % 3, t));
  const TestJob large[] = {JobOf(static_cast<uint32_t>(FindMethod("rows") - Methods().data()), {100, 128}, 2, 1),
                           JobOf(static_cast<uint32_t>(FindMethod("columns") - Methods().data()), {100, 128}, 2, 2)};
  std::vector<std::unique_ptr<GpuTensor>> tensors;
  for (uint32_t lane = 0; lane < 2; ++lane)
    tensors.push_back(gpu.Begin(large[lane], {lane == 0 ? GpuMode::kKept : GpuMode::kStreamed}, lane));
  GpuTensor* const in_parts[] = {tensors[0].get(), tensors[1].get()};
  for (size_t begin = 0; begin < tests.size(); begin += n_recipes) {
    std::vector<GpuTensor*> batch;
    for (size_t t = begin; t < begin + n_recipes; ++t) {
      tensors.push_back(gpu.Begin(tests[t]));
      batch.push_back(tensors.back().get());
    }
    gpu.Submit(batch);
    for (GpuTensor* tensor : in_parts)
      if (!tensor->AtEnd()) gpu.Submit(*tensor);
  }
  for (GpuTensor* tensor : in_parts)
    while (!tensor->AtEnd()) gpu.Submit(*tensor);
  gpu.Drain();
  for (const auto& tensor : tensors) ExpectSame(tensor->test, Expected(tensor->test), tensor->result);
}

TEST(GpuRecipes, TheFirstGroupWithoutAMergeIsNamed) {
  GpuBackend gpu({2 << 20, 2, 4 << 20, 4 << 20});
  TestJob test = JobOf(static_cast<uint32_t>(FindMethod("rows") - Methods().data()), {300, 40}, 1, 0, DType::kF32);
  std::vector<float> base(300 * 40, 1.0f);
  for (uint64_t i = 0; i < 40; ++i) base[200 * 40 + i] = 7, base[290 * 40 + i] = base[10 * 40 + i] = 8;
  std::memcpy(test.inputs[0].data(), base.data(), base.size() * sizeof(float));
  for (const GpuRun& run : kRuns) {
    const TestResult result = gpu.Run(test, run);
    ASSERT_NE(result.state->Problem(), nullptr) << Text(run);
    EXPECT_EQ(result.state->Problem()->message, "a mean of eight") << Text(run);
  }
  test.job.shape = {40, 300};
  EXPECT_EQ(gpu.Run(test).state->Problem(), nullptr);
}

}  // namespace
}  // namespace gpumerge
