// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Models that do not fit together are refused, with every tensor named; nothing is dropped, cropped or cast silently.
#include "tests/plan/plan_fixture.h"

#include <cstdlib>

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using MatchTest = PlanTest;

std::vector<TestTensor> Without(std::vector<TestTensor> tensors, std::string_view part) {
  std::erase_if(tensors, [&](const TestTensor& tensor) { return tensor.name.find(part) != std::string::npos; });
  return tensors;
}

TEST_F(MatchTest, EveryTensorIsMergedInModelOrderOfTypesAndNames) {
  Write("a", {.n_layers = 2});
  Write("b", {.n_layers = 2, .seed = 1}, 3);
  const Plan plan = MakePlan(kLinearOfTwo);
  EXPECT_THAT(Names(plan),
              ElementsAre("lm_head.weight", "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
                          "model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight",
                          "model.layers.1.input_layernorm.weight", "model.layers.1.mlp.up_proj.weight",
                          "model.layers.1.self_attn.q_proj.weight", "model.norm.weight"));
  EXPECT_TRUE(plan.warnings.empty());
  EXPECT_EQ(plan.files.size(), 4u);
  const PlanItem& item = Item(plan, "model.layers.1.mlp.up_proj.weight");
  EXPECT_EQ(item.layer, 1u);
  EXPECT_EQ(item.job.out_dtype, DType::kBF16);
  EXPECT_EQ(item.size_bytes, 192u);
  EXPECT_EQ(item.job.name_hash, NameHash("model.layers.1.mlp.up_proj.weight"));
  ASSERT_EQ(item.inputs.size(), 2u);
  EXPECT_EQ(plan.files[item.inputs[1].file].model, 1u);
  EXPECT_EQ(plan.models[1].reference, dir_ / "b");
  EXPECT_EQ(plan.models[1].name, "b");
}

TEST_F(MatchTest, MissingTensorsAreListedWithTheirCount) {
  Write("a", {.n_layers = 8});
  Write("b", Without(TinyTensors({.n_layers = 8}), "mlp"), TinyConfig({.n_layers = 8}));
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-MISSING");
  EXPECT_EQ(Info(problem.code).exit_status, 6);
  EXPECT_THAT(problem.message, HasSubstr("b\" lacks 8 tensors that the others have: model.layers.0.mlp.up_proj.weight, "
                                         "model.layers.1.mlp.up_proj.weight"));
  EXPECT_EQ(problem.where, dir_ / "b");
}

TEST_F(MatchTest, LongListsAreCutWithTheNumberOfTheRest) {
  Write("a", {.n_layers = 24});
  Write("b", Without(TinyTensors({.n_layers = 24}), "mlp"), TinyConfig({.n_layers = 24}));
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_THAT(problem.message, HasSubstr("lacks 24 tensors"));
  EXPECT_THAT(problem.message, HasSubstr("and 4 more"));
}

TEST_F(MatchTest, ExtraTensors) {
  Write("a", {});
  std::vector<TestTensor> tensors = TinyTensors({});
  tensors.push_back(PatternTensor("score.weight", DType::kBF16, {2, 8}));
  Write("b", tensors, TinyConfig({}));
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-EXTRA");
  EXPECT_EQ(problem.message, Expand("the model \"$D/b\" has 1 tensor that \"$D/a\" lacks: score.weight"));
}

TEST_F(MatchTest, AnotherDepthIsExplained) {
  Write("a", {.n_layers = 4});
  Write("b", {.n_layers = 3});
  const Diagnostic problem = [&] {
    for (const Diagnostic& candidate : Problems(kLinearOfTwo))
      if (candidate.code == ErrorCode::kMmMissing) return candidate;
    return Diagnostic{};
  }();
  EXPECT_THAT(problem.message,
              HasSubstr("lacks 3 tensors that the others have: model.layers.3.input_layernorm.weight"));
  EXPECT_THAT(problem.found, HasSubstr("its config.json states 3 layers, that of"));
}

TEST_F(MatchTest, ShapesOfEveryModel) {
  Write("a", {});
  std::vector<TestTensor> tensors = TinyTensors({});
  for (TestTensor& tensor : tensors)
    if (tensor.name == "model.layers.2.mlp.up_proj.weight") tensor.shape = {8, 12};
  Write("b", tensors, TinyConfig({}));
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-SHAPE");
  EXPECT_EQ(problem.message, "tensor \"model.layers.2.mlp.up_proj.weight\": the models' shapes differ");
  EXPECT_EQ(problem.found, Expand("[12, 8] in \"$D/a\", [8, 12] in \"$D/b\""));
}

TEST_F(MatchTest, VocabulariesOfDifferentSizes) {
  Write("a", {});
  Write("b", {.vocab_size = 17});
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-VOCAB");
  EXPECT_EQ(problem.found, Expand("16 rows in \"$D/a\" (vocab_size 16), 17 rows in \"$D/b\" (vocab_size 17)"));
  EXPECT_THAT(problem.help, HasSubstr("2 tensors affected"));
}

TEST_F(MatchTest, EveryModelsErrorsAreReportedTogether) {
  const std::vector<Diagnostic> problems = Problems(kLinearOfTwo);
  EXPECT_THAT(Codes(problems), ElementsAre("IN-MISSING", "IN-MISSING"));
  Write("a", {.n_layers = 2, .vocab_size = 16});
  std::vector<TestTensor> tensors = TinyTensors({.n_layers = 2, .vocab_size = 18});
  tensors.erase(tensors.begin() + 1);
  tensors[1].shape = {96};
  Write("b", tensors, TinyConfig({.n_layers = 2, .vocab_size = 18}));
  EXPECT_THAT(Codes(Problems(kLinearOfTwo)), ElementsAre("MM-MISSING", "MM-VOCAB", "MM-SHAPE"));
}

TEST_F(MatchTest, TheSameModelTwiceIsTwoInputs) {
  Write("a", {});
  Write("b", {.seed = 1});
  Write("base", {.seed = 2});
  const Plan plan = MakePlan(R"(
merge_method: dare_linear
base_model: $D/base
parameters: {density: 0.5}
models:
  - {model: $D/a, parameters: {weight: 1}}
  - {model: $D/b, parameters: {weight: 1}}
  - {model: $D/a/., parameters: {weight: 0.5}}
)");
  EXPECT_EQ(plan.models.size(), 3u);
  EXPECT_TRUE(plan.warnings.empty());
  const PlanItem& item = plan.items[0];
  ASSERT_EQ(item.inputs.size(), 4u);
  EXPECT_EQ(item.inputs[1].model, item.inputs[3].model);
  EXPECT_EQ(item.job.inputs[1].model_index, 0u);
  EXPECT_EQ(item.job.inputs[2].model_index, 1u);
  EXPECT_EQ(item.job.inputs[3].model_index, 2u);  // its random draws are its own
  EXPECT_THAT(item.job.params[0].values, ElementsAre(0, 1, 1, 0.5));
}

TEST_F(MatchTest, TwiceWithTheSameParametersIsWorthAWarning) {
  Write("a", {});
  const Plan plan =
      MakePlan("merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: $D/a}, {model: $D/a/}]\n");
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("CFG-MODEL-TWICE"));
  EXPECT_THAT(plan.warnings[0].message, HasSubstr("is listed twice in one merge with the same parameters"));
}

TEST_F(MatchTest, TheBaseByTwoNames) {
  for (const char* name : {"a", "b", "c"}) Write(name, {});
  const MergeConfig config = Config(
      "merge_method: ties\nbase_model: $D/a\nparameters: {weight: 1}\n"
      "models: [{model: $D/a}, {model: $D/b}, {model: $D/c}]\n");
  std::filesystem::remove_all(dir_ / "b");
  std::filesystem::create_symlink(dir_ / "a", dir_ / "b");  // after the recipe's own check
  try {
    PlanMerge(config, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(Info(error.code()).code, "CFG-MODEL-TWICE");
    EXPECT_THAT(error.what(), HasSubstr("is listed twice in one merge"));
  }
}

TEST_F(MatchTest, BaseIsOneOfTheModelsHoweverItIsWritten) {
  Write("a", {});
  Write("b", {.seed = 1});
  const Plan plan = MakePlan(
      "merge_method: ties\nbase_model: $D/a/\nmodels: [{model: $D/b, parameters: {weight: 1}}, {model: $D/a}]\n");
  EXPECT_EQ(plan.models.size(), 2u);
  EXPECT_EQ(plan.base, 1u);
  EXPECT_EQ(plan.donor, 1u);
  const PlanItem& item = plan.items[0];
  EXPECT_TRUE(item.job.has_base);
  EXPECT_EQ(item.inputs[0].model, 1u);
  EXPECT_EQ(item.inputs[1].model, 0u);
  EXPECT_EQ(item.job.inputs[1].model_index, 0u);
}

TEST_F(MatchTest, ModelIndexSkipsTheBase) {
  for (const char* name : {"a", "b", "c", "d"}) Write(name, {});
  const Plan plan = MakePlan(R"(
merge_method: dare_ties
base_model: $D/b
parameters: {weight: 1, density: 0.5}
models: [{model: $D/a}, {model: $D/b}, {model: $D/c}, {model: $D/d}]
)");
  const MergeJob& job = plan.items[0].job;
  ASSERT_EQ(job.inputs.size(), 4u);
  EXPECT_EQ(plan.items[0].inputs[0].model, 1u);
  EXPECT_EQ(job.inputs[0].model_index, 0u);
  EXPECT_EQ(job.inputs[1].model_index, 0u);
  EXPECT_EQ(job.inputs[2].model_index, 1u);
  EXPECT_EQ(job.inputs[3].model_index, 2u);
}

TEST_F(MatchTest, RecipesMadeByProgramsAreChecked) {
  MergeConfig config;
  config.merge_method = "linear";
  EXPECT_THROW(PlanMerge(config, {}), Error);
  config.slices.emplace_back();
  EXPECT_THROW(PlanMerge(config, {}), Error);
  config.merge_method = "average";
  try {
    PlanMerge(config, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(Info(error.code()).code, "CFG-METHOD");
  }
}

TEST_F(MatchTest, OutputInsideAnInput) {
  Write("a", {});
  Write("b", {});
  const MergeConfig config = Config(kLinearOfTwo);
  PlanOptions options;
  options.output_dir = dir_ / "a/merged";
  try {
    PlanMerge(config, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(Info(error.code()).code, "OUT-IN-INPUT");
    EXPECT_EQ(error.exit_status(), 9);
  }
}

TEST_F(MatchTest, OutputDirectoryAndWhy) {
  Write("a", {});
  Write("b", {});
  MergeConfig config = Config(kLinearOfTwo);
  const Plan by_default = PlanMerge(config, {});
  EXPECT_EQ(by_default.output_dir, (std::filesystem::current_path() / "recipe-merged").string());
  EXPECT_EQ(by_default.output_dir_why, "default");
  config.output = dir_ / "from-recipe/";
  EXPECT_EQ(PlanMerge(config, {}).output_dir, dir_ / "from-recipe");
  EXPECT_EQ(PlanMerge(config, {}).output_dir_why, "the recipe's output:");
  PlanOptions options;
  options.output_dir = dir_ / "from-flag";
  EXPECT_EQ(PlanMerge(config, options).output_dir, dir_ / "from-flag");
  EXPECT_EQ(PlanMerge(config, options).output_dir_why, "--out");
}

TEST_F(MatchTest, OutputDirectoryInTheHomeDirectory) {
  Write("a", {});
  Write("b", {});
  MergeConfig config = Config(kLinearOfTwo);
  const char* home = std::getenv("HOME");
  const std::string old_home = home == nullptr ? "" : home;
  ::setenv("HOME", dir_.path().c_str(), 1);
  config.output = "~/from-recipe";
  const std::string from_recipe = PlanMerge(config, {}).output_dir;
  PlanOptions options;
  options.output_dir = "~/from-flag";
  const std::string from_flag = PlanMerge(config, options).output_dir;
  home == nullptr ? ::unsetenv("HOME") : ::setenv("HOME", old_home.c_str(), 1);
  EXPECT_EQ(from_recipe, dir_ / "from-recipe");
  EXPECT_EQ(from_flag, dir_ / "from-flag");
}

}  // namespace
}  // namespace gpumerge::test
