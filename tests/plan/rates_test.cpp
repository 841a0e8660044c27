// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a merge costs at given rates, against numbers worked out by hand.
#include "src/plan/explain.h"
#include "tests/plan/plan_fixture.h"

#include <nlohmann/json.hpp>

namespace gpumerge::test {
namespace {

using ::testing::DoubleEq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A base and three fine-tunes of 70.55 billion bf16 parameters.
StageBytes SeventyBillion() {
  return {.disk = 564'400'000'000, .link = 564'400'000'000, .compute = 564'400'000'000, .out = 141'100'000'000};
}

TEST(CostOfStages, SlowestStageIsTheWhole) {
  const PlanCost cost = CostOfStages(SeventyBillion(), {.disk = 7e9, .link = 50e9, .out = 3e9});
  ASSERT_EQ(cost.stages.size(), 3u);
  EXPECT_EQ(cost.stages[0].stage, "disk");
  EXPECT_EQ(cost.stages[0].bytes, 564'400'000'000u);
  EXPECT_THAT(cost.stages[0].seconds, DoubleEq(564.4 / 7));
  EXPECT_EQ(cost.stages[1].stage, "link");
  EXPECT_THAT(cost.stages[1].seconds, DoubleEq(11.288));
  EXPECT_EQ(cost.stages[2].stage, "out");
  EXPECT_THAT(cost.stages[2].seconds, DoubleEq(141.1 / 3));
  EXPECT_EQ(cost.slowest, 0u);
  EXPECT_THAT(cost.seconds(), DoubleEq(564.4 / 7));
}

TEST(CostOfStages, FasterDiskMovesTheBindingStage) {
  EXPECT_EQ(CostOfStages(SeventyBillion(), {.disk = 45e9, .link = 50e9, .out = 3e9}).slowest, 2u);
  const PlanCost cost = CostOfStages(SeventyBillion(), {.disk = 45e9, .link = 20e9, .compute = 100e9, .out = 30e9});
  EXPECT_EQ(cost.stages[cost.slowest].stage, "link");
  EXPECT_THAT(cost.seconds(), DoubleEq(28.22));
  EXPECT_THAT(cost.stages[2].seconds, DoubleEq(5.644));
}

TEST(CostOfStages, OnlyWhatHasARate) {
  const PlanCost cost = CostOfStages(SeventyBillion(), {.out = 2e9});
  ASSERT_EQ(cost.stages.size(), 1u);
  EXPECT_EQ(cost.stages[0].stage, "out");
  EXPECT_THAT(cost.seconds(), DoubleEq(70.55));
}

TEST(CostText, Table) {
  StageBytes bytes = SeventyBillion();
  bytes.assumption = "as on a GPU that may use 80.00 GB";
  EXPECT_EQ(CostText(CostOfStages(bytes, {.disk = 7e9, .link = 50e9, .compute = 1e12, .out = 3e6})),
            "time     13.1 h: out binds, the stages overlap\n"
            "         disk     564.40 GB at   7.00 GB/s     80.6 s\n"
            "         link     564.40 GB at  50.00 GB/s     11.3 s\n"
            "         compute  564.40 GB at   1.00 TB/s      0.6 s\n"
            "         out      141.10 GB at   3.00 MB/s     13.1 h\n"
            "         as on a GPU that may use 80.00 GB\n");
}

TEST(CostText, SmallAndMiddlingTimes) {
  StageBytes bytes;
  bytes.disk = 3'450'000;
  EXPECT_THAT(CostText(CostOfStages(bytes, {.disk = 1e9})), HasSubstr("time     3.4 ms: disk binds"));
  bytes.disk = 3'000'000'000'000;
  EXPECT_THAT(CostText(CostOfStages(bytes, {.disk = 1e9})), HasSubstr("time     50.0 min: disk binds"));
}

// One tensor of 100 and one of 40 BF16 elements in three models, and an integer tensor of 3 that is copied.
class RatesTest : public PlanTest {
 protected:
  void SetUp() override {
    for (const char* name : {"base", "one", "two"}) {
      Write(name,
            {PatternTensor("a.weight", DType::kBF16, {100}), PatternTensor("b.weight", DType::kBF16, {40}),
             PatternTensor("ids", DType::kI64, {3})},
            "{}");
    }
    plan_ = MakePlan(R"(
merge_method: ties
base_model: $D/base
parameters: {density: 0.5}
models:
  - {model: $D/one, parameters: {weight: 1}}
  - {model: $D/two, parameters: {weight: 1}}
)");
  }
  static RunEstimate Estimate() {
    RunEstimate estimate;
    estimate.bytes_read = 5000;
    return estimate;
  }
  Plan plan_;
};

constexpr uint64_t kLargeBytes = 3 * 2 * 100, kSmallBytes = 3 * 2 * 40, kCopiedBytes = 3 * 8 * 3;

TEST_F(RatesTest, EverythingFitsAGpuWithoutALimit) {
  EXPECT_EQ(BytesToGpu(plan_, std::nullopt), kLargeBytes + kSmallBytes);
}

TEST_F(RatesTest, WhatDoesNotFitIsSentForEveryReading) {
  // A selection reads twice, the merge once. A sixteenth of the memory is not for inputs.
  EXPECT_EQ(BytesToGpu(plan_, 639), kLargeBytes + kSmallBytes);
  EXPECT_EQ(BytesToGpu(plan_, 638), 3 * kLargeBytes + kSmallBytes);
  EXPECT_EQ(BytesToGpu(plan_, 254), 3 * kLargeBytes + 3 * kSmallBytes);
}

TEST_F(RatesTest, BytesOfARunOnTheCpuAreAsEstimated) {
  const StageBytes bytes = BytesOfStages(plan_, Estimate(), false, std::nullopt);
  EXPECT_EQ(bytes.disk, 5000u);
  EXPECT_EQ(bytes.compute, 5000u);
  EXPECT_EQ(bytes.out, 2u * 140 + 24);
  EXPECT_THAT(bytes.assumption, IsEmpty());
}

TEST_F(RatesTest, BytesOfAGpuThatIsElsewhere) {
  const StageBytes bytes = BytesOfStages(plan_, Estimate(), true, 638);
  EXPECT_EQ(bytes.link, 3 * kLargeBytes + kSmallBytes);
  EXPECT_EQ(bytes.disk, 3 * kLargeBytes + kSmallBytes + kCopiedBytes);
  EXPECT_EQ(bytes.assumption, "as on a GPU that may use 638 B");
  EXPECT_THAT(BytesOfStages(plan_, Estimate(), true, std::nullopt).assumption, HasSubstr("--vram SIZE"));
}

TEST_F(RatesTest, BytesOfAGpuThatIsHereAreAsEstimated) {
  RunEstimate estimate = Estimate();
  estimate.device_memory_bytes = 1'000'000;
  estimate.bytes_to_device = 4900;
  estimate.bytes_from_device = 280;
  const StageBytes bytes = BytesOfStages(plan_, estimate, true, std::nullopt);
  EXPECT_EQ(bytes.disk, 5000u);
  EXPECT_EQ(bytes.link, 4900u);
  EXPECT_THAT(bytes.assumption, IsEmpty());
}

TEST_F(RatesTest, BusierDirectionOfTheLinkCounts) {
  for (PlanItem& item : plan_.items)
    if (item.action == PlanAction::kMerge) item.size_bytes = 10'000;
  EXPECT_EQ(BytesOfStages(plan_, Estimate(), true, std::nullopt).link, 20'000u);
}

TEST_F(RatesTest, InThePlansTextAndJson) {
  StageBytes bytes;
  bytes.disk = 6'000'000'000;
  bytes.out = 1'000'000'000;
  const PlanCost cost = CostOfStages(bytes, {.disk = 3e9, .out = 4e9});
  EXPECT_THAT(ExplainPlan(plan_, Estimate(), cost), HasSubstr("\ntime     2.0 s: disk binds"));
  EXPECT_THAT(ExplainPlan(plan_, Estimate()), Not(HasSubstr("\ntime ")));
  const nlohmann::json json = nlohmann::json::parse(PlanToJson(plan_, Estimate(), cost))["cost"];
  EXPECT_EQ(json["seconds"], 2.0);
  EXPECT_EQ(json["binds"], "disk");
  EXPECT_EQ(json["assumption"], nullptr);
  EXPECT_EQ(
      json["stages"][1],
      nlohmann::json::parse(R"({"stage": "out", "bytes": 1000000000, "bytes_per_second": 4e9, "seconds": 0.25})"));
  EXPECT_FALSE(nlohmann::json::parse(PlanToJson(plan_, Estimate())).contains("cost"));
}

}  // namespace
}  // namespace gpumerge::test
