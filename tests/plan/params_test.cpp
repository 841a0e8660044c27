// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Parameters resolved per tensor: gradients, filters and levels as mergekit has them.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ParamsTest : public PlanTest {
 protected:
  void SetUp() override {
    Write("a", {});
    Write("b", {.seed = 1});
    Write("c", {.seed = 2});
  }

  static std::vector<double> Weights(const Plan& plan, std::string_view tensor) {
    const MergeJob& job = Item(plan, tensor).job;
    std::vector<double> weights;
    for (uint32_t m = 0; m < job.n_models(); ++m) weights.push_back(job.PerModel("weight", m));
    return weights;
  }
};

TEST_F(ParamsTest, GradientsRunAlongTheLayersAndStartAtTheirFirstValueElsewhere) {
  const Plan plan = MakePlan(R"(
merge_method: linear
models:
  - {model: $D/a, parameters: {weight: [0, 1]}}
  - {model: $D/b, parameters: {weight: 1}}
)");
  EXPECT_EQ(Weights(plan, "model.embed_tokens.weight")[0], 0.0);
  EXPECT_EQ(Weights(plan, "model.layers.0.mlp.up_proj.weight")[0], 0.0);
  EXPECT_EQ(Weights(plan, "model.layers.1.mlp.up_proj.weight")[0], 1.0 / 3);
  EXPECT_EQ(Weights(plan, "model.layers.2.mlp.up_proj.weight")[0], 2.0 / 3);
  EXPECT_EQ(Weights(plan, "model.layers.3.mlp.up_proj.weight")[0], 1.0);
  EXPECT_EQ(Weights(plan, "model.norm.weight")[0], 0.0);
  EXPECT_EQ(Weights(plan, "lm_head.weight")[0], 0.0);
}

TEST_F(ParamsTest, FiltersAndLevels) {
  const Plan plan = MakePlan(R"(
merge_method: linear
parameters: {weight: 0.25}
models:
  - model: $D/a
    parameters:
      weight:
        - {filter: self_attn, value: 0.5}
        - {filter: mlp, value: [0.1, 0.7]}
  - model: $D/b
    parameters: {weight: 0.75}
)");
  EXPECT_THAT(Weights(plan, "model.layers.1.self_attn.q_proj.weight"), ElementsAre(0.5, 0.75));
  EXPECT_THAT(Weights(plan, "model.layers.0.mlp.up_proj.weight"), ElementsAre(0.1, 0.75));
  EXPECT_THAT(Weights(plan, "model.layers.3.mlp.up_proj.weight"), ElementsAre(0.7, 0.75));
  EXPECT_THAT(Weights(plan, "model.norm.weight"), ElementsAre(0.25, 0.75));
  EXPECT_TRUE(plan.warnings.empty());
}

TEST_F(ParamsTest, SharedParametersOfSlerp) {
  const Plan plan = MakePlan(R"(
merge_method: slerp
base_model: $D/a
models: [{model: $D/a}, {model: $D/b}]
parameters:
  t:
    - {filter: self_attn, value: [0, 0.5, 1]}
    - {value: 0.25}
)");
  EXPECT_EQ(Item(plan, "model.layers.3.self_attn.q_proj.weight").job.Shared("t"), 1.0);
  EXPECT_EQ(Item(plan, "model.layers.0.mlp.up_proj.weight").job.Shared("t"), 0.25);
}

TEST_F(ParamsTest, TheBaseHasNoValueOfAPerModelParameter) {
  const Plan plan = MakePlan(R"(
merge_method: ties
base_model: $D/b
seed: 7
models:
  - {model: $D/a, parameters: {weight: 0.5, density: 0.25}}
  - {model: $D/c, parameters: {weight: 2}}
)");
  const MergeJob& job = Item(plan, "model.norm.weight").job;
  EXPECT_EQ(job.params[0].values.size(), 3u);
  EXPECT_EQ(job.PerModel("weight", 0), 0.5);
  EXPECT_EQ(job.PerModel("weight", 1), 2.0);
  EXPECT_EQ(job.PerModel("density", 0), 0.25);
  EXPECT_EQ(job.PerModel("density", 1), 1.0);
  EXPECT_EQ(job.Shared("normalize"), 1.0);
  EXPECT_EQ(job.Shared("lambda"), 1.0);
  EXPECT_EQ(job.seed, 7u);
  EXPECT_FALSE(Item(plan, "model.norm.weight").passes.empty());
}

TEST_F(ParamsTest, AFilterThatMatchesNothingWarns) {
  const std::string yaml = R"(
merge_method: linear
parameters: {weight: 1}
models:
  - model: $D/a
    parameters:
      weight: [{filter: mlp.gate, value: 0.5}]
  - model: $D/b
)";
  const Plan plan = MakePlan(yaml);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("CFG-FILTER"));
  EXPECT_THAT(plan.warnings[0].message, HasSubstr("mlp.gate"));
  EXPECT_EQ(plan.warnings[0].where.substr(0, 14), "recipe.yaml:7:");
  EXPECT_THAT(Codes(Problems(yaml, /*strict=*/true)), ElementsAre("CFG-FILTER"));
}

TEST_F(ParamsTest, ARequiredParameterThatSomeTensorsLack) {
  const Diagnostic problem = Problem(R"(
merge_method: linear
models:
  - {model: $D/a, parameters: {weight: [{filter: mlp, value: 0.5}]}}
  - {model: $D/b, parameters: {weight: 1}}
)");
  EXPECT_EQ(Info(problem.code).code, "CFG-MISSING");
  EXPECT_EQ(problem.message,
            Expand("the required parameter weight has no value for tensor \"model.embed_tokens.weight\" and 10 more "
                   "of the model \"$D/a\""));
}

TEST_F(ParamsTest, WeightsThatSumToZeroOnSomeTensors) {
  const Diagnostic problem = Problem(R"(
merge_method: linear
models:
  - {model: $D/a, parameters: {weight: [-1, 1]}}
  - {model: $D/b, parameters: {weight: 1}}
)");
  EXPECT_EQ(Info(problem.code).code, "NUM-ZEROSUM");
  EXPECT_EQ(Info(problem.code).exit_status, 3);
  EXPECT_THAT(problem.message, HasSubstr("tensor \"model.embed_tokens.weight\": "));
  EXPECT_THAT(problem.message, HasSubstr("(and 5 more tensors)"));
}

TEST_F(ParamsTest, AnOrdinaryInputBaseIsAppendedLast) {
  const Plan plan = MakePlan(R"(
merge_method: linear
base_model: $D/c
parameters: {weight: 1}
models: [{model: $D/a}, {model: $D/b}]
)");
  const PlanItem& item = Item(plan, "model.norm.weight");
  EXPECT_FALSE(item.job.has_base);
  ASSERT_EQ(item.inputs.size(), 3u);
  EXPECT_EQ(plan.models[item.inputs[2].model].reference, dir_ / "c");
  EXPECT_EQ(item.job.inputs[2].model_index, 2u);
  EXPECT_EQ(plan.donor, 2u);
}

TEST_F(ParamsTest, GradientsNeedLayers) {
  for (const char* name : {"x", "y"})
    Write(name, {PatternTensor("a.weight", DType::kF32, {4})}, "{\"num_hidden_layers\": 4}");
  const Diagnostic problem = Problem(R"(
merge_method: linear
models:
  - {model: $D/x, parameters: {weight: [0, 1]}}
  - {model: $D/y, parameters: {weight: 1}}
)");
  EXPECT_EQ(Info(problem.code).code, "CFG-LAYERS");
  EXPECT_EQ(problem.found, "config.json states 4 layers, and no numbered tensors are that many");
  EXPECT_THAT(problem.help, HasSubstr("layer_pattern"));
}

TEST_F(ParamsTest, OneLayerIsTheEndOfAGradient) {
  Write("x", {.n_layers = 1});
  Write("y", {.n_layers = 1});
  const Plan plan = MakePlan(R"(
merge_method: linear
models:
  - {model: $D/x, parameters: {weight: [0.25, 0.75]}}
  - {model: $D/y, parameters: {weight: 1}}
)");
  EXPECT_EQ(Weights(plan, "model.layers.0.mlp.up_proj.weight")[0], 0.75);
  EXPECT_EQ(Weights(plan, "model.norm.weight")[0], 0.25);
}

TEST_F(ParamsTest, PassthroughCopiesUnlessScaledOrCast) {
  const Plan plan = MakePlan(R"(
merge_method: passthrough
models:
  - model: $D/a
    parameters:
      scale: [{filter: mlp, value: 0.5}, {value: 1}]
)");
  EXPECT_EQ(Item(plan, "model.norm.weight").action, PlanAction::kCopy);
  EXPECT_EQ(Item(plan, "model.layers.0.mlp.up_proj.weight").action, PlanAction::kMerge);
  const Plan cast = MakePlan("merge_method: passthrough\nmodels: [{model: $D/a}]\ndtype: float32\n");
  EXPECT_EQ(Item(cast, "model.norm.weight").action, PlanAction::kMerge);
  EXPECT_EQ(Item(cast, "model.norm.weight").job.out_dtype, DType::kF32);
}

TEST_F(ParamsTest, ALinearOfOneModelIsNoCopy) {
  const Plan plan = MakePlan("merge_method: linear\nmodels: [{model: $D/a, parameters: {weight: 1}}]\n");
  EXPECT_EQ(Item(plan, "model.norm.weight").action, PlanAction::kMerge);
}

}  // namespace
}  // namespace gpumerge::test
