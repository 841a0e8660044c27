// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Vocabularies in all their file forms, strictness, and what is said about two that differ.
#include "src/io/tokenizer_map.h"

#include "tests/support/model_writer.h"

#include "gpumerge/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Diagnostic RefusalOf(const std::string& json) {
  try {
    ParseTokenizerJson(json, "tokenizer.json");
  } catch (const Error& error) {
    return error.diagnostics().front();
  }
  ADD_FAILURE() << "accepted: " << json;
  return {};
}

TokenizerMap Map(const std::string& file, const std::string& vocab) {
  return ParseVocabJson(vocab, file, std::nullopt, "");
}

TEST(TokenizerMap, ReadsObjectVocabularyAndAddedTokens) {
  const TokenizerMap map = ParseTokenizerJson(R"({
    "version": "1.0",
    "added_tokens": [
      {"id": 3, "content": "<|end|>", "special": true},
      {"id": 0, "content": "a"}
    ],
    "normalizer": {"type": "Sequence", "vocab": {"z": 9}, "normalizers": [{"content": "q", "id": 5}]},
    "model": {"type": "BPE", "dropout": null, "vocab": {"b": 1, "a": 0, "\u00e9\"": 2}, "merges": [["a", "b"], "b a"]},
    "post_processor": {"model": {"vocab": 1}}
  })",
                                              "t.json");
  EXPECT_EQ(map.file, "t.json");
  EXPECT_THAT(map.tokens, ElementsAre(Pair("<|end|>", 3), Pair("a", 0), Pair("b", 1), Pair("é\"", 2)));
}

TEST(TokenizerMap, ReadsUnigramListByPosition) {
  const TokenizerMap map =
      ParseTokenizerJson(R"({"model": {"vocab": [["<unk>", 0.0], ["z", -1], ["b", -3.5e0], ["<unk>", null]]}})", "t");
  EXPECT_THAT(map.tokens, ElementsAre(Pair("<unk>", 0), Pair("<unk>", 3), Pair("b", 2), Pair("z", 1)));
}

TEST(TokenizerMap, UnigramAddedTokensMayRepeatTheList) {
  const TokenizerMap map = ParseTokenizerJson(
      R"({"added_tokens": [{"content": "z", "id": 1}, {"content": "m", "id": 2}], "model": {"vocab": [["a", 0], ["z", 0]]}})",
      "t");
  EXPECT_THAT(map.tokens, ElementsAre(Pair("a", 0), Pair("m", 2), Pair("z", 1)));
}

TEST(TokenizerMap, ReadsVocabJsonWithAddedTokens) {
  const TokenizerMap map =
      ParseVocabJson(R"({"b": 1, "a": 0})", "vocab.json", R"({"<x>": 2, "a": 0})", "added_tokens.json");
  EXPECT_EQ(map.file, "vocab.json");
  EXPECT_THAT(map.tokens, ElementsAre(Pair("<x>", 2), Pair("a", 0), Pair("b", 1)));
}

TEST(TokenizerMap, DuplicatesAreRefused) {
  struct Case {
    std::string json, message, found;
  };
  const std::vector<Case> cases{
      {R"({"model": {"vocab": {"a": 0, "b": 1, "\u0061": 2}}})", "\"a\" is given twice", "ids 0 and 2"},
      {R"({"model": {"vocab": {"a": 0}, "vocab": {"a": 0}}})", "\"vocab\" is given twice", ""},
      {R"({"model": {"vocab": {"a": 0}}, "model": {"vocab": {"a": 0}}})", "\"model\" is given twice", ""},
      {R"({"added_tokens": [], "added_tokens": [], "model": {"vocab": {}}})", "\"added_tokens\" is given twice", ""},
      {R"({"added_tokens": [{"id": 1, "id": 2, "content": "x"}], "model": {"vocab": {}}})", "\"id\" is given twice",
       "in one entry of \"added_tokens\""},
      {R"({"added_tokens": [{"id": 5, "content": "a"}], "model": {"vocab": {"a": 0}}})", "\"a\" is given twice",
       "id 0 in the vocabulary, 5 as an added token"},
      {R"({"added_tokens": [{"id": 5, "content": "x"}, {"id": 6, "content": "x"}], "model": {"vocab": {"a": 0}}})",
       "\"x\" is given twice", "ids 5 and 6"},
  };
  for (const Case& c : cases) {
    const Diagnostic refusal = RefusalOf(c.json);
    EXPECT_EQ(refusal.code, ErrorCode::kCfgDuplicateJson) << c.json;
    EXPECT_EQ(refusal.message, c.message);
    EXPECT_EQ(refusal.found, c.found);
  }
}

TEST(TokenizerMap, OtherFormsAreRefused) {
  const std::string bad_vocabulary = "the vocabulary is not of the expected form";
  const std::string bad_added = "\"added_tokens\" is not of the expected form";
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({})", "the vocabulary is missing"},
      {R"([])", "the vocabulary is missing"},
      {R"({"model": 3})", "the vocabulary is missing"},
      {R"({"model": {"type": "BPE"}})", "the vocabulary is missing"},
      {R"({"model": {"vocab": null}})", bad_vocabulary},
      {R"({"model": {"vocab": {"a": -1}}})", bad_vocabulary},
      {R"({"model": {"vocab": {"a": 1.0}}})", bad_vocabulary},
      {R"({"model": {"vocab": {"a": "1"}}})", bad_vocabulary},
      {R"({"model": {"vocab": {"a": [1]}}})", bad_vocabulary},
      {R"({"model": {"vocab": {"a": {}}}})", bad_vocabulary},
      {R"({"model": {"vocab": ["a"]}})", bad_vocabulary},
      {R"({"model": {"vocab": [[0, "a"]]}})", bad_vocabulary},
      {R"({"model": {"vocab": [["a"]]}})", bad_vocabulary},
      {R"({"model": {"vocab": [["a", 0, 0]]}})", bad_vocabulary},
      {R"({"model": {"vocab": [["a", [0]]]}})", bad_vocabulary},
      {R"({"model": {"vocab": [{"a": 0}]}})", bad_vocabulary},
      {R"({"added_tokens": null, "model": {"vocab": {}}})", bad_added},
      {R"({"added_tokens": {}, "model": {"vocab": {}}})", bad_added},
      {R"({"added_tokens": ["x"], "model": {"vocab": {}}})", bad_added},
      {R"({"added_tokens": [{"id": "1", "content": "x"}], "model": {"vocab": {}}})", bad_added},
      {R"({"added_tokens": [{"id": 1, "content": 2}], "model": {"vocab": {}}})", bad_added},
      {R"({"added_tokens": [{"id": 1}], "model": {"vocab": {}}})",
       "an entry of \"added_tokens\" lacks its id or content"},
      {"\xEF\xBB\xBF{}", "the file begins with a byte order mark"},
      {std::string("{\"model\": {\"vocab\": {}}}\0", 25), "the file has a NUL byte"},
  };
  for (const auto& [json, message] : cases) {
    const Diagnostic refusal = RefusalOf(json);
    EXPECT_EQ(refusal.code, ErrorCode::kJsonSyntax) << json;
    EXPECT_EQ(refusal.message, message) << json;
    EXPECT_EQ(refusal.where, "tokenizer.json");
  }
}

TEST(TokenizerMap, EveryTruncationIsRefused) {
  const std::string json =
      R"({"added_tokens": [{"id": 3, "content": "\u00e9"}], "model": {"vocab": {"b": 1}, "x": [["a", 0.5]]}})";
  ParseTokenizerJson(json, "t");
  for (size_t size = 0; size < json.size(); ++size) {
    const Diagnostic refusal = RefusalOf(json.substr(0, size));
    EXPECT_EQ(refusal.code, ErrorCode::kJsonSyntax);
    EXPECT_THAT(refusal.message, HasSubstr("not valid JSON"));
    EXPECT_THAT(refusal.where, HasSubstr("tokenizer.json (byte "));
  }
}

TEST(TokenizerMap, ReadsTheFileThatTheModelHas) {
  const test::ScratchDir temp;
  const auto write = [&](const std::string& name, const std::string& text) { test::WriteTextFile(temp / name, text); };
  write("tokenizer.json", R"({"model": {"vocab": {"t": 0}}})");
  write("vocab.json", R"({"v": 0})");
  write("added_tokens.json", R"({"w": 1})");
  ModelFiles model;
  model.location.directory = temp.path();
  EXPECT_FALSE(ReadTokenizerMap(model).has_value());
  model.side_files = {"vocab.json"};
  EXPECT_THAT(ReadTokenizerMap(model).value().tokens, ElementsAre(Pair("v", 0)));
  model.side_files = {"added_tokens.json", "vocab.json"};
  EXPECT_THAT(ReadTokenizerMap(model).value().tokens, ElementsAre(Pair("v", 0), Pair("w", 1)));
  model.side_files = {"added_tokens.json", "tokenizer.json", "vocab.json"};
  const auto map = ReadTokenizerMap(model);
  EXPECT_THAT(map.value().tokens, ElementsAre(Pair("t", 0)));
  EXPECT_EQ(map->file, temp / "tokenizer.json");
  write("added_tokens.json", "");
  model.side_files = {"added_tokens.json", "vocab.json"};
  EXPECT_THROW(ReadTokenizerMap(model), Error);
}

TEST(TokenizerMap, ReadsTheRealModels) {
  ModelFiles model;
  model.side_files = {"tokenizer.json"};
  model.location.directory = std::string(GPUMERGE_SOURCE_DIR) + "/tests/models/base";
  const auto base = ReadTokenizerMap(model);
  model.location.directory = std::string(GPUMERGE_SOURCE_DIR) + "/tests/models/python";
  const auto python = ReadTokenizerMap(model);
  ASSERT_TRUE(base && python);
  EXPECT_EQ(base->tokens.size(), 256u);
  EXPECT_EQ(DescribeTokenizerDifference(*base, *python), std::nullopt);
}

TEST(TokenizerDifference, EqualMapsHaveNone) {
  EXPECT_EQ(DescribeTokenizerDifference(Map("A", R"({"a": 0, "b": 1})"), Map("B", R"({"b": 1, "a": 0})")),
            std::nullopt);
}

TEST(TokenizerDifference, NamesTokensWithTheLowestIdsAndCounts) {
  EXPECT_EQ(DescribeTokenizerDifference(Map("A", R"({"a": 0, "b": 1})"), Map("B", R"({"a": 0, "b": 2})")),
            "1 token differs: \"b\" has id 1 in A and 2 in B");
  EXPECT_EQ(DescribeTokenizerDifference(Map("A", R"({"a": 0, "z": 1})"), Map("B", R"({"a": 0, "y": 1})")),
            "2 tokens differ: \"y\" (id 1) is only in B; \"z\" (id 1) is only in A");
  EXPECT_EQ(
      DescribeTokenizerDifference(Map("A", R"({"a": 4, "b": 3, "c": 2, "d": 1, "e": 0})"), Map("B", "{}")),
      "5 tokens differ: \"e\" (id 0) is only in A; \"d\" (id 1) is only in A; \"c\" (id 2) is only in A; and 2 more");
}

TEST(TokenizerDifference, SeesRepeatedTokensOfAList) {
  const TokenizerMap once = ParseTokenizerJson(R"({"model": {"vocab": [["a", 0], ["b", 0]]}})", "A");
  const TokenizerMap twice = ParseTokenizerJson(R"({"model": {"vocab": [["a", 0], ["b", 0], ["a", 0]]}})", "B");
  EXPECT_EQ(DescribeTokenizerDifference(once, twice), "1 token differs: \"a\" (id 2) is only in B");
}

}  // namespace
}  // namespace gpumerge
