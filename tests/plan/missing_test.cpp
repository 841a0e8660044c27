// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `missing:`: tensors that some models lack, and what is said of each.
#include "tests/plan/plan_fixture.h"

#include <fmt/format.h>

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kBias = "model.layers.1.mlp.up_proj.bias";

// Models a, b, c and base; those named also have a bias.
class MissingTest : public PlanTest {
 protected:
  void WriteWithBias(const std::vector<std::string_view>& owners) {
    for (const char* name : {"a", "b", "c", "base"}) {
      std::vector<TestTensor> tensors = TinyTensors({});
      if (std::find(owners.begin(), owners.end(), name) != owners.end())
        tensors.push_back(PatternTensor(std::string(kBias), DType::kBF16, {12}));
      Write(name, tensors, TinyConfig({}));
    }
  }
  static std::string Recipe(std::string_view method, std::string_view more) {
    return fmt::format(
        "merge_method: {}\nparameters: {{weight: 1}}\nmodels: [{{model: $D/a}}, {{model: $D/b}}, {{model: "
        "$D/c}}]\n{}\n",
        method, more);
  }
  std::vector<std::string> ModelsOf(const Plan& plan, const PlanItem& item) {
    std::vector<std::string> names;
    for (const PlanInput& input : item.inputs) names.push_back(plan.models[input.model].name);
    return names;
  }
};

TEST_F(MissingTest, IsAnErrorUnlessTheRecipeSaysOtherwise) {
  WriteWithBias({"a", "c"});
  EXPECT_THAT(Codes(Problems(Recipe("linear", ""))), ElementsAre("MM-MISSING"));
  EXPECT_THAT(Codes(Problems(Recipe("linear", "missing: error"))), ElementsAre("MM-MISSING"));
  WriteWithBias({"b"});
  EXPECT_THAT(Codes(Problems(Recipe("linear", ""))), ElementsAre("MM-EXTRA"));
}

TEST_F(MissingTest, PresentMergesThoseThatHaveIt) {
  WriteWithBias({"b", "c"});
  const Plan plan = MakePlan(Recipe("linear", "missing: present"));
  const PlanItem& item = Item(plan, kBias);
  EXPECT_EQ(item.action, PlanAction::kMerge);
  EXPECT_THAT(ModelsOf(plan, item), ElementsAre("b", "c"));
  EXPECT_EQ(item.remark, "without \"a\", which lacks it");
  EXPECT_EQ(item.job.params[0].values.size(), 2u);
  // Random draws stay those of the model's place.
  EXPECT_EQ(item.job.inputs[0].model_index, 1u);
  EXPECT_EQ(item.job.inputs[1].model_index, 2u);
  EXPECT_EQ(Item(plan, "model.norm.weight").remark, "");
  EXPECT_EQ(Item(plan, "model.norm.weight").inputs.size(), 3u);
}

TEST_F(MissingTest, PresentNeedsTheBase) {
  WriteWithBias({"base", "b"});
  const Plan plan = MakePlan(Recipe("ties", "base_model: $D/base\nmissing: present"));
  const PlanItem& item = Item(plan, kBias);
  EXPECT_TRUE(item.job.has_base);
  EXPECT_THAT(ModelsOf(plan, item), ElementsAre("base", "b"));
  EXPECT_EQ(item.remark, "without \"a\", \"c\", which lacks it");
  WriteWithBias({"a", "b"});
  const Diagnostic problem = Problem(Recipe("ties", "base_model: $D/base\nmissing: present"));
  EXPECT_EQ(Info(problem.code).code, "MM-MISSING");
  EXPECT_THAT(problem.message, HasSubstr(std::string(kBias)));
  EXPECT_THAT(problem.found, HasSubstr("the base lacks it"));
}

TEST_F(MissingTest, WhatOnlyTheBaseHasIsCopied) {
  WriteWithBias({"base"});
  const Plan plan = MakePlan(Recipe("ties", "base_model: $D/base\nmissing: present"));
  const PlanItem& item = Item(plan, kBias);
  EXPECT_EQ(item.action, PlanAction::kCopy);
  EXPECT_EQ(item.reason, "only \"base\" has it");
  EXPECT_THAT(ModelsOf(plan, item), ElementsAre("base"));
  // In the type that the recipe asks for.
  const Plan converted = MakePlan(Recipe("ties", "base_model: $D/base\nmissing: present\nout_dtype: float32"));
  EXPECT_EQ(Item(converted, kBias).action, PlanAction::kMerge);
  EXPECT_EQ(Item(converted, kBias).job.out_dtype, DType::kF32);
  EXPECT_EQ(Item(converted, kBias).remark, "only \"base\" has it");
}

TEST_F(MissingTest, BaseStandsInForAModel) {
  WriteWithBias({"base", "b"});
  const Plan plan = MakePlan(Recipe("ties", "base_model: $D/base\nmissing: base"));
  const PlanItem& item = Item(plan, kBias);
  EXPECT_THAT(ModelsOf(plan, item), ElementsAre("base", "base", "b", "base"));
  EXPECT_EQ(item.remark, "the base stands in for \"a\", \"c\", which lacks it");
  EXPECT_EQ(item.job.inputs[3].model_index, 2u);
  WriteWithBias({"a"});
  EXPECT_THAT(Problem(Recipe("ties", "base_model: $D/base\nmissing: base")).found, HasSubstr("the base lacks it"));
  EXPECT_THAT(Problem(Recipe("linear", "missing: base")).found, HasSubstr("there is no base_model to stand in"));
}

TEST_F(MissingTest, ADeeperModelStaysAnError) {
  Write("a", {.n_layers = 4});
  Write("b", {.n_layers = 5});
  Write("c", {.n_layers = 4});
  EXPECT_THAT(Codes(Problems(Recipe("linear", "missing: present"))), ::testing::Contains("MM-EXTRA"));
}

TEST_F(MissingTest, OtherValuesAreRefused) {
  WriteWithBias({});
  EXPECT_THROW(Config(Recipe("linear", "missing: skip")), Error);
}

}  // namespace
}  // namespace gpumerge::test
