// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What methods say of their base and of whole numbers, in plans.
#include "tests/plan/plan_fixture.h"

#include "gpumerge/method.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MethodInputsTest : public PlanTest {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b", "base"}) Write(name, {.seed = static_cast<uint64_t>(name[0])});
  }
};

constexpr std::string_view kTwo = "models: [{model: $D/a}, {model: $D/b}]\nparameters: {weight: 1}\n";

TEST_F(MethodInputsTest, AnOptionalBaseIsOneWhenItIsThere) {
  const std::string recipe = "merge_method: nuslerp\n" + std::string(kTwo);
  const Plan without = MakePlan(recipe);
  EXPECT_FALSE(without.items[0].job.has_base);
  EXPECT_EQ(without.items[0].inputs.size(), 2u);
  const Plan with = MakePlan(recipe + "base_model: $D/base\n");
  EXPECT_TRUE(with.items[0].job.has_base);
  ASSERT_EQ(with.items[0].inputs.size(), 3u);
  EXPECT_EQ(with.models[with.items[0].inputs[0].model].name, "base");
  EXPECT_THAT(with.items[0].job.inputs[2].model_index, 1u);
}

TEST_F(MethodInputsTest, AnOptionalBaseIsNotOneOfTheTwo) {
  try {
    Config("merge_method: nuslerp\n" + std::string(kTwo) + "base_model: $D/a\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCfgRange);
    EXPECT_THAT(error.what(), HasSubstr("merges exactly 2 models besides the base, but there are 1"));
  }
}

TEST_F(MethodInputsTest, AnOptionalBaseMustBeInEverySlice) {
  const std::string recipe =
      "merge_method: multislerp\nparameters: {weight: 1}\nslices:\n"
      "- sources: [{model: $D/a, layer_range: [0, 4]}, {model: $D/b, layer_range: [0, 4]}";
  EXPECT_FALSE(MakePlan(recipe + "]\n").items[0].job.has_base);
  EXPECT_TRUE(
      MakePlan(recipe + ", {model: $D/base, layer_range: [0, 4]}]\nbase_model: $D/base\n").items[0].job.has_base);
  EXPECT_THROW(Config(recipe + "]\nbase_model: $D/base\n"), Error);
}

TEST_F(MethodInputsTest, ABaseIsAnOrdinaryInputOfKarcher) {
  const Plan plan = MakePlan("merge_method: karcher\nmodels: [{model: $D/a}, {model: $D/b}]\nbase_model: $D/base\n");
  EXPECT_FALSE(plan.items[0].job.has_base);
  EXPECT_EQ(plan.items[0].inputs.size(), 3u);
}

TEST_F(MethodInputsTest, AGradientOfWholeNumbersMustHitThem) {
  const std::string recipe = "merge_method: karcher\nmodels: [{model: $D/a}, {model: $D/b}]\nparameters: {max_iter: ";
  const Diagnostic problem = Problem(recipe + "[5, 10]}\n");
  EXPECT_EQ(Info(problem.code).code, "CFG-RANGE");
  EXPECT_THAT(problem.message, HasSubstr("the gradient of max_iter is no whole number at tensor \"model.layers.1."));
  const Plan plan = MakePlan(recipe + "[4, 10]}\n");
  const auto max_iter = [&](std::string_view layer) {
    return Item(plan, "model.layers." + std::string(layer) + ".mlp.up_proj.weight").job.Shared("max_iter");
  };
  EXPECT_EQ(max_iter("0"), 4.0);
  EXPECT_EQ(max_iter("1"), 6.0);
  EXPECT_EQ(max_iter("2"), 8.0);
  EXPECT_EQ(max_iter("3"), 10.0);
}

TEST_F(MethodInputsTest, APresetGivesWhatTheRecipeLeavesOpen) {
  const Plan plan = MakePlan(
      "merge_method: ties\nbase_model: $D/base\nmodels: [{model: $D/a}, {model: $D/b}]\n"
      "parameters: {weight: 1, preset: peft, elect_on: weighted}\n");
  const MergeJob& job = plan.items[0].job;
  const auto choice = [&](std::string_view name) {
    for (const ParamSpec& spec : FindMethod("ties")->info->params)
      if (spec.name == name) return std::string(spec.choices[static_cast<size_t>(job.Shared(name))]);
    return std::string();
  };
  EXPECT_EQ(choice("divide_by"), "count");
  EXPECT_EQ(choice("elect_on"), "weighted");
  EXPECT_THAT(TextFile(plan, "gpumerge_config.yaml"), HasSubstr("  preset: peft\n"));
}

}  // namespace
}  // namespace gpumerge::test
