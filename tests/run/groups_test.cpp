// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole merges of methods that look at rows and columns: the same bytes however the tensors are cut. And what is said
// of the rounding of an output.
#include "tests/run/run_fixture.h"

#include <gmock/gmock.h>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct GroupsTest : RunFixture {
  // Rows that end with a block now and then, rows that never do, one row.
  void WriteMatrices() {
    for (const char* name : {"base", "a", "b"}) {
      const uint64_t seed = static_cast<uint64_t>(name[0]);
      WriteModel(scratch / name,
                 {PatternTensor("down.weight", DType::kBF16, {330, 320}, seed),
                  PatternTensor("gate.weight", DType::kBF16, {90, 1024}, seed),
                  PatternTensor("norm.weight", DType::kBF16, {331}, seed),
                  PatternTensor("odd.weight", DType::kBF16, {7, 4099}, seed)},
                 kConfigJson);
    }
  }
  std::string TwoModels(const std::string& head, const std::string& params, const std::string& tail) const {
    std::string recipe = head + "base_model: " + (scratch / "base") + "\nmodels:\n";
    for (const char* name : {"a", "b"}) recipe += "  - model: " + (scratch / name) + params + "\n";
    return recipe + tail + "dtype: bfloat16\n";
  }
};

TEST_F(GroupsTest, SameOutputHoweverTensorsAreCut) {
  WriteMatrices();
  const std::string weights = "\n    parameters: {weight: 0.7}";
  const std::vector<std::string> recipes = {
      TwoModels("merge_method: nuslerp\n", weights, "parameters: {nuslerp_flatten: false, nuslerp_row_wise: true}\n"),
      TwoModels("merge_method: nuslerp\n", weights, "parameters: {nuslerp_flatten: false, nuslerp_row_wise: false}\n"),
      TwoModels("merge_method: model_stock\n", "", "parameters: {filter_wise: true}\n"),
      TwoModels("merge_method: della\n", weights, "parameters: {density: 0.5, rescale: l2}\n"),
  };
  for (const std::string& recipe : recipes) {
    RunOptions reference = Quick();
    reference.device = Device::kReference;
    const auto expected = Merge(recipe, reference);
    for (const uint64_t chunk : {uint64_t{0}, kBlockElems, 6 * kBlockElems}) {
      RunOptions options = Quick();
      options.max_chunk_elems = chunk;
      options.threads = chunk == 0 ? 3 : 2;
      options.selfcheck_percent = 100;
      EXPECT_EQ(Merge(recipe, options), expected) << recipe << "chunks of " << chunk;
    }
  }
}

TEST_F(GroupsTest, ARowThatDoesNotFitIsRefusedWithTheLeastThatWorks) {
  const std::vector<uint64_t> one_row = {1, 3'000'001};
  for (const char* name : {"base", "a", "b"})
    WriteModel(scratch / name, {PatternTensor("t", DType::kBF16, one_row, static_cast<uint64_t>(name[0]))},
               kConfigJson);
  const Plan ranks = MakePlan(
      TwoModels("merge_method: della\n", "\n    parameters: {weight: 1}", "parameters: {density: 0.5}\n"), "out");
  const Plan none = MakePlan(
      TwoModels("merge_method: dare_linear\n", "\n    parameters: {weight: 1}", "parameters: {density: 0.5}\n"), "out");
  RunOptions options = Quick();
  options.threads = 2;
  options.memory_bytes = 1;
  // The row of three inputs and the output, and what ranking it takes: two models' ranks, its keys twice.
  const uint64_t row_bytes = one_row[1] * (4 * 2 + 2 * 4 + 2 * 8);
  const uint64_t needed = EstimateRun(ranks, options).memory_needed_bytes;
  EXPECT_GT(needed, EstimateRun(none, options).memory_needed_bytes + row_bytes * 9 / 10);
  options.memory_bytes = needed - row_bytes / 2;
  try {
    RunMerge(ranks, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResMemory);
  }
  options.memory_bytes = needed + (64 << 20);  // the process itself grows a little from one call to the next
  EXPECT_NO_THROW(RunMerge(ranks, options));
}

struct RoundingTest : GroupsTest {
  // A base of ones and models that differ from it by `step`, in one large and one small tensor.
  void WriteSteps(double step) {
    for (const char* name : {"base", "a", "b"}) {
      const double value = name[1] == '\0' ? 1 + step : 1;
      WriteModel(scratch / name,
                 {ValueTensor("large", DType::kBF16, {100, 100}, std::vector<double>(10'000, value)),
                  ValueTensor("small", DType::kBF16, {3}, {1, 1, 1})},
                 kConfigJson);
    }
  }
  std::string Recipe(const std::string& out_dtype) const {
    return TwoModels("merge_method: task_arithmetic\n", "\n    parameters: {weight: 0.25}",
                     "out_dtype: " + out_dtype + "\n");
  }
};

TEST_F(RoundingTest, ALossOfTheWholeChangeIsReportedAndWarnedOf) {
  WriteSteps(0x1p-7);  // one step of bf16 above 1; the merge changes by half a step, which rounds back
  const RunStats stats = RunMerge(MakePlan(Recipe("bfloat16"), "out"), Quick());
  EXPECT_EQ(stats.rounding_loss, 1.0);
  ASSERT_EQ(stats.warnings.size(), 1u);
  EXPECT_EQ(stats.warnings[0].code, ErrorCode::kNumRounding);
  EXPECT_THAT(stats.warnings[0].message, HasSubstr("100 %"));
  EXPECT_THAT(stats.warnings[0].help, HasSubstr("out_dtype: float32"));
  const std::string report = ReadTextFile(scratch / "out/gpumerge_report.json");
  EXPECT_THAT(report, HasSubstr("\n \"rounding_loss\": 1.0,"));
  EXPECT_THAT(report, HasSubstr("NUM-ROUNDING"));
  const size_t small = report.find("\"name\":\"small\"");  // nothing changes there
  ASSERT_NE(small, std::string::npos);
  EXPECT_THAT(report.substr(small), Not(HasSubstr("rounding_loss")));
  EXPECT_THAT(report.substr(0, small), HasSubstr("\"rounding_loss\":1.0"));
}

TEST_F(RoundingTest, ALittleLossIsReportedOnly) {
  WriteSteps(29.0 / 128);  // the merge changes by 14.5 steps of bf16 above 1, which keeps 14
  const RunStats stats = RunMerge(MakePlan(Recipe("bfloat16"), "out"), Quick());
  EXPECT_TRUE(stats.warnings.empty());
  ASSERT_TRUE(stats.rounding_loss.has_value());
  EXPECT_GT(*stats.rounding_loss, 0);
  EXPECT_LT(*stats.rounding_loss, 0.05);
}

TEST_F(RoundingTest, NothingIsLostInFloat32) {
  WriteSteps(0x1p-7);
  const RunStats stats = RunMerge(MakePlan(Recipe("float32"), "out"), Quick());
  EXPECT_FALSE(stats.rounding_loss.has_value());
  EXPECT_TRUE(stats.warnings.empty());
  EXPECT_THAT(ReadTextFile(scratch / "out/gpumerge_report.json"), Not(HasSubstr("rounding_loss")));
}

}  // namespace
}  // namespace gpumerge::test
