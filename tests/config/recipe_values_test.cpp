// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Values that are refused, the places that messages point at, and warnings.
#include "tests/support/recipe_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using testing::ErrorsOf;
using ::testing::HasSubstr;
using testing::InShort;
using testing::ParseText;
using testing::Ties;
using testing::WarningsOf;

TEST(RecipeValues, ValuesOfParameters) {
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

TEST(RecipeValues, TopLevelValues) {
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

TEST(RecipeValues, EmptyValuesPointAtTheirKey) {
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

TEST(RecipeValues, AliasesPointAtThePlaceOfUse) {
  EXPECT_THAT(ErrorsOf("merge_method: ties\nseed: &d 3\nbase_model: b\nmodels:\n- model: a\n  parameters: {weight: 1, "
                       "density: *d}\n"),
              ElementsAre("CFG-RANGE r:6:36"));
  // What an anchor marks is reported once.
  EXPECT_THAT(
      ErrorsOf(
          "merge_method: linear\nmodels:\n- {model: a, parameters: &p {weight: x}}\n- {model: b, parameters: *p}\n"),
      ElementsAre("CFG-TYPE r:3:38"));
}

TEST(RecipeValues, ColumnsCountCharacters) {
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels: [{model: données/modèle, parameters: {weight: x}}]\n"),
              ElementsAre("CFG-TYPE r:2:55"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\r\nmodels: [{model: a, parameters: {weight: x}}]\r\n"),
              ElementsAre("CFG-TYPE r:2:42"));
  EXPECT_THAT(ErrorsOf("\xef\xbb\xbfmerge_metod: linear\nmodels: [{model: a, parameters: {weight: 1}}]\n"),
              ElementsAre("CFG-UNKNOWN r:1:1"));
}

TEST(RecipeValues, DuplicatesTagsAndMergeKeysAreReportedWithTheRest) {
  const auto parsed = ParseText(Ties("seed: 1\nseed: 2\n<<: {a: 1}\ndtype: !mine float32\noutptu: x\n"));
  ASSERT_THAT(InShort(parsed.errors),
              ElementsAre("YAML-DUP r:9:1", "YAML-MERGE r:10:1", "YAML-TAG r:11:8", "CFG-UNKNOWN r:12:1"));
  EXPECT_EQ(parsed.errors[0].message, "key 'seed' is given twice: lines 8 and 9");
}

TEST(RecipeValues, SyntaxErrorsHaveAPlaceAndHelp) {
  const auto star = ParseText("merge_method: ties\nparameters: {lambda: {filter: *, value: 1}}\n");
  ASSERT_THAT(InShort(star.errors), ElementsAre(HasSubstr("YAML-SYNTAX r:2:")));
  EXPECT_THAT(star.errors[0].help, HasSubstr("quotes"));
  const auto tab = ParseText("models:\n\t- model: a\n");
  ASSERT_THAT(InShort(tab.errors), ElementsAre(HasSubstr("YAML-SYNTAX r:2:")));
  EXPECT_THAT(tab.errors[0].help, HasSubstr("tab"));
}

TEST(RecipeValues, AfterFiftyErrorsItStops) {
  std::string yaml;
  for (int i = 0; i < 80; ++i) yaml += fmt::format("key{}: 1\n", i);
  const auto parsed = ParseText(yaml);
  ASSERT_EQ(parsed.errors.size(), 50u);
  EXPECT_THAT(parsed.errors.back().help, HasSubstr("stopped after 50 errors"));
}

TEST(RecipeValues, AFileThatCannotBeRead) {
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
