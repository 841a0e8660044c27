// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Recipes whose keys are right but which make no sense as a whole: models, base, counts, layer ranges.
#include "tests/support/recipe_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using testing::ErrorsOf;
using ::testing::HasSubstr;
using testing::InShort;
using ::testing::IsEmpty;
using testing::ParseText;
using testing::Ties;

TEST(RecipeChecks, ModelReferences) {
  const std::string head = "merge_method: linear\nparameters: {weight: 1}\nmodels:\n";
  EXPECT_THAT(ErrorsOf(head + "- model: org/a@x@y\n- model: org/a@\n- model: org/@x\n- model: /home/u@corp/m\n"),
              ElementsAre("REF-SYNTAX r:4:10", "REF-SYNTAX r:5:10", "REF-SYNTAX r:6:10"));
  EXPECT_THAT(
      ErrorsOf(head + "- model:\n- model: ''\n- model: [a]\n- org/a\n- parameters: {weight: 1}\n- model: {path: x}\n"
                      "- model: {model: x}\n- model: {model: {revision: x}}\n"),
      ElementsAre("CFG-TYPE r:4:3", "CFG-TYPE r:5:10", "CFG-TYPE r:6:10", "CFG-TYPE r:7:3", "CFG-MISSING r:8:3",
                  "CFG-UNKNOWN r:9:11", "CFG-TYPE r:10:18", "CFG-MISSING r:11:18"));
}

TEST(RecipeChecks, TheSameModelTwiceIsTwoInputs) {
  EXPECT_THAT(ErrorsOf("merge_method: linear\nparameters: {weight: 1}\nmodels:\n- model: org/a\n- model: org/b\n"
                       "- model: org/a\n"),
              IsEmpty());
  EXPECT_THAT(ErrorsOf("merge_method: linear\nparameters: {weight: 1}\nslices:\n- sources:\n"
                       "  - {model: a, layer_range: [0, 1]}\n  - {model: a, layer_range: [1, 2]}\n"),
              IsEmpty());
  EXPECT_THAT(ErrorsOf(Ties("  - {model: org/a, parameters: {weight: 2}}\n")), IsEmpty());
}

TEST(RecipeChecks, TheBaseTwiceIsNot) {
  const auto parsed = ParseText(
      "merge_method: ties\nbase_model: org/a\nparameters: {weight: 1}\nmodels:\n- model: org/a\n- model: org/b\n"
      "- model: org/a\n");
  ASSERT_THAT(InShort(parsed.errors), ElementsAre("CFG-MODEL-TWICE r:7:10"));
  EXPECT_EQ(parsed.errors[0].message, "the base model 'org/a' is listed twice in one merge: lines 5 and 7");
  // One directory under two names.
  const std::string models = std::string(GPUMERGE_SOURCE_DIR) + "/tests/models/";
  EXPECT_THAT(
      ErrorsOf("merge_method: ties\nparameters: {weight: 1}\nbase_model: " + models +
               "kjv\nmodels:\n- model: " + models + "kjv\n- model: " + models + "../models/kjv/\n- model: org/b\n"),
      ElementsAre("CFG-MODEL-TWICE r:6:10"));
}

TEST(RecipeChecks, MissingParametersNameTheModel) {
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

TEST(RecipeChecks, ABaseModelIsAnOrdinaryInputOfLinear) {
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

TEST(RecipeChecks, AMissingBase) {
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

TEST(RecipeChecks, TooManyOrTooFewModels) {
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

TEST(RecipeChecks, ModelsOrSlices) {
  EXPECT_THAT(ErrorsOf("merge_method: linear\n"), ElementsAre("CFG-CHOICE r:1:1"));
  EXPECT_THAT(
      ErrorsOf(
          "merge_method: passthrough\nmodels: [{model: a}]\nslices: [{sources: [{model: a, layer_range: [0, 1]}]}]\n"),
      ElementsAre("CFG-CHOICE r:3:1"));
}

TEST(RecipeChecks, LayerRanges) {
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

}  // namespace
}  // namespace gpumerge
