// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every form that recipes take in the wild is read into the values it stands for.
#include "tests/support/recipe_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using testing::InShort;
using ::testing::IsEmpty;
using testing::ParseText;
using ::testing::SizeIs;

MergeConfig Parse(std::string_view yaml) {
  auto parsed = ParseText(yaml);
  EXPECT_TRUE(parsed.ok) << yaml << ::testing::PrintToString(InShort(parsed.errors));
  return parsed.config;
}

double NumberOf(const Scalar& scalar) { return std::get<double>(scalar.value); }

std::vector<double> NumbersOf(const ConditionalValue& condition) {
  std::vector<double> numbers;
  for (const Scalar& scalar : condition.values) numbers.push_back(NumberOf(scalar));
  return numbers;
}

TEST(RecipeForms, ModelsWithParametersOnTwoLevels) {
  const MergeConfig config = Parse(R"(
models:
  - model: psmathur/orca_mini_v3_13b
    parameters:
      density: [1, 0.7, 0.1]  # density gradient
      weight: 1.0
  - model: garage-bAInd/Platypus2-13B@main
    parameters:
      density: 0.5
      weight: [0, 0.3, 0.7, 1]
  - model: ./WizardLM/WizardMath-13B-V1.0
    parameters:
      density: 0.33
      weight:
        - filter: mlp
          value: 0.5
        - value: 0
merge_method: ties
base_model: TheBloke/Llama-2-13B-fp16
parameters:
  normalize: true
  int8_mask: true
dtype: float16
)");
  EXPECT_EQ(config.merge_method, "ties");
  EXPECT_EQ(config.merge_method_at.line, 18u);
  ASSERT_TRUE(config.base_model);
  EXPECT_EQ(config.base_model->text, "TheBloke/Llama-2-13B-fp16");
  EXPECT_EQ(config.dtype, DType::kF16);
  EXPECT_EQ(config.out_dtype, std::nullopt);
  EXPECT_EQ(config.seed, 0u);
  ASSERT_THAT(config.models, SizeIs(3));
  EXPECT_EQ(config.models[1].model.text, "garage-bAInd/Platypus2-13B@main");
  EXPECT_EQ(config.models[1].model.at.line, 7u);
  EXPECT_EQ(config.models[1].model.at.column, 12u);
  const Settings& first = config.models[0].parameters;
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_EQ(first[0].name, "density");
  EXPECT_EQ(first[0].at.line, 5u);
  EXPECT_EQ(first[0].at.column, 7u);
  ASSERT_THAT(first[0].conditions, SizeIs(1));
  EXPECT_THAT(NumbersOf(first[0].conditions[0]), ElementsAre(1, 0.7, 0.1));
  const Setting& filtered = config.models[2].parameters[1];
  ASSERT_THAT(filtered.conditions, SizeIs(2));
  EXPECT_EQ(filtered.conditions[0].filter, "mlp");
  EXPECT_EQ(filtered.conditions[0].filter_at.line, 15u);
  EXPECT_EQ(filtered.conditions[0].filter_at.column, 19u);
  EXPECT_THAT(NumbersOf(filtered.conditions[0]), ElementsAre(0.5));
  EXPECT_EQ(filtered.conditions[1].filter, std::nullopt);
  EXPECT_EQ(std::get<bool>(config.parameters[0].conditions[0].values[0].value), true);
}

TEST(RecipeForms, SlicesWithGradientsAndFilters) {
  const MergeConfig config = Parse(R"(
slices:
  - sources:
      - model: psmathur/orca_mini_v3_13b
        layer_range: [0, 40]
      - model: garage-bAInd/Platypus2-13B
        layer_range: [0, 40]
merge_method: slerp
base_model: psmathur/orca_mini_v3_13b
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5 # fallback for rest of tensors
dtype: float16
)");
  ASSERT_THAT(config.slices, SizeIs(1));
  ASSERT_THAT(config.slices[0].sources, SizeIs(2));
  EXPECT_EQ(config.slices[0].sources[1].layer_begin, 0u);
  EXPECT_EQ(config.slices[0].sources[1].layer_end, 40u);
  EXPECT_EQ(config.slices[0].sources[1].range_at.line, 7u);
  ASSERT_THAT(config.parameters[0].conditions, SizeIs(3));
  EXPECT_THAT(NumbersOf(config.parameters[0].conditions[0]), ElementsAre(0, 0.5, 0.3, 0.7, 1));
}

TEST(RecipeForms, FrankenmergeWithScaleAndSliceLevelParameters) {
  const MergeConfig config = Parse(R"(
slices:
- sources:
  - {model: a, layer_range: [0, 24]}
- sources:
  - model: b
    layer_range: [8, 32]
    parameters:
      scale: {filter: o_proj, value: 0.0}
  parameters: {scale: 0.5}
merge_method: passthrough
out_dtype: torch.bfloat16
)");
  ASSERT_THAT(config.slices, SizeIs(2));
  const Setting& scale = config.slices[1].sources[0].parameters[0];
  ASSERT_THAT(scale.conditions, SizeIs(1));
  EXPECT_EQ(scale.conditions[0].filter, "o_proj");
  EXPECT_EQ(NumberOf(config.slices[1].parameters[0].conditions[0].values[0]), 0.5);
  EXPECT_EQ(config.out_dtype, DType::kBF16);
}

TEST(RecipeForms, EveryKeyOfTheTopLevel) {
  const MergeConfig config = Parse(
      "merge_method: dare_ties\n"
      "base_model: {model: {path: /x/a+b@c, revision: main}}\n"
      "models: [{model: {model: {path: rel/m}}, parameters: {weight: 1, density: {value: [.2, .4]}}}]\n"
      "parameters: {rescale: l1, lambda: {filter: '*', value: 2}}\n"
      "dtype: float32\nout_dtype: float8_e4m3fn\ntokenizer_source: base\nseed: 18446744073709551615\n"
      "output: out/dir\nshard_size: 2Gi\nlayer_pattern: model.layers.\n");
  EXPECT_EQ(config.base_model->text, "/x/a+b@c");
  EXPECT_TRUE(config.base_model->literal_path);
  EXPECT_EQ(config.base_model->revision, "main");
  EXPECT_TRUE(config.models[0].model.literal_path);
  EXPECT_EQ(config.models[0].model.revision, std::nullopt);
  EXPECT_EQ(std::get<std::string>(config.parameters[0].conditions[0].values[0].value), "l1");
  EXPECT_EQ(config.parameters[1].conditions[0].filter, "*");
  EXPECT_EQ(config.dtype, DType::kF32);
  EXPECT_EQ(config.out_dtype, DType::kF8E4M3);
  EXPECT_TRUE(config.tokenizer_from_base);
  EXPECT_EQ(config.tokenizer_source, std::nullopt);
  EXPECT_EQ(config.seed, 18446744073709551615u);
  EXPECT_EQ(config.output, "out/dir");
  EXPECT_EQ(config.shard_size_bytes, 2147483648u);
  EXPECT_EQ(config.layer_pattern, "model.layers.");
  EXPECT_EQ(config.file, "r");
}

TEST(RecipeForms, ChoicesAreKeptByName) {
  const auto rescale = [](std::string_view text) {
    const MergeConfig config = Parse(fmt::format(
        "merge_method: ties\nbase_model: b\nmodels: [{{model: a}}]\nparameters: {{weight: 1, rescale: {}}}\n", text));
    return std::get<std::string>(config.parameters[1].conditions[0].values[0].value);
  };
  EXPECT_EQ(rescale("true"), "true");
  EXPECT_EQ(rescale("False"), "false");
  EXPECT_EQ(rescale("\"true\""), "true");
  EXPECT_EQ(rescale("1"), "true");
  EXPECT_EQ(rescale("L2"), "l2");
  EXPECT_EQ(rescale("inv_density"), "inv_density");
}

TEST(RecipeForms, NumbersAreReadExactly) {
  const auto weight = [](std::string_view text) {
    return NumberOf(Parse(testing::RecipeWithWeight(text)).models[0].parameters[0].conditions[0].values[0]);
  };
  EXPECT_EQ(weight("1e-5"), 1e-5);
  EXPECT_EQ(weight("0.1"), 0.1);
  EXPECT_EQ(weight(".5"), 0.5);
  EXPECT_EQ(weight("5."), 5.0);
  EXPECT_EQ(weight("+1"), 1.0);
  EXPECT_EQ(weight("-2.5E+2"), -250.0);
  EXPECT_EQ(weight("\"0.3\""), 0.3);
  EXPECT_EQ(weight("12345678901234567890"), 12345678901234567890.0);
  EXPECT_EQ(weight("0.1000000000000000055511151231257827"), 0.1);
}

TEST(RecipeForms, AliasesAreCopiedIn) {
  const MergeConfig config = Parse(
      "merge_method: linear\nmodels:\n- model: a\n  parameters: &same\n    weight: [0, 1]\n- model: b\n  parameters: "
      "*same\n");
  EXPECT_THAT(NumbersOf(config.models[1].parameters[0].conditions[0]), ElementsAre(0, 1));
}

TEST(RecipeForms, EmptyOptionalKeysCountAsNotGiven) {
  const auto parsed = ParseText(
      "merge_method: linear\nbase_model:\nmodels:\n- model: a\n  parameters: {weight: 1}\nparameters:\ndtype: "
      "~\nslices: null\n");
  ASSERT_TRUE(parsed.ok);
  EXPECT_EQ(parsed.config.base_model, std::nullopt);
  EXPECT_THAT(parsed.warnings, SizeIs(4));
}

TEST(RecipeForms, ATokenizerSourceCanBeAModel) {
  const MergeConfig config =
      Parse("merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\ntokenizer_source: org/t\n");
  EXPECT_FALSE(config.tokenizer_from_base);
  ASSERT_TRUE(config.tokenizer_source);
  EXPECT_EQ(config.tokenizer_source->text, "org/t");
}

TEST(RecipeForms, TheExampleRecipesAreCleanAndOneAMethod) {
  size_t n_recipes = 0;
  for (const auto& file : std::filesystem::directory_iterator(std::string(GPUMERGE_SOURCE_DIR) + "/configs")) {
    if (file.path().extension() != ".yaml") continue;
    std::vector<Diagnostic> warnings;
    const MergeConfig config = LoadConfig(file.path().string(), &warnings);
    EXPECT_EQ(config.file, file.path().string());
    EXPECT_THAT(InShort(warnings), IsEmpty());
    ++n_recipes;
  }
  EXPECT_GE(n_recipes, 1u);
}

TEST(RecipeForms, AFileIsReadWhole) {
  const std::string path = ::testing::TempDir() + "gpumerge_recipe_forms.yaml";
  std::ofstream(path, std::ios::binary) << testing::RecipeWithWeight("0.5") << "# " << std::string(200'000, 'x')
                                        << "\nseed: 9\n";
  EXPECT_EQ(LoadConfig(path, nullptr).seed, 9u);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace gpumerge
