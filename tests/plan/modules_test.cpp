// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `modules:`: parts of a model, each merged from inputs of its own; no tensor is left out silently.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ModulesTest : public PlanTest {
 protected:
  // A text stack of 4 layers, a vision stack of 2 and a projector.
  void WriteMultimodal(const std::string& name, uint64_t seed) {
    std::vector<TestTensor> tensors;
    for (TestTensor& tensor : TinyTensors({.seed = seed})) {
      tensor.name = "language_model." + tensor.name;
      tensors.push_back(std::move(tensor));
    }
    for (int layer = 0; layer < 2; ++layer)
      tensors.push_back(
          PatternTensor("vision_tower.blocks." + std::to_string(layer) + ".proj.weight", DType::kBF16, {4, 4}, seed));
    tensors.push_back(PatternTensor("multi_modal_projector.linear.weight", DType::kBF16, {8, 4}, seed));
    Write(name, tensors,
          "{\"model_type\": \"both\", \"text_config\": {\"num_hidden_layers\": 4, \"vocab_size\": 16}, "
          "\"vision_config\": {\"num_hidden_layers\": 2}}\n");
  }
  void SetUp() override {
    WriteMultimodal("a", 0);
    WriteMultimodal("b", 1);
  }
  std::vector<std::string> ModelsOf(const Plan& plan, std::string_view tensor) {
    std::vector<std::string> names;
    for (const PlanInput& input : Item(plan, tensor).inputs) names.push_back(plan.models[input.model].name);
    return names;
  }
};

constexpr std::string_view kTower = "vision_tower.blocks.1.proj.weight";
constexpr std::string_view kLayer = "language_model.model.layers.2.mlp.up_proj.weight";

constexpr std::string_view kText = R"(
merge_method: linear
parameters: {weight: 1}
modules:
  text_decoder:
    models: [{model: $D/a}, {model: $D/b, parameters: {weight: [0, 3]}}]
    parameters: {normalize: false}
)";

std::string Rest(std::string_view more) { return std::string(kText) + std::string(more); }

TEST_F(ModulesTest, EachHasItsOwnInputsAndParameters) {
  const Plan plan = MakePlan(
      Rest("  vision_tower: {models: [{model: $D/a}]}\n  projector: {models: [{model: $D/b}, {model: $D/a}]}\n"));
  EXPECT_EQ(plan.items.size(), 15u + 2 + 1);
  EXPECT_THAT(ModelsOf(plan, kLayer), ElementsAre("a", "b"));
  EXPECT_THAT(Item(plan, kLayer).job.params[0].values, ElementsAre(1, 2));  // a gradient over the module's layers
  EXPECT_THAT(Item(plan, kLayer).job.params[1].values, ElementsAre(0));     // normalize, of the module
  EXPECT_THAT(ModelsOf(plan, kTower), ElementsAre("a"));
  EXPECT_THAT(ModelsOf(plan, "multi_modal_projector.linear.weight"), ElementsAre("b", "a"));
  EXPECT_THAT(Item(plan, "multi_modal_projector.linear.weight").job.params[1].values, ElementsAre(1));
  EXPECT_THAT(plan.notes, Contains("module text_decoder: guessed to be the tensors that begin with language_model."));
  EXPECT_EQ(plan.models[plan.donor].name, "a");
}

TEST_F(ModulesTest, ALeftOutModuleIsAnErrorThatNamesItsTensors) {
  const std::vector<Diagnostic> problems = Problems(Rest("  vision_tower: {models: [{model: $D/a}]}\n"));
  ASSERT_THAT(Codes(problems), ElementsAre("MM-EXTRA", "MM-EXTRA"));
  EXPECT_THAT(problems[0].message, HasSubstr("belong to no module: multi_modal_projector.linear.weight"));
}

TEST_F(ModulesTest, DroppedOnlyWhenTheRecipeSaysSo) {
  const Plan plan = MakePlan(Rest("  vision: {drop: true}\n  projector: {drop: true}\n"));
  EXPECT_EQ(plan.items.size(), 15u);
  EXPECT_THAT(plan.notes, Contains("module vision is dropped, as the recipe says: 4 tensors of all models together"));
}

TEST_F(ModulesTest, APrefixSaysWhatBelongs) {
  const std::string_view recipe = R"(
merge_method: linear
parameters: {weight: 1}
modules:
  first: {prefix: language_model., models: [{model: $D/a}]}
  second: {prefix: [vision_tower., multi_modal_projector.], models: [{model: $D/b}]}
)";
  const Plan plan = MakePlan(recipe);
  EXPECT_THAT(ModelsOf(plan, kTower), ElementsAre("b"));
  EXPECT_THAT(ModelsOf(plan, kLayer), ElementsAre("a"));
  // The longest prefix decides.
  const Plan nested = MakePlan(R"(
merge_method: linear
parameters: {weight: 1}
modules:
  head: {prefix: language_model.lm_head., models: [{model: $D/b}]}
  first: {prefix: language_model., models: [{model: $D/a}]}
  second: {prefix: [vision_tower., multi_modal_projector.], models: [{model: $D/b}]}
)");
  EXPECT_THAT(ModelsOf(nested, "language_model.lm_head.weight"), ElementsAre("b"));
}

TEST_F(ModulesTest, SlicesOfAModule) {
  const Plan plan = MakePlan(R"(
merge_method: passthrough
modules:
  text_decoder:
    slices:
      - sources: [{model: $D/a, layer_range: [0, 3]}]
      - sources: [{model: $D/b, layer_range: [1, 4]}]
  vision_tower:
    slices: [{sources: [{model: $D/a, layer_range: [0, 1]}]}]
  projector: {models: [{model: $D/a}]}
)");
  EXPECT_EQ(Item(plan, "language_model.model.layers.5.mlp.up_proj.weight").inputs[0].tensor,
            "language_model.model.layers.3.mlp.up_proj.weight");
  EXPECT_EQ(TextFile(plan, "config.json"),
            "{\"model_type\": \"both\", \"text_config\": {\"num_hidden_layers\": 6, \"vocab_size\": 16}, "
            "\"vision_config\": {\"num_hidden_layers\": 1}, \"torch_dtype\": \"bfloat16\"}\n");
}

TEST_F(ModulesTest, ABaseAndFiltersReachEveryModule) {
  WriteMultimodal("base", 2);
  const Plan plan = MakePlan(R"(
merge_method: task_arithmetic
base_model: $D/base
parameters:
  weight: [{filter: vision, value: 0.25}, {value: 1}]
modules:
  text_decoder: {models: [{model: $D/a}]}
  vision_tower: {models: [{model: $D/a}, {model: $D/b}]}
  projector: {models: [{model: $D/b}]}
)");
  EXPECT_TRUE(plan.warnings.empty());
  EXPECT_THAT(ModelsOf(plan, kTower), ElementsAre("base", "a", "b"));
  EXPECT_EQ(Item(plan, kTower).job.PerModel("weight", 1), 0.25);
  EXPECT_EQ(Item(plan, kLayer).job.PerModel("weight", 0), 1);
}

TEST_F(ModulesTest, UnknownNamesNeedAPrefix) {
  const std::vector<Diagnostic> problems =
      Problems(Rest("  vision_tower: {drop: true}\n  thing: {models: [{model: $D/b}]}\n  projector: {drop: true}\n"));
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(Info(problems[0].code).code, "CFG-RANGE");
  EXPECT_EQ(problems[0].message, "no tensor of any model belongs to the module \"thing\"");
}

TEST_F(ModulesTest, TheRecipeAsRunReadsBack) {
  const Plan plan =
      MakePlan(Rest("  vision: {drop: true}\n  projector: {prefix: multi_modal_, models: [{model: $D/a}]}\n"));
  EXPECT_THAT(TextFile(plan, "gpumerge_config.yaml"), HasSubstr("    prefix: [multi_modal_]\n"));
  const MergeConfig again = Config(TextFile(plan, "gpumerge_config.yaml"));
  ASSERT_EQ(again.modules.size(), 3u);
  EXPECT_TRUE(again.modules[1].drop);
  EXPECT_EQ(again.modules[0].parameters.size(), 1u);
}

}  // namespace
}  // namespace gpumerge::test
