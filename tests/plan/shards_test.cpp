// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Output files: the reference writer's order in each, split in model order, never larger than asked.
#include "src/plan/shards.h"

#include "src/base/file.h"
#include "tests/plan/plan_fixture.h"

#include <fmt/format.h>
#include <rapidcheck/gtest.h>

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PlanItem MakeItem(const std::string& name, DType dtype, uint64_t n_elems) {
  PlanItem item;
  item.name = name;
  item.job.out_dtype = dtype;
  item.job.shape = {n_elems};
  item.job.n_elems = n_elems;
  item.size_bytes = n_elems * ElementBytes(dtype);
  return item;
}

TEST(ShardsTest, OneFileInTheReferenceWritersOrder) {
  Plan plan;
  plan.items = {MakeItem("b", DType::kBF16, 4), MakeItem("a", DType::kBF16, 4), MakeItem("c", DType::kI64, 1),
                MakeItem("d", DType::kBool, 3), MakeItem("e", DType::kF32, 2)};
  LayOutShards(kDefaultShardBytes, &plan);
  std::vector<std::string> names;
  for (const PlanItem& item : plan.items) names.push_back(item.name);
  EXPECT_THAT(names, ElementsAre("c", "e", "a", "b", "d"));
  ASSERT_EQ(plan.shards.size(), 1u);
  EXPECT_EQ(plan.shards[0].file_name, "model.safetensors");
  const uint64_t data = plan.shards[0].header.size();
  EXPECT_EQ(data % 8, 0u);
  EXPECT_EQ(plan.items[0].offset_bytes, data);
  EXPECT_EQ(plan.items[4].offset_bytes, data + 8 + 8 + 8 + 8);
  EXPECT_EQ(plan.shards[0].size_bytes, data + 35);
}

RC_GTEST_PROP(ShardsTest, FilesKeepToTheSizeAndHoldEverything, ()) {
  Plan plan;
  const auto n_items = *rc::gen::inRange<size_t>(1, 40);
  for (size_t i = 0; i < n_items; ++i)
    plan.items.push_back(MakeItem("t" + std::to_string(i), *rc::gen::element(DType::kF32, DType::kBF16, DType::kU8),
                                  *rc::gen::inRange<uint64_t>(0, 3000)));
  const auto shard_bytes = *rc::gen::inRange<uint64_t>(1000, 20000);
  LayOutShards(shard_bytes, &plan);
  RC_ASSERT(plan.items.size() == n_items);
  std::vector<uint64_t> n_in_shard(plan.shards.size(), 0);
  for (const PlanItem& item : plan.items) ++n_in_shard[item.shard];
  for (size_t shard = 0; shard < plan.shards.size(); ++shard) {
    RC_ASSERT(n_in_shard[shard] > 0u);
    RC_ASSERT(plan.shards[shard].size_bytes <= shard_bytes || n_in_shard[shard] == 1u);
  }
  uint64_t next = 0;
  for (size_t i = 0; i < n_items; ++i) {
    const bool first = i == 0 || plan.items[i].shard != plan.items[i - 1].shard;
    if (first) next = plan.shards[plan.items[i].shard].header.size();
    RC_ASSERT(plan.items[i].offset_bytes == next);
    next += plan.items[i].size_bytes;
    if (i + 1 == n_items || plan.items[i + 1].shard != plan.items[i].shard)
      RC_ASSERT(plan.shards[plan.items[i].shard].size_bytes == next);
  }
}

class ShardFilesTest : public PlanTest {};

TEST_F(ShardFilesTest, SplitInModelOrderWithAnIndex) {
  Write("a", {.n_layers = 12});
  Write("b", {.n_layers = 12});
  const Plan plan = MakePlan(std::string(kLinearOfTwo) + "shard_size: 1500\n");
  ASSERT_GT(plan.shards.size(), 3u);
  const std::string last = fmt::format("model-{0:05}-of-{0:05}.safetensors", plan.shards.size());
  EXPECT_EQ(plan.shards[0].file_name, fmt::format("model-00001-of-{:05}.safetensors", plan.shards.size()));
  EXPECT_EQ(plan.shards.back().file_name, last);
  EXPECT_EQ(Item(plan, "model.embed_tokens.weight").shard, 0u);
  EXPECT_EQ(Item(plan, "lm_head.weight").shard, plan.shards.size() - 1);
  uint32_t shard = 0;
  for (uint64_t layer = 0; layer < 12; ++layer) {  // 2 before 10
    const uint32_t next = Item(plan, fmt::format("model.layers.{}.mlp.up_proj.weight", layer)).shard;
    EXPECT_GE(next, shard);
    shard = next;
  }
  const std::string& index = TextFile(plan, "model.safetensors.index.json");
  EXPECT_THAT(index, HasSubstr("{\n  \"metadata\": {\n    \"total_size\": 4560\n  },\n  \"weight_map\": {\n    "
                               "\"lm_head.weight\": \"" +
                               last + "\",\n    \"model.embed_tokens.weight\": "));
  EXPECT_LT(index.find("model.layers.10."), index.find("model.layers.2."));
}

TEST_F(ShardFilesTest, ACopyOfOneModelHasItsBytes) {
  std::vector<TestTensor> tensors = TinyTensors({});
  std::sort(tensors.begin(), tensors.end(), [](const TestTensor& x, const TestTensor& y) { return x.name < y.name; });
  Write("a", tensors, TinyConfig({}));
  const Plan plan = MakePlan("merge_method: passthrough\nmodels: [{model: $D/a}]\n");
  std::string contents = plan.shards[0].header;
  const std::string original = ReadTextFile(dir_ / "a/model.safetensors");
  for (const PlanItem& item : plan.items) contents += original.substr(item.inputs[0].offset_bytes, item.size_bytes);
  EXPECT_EQ(contents, original);
}

TEST_F(ShardFilesTest, ReshardedInputsMakeTheSamePlan) {
  Write("a", {}, 1);
  Write("b", {.seed = 1}, 1);
  const Plan one = MakePlan(kLinearOfTwo);
  std::filesystem::remove_all(dir_ / "a");
  Write("a", {}, 5);
  const Plan five = MakePlan(kLinearOfTwo);
  EXPECT_EQ(five.files.size(), 6u);
  EXPECT_EQ(PlanHash(one), PlanHash(five));
  EXPECT_EQ(one.shards[0].header, five.shards[0].header);
}

}  // namespace
}  // namespace gpumerge::test
