// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Statistics of rows and columns, and ranks within rows: shapes of every kind, whole and in parts, chunks that begin
// inside a row, more rows and ranks than one step takes, many such tensors under way at once.
#include "src/cuda/part_steps.h"
#include "tests/gpu/gpu_compare.h"
#include "tests/support/literal_jobs.h"

#include <string>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using Shape = std::vector<uint64_t>;

const std::vector<GpuRun> kRuns = {{GpuMode::kWhole},
                                   {GpuMode::kStreamed, kBlockElems},
                                   {GpuMode::kKept, kBlockElems, 2 * kBlockElems},
                                   {GpuMode::kKept, 2 * kBlockElems, kBlockElems}};
// Rows shorter and longer than a block of sums, powers of two (which have parts) and not; a scalar, one row, one
// column.
const std::vector<Shape> kSmallShapes = {{}, {1}, {33}, {2, 1}, {1, 65}, {65, 1}, {3, 5, 7}, {50, 41}};
const std::vector<Shape> kShapes4096 = {{1, 4099}, {4099, 1}, {40, 320}, {100, 128}, {3, 4096}, {2, 8197}, {64, 3, 64}};

uint64_t Elems(const Shape& shape) {
  uint64_t n = 1;
  for (const uint64_t extent : shape) n *= extent;
  return n;
}

TestJob GroupJob(std::string_view method, uint32_t n_models, const Shape& shape, const std::vector<DType>& dtypes,
                 const std::map<std::string, double>& params, bool with_base = true) {
  const uint32_t variant = with_base ? 0 : 2;  // of an optional base
  TestJob test = MakeTestJob(MethodNumber(method), n_models, Elems(shape), dtypes, DType::kF32, variant);
  test.job.shape = shape;
  const MethodInfo& info = *Methods()[test.job.method].info;
  for (size_t p = 0; p < info.params.size(); ++p)
    if (const auto given = params.find(std::string(info.params[p].name)); given != params.end())
      std::fill(test.job.params[p].values.begin(), test.job.params[p].values.end(), given->second);
  return test;
}

TestJob ArcJob(GroupAxis axis, const Shape& shape, bool with_base) {
  return GroupJob("nuslerp", 2, shape, {DType::kBF16, DType::kF32},
                  {{"nuslerp_flatten", 0}, {"nuslerp_row_wise", axis == GroupAxis::kColumns ? 1 : 0}}, with_base);
}
TestJob StockJob(uint32_t n_models, const Shape& shape) {
  return GroupJob("model_stock", n_models, shape, {DType::kBF16}, {{"filter_wise", 1}});
}
TestJob RankJob(uint32_t n_models, const Shape& shape, std::string_view rescale, std::string_view method = "della") {
  return GroupJob(method, n_models, shape, {DType::kBF16},
                  {{"density", 0.4}, {"epsilon", 0.3}, {"rescale", Choice(method, "rescale", rescale)}});
}

PassInfo FirstPass(const TestJob& test) { return Methods()[test.job.method].passes(test.job).at(0); }

void ExpectEveryWay(const TestJob& test, GpuBackend& gpu) {
  const TestResult expected = Expected(test);
  for (const GpuRun& run : kRuns) {
    if (test.job.n_elems <= kBlockElems && run.mode == GpuMode::kKept && run.chunk_elems > kBlockElems) continue;
    ExpectSame(test, expected, gpu.Run(test, run), Text(run));
  }
}

TEST(GpuGroups, Rows) {
  GpuBackend gpu({2 << 20, 2, 8 << 20, 4 << 20});
  ASSERT_EQ(FirstPass(ArcJob(GroupAxis::kRows, {2, 2}, true)).axis, GroupAxis::kRows);
  for (const std::vector<Shape>& shapes : {kSmallShapes, kShapes4096})
    for (const Shape& shape : shapes) ExpectEveryWay(ArcJob(GroupAxis::kRows, shape, Elems(shape) % 2 == 0), gpu);
}

TEST(GpuGroups, Columns) {
  GpuBackend gpu({2 << 20, 2, 8 << 20, 4 << 20});
  ASSERT_EQ(FirstPass(ArcJob(GroupAxis::kColumns, {2, 2}, true)).axis, GroupAxis::kColumns);
  for (const std::vector<Shape>& shapes : {kSmallShapes, kShapes4096})
    for (const Shape& shape : shapes) ExpectEveryWay(ArcJob(GroupAxis::kColumns, shape, Elems(shape) % 2 == 1), gpu);
}

TEST(GpuGroups, ManyValuesARow) {
  GpuBackend gpu({4 << 20, 2, 16 << 20, 8 << 20});
  ASSERT_EQ(FirstPass(StockJob(15, {2, 2})).n_values, 120u);
  for (const uint32_t n_models : {2u, 6u, 15u})
    for (const Shape& shape : {Shape{33}, Shape{60, 16}}) ExpectEveryWay(StockJob(n_models, shape), gpu);
}

// Sums are sent in several steps, of one tensor and of many in one batch, while others wait.
TEST(GpuGroups, MoreThanTheMailboxTakes) {
  GpuBackend gpu({8 << 20, 3, 4 << 20, 8 << 20});
  const TestJob rows = ArcJob(GroupAxis::kRows, {13'500, 2}, false);
  const TestJob columns = ArcJob(GroupAxis::kColumns, {2, 13'500}, false);
  ASSERT_GT(rows.job.n_groups(GroupAxis::kRows) * 5 * sizeof(double), 2 * kStepMailBytes);
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 12; ++t) {
    const GroupAxis axis = t % 2 == 0 ? GroupAxis::kRows : GroupAxis::kColumns;
    tests.push_back(ArcJob(axis, axis == GroupAxis::kRows ? Shape{2300 + t, 2} : Shape{2, 2300 + t}, t % 3 == 0));
  }
  tests.push_back(rows);
  tests.push_back(columns);
  tests.push_back(RankJob(2, {30, 40}, "l1"));
  std::vector<std::unique_ptr<GpuTensor>> tensors;
  for (int repeat = 0; repeat < 2; ++repeat) {
    std::vector<GpuTensor*> batch;
    for (const TestJob& test : tests) {
      tensors.push_back(gpu.Begin(test));
      batch.push_back(tensors.back().get());
    }
    gpu.Submit(batch);
    tensors.push_back(gpu.Begin(rows));
    gpu.Submit(*tensors.back());
  }
  gpu.Drain();
  std::map<const TestJob*, TestResult> expected;
  for (const auto& tensor : tensors) {
    if (!expected.contains(&tensor->test)) expected[&tensor->test] = Expected(tensor->test);
    ExpectSame(tensor->test, expected[&tensor->test], tensor->result);
  }
}

// A tree above the blocks of a row, on the device.
TEST(GpuGroups, LongRowsEagerOnly) {
  GpuBackend gpu({8 << 20, 2, 16 << 20, 16 << 20});
  for (const Shape& shape : {Shape{3, 90'000}, Shape{131'075}})
    ExpectReference(ArcJob(GroupAxis::kRows, shape, false), gpu);
  ExpectReference(ArcJob(GroupAxis::kRows, {4, 65'536}, false), gpu, {GpuMode::kStreamed, 1 << 16});
}

TEST(GpuRanks, Shapes) {
  GpuBackend gpu({4 << 20, 2, 16 << 20, 8 << 20});
  ASSERT_TRUE(FirstPass(RankJob(2, {2, 2}, "l1")).ranks);
  const std::string_view rescales[] = {"true", "l1", "false", "linf"};
  uint32_t next = 0;
  for (const std::vector<Shape>& shapes : {kSmallShapes, kShapes4096})
    for (const Shape& shape : shapes) {
      ExpectEveryWay(RankJob(2, shape, rescales[next % 4], next % 2 == 0 ? "della" : "della_linear"), gpu);
      ++next;
    }
}

// Equal keys keep their order, in one bin, across warps, tiles of the sort and the row's end; one model ranks as many.
TEST(GpuRanks, Ties) {
  GpuBackend gpu({4 << 20, 2, 16 << 20, 8 << 20});
  for (const uint64_t row : {31u, 127u, 128u, 129u, 1023u, 1024u, 1025u, 2100u})
    for (const uint32_t distinct : {1u, 2u, 300u}) {
      const uint64_t n = 2 * row;
      JobSpec spec{.method = "della", .inputs = std::vector<std::vector<float>>(4, std::vector<float>(n))};
      for (size_t m = 1; m < 4; ++m)
        for (uint64_t i = 0; i < n; ++i)
          spec.inputs[m][i] = static_cast<float>((i * 7919 * m) % distinct + 1) * (i % 3 == 0 ? -1e-4f : 1e-4f);
      spec.params = {{"weight", {1, 1, 1}}, {"density", {0.5, 0.5, 0.5}}, {"epsilon", {0.4, 0.4, 0.4}}};
      TestJob test = MakeJob(spec);
      test.job.shape = {2, row};
      ExpectReference(test, gpu);
    }
}

// More keys than are sorted at once: steps begin and end inside rows.
TEST(GpuRanks, SeveralStepsEagerOnly) {
  GpuBackend gpu({64 << 20, 1, 64 << 20, 16 << 20});
  const TestJob whole = RankJob(64, {27, 701}, "l1", "della_linear"), parts = RankJob(64, {36, 512}, "false");
  for (const TestJob* test : {&whole, &parts}) ASSERT_GT(test->job.n_elems, MostRankedElems(test->job));
  ExpectReference(whole, gpu);
  ExpectReference(parts, gpu, {GpuMode::kKept, 5 * kBlockElems, 3 * kBlockElems});
}

}  // namespace
}  // namespace gpumerge
