// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Keys, methods and parameters that a recipe gets wrong are found, all of them, at their line and column, with help.
// Places are written out literally: they are what users see.
#include "tests/support/recipe_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using testing::ErrorsOf;
using ::testing::HasSubstr;
using testing::InShort;
using ::testing::IsEmpty;
using testing::kTiesRecipe;
using testing::ParseText;
using testing::Ties;
using testing::WarningsOf;

TEST(RecipeErrors, TheGoodOneHasNone) {
  EXPECT_THAT(ErrorsOf(kTiesRecipe), IsEmpty());
  EXPECT_THAT(WarningsOf(kTiesRecipe), IsEmpty());
}

TEST(RecipeErrors, ThreeMistakesAreAllReportedThoughTheMethodKeyIsOneOfThem) {
  const auto parsed = ParseText(
      "merge_metod: ties\n"
      "models:\n"
      "  - model: org/a\n"
      "    parameters:\n"
      "      wieght: 0.5\n"
      "      density: 1.5\n"
      "  - model: org/b\n"
      "    parameters: {weight: 1}\n"
      "base_model: org/base\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-UNKNOWN r:1:1", "CFG-UNKNOWN r:5:7", "CFG-RANGE r:6:16"));
  EXPECT_EQ(parsed.errors[0].message, "unknown key 'merge_metod' at the top level");
  EXPECT_EQ(parsed.errors[0].help, "did you mean 'merge_method'?");
  EXPECT_EQ(parsed.errors[1].message, "unknown parameter 'wieght'");
  EXPECT_EQ(parsed.errors[1].help, "did you mean 'weight'?");
  EXPECT_EQ(parsed.errors[2].message, "parameter 'density' is 1.5, out of range");
  EXPECT_EQ(parsed.errors[2].found, "1.5");
  EXPECT_EQ(parsed.errors[2].expected, "0 to 1");
}

TEST(RecipeErrors, UnknownKeysOnEveryLevel) {
  EXPECT_THAT(ErrorsOf(Ties("outptu: x\n")), ElementsAre("CFG-UNKNOWN r:8:1"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n- {model: a, parameters: {weight: 1}, colour: 2}\n"),
              ElementsAre("CFG-UNKNOWN r:3:39"));
  EXPECT_THAT(
      ErrorsOf("merge_method: passthrough\nslices:\n- sources:\n  - {modle: a, layer_range: [0, 1]}\n  nmae: x\n"),
      ElementsAre("CFG-UNKNOWN r:4:6", "CFG-UNKNOWN r:5:3"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n- model: {model: {path: a, revison: b}, colour: 1}\n"
                       "  parameters: {weight: {fliter: x, value: 1}}\n"),
              ElementsAre("CFG-UNKNOWN r:3:28", "CFG-UNKNOWN r:3:41", "CFG-UNKNOWN r:4:25"));
}

TEST(RecipeErrors, AMisspeltKeyIsReadAsTheOneItResembles) {
  // No error about missing models or a missing value follows.
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodel_s:\n- {model: a, parameters: {weight: {vlaue: 1}}}\n"),
              ElementsAre("CFG-UNKNOWN r:2:1", "CFG-UNKNOWN r:3:36"));
}

TEST(RecipeErrors, AParameterOutsideParametersIsToldWhereItBelongs) {
  const auto parsed = ParseText(
      "merge_method: ties\n"
      "base_model: org/base\n"
      "normalize: false\n"
      "models:\n"
      "  - model: org/a\n"
      "    weight: 2.x\n"
      "  - model: org/b\n"
      "    wieght: 1\n"
      "  - model: org/c\n"
      "    lambda: 1\n"
      "    parameters: {weight: 1}\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-UNKNOWN r:3:1", "CFG-UNKNOWN r:6:5", "CFG-TYPE r:6:13",
                                                  "CFG-UNKNOWN r:8:5", "CFG-UNKNOWN r:10:5"));
  EXPECT_EQ(parsed.errors[0].help, "'normalize' is a parameter: put it under 'parameters:'");
  EXPECT_EQ(parsed.errors[1].help, "'weight' is a parameter: put it under 'parameters:'");
  EXPECT_EQ(parsed.errors[3].help, "did you mean 'weight'? 'weight' is a parameter: put it under 'parameters:'");
  EXPECT_EQ(parsed.errors[4].help, "'lambda' is a parameter: put it under the top-level 'parameters:'");
}

TEST(RecipeErrors, RandomSeedAndKeysOfOtherLevels) {
  const auto parsed = ParseText(Ties("random_seed: 3\nlayer_range: [0, 1]\nparameters: {random_seed: 4, dtype: x}\n"));
  ASSERT_THAT(InShort(parsed.errors),
              ElementsAre("CFG-UNKNOWN r:8:1", "CFG-UNKNOWN r:9:1", "CFG-UNKNOWN r:10:14", "CFG-UNKNOWN r:10:30"));
  EXPECT_EQ(parsed.errors[0].help, "write 'seed:' at the top level");
  EXPECT_EQ(parsed.errors[1].help, "it belongs in an entry of 'sources'");
  EXPECT_EQ(parsed.errors[2].help, "write 'seed:' at the top level");
  EXPECT_EQ(parsed.errors[3].help, "'dtype' belongs at the top level, not under 'parameters:'");
}

TEST(RecipeErrors, AParameterThatTheMethodDoesNotTake) {
  const auto parsed = ParseText(Ties("parameters: {gamma: 0.01, t: 0.5, flavour: 1}\n"));
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-PARAM r:8:14", "CFG-PARAM r:8:27", "CFG-UNKNOWN r:8:35"));
  EXPECT_EQ(parsed.errors[0].message, "method 'ties' does not take parameter 'gamma'");
  EXPECT_THAT(parsed.errors[0].help, HasSubstr("'ties' takes 'weight', 'density', 'normalize', 'rescale', 'lambda'"));
}

TEST(RecipeErrors, ASharedParameterUnderAModel) {
  const auto parsed =
      ParseText("merge_method: slerp\nbase_model: a\nmodels:\n- model: a\n- model: b\n  parameters:\n    t: 0.5\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-PARAM r:7:5"));
  EXPECT_EQ(parsed.errors[0].help, "move it to the top-level 'parameters:'");
}

TEST(RecipeErrors, Methods) {
  const std::string models = "models: [{model: a, parameters: {weight: 1}}]\n";
  EXPECT_THAT(ErrorsOf(models), ElementsAre("CFG-MISSING r:1:1"));
  const auto typo = ParseText("merge_method: liner\n" + models);
  ASSERT_THAT(InShort(typo.errors), ElementsAre("CFG-METHOD r:1:15"));
  EXPECT_EQ(typo.errors[0].help, "did you mean 'linear'?");
  const auto dashed = ParseText("merge_method: dare-ties\nbase_model: b\n" + models);
  ASSERT_THAT(InShort(dashed.errors), ElementsAre("CFG-METHOD r:1:15"));
  EXPECT_EQ(dashed.errors[0].help, "did you mean 'dare_ties'?");
  EXPECT_THAT(ErrorsOf("merge_method: blend\n" + models), ElementsAre("CFG-METHOD r:1:15"));
  EXPECT_THAT(ErrorsOf("merge_method:\n" + models), ElementsAre("CFG-TYPE r:1:1"));
}

TEST(RecipeErrors, MergekitsOtherMethodsAreRefusedByName) {
  for (const char* name : {"nuslerp", "multislerp", "karcher", "breadcrumbs", "breadcrumbs_ties", "della",
                           "della_linear", "sce", "ram", "ramplus_tl", "model_stock", "nearswap", "arcee_fusion"}) {
    if (FindMethod(name) != nullptr) continue;
    const auto parsed =
        ParseText(fmt::format("merge_method: {}\nmodels: [{{model: a, parameters: {{epsilon: 0.1}}}}]\n", name));
    ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-UNSUPPORTED r:1:15")) << name;
    EXPECT_THAT(parsed.errors[0].message, HasSubstr(name));
  }
}

TEST(RecipeErrors, MergekitsKeysThatAreNotSupportedAreRefusedByName) {
  for (const char* key : {"tokenizer: {source: union}", "genome: {}", "input_model_parameters: {}", "experts: []"}) {
    EXPECT_THAT(ErrorsOf(Ties(std::string(key) + "\n")), ElementsAre("CFG-UNSUPPORTED r:8:1")) << key;
  }
  EXPECT_THAT(ErrorsOf("merge_method: passthrough\nslices:\n- sources: [{model: a, layer_range: [0, 1]}]\n"
                       "  residual_weight: 0.5\n"),
              ElementsAre("CFG-UNSUPPORTED r:4:3"));
  EXPECT_THAT(ErrorsOf(Ties("tokenizer_source: union\n")), ElementsAre("CFG-UNSUPPORTED r:8:19"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nparameters: {weight: 1}\nmodels:\n- model: a+b\n"
                       "- model: {model: {path: c}, lora: {path: d}, override_architecture: e}\n"),
              ElementsAre("CFG-UNSUPPORTED r:4:10", "CFG-UNSUPPORTED r:5:29", "CFG-UNSUPPORTED r:5:46"));
}

TEST(RecipeErrors, APathWithAPlusThatExistsIsAPath) {
  const std::string path = ::testing::TempDir() + "gpumerge_a+b";
  std::ofstream(path) << "x";
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n- {model: " + path + ", parameters: {weight: 1}}\n"), IsEmpty());
  std::remove(path.c_str());
}

}  // namespace
}  // namespace gpumerge
