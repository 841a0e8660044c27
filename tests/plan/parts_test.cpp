// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Totals, parts and the hash of a plan.
#include "tests/plan/plan_fixture.h"

#include <rapidcheck/gtest.h>

#include <functional>

namespace gpumerge::test {
namespace {

class PartsTest : public PlanTest {
 protected:
  void SetUp() override {
    Write("a", {});
    Write("b", {.seed = 1});
  }
};

TEST_F(PartsTest, TotalsOfAPlan) {
  const Plan plan = MakePlan(kLinearOfTwo);
  const PlanTotals totals = Totals(plan);
  EXPECT_EQ(totals.n_tensors, 15u);
  EXPECT_EQ(totals.n_merged, 15u);
  EXPECT_EQ(totals.n_copied, 0u);
  EXPECT_EQ(totals.n_params, 16u * 8 * 2 + 8 + 4 * (8 + 96 + 64));
  EXPECT_EQ(totals.output_bytes, 2 * totals.n_params);
  EXPECT_EQ(totals.input_bytes, 4 * totals.n_params);
  EXPECT_EQ(totals.largest_group_bytes, 3u * 256);
  uint64_t text_bytes = 0;
  for (const PlanTextFile& file : plan.text_files) text_bytes += file.contents.size();
  EXPECT_EQ(totals.disk_bytes, plan.shards[0].size_bytes + text_bytes);
}

RC_GTEST_PROP(CutPlanTest, PartsAreDisjointAndComplete, ()) {
  Plan plan;
  const auto n_items = *rc::gen::inRange<size_t>(0, 60);
  for (size_t i = 0; i < n_items; ++i) {
    PlanItem item;
    item.size_bytes = *rc::gen::inRange<uint64_t>(0, 1000000);
    plan.items.push_back(std::move(item));
  }
  const auto n_parts = *rc::gen::inRange<uint32_t>(1, 12);
  const std::vector<PlanPart> parts = CutPlan(plan, n_parts);
  RC_ASSERT(parts.size() == n_parts);
  uint64_t next = 0;
  for (const PlanPart& part : parts) {
    RC_ASSERT(part.first == next);
    RC_ASSERT(part.last >= part.first);
    next = part.last;
  }
  RC_ASSERT(next == n_items);
}

TEST(CutPlanTest, PartsAreBalancedByBytes) {
  Plan plan;
  for (const uint64_t size_bytes : std::vector<uint64_t>{100, 100, 100, 100, 800, 400, 400}) {
    PlanItem item;
    item.size_bytes = size_bytes;
    plan.items.push_back(std::move(item));
  }
  const std::vector<PlanPart> parts = CutPlan(plan, 2);
  EXPECT_EQ(parts[0].last, 4u);
  EXPECT_EQ(parts[1].first, 4u);
  EXPECT_EQ(CutPlan(plan, 0).size(), 1u);
}

TEST_F(PartsTest, HashIsIndependentOfPaths) {
  const std::string hash = PlanHash(MakePlan(kLinearOfTwo));
  EXPECT_EQ(hash.size(), 32u);
  EXPECT_EQ(PlanHash(MakePlan(kLinearOfTwo)), hash);
  std::filesystem::create_directory(dir_ / "moved");
  std::filesystem::rename(dir_ / "a", dir_ / "moved/a");
  std::filesystem::rename(dir_ / "b", dir_ / "moved/c");
  const Plan moved = MakePlan(R"(
merge_method: linear
models:
  - {model: $D/moved/a, parameters: {weight: 0.5}}
  - {model: $D/moved/c, parameters: {weight: 0.5}}
)");
  EXPECT_EQ(PlanHash(moved), hash);
}

TEST_F(PartsTest, HashDependsOnEverythingElse) {
  const Plan plan = MakePlan(kLinearOfTwo);
  const std::string hash = PlanHash(plan);
  const std::vector<std::function<void(Plan*)>> changes{
      [](Plan* p) { p->method = "slerp"; },
      [](Plan* p) { p->seed = 1; },
      [](Plan* p) { p->donor = 1; },
      [](Plan* p) { p->base = 0; },
      [](Plan* p) { p->items.pop_back(); },
      [](Plan* p) { p->items[3].name += "x"; },
      [](Plan* p) { p->items[3].action = PlanAction::kCopy; },
      [](Plan* p) { p->items[3].size_bytes += 1; },
      [](Plan* p) { p->items[3].offset_bytes += 8; },
      [](Plan* p) { p->items[3].job.params[0].values[1] += 1e-16; },
      [](Plan* p) { p->items[3].job.out_dtype = DType::kF16; },
      [](Plan* p) { p->items[3].job.inputs[0].dtype = DType::kF16; },
      [](Plan* p) { p->items[3].job.inputs[0].model_index = 5; },
      [](Plan* p) { p->items[3].job.shape[0] += 1; },
      [](Plan* p) { p->items[3].job.name_hash += 1; },
      [](Plan* p) { p->items[3].job.seed += 1; },
      [](Plan* p) { p->items[3].inputs[0].tensor += "x"; },
      [](Plan* p) { p->items[3].inputs[0].model = 1; },
      [](Plan* p) { p->shards[0].header += " "; },
      [](Plan* p) { p->text_files[0].contents += " "; },
      [](Plan* p) { p->copied_files.push_back({.file_name = "tokenizer.json", .source_path = "/x", .identity = {}}); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    Plan changed = plan;
    changes[i](&changed);
    EXPECT_NE(PlanHash(changed), hash) << "change " << i;
  }
}

TEST_F(PartsTest, EqualRecipesGiveEqualFiles) {
  const Plan plan = MakePlan(kLinearOfTwo);
  MergeConfig config = Config(kLinearOfTwo);
  PlanOptions options;
  options.output_dir = dir_ / "elsewhere";
  const Plan other = PlanMerge(config, options);
  ASSERT_EQ(plan.text_files.size(), other.text_files.size());
  for (size_t i = 0; i < plan.text_files.size(); ++i) {
    EXPECT_EQ(plan.text_files[i].file_name, other.text_files[i].file_name);
    EXPECT_EQ(plan.text_files[i].contents, other.text_files[i].contents);
  }
  EXPECT_EQ(TextFile(plan, "gpumerge_config.yaml").find("output"), std::string::npos);
}

}  // namespace
}  // namespace gpumerge::test
