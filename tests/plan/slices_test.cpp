// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Slices: layers renumbered, embeddings from the first slice, norm and head from the last, config.json kept true.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SlicesTest : public PlanTest {
 protected:
  void SetUp() override {
    Write("a", {});
    Write("b", {.seed = 1});
  }
};

constexpr std::string_view kStack = R"(
merge_method: passthrough
slices:
  - sources: [{model: $D/a, layer_range: [0, 3]}]
  - sources: [{model: $D/b, layer_range: [1, 4]}]
)";

TEST_F(SlicesTest, LayersAreRenumbered) {
  const Plan plan = MakePlan(kStack);
  EXPECT_EQ(plan.items.size(), 6u * 3 + 3);
  const PlanItem& fourth = Item(plan, "model.layers.3.mlp.up_proj.weight");
  EXPECT_EQ(fourth.inputs[0].tensor, "model.layers.1.mlp.up_proj.weight");
  EXPECT_EQ(fourth.inputs[0].model, 1u);
  EXPECT_EQ(fourth.layer, 3u);
  EXPECT_EQ(fourth.action, PlanAction::kCopy);
  EXPECT_EQ(Item(plan, "model.layers.5.mlp.up_proj.weight").inputs[0].tensor, "model.layers.3.mlp.up_proj.weight");
  EXPECT_EQ(Item(plan, "model.embed_tokens.weight").inputs[0].model, 0u);
  EXPECT_EQ(Item(plan, "model.norm.weight").inputs[0].model, 1u);
  EXPECT_EQ(Item(plan, "lm_head.weight").inputs[0].model, 1u);
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"num_hidden_layers\": 6,"));
}

TEST_F(SlicesTest, TensorsLeftOutAreCounted) {
  EXPECT_THAT(MakePlan(kStack).notes,
              ::testing::IsSupersetOf(
                  {Expand("5 tensors of \"$D/a\" are outside the slices and not used: lm_head.weight, "
                          "model.layers.3.input_layernorm.weight, model.layers.3.mlp.up_proj.weight, "
                          "model.layers.3.self_attn.q_proj.weight and 1 more"),
                   Expand("4 tensors of \"$D/b\" are outside the slices and not used: model.embed_tokens.weight, "
                          "model.layers.0.input_layernorm.weight, model.layers.0.mlp.up_proj.weight, "
                          "model.layers.0.self_attn.q_proj.weight")}));
}

TEST_F(SlicesTest, GradientsRestartInEverySliceAndFiltersSeeTheSourcesNames) {
  const Plan plan = MakePlan(R"(
merge_method: linear
slices:
  - sources:
      - {model: $D/a, layer_range: [0, 3], parameters: {weight: [0, 1]}}
      - {model: $D/b, layer_range: [0, 3], parameters: {weight: 1}}
  - parameters: {weight: 2}
    sources:
      - {model: $D/a, layer_range: [3, 4], parameters: {weight: [0.2, 0.8]}}
      - model: $D/b
        layer_range: [2, 3]
        parameters: {weight: [{filter: layers.2, value: 5}, {filter: layers.3, value: 7}]}
)");
  const auto weight = [&](std::string_view name, uint32_t model) {
    return Item(plan, name).job.PerModel("weight", model);
  };
  EXPECT_EQ(weight("model.layers.0.mlp.up_proj.weight", 0), 0.0);
  EXPECT_EQ(weight("model.layers.1.mlp.up_proj.weight", 0), 0.5);
  EXPECT_EQ(weight("model.layers.2.mlp.up_proj.weight", 0), 1.0);
  EXPECT_EQ(weight("model.layers.3.mlp.up_proj.weight", 0), 0.8) << "one layer is the end of its gradient";
  EXPECT_EQ(weight("model.layers.3.mlp.up_proj.weight", 1), 5.0) << "the filter sees the source's layer number";
  EXPECT_EQ(weight("model.embed_tokens.weight", 0), 0.0) << "the first slice's parameters";
  EXPECT_EQ(weight("model.norm.weight", 0), 0.2) << "the last slice's, at its first value";
  EXPECT_EQ(weight("model.norm.weight", 1), 2.0) << "the slice's own value where no filter matches";
}

TEST_F(SlicesTest, RangesAreChecked) {
  const Diagnostic past_end = Problem(R"(
merge_method: passthrough
slices:
  - sources: [{model: $D/a, layer_range: [0, 5]}]
)");
  EXPECT_EQ(Info(past_end.code).code, "CFG-LAYERS");
  EXPECT_EQ(past_end.message, Expand("layer_range [0, 5] does not fit \"$D/a\""));
  EXPECT_EQ(past_end.expected, "0 <= begin <= end <= 4, the model's layers");
  EXPECT_EQ(past_end.where.substr(0, 14), "recipe.yaml:4:");
}

TEST_F(SlicesTest, FirstAndLastSliceNeedTheSameNumberOfSources) {
  const Diagnostic problem = Problem(R"(
merge_method: linear
parameters: {weight: 1}
slices:
  - sources: [{model: $D/a, layer_range: [0, 2]}]
  - sources: [{model: $D/a, layer_range: [2, 4]}, {model: $D/b, layer_range: [2, 4]}]
)");
  EXPECT_EQ(Info(problem.code).code, "CFG-LAYERS");
  EXPECT_EQ(problem.found, "1 in the first, 2 in the last");
}

TEST_F(SlicesTest, ASlicesBaseIsItsFirstInput) {
  Write("c", {.seed = 2});
  const Plan plan = MakePlan(R"(
merge_method: task_arithmetic
base_model: $D/a
parameters: {weight: 0.5}
slices:
  - sources: [{model: $D/b, layer_range: [0, 2]}, {model: $D/a, layer_range: [0, 2]}]
  - base_model: $D/c
    sources: [{model: $D/b, layer_range: [2, 4]}, {model: $D/c, layer_range: [2, 4]}]
)");
  const auto base_of = [&](std::string_view name) { return plan.models[Item(plan, name).inputs[0].model].reference; };
  EXPECT_EQ(base_of("model.layers.1.mlp.up_proj.weight"), dir_ / "a");
  EXPECT_EQ(base_of("model.layers.2.mlp.up_proj.weight"), dir_ / "c");
  EXPECT_EQ(base_of("model.embed_tokens.weight"), dir_ / "a");
  EXPECT_EQ(base_of("model.norm.weight"), dir_ / "c");
  EXPECT_EQ(plan.models[plan.donor].reference, dir_ / "a");
}

TEST_F(SlicesTest, AMissingTensorIsNamedAsInItsModel) {
  std::vector<TestTensor> tensors = TinyTensors({});
  std::erase_if(tensors, [](const TestTensor& tensor) { return tensor.name == "model.layers.3.mlp.up_proj.weight"; });
  Write("b", tensors, TinyConfig({}));
  const Diagnostic problem = Problem(R"(
merge_method: linear
parameters: {weight: 1}
slices:
  - sources: [{model: $D/a, layer_range: [0, 2]}, {model: $D/b, layer_range: [2, 4]}]
)");
  EXPECT_EQ(Info(problem.code).code, "MM-MISSING");
  EXPECT_THAT(problem.message, HasSubstr("lacks 1 tensor that the others have: model.layers.3.mlp.up_proj.weight"));
}

TEST_F(SlicesTest, LayersNeedNames) {
  const Diagnostic problem = Problem(R"(
merge_method: passthrough
layer_pattern: decoder.blocks.
slices:
  - sources: [{model: $D/a, layer_range: [0, 2]}]
)");
  EXPECT_EQ(Info(problem.code).code, "CFG-LAYERS");
  EXPECT_EQ(problem.found, "no tensor's name begins with \"decoder.blocks.\" and a number");
}

}  // namespace
}  // namespace gpumerge::test
