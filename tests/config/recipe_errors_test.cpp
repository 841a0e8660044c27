// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a recipe is found, all of it, at its line and column, with help. Places are written out literally:
// they are what users see.
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
using testing::ParseText;
using testing::WarningsOf;

constexpr char kGood[] =
    "merge_method: ties\n"
    "base_model: org/base\n"
    "models:\n"
    "  - model: org/a\n"
    "    parameters: {weight: 0.5, density: 0.3}\n"
    "  - model: org/b\n"
    "    parameters: {weight: 0.5}\n";

std::string Ties(std::string_view more) { return std::string(kGood) + std::string(more); }

TEST(RecipeErrors, TheGoodOneHasNone) {
  EXPECT_THAT(ErrorsOf(kGood), IsEmpty());
  EXPECT_THAT(WarningsOf(kGood), IsEmpty());
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
  EXPECT_EQ(parsed.errors[0].help,
            "'ties' takes 'weight', 'density', 'normalize', 'rescale', 'lambda' and 'int8_mask'");
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
  for (const char* key : {"tokenizer: {source: union}", "chat_template: auto", "missing: base", "name: first",
                          "input_model_parameters: {}", "experts: []"}) {
    EXPECT_THAT(ErrorsOf(Ties(std::string(key) + "\n")), ElementsAre("CFG-UNSUPPORTED r:8:1")) << key;
  }
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodules: {text: {}}\n"), ElementsAre("CFG-UNSUPPORTED r:2:1"));
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

TEST(RecipeErrors, ModelReferences) {
  const std::string head = "merge_method: linear\nparameters: {weight: 1}\nmodels:\n";
  EXPECT_THAT(ErrorsOf(head + "- model: org/a@x@y\n- model: org/a@\n- model: org/@x\n- model: /home/u@corp/m\n"),
              ElementsAre("REF-SYNTAX r:4:10", "REF-SYNTAX r:5:10", "REF-SYNTAX r:6:10"));
  EXPECT_THAT(
      ErrorsOf(head + "- model:\n- model: ''\n- model: [a]\n- org/a\n- parameters: {weight: 1}\n- model: {path: x}\n"
                      "- model: {model: x}\n- model: {model: {revision: x}}\n"),
      ElementsAre("CFG-TYPE r:4:3", "CFG-TYPE r:5:10", "CFG-TYPE r:6:10", "CFG-TYPE r:7:3", "CFG-MISSING r:8:3",
                  "CFG-UNKNOWN r:9:11", "CFG-TYPE r:10:18", "CFG-MISSING r:11:18"));
}

TEST(RecipeErrors, TheSameModelTwice) {
  const auto parsed = ParseText(
      "merge_method: linear\nparameters: {weight: 1}\nmodels:\n- model: org/a\n- model: org/b\n"
      "- model: org/a\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-MODEL-TWICE r:6:10"));
  EXPECT_EQ(parsed.errors[0].message, "model 'org/a' is listed twice in one merge: lines 4 and 6");
  // One directory under two names.
  const std::string models = std::string(GPUMERGE_SOURCE_DIR) + "/tests/models/";
  EXPECT_THAT(ErrorsOf("merge_method: linear\nparameters: {weight: 1}\nmodels:\n- model: " + models +
                       "kjv\n- model: " + models + "../models/kjv/\n"),
              ElementsAre("CFG-MODEL-TWICE r:5:10"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nparameters: {weight: 1}\nslices:\n- sources:\n"
                       "  - {model: a, layer_range: [0, 1]}\n  - {model: a, layer_range: [1, 2]}\n"),
              ElementsAre("CFG-MODEL-TWICE r:6:13"));
  // In two slices it is what a frankenmerge does.
  EXPECT_THAT(ErrorsOf("merge_method: passthrough\nslices:\n- sources: [{model: a, layer_range: [0, 1]}]\n"
                       "- sources: [{model: a, layer_range: [0, 2]}]\n"),
              IsEmpty());
}

TEST(RecipeErrors, MissingParametersNameTheModel) {
  const auto parsed = ParseText(
      "merge_method: ties\nbase_model: org/base\nmodels:\n- model: org/base\n- model: org/a\n"
      "- model: org/b\n  parameters: {weight: 1}\n- model: org/c\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-MISSING r:5:10", "CFG-MISSING r:8:10"));
  EXPECT_EQ(parsed.errors[0].message, "model 'org/a' has no 'weight', which method 'ties' needs");
  EXPECT_THAT(ErrorsOf("merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\n"),
              ElementsAre("CFG-MISSING r:1:15"));
  // At the top level it is there for all.
  EXPECT_THAT(ErrorsOf("merge_method: ties\nbase_model: org/base\nmodels: [{model: a}, {model: b}]\n"
                       "parameters: {weight: 1}\n"),
              IsEmpty());
  // A filter list or gradient counts; an empty list is nothing.
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n- {model: a, parameters: {weight: [{filter: x, value: 1}]}}\n"
                       "- {model: b, parameters: {weight: []}}\n- {model: c, parameters: {weight: [{value: []}]}}\n"),
              ElementsAre("CFG-MISSING r:4:11", "CFG-MISSING r:5:11"));
}

TEST(RecipeErrors, ABaseModelIsAnOrdinaryInputOfLinear) {
  const auto parsed =
      ParseText("merge_method: linear\nbase_model: org/c\nmodels:\n- {model: org/a, parameters: {weight: 1}}\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-MISSING r:2:13"));
  EXPECT_EQ(
      parsed.errors[0].help,
      "base_model is one more input of 'linear': list it under 'models' with its weight, give a top-level weight, or "
      "remove base_model");
  EXPECT_THAT(ErrorsOf("merge_method: linear\nbase_model: org/a\nmodels:\n- {model: org/a, parameters: {weight: 1}}\n"),
              IsEmpty());
  EXPECT_THAT(ErrorsOf("merge_method: linear\nbase_model: org/c\nmodels: [{model: org/a}]\nparameters: {weight: 1}\n"),
              IsEmpty());
  const auto passthrough = ParseText("merge_method: passthrough\nbase_model: b\nmodels: [{model: a}]\n");
  ASSERT_THAT(InShort(passthrough.errors), ElementsAre("CFG-RANGE r:3:1"));
  EXPECT_THAT(passthrough.errors[0].help, HasSubstr("base_model 'b' is one more input of 'passthrough'"));
  EXPECT_THAT(
      ErrorsOf("merge_method: passthrough\nbase_model: b\nslices: [{sources: [{model: a, layer_range: [0, 1]}]}]"),
      IsEmpty());
}

TEST(RecipeErrors, AMissingBase) {
  const auto parsed = ParseText("merge_method: ties\nmodels:\n- model: base\n- {model: a, parameters: {weight: 1}}\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-MISSING r:1:15"));
  EXPECT_EQ(parsed.errors[0].message, "method 'ties' needs 'base_model', which is not given");
  const std::string slerp =
      "merge_method: slerp\nparameters: {t: 0.5}\nslices:\n- sources:\n  - {model: a, layer_range: [0, 1]}\n"
      "  - {model: b, layer_range: [0, 1]}\n";
  EXPECT_THAT(ErrorsOf(slerp), ElementsAre("CFG-MISSING r:1:15"));
  EXPECT_THAT(ErrorsOf(slerp + "  base_model: a\n"), IsEmpty());
  EXPECT_THAT(ErrorsOf(slerp + "base_model: c\n"), ElementsAre("CFG-MISSING r:4:3"));
}

TEST(RecipeErrors, TooManyOrTooFewModels) {
  const auto parsed = ParseText(
      "merge_method: slerp\nbase_model: a\nparameters: {t: 0.5}\nmodels:\n- model: a\n- model: b\n"
      "- model: c\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-RANGE r:4:1"));
  EXPECT_EQ(parsed.errors[0].message, "method 'slerp' merges exactly 1 model besides the base, but there are 2");
  EXPECT_THAT(ErrorsOf("merge_method: ties\nbase_model: a\nmodels:\n- model: a\n"), ElementsAre("CFG-RANGE r:3:1"));
  std::string many = "merge_method: linear\nparameters: {weight: 1}\nmodels:\n";
  for (int i = 0; i < 65; ++i) many += fmt::format("- model: m{}\n", i);
  EXPECT_THAT(ErrorsOf(many), ElementsAre("CFG-RANGE r:3:1"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels: []\n"), ElementsAre("CFG-TYPE r:2:9"));
}

TEST(RecipeErrors, ModelsOrSlices) {
  EXPECT_THAT(ErrorsOf("merge_method: linear\n"), ElementsAre("CFG-CHOICE r:1:1"));
  EXPECT_THAT(
      ErrorsOf(
          "merge_method: passthrough\nmodels: [{model: a}]\nslices: [{sources: [{model: a, layer_range: [0, 1]}]}]\n"),
      ElementsAre("CFG-CHOICE r:3:1"));
}

TEST(RecipeErrors, LayerRanges) {
  const std::string head = "merge_method: linear\nparameters: {weight: 1}\nslices:\n- sources:\n";
  EXPECT_THAT(ErrorsOf(head + "  - {model: a, layer_range: [0, 8]}\n  - {model: b, layer_range: [0, 6]}\n"),
              ElementsAre("CFG-LAYERS r:6:29"));
  EXPECT_THAT(ErrorsOf(head + "  - {model: a, layer_range: [8, 4]}\n"), ElementsAre("CFG-LAYERS r:5:29"));
  EXPECT_THAT(ErrorsOf(head + "  - {model: a, layer_range: [2, 2]}\n"), IsEmpty());
  EXPECT_THAT(ErrorsOf(head + "  - {model: a}\n"), ElementsAre("CFG-MISSING r:5:5"));
  EXPECT_THAT(ErrorsOf(head + "  - {model: a, layer_range: [1]}\n"), ElementsAre("CFG-TYPE r:5:29"));
  EXPECT_THAT(ErrorsOf(head + "  - {model: a, layer_range: 4}\n"), ElementsAre("CFG-TYPE r:5:29"));
  EXPECT_THAT(ErrorsOf(head + "  - {model: a, layer_range: [-1, 1.5]}\n"),
              ElementsAre("CFG-RANGE r:5:30", "CFG-TYPE r:5:34"));
  EXPECT_THAT(ErrorsOf(head + "  - {model: a, layer_range: [00, 10]}\n"), ElementsAre("YAML-AMBIG r:5:30"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nslices:\n- {}\n- sources: []\n- 4\n"),
              ElementsAre("CFG-MISSING r:3:3", "CFG-TYPE r:4:12", "CFG-TYPE r:5:3"));
}

TEST(RecipeErrors, ValuesOfParameters) {
  EXPECT_THAT(
      ErrorsOf(Ties("parameters:\n  density: [0.1, 1.5, -1]\n  rescale: l3\n  normalize: 2\n  lambda:\n")),
      ElementsAre("CFG-RANGE r:9:18", "CFG-RANGE r:9:23", "CFG-TYPE r:10:12", "CFG-TYPE r:11:14", "CFG-TYPE r:12:3"));
  EXPECT_THAT(ErrorsOf(Ties("parameters:\n  lambda: [1, {value: 2}]\n")), ElementsAre("CFG-TYPE r:9:12"));
  EXPECT_THAT(ErrorsOf(Ties("parameters:\n  lambda: [[1], [2]]\n")), ElementsAre("CFG-TYPE r:9:12", "CFG-TYPE r:9:17"));
  EXPECT_THAT(ErrorsOf(Ties("parameters:\n  lambda: [{filter: mlp}]\n")), ElementsAre("CFG-MISSING r:9:12"));
  EXPECT_THAT(ErrorsOf(Ties("parameters:\n  lambda: {filter: [a], value: {b: 1}}\n")),
              ElementsAre("CFG-TYPE r:9:20", "CFG-TYPE r:9:32"));
  EXPECT_THAT(ErrorsOf(Ties("parameters: [1]\n")), ElementsAre("CFG-TYPE r:8:13"));
  const auto choice = ParseText(Ties("parameters: {rescale: inv_densty}\n"));
  ASSERT_THAT(InShort(choice.errors), ElementsAre("CFG-TYPE r:8:23"));
  EXPECT_EQ(choice.errors[0].help, "did you mean 'inv_density'?");
}

TEST(RecipeErrors, TopLevelValues) {
  EXPECT_THAT(ErrorsOf(Ties("dtype: bf16\nout_dtype: int64\n")), ElementsAre("CFG-TYPE r:8:8", "CFG-TYPE r:9:12"));
  EXPECT_EQ(ParseText(Ties("dtype: bf16\n")).errors[0].help, "did you mean 'bfloat16'?");
  EXPECT_THAT(ErrorsOf(Ties("seed: -1\n")), ElementsAre("CFG-RANGE r:8:7"));
  EXPECT_THAT(ErrorsOf(Ties("seed: 18446744073709551616\n")), ElementsAre("CFG-RANGE r:8:7"));
  EXPECT_THAT(ErrorsOf(Ties("seed: 1.5\n")), ElementsAre("CFG-TYPE r:8:7"));
  EXPECT_THAT(ErrorsOf(Ties("seed: 0x10\n")), ElementsAre("YAML-AMBIG r:8:7"));
  EXPECT_THAT(ErrorsOf(Ties("shard_size: 5X\n")), ElementsAre("CFG-TYPE r:8:13"));
  EXPECT_THAT(ErrorsOf(Ties("shard_size: 0\n")), ElementsAre("CFG-RANGE r:8:13"));
  EXPECT_THAT(ErrorsOf(Ties("shard_size: 1_000\n")), ElementsAre("YAML-AMBIG r:8:13"));
  EXPECT_THAT(ErrorsOf(Ties("output: [x]\n")), ElementsAre("CFG-TYPE r:8:9"));
  EXPECT_THAT(ErrorsOf(Ties("layer_pattern: ''\n")), ElementsAre("CFG-TYPE r:8:16"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\ntokenizer_source: base\n"),
              ElementsAre("CFG-MISSING r:3:19"));
}

TEST(RecipeErrors, EmptyValuesPointAtTheirKey) {
  // The parser's own mark of an empty value is what follows it.
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n- model: a\n  parameters:\n    weight:\n\n\n# a comment\n"),
              ElementsAre("CFG-TYPE r:5:5"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n- model: a\n  parameters: {weight: }\n"),
              ElementsAre("CFG-TYPE r:4:16"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n- model: a\n  parameters: {weight: ~}\n"),
              ElementsAre("CFG-TYPE r:4:24"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels:\n-\n- {model: a, parameters: {weight: 1}}\n"),
              ElementsAre("CFG-TYPE r:3:1"));
}

TEST(RecipeErrors, AliasesPointAtThePlaceOfUse) {
  EXPECT_THAT(ErrorsOf("merge_method: ties\nseed: &d 3\nbase_model: b\nmodels:\n- model: a\n  parameters: {weight: 1, "
                       "density: *d}\n"),
              ElementsAre("CFG-RANGE r:6:36"));
  // What an anchor marks is reported once.
  EXPECT_THAT(
      ErrorsOf(
          "merge_method: linear\nmodels:\n- {model: a, parameters: &p {weight: x}}\n- {model: b, parameters: *p}\n"),
      ElementsAre("CFG-TYPE r:3:38"));
}

TEST(RecipeErrors, ColumnsCountCharacters) {
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels: [{model: données/modèle, parameters: {weight: x}}]\n"),
              ElementsAre("CFG-TYPE r:2:55"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\r\nmodels: [{model: a, parameters: {weight: x}}]\r\n"),
              ElementsAre("CFG-TYPE r:2:42"));
  EXPECT_THAT(ErrorsOf("\xef\xbb\xbfmerge_metod: linear\nmodels: [{model: a, parameters: {weight: 1}}]\n"),
              ElementsAre("CFG-UNKNOWN r:1:1"));
}

TEST(RecipeErrors, DuplicatesTagsAndMergeKeysAreReportedWithTheRest) {
  const auto parsed = ParseText(Ties("seed: 1\nseed: 2\n<<: {a: 1}\ndtype: !mine float32\noutptu: x\n"));
  ASSERT_THAT(InShort(parsed.errors),
              ElementsAre("YAML-DUP r:9:1", "YAML-MERGE r:10:1", "YAML-TAG r:11:8", "CFG-UNKNOWN r:12:1"));
  EXPECT_EQ(parsed.errors[0].message, "key 'seed' is given twice: lines 8 and 9");
}

TEST(RecipeErrors, SyntaxErrorsHaveAPlaceAndHelp) {
  const auto star = ParseText("merge_method: ties\nparameters: {lambda: {filter: *, value: 1}}\n");
  ASSERT_THAT(InShort(star.errors), ElementsAre(HasSubstr("YAML-SYNTAX r:2:")));
  EXPECT_THAT(star.errors[0].help, HasSubstr("quotes"));
  const auto tab = ParseText("models:\n\t- model: a\n");
  ASSERT_THAT(InShort(tab.errors), ElementsAre(HasSubstr("YAML-SYNTAX r:2:")));
  EXPECT_THAT(tab.errors[0].help, HasSubstr("tab"));
}

TEST(RecipeErrors, AfterFiftyErrorsItStops) {
  std::string yaml;
  for (int i = 0; i < 80; ++i) yaml += fmt::format("key{}: 1\n", i);
  const auto parsed = ParseText(yaml);
  ASSERT_EQ(parsed.errors.size(), 50u);
  EXPECT_THAT(parsed.errors.back().help, HasSubstr("stopped after 50 errors"));
}

TEST(RecipeErrors, AFileThatCannotBeRead) {
  for (const std::string path : {"/nonexistent/recipe.yaml", "/tmp"}) {
    try {
      LoadConfig(path, nullptr);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConfigMissing);
      EXPECT_EQ(error.exit_status(), 3);
      EXPECT_THAT(error.diagnostics()[0].message, HasSubstr(path));
    }
  }
}

TEST(RecipeWarnings, AreCollected) {
  EXPECT_THAT(WarningsOf(Ties("parameters: {int8_mask: true, lambda: []}\ndtype:\nchat_template: ~\n")),
              ElementsAre("CFG-NOEFFECT r:8:14", "CFG-NOEFFECT r:8:31", "CFG-NOEFFECT r:9:1", "CFG-NOEFFECT r:10:1"));
  // The base takes no parameters of the models.
  EXPECT_THAT(WarningsOf("merge_method: ties\nbase_model: b\nmodels:\n- {model: b, parameters: {weight: 1}}\n"
                         "- {model: a, parameters: {weight: 1}}\n"),
              ElementsAre("CFG-NOEFFECT r:4:27"));
  EXPECT_THAT(
      WarningsOf("merge_method: slerp\nbase_model: a\nmodels: [{model: a}, {model: b}]\nparameters: {t: [0, 1.5]}\n"),
      ElementsAre("CFG-RANGE r:4:21"));
  EXPECT_THAT(
      WarningsOf("merge_method: passthrough\nslices:\n- sources: [{model: a, layer_range: [0, 1]}]\n  base_model: b\n"),
      ElementsAre("CFG-NOEFFECT r:4:15"));
}

TEST(RecipeWarnings, AreHandedOverWithErrorsToo) {
  const auto parsed = ParseText(Ties("parameters: {int8_mask: true}\nseed: x\n"));
  EXPECT_FALSE(parsed.ok);
  EXPECT_THAT(InShort(parsed.warnings), ElementsAre("CFG-NOEFFECT r:8:14"));
}

}  // namespace
}  // namespace gpumerge
