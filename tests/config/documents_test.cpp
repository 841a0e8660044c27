// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Recipes of several documents: which is the output, what refers to what, and what is refused.
#include "src/config/emit.h"
#include "tests/support/model_writer.h"
#include "tests/support/recipe_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ParseText;

std::string Document(const std::string& name, const std::string& a, const std::string& b,
                     const std::string& more = "") {
  return (name.empty() ? "" : "name: " + name + "\n") + more +
         "merge_method: linear\nparameters: {weight: 0.5}\nmodels:\n  - model: " + a + "\n  - model: " + b + "\n";
}

const std::string kEnd = "---\n";

TEST(DocumentsTest, TheOneWithoutANameIsTheOutputInAnyOrder) {
  const std::string first = Document("first", "org/a", "org/b"), second = Document("second", "first", "org/c"),
                    output = Document("", "second", "first");
  for (const std::string& text : {first + kEnd + second + kEnd + output, output + kEnd + second + kEnd + first,
                                  kEnd + second + kEnd + output + kEnd + first + kEnd}) {
    const auto parsed = ParseText(text);
    ASSERT_TRUE(parsed.ok) << parsed.errors.front().message;
    EXPECT_TRUE(parsed.warnings.empty());
    EXPECT_EQ(parsed.config.name, "");
    ASSERT_EQ(parsed.config.stages.size(), 2u);
    EXPECT_TRUE(parsed.config.models[0].model.is_stage);
    const MergeConfig& stage = parsed.config.stages[parsed.config.stages[0].name == "second" ? 0 : 1];
    EXPECT_EQ(stage.name, "second");
    EXPECT_TRUE(stage.models[0].model.is_stage);
    EXPECT_FALSE(stage.models[1].model.is_stage);
  }
}

TEST(DocumentsTest, TheLastIsTheOutputWhenAllHaveNames) {
  const auto parsed = ParseText(Document("first", "org/a", "org/b") + kEnd + Document("last", "first", "org/c"));
  ASSERT_TRUE(parsed.ok);
  EXPECT_EQ(parsed.config.name, "last");
  const auto alone = ParseText(Document("alone", "org/a", "org/b"));
  ASSERT_TRUE(alone.ok);
  EXPECT_EQ(alone.config.name, "alone");
  EXPECT_TRUE(alone.config.stages.empty());
}

TEST(DocumentsTest, ANameMeansADocumentOnlyWhereAModelMayStand) {
  const auto parsed =
      ParseText(Document("linear", "org/a", "org/b") + kEnd + Document("weight", "linear", "org/c") + kEnd +
                "merge_method: linear\nbase_model: weight\ntokenizer_source: linear\nmodels:\n"
                "  - {model: linear, parameters: {weight: 1}}\n  - {model: weight, parameters: {weight: 2}}\n");
  ASSERT_TRUE(parsed.ok) << parsed.errors.front().message;
  EXPECT_EQ(parsed.config.merge_method, "linear");
  EXPECT_TRUE(parsed.config.base_model->is_stage);
  EXPECT_TRUE(parsed.config.tokenizer_source->is_stage);
}

TEST(DocumentsTest, ReferencesInSlices) {
  const auto parsed = ParseText(Document("first", "org/a", "org/b") + kEnd +
                                "merge_method: passthrough\nslices:\n"
                                "  - sources: [{model: first, layer_range: [0, 2]}]\n"
                                "  - sources: [{model: first, layer_range: [1, 3]}]\n");
  ASSERT_TRUE(parsed.ok);
  EXPECT_TRUE(parsed.config.slices[1].sources[0].model.is_stage);
}

TEST(DocumentsTest, ACycleIsAnErrorThatNamesIt) {
  const auto parsed =
      ParseText(Document("a", "b", "org/x") + kEnd + Document("b", "a", "org/x") + kEnd + Document("", "a", "org/x"));
  ASSERT_FALSE(parsed.ok);
  EXPECT_EQ(parsed.errors.front().code, ErrorCode::kYamlDocs);
  EXPECT_THAT(parsed.errors.front().message, HasSubstr("'a' needs 'b' needs 'a'"));
  const auto itself = ParseText(Document("a", "a", "org/x"));
  ASSERT_FALSE(itself.ok);
  EXPECT_THAT(itself.errors.front().message, HasSubstr("'a' needs 'a'"));
}

TEST(DocumentsTest, NamesThatDoNotFitTogether) {
  const std::string a = Document("a", "org/x", "org/y");
  const auto error = [](const std::string& text) {
    const auto parsed = ParseText(text);
    return parsed.ok ? std::string("none") : parsed.errors.front().message;
  };
  EXPECT_THAT(error(a + kEnd + a + kEnd + Document("", "a", "org/x")), HasSubstr("two documents are called 'a'"));
  EXPECT_THAT(error(Document("", "org/x", "org/y") + kEnd + Document("", "org/x", "org/z")),
              HasSubstr("two documents have no name"));
  EXPECT_THAT(error(Document("c", "b", "org/x") + kEnd + Document("b", "org/y", "org/x")),
              HasSubstr("the last one, 'b', is an input of another"));
  for (const char* name : {"../a", "/a", "a/", "a//b", "."})
    EXPECT_THAT(error(Document(name, "org/x", "org/y")), HasSubstr("cannot be the name")) << name;
  EXPECT_EQ(error(Document("team/a", "org/x", "org/y") + kEnd + Document("", "team/a", "org/x")), "none");
  std::string many;
  for (int i = 0; i < 101; ++i) many += Document("s" + std::to_string(i), "org/x", "org/y") + kEnd;
  EXPECT_THAT(error(many), HasSubstr("too many documents"));
}

TEST(DocumentsTest, WhatTheOutputDoesNotNeedIsAWarning) {
  const auto parsed = ParseText(Document("used", "org/a", "org/b") + kEnd + Document("unused", "used", "org/b") + kEnd +
                                Document("", "used", "org/c"));
  ASSERT_TRUE(parsed.ok);
  ASSERT_EQ(parsed.warnings.size(), 1u);
  EXPECT_EQ(parsed.warnings[0].code, ErrorCode::kCfgNoEffect);
  EXPECT_THAT(parsed.warnings[0].message, HasSubstr("'unused'"));
  const auto with_output =
      ParseText(Document("a", "org/a", "org/b", "output: there\n") + kEnd + Document("", "a", "org/c"));
  ASSERT_EQ(with_output.warnings.size(), 1u);
  EXPECT_THAT(with_output.warnings[0].message, HasSubstr("'output' of the document 'a'"));
}

TEST(DocumentsTest, ADocumentGoesBeforeAPathOfThatName) {
  const test::ScratchDir dir;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  std::filesystem::create_directory("first");
  const auto parsed = ParseText(Document("first", "org/a", "org/b") + kEnd + Document("", "first", "./first"));
  std::filesystem::current_path(before);
  ASSERT_TRUE(parsed.ok) << parsed.errors.front().message;
  EXPECT_TRUE(parsed.config.models[0].model.is_stage);
  EXPECT_FALSE(parsed.config.models[1].model.is_stage);
  ASSERT_EQ(parsed.warnings.size(), 1u);
  EXPECT_THAT(parsed.warnings[0].message, HasSubstr("both a document of this recipe and a path"));
}

TEST(DocumentsTest, ErrorsOfEveryDocumentAreReported) {
  const auto parsed = ParseText(Document("first", "org/a", "org/b", "seeed: 1\n") + kEnd +
                                Document("", "first", "org/c", "outputt: x\n"));
  ASSERT_FALSE(parsed.ok);
  ASSERT_EQ(parsed.errors.size(), 2u);
  EXPECT_THAT(parsed.errors[0].where, HasSubstr(":2:"));
  EXPECT_THAT(parsed.errors[1].where, HasSubstr(":9:"));
}

TEST(DocumentsTest, AnchorsAreOfOneDocument) {
  const auto parsed = ParseText(
      "name: first\nmerge_method: linear\nparameters: {weight: &w 0.25}\nmodels:\n"
      "  - model: org/a\n  - {model: org/b, parameters: {weight: *w}}\n---\n" +
      Document("", "first", "*w"));
  EXPECT_FALSE(parsed.ok);
}

TEST(DocumentsTest, EmittedTextReadsBack) {
  const std::string text = Document("first", "org/a", "org/b", "seed: 3\n") + kEnd + Document("", "first", "org/c") +
                           kEnd + Document("2", "org/c", "org/b");
  const auto parsed = ParseText(text);
  ASSERT_TRUE(parsed.ok) << parsed.errors.front().message;
  const std::string emitted = EmitConfig(parsed.config);
  const auto again = ParseText(emitted);
  ASSERT_TRUE(again.ok) << again.errors.front().message << "\n" << emitted;
  EXPECT_EQ(EmitConfig(again.config), emitted);
  ASSERT_EQ(again.config.stages.size(), 2u);
  EXPECT_EQ(again.config.stages[0].name, "first");
  EXPECT_EQ(again.config.stages[0].seed, 3u);
  EXPECT_EQ(again.config.stages[1].name, "2");
  EXPECT_TRUE(again.config.models[0].model.is_stage);
}

}  // namespace
}  // namespace gpumerge
