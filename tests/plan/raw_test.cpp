// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints without config.json: weights in, weights out.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using RawTest = PlanTest;

std::vector<std::string> TextFiles(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlanTextFile& file : plan.text_files) names.push_back(file.file_name);
  return names;
}

TEST_F(RawTest, DirectoriesAndFilesWithoutConfig) {
  Write("a", TinyTensors({}), "");
  WriteTextFile(dir_ / "a/tokenizer.json", "{}");
  WriteSafetensors(dir_ / "b/weights.safetensors", TinyTensors({.seed = 1}));
  const Plan plan = MakePlan(kLinearOfTwo);
  EXPECT_EQ(plan.items.size(), 15u);
  EXPECT_THAT(TextFiles(plan), ElementsAre("README.md", "gpumerge_config.yaml"));
  EXPECT_TRUE(plan.copied_files.empty());
  EXPECT_TRUE(plan.warnings.empty());
  EXPECT_THAT(plan.notes, ::testing::Contains(HasSubstr("so the output has weights only")));
  WriteSafetensors(dir_ / "s/single.safetensors", TinyTensors({.seed = 2}));
  EXPECT_EQ(MakePlan("merge_method: linear\nparameters: {weight: 1}\n"
                     "models: [{model: $D/a}, {model: $D/s/single.safetensors}]\n")
                .items.size(),
            15u);
}

TEST_F(RawTest, AnyNamesMerge) {
  const std::vector<TestTensor> tensors{PatternTensor("x", DType::kF32, {3}),
                                        PatternTensor("y/z", DType::kF32, {2, 2})};
  Write("a", tensors, "");
  Write("b", tensors, "");
  EXPECT_THAT(Names(MakePlan(kLinearOfTwo)), ElementsAre("x", "y/z"));
  const Diagnostic problem =
      Problem("merge_method: linear\nparameters: {weight: [1, 2]}\nmodels: [{model: $D/a}, {model: $D/b}]\n");
  EXPECT_EQ(Info(problem.code).code, "CFG-LAYERS");
}

TEST_F(RawTest, LayersAreFoundFromNames) {
  Write("a", TinyTensors({}), "");
  Write("b", TinyTensors({}), "");
  const Plan plan = MakePlan(
      "merge_method: linear\nmodels:\n- {model: $D/a, parameters: {weight: [0, 3]}}\n"
      "- {model: $D/b, parameters: {weight: 1}}\n");
  EXPECT_EQ(Item(plan, "model.layers.2.mlp.up_proj.weight").job.params[0].values[0], 2.0);
  // Stacked, too: nothing states a depth that could be wrong.
  const Plan stack = MakePlan(
      "merge_method: passthrough\nslices:\n- sources: [{model: $D/a, layer_range: [0, 3]}]\n"
      "- sources: [{model: $D/b, layer_range: [1, 4]}]\n");
  EXPECT_EQ(stack.items.size(), 6u * 3 + 3);
}

TEST_F(RawTest, AHeadThatOneLacksIsMissingNotTied) {
  Write("a", TinyTensors({}), "");
  Write("b", TinyTensors({.with_head = false}), "");
  EXPECT_THAT(Codes(Problems(kLinearOfTwo)), ElementsAre("MM-MISSING"));
}

TEST_F(RawTest, BesideAModelWithAConfig) {
  Write("a", {});
  Write("b", TinyTensors({.seed = 1}), "");
  const Plan plan = MakePlan(kLinearOfTwo);
  EXPECT_THAT(Codes(plan.warnings), ElementsAre("MM-CONFIG"));
  EXPECT_THAT(plan.warnings[0].message, HasSubstr("has no config.json"));
  EXPECT_EQ(TextFile(plan, "config.json"), TinyConfig({}));
}

TEST_F(RawTest, AWeightOfZeroIsAWeight) {
  Write("a", TinyTensors({}), "");
  Write("b", TinyTensors({.seed = 1}), "");
  const Plan plan = MakePlan(
      "merge_method: linear\nmodels:\n- {model: $D/a, parameters: {weight: 0}}\n"
      "- {model: $D/b, parameters: {weight: 1}}\n");
  EXPECT_THAT(plan.items[0].job.params[0].values, ElementsAre(0, 1));
}

}  // namespace
}  // namespace gpumerge::test
