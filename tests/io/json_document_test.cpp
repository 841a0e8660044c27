// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Edited config.json files keep every byte that was not edited; malformed ones are refused with their place.
#include "src/io/json_document.h"

#include "gpumerge/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;

constexpr const char* kTwoSpaces = R"({
  "architectures": [
    "Qwen2ForCausalLM"
  ],
  "attention_dropout": 0.0,
  "hidden_act": "silu",
  "initializer_range": 0.02,
  "layer_norm_epsilon": 1e-05,
  "time_step_limit": [
    0.0,
    Infinity
  ],
  "low": -Infinity,
  "nothing": NaN,
  "num_hidden_layers": 24,
  "rope_scaling": null,
  "rope_theta": 1000000.0,
  "text_config": {
    "hidden_size": 896,
    "vocab_size": 151936
  },
  "tie_word_embeddings": true,
  "torch_dtype": "bfloat16",
  "vocab_size": 151936
}
)";

TEST(JsonDocument, HasALimitOfValues) {
  const auto list = [](size_t n_values) {
    std::string text = "[0";
    for (size_t i = 1; i < n_values; ++i) text += ",0";
    return text + "]";
  };
  EXPECT_EQ(JsonDocument(list(kMaxJsonValues - 1), "config.json").GetArraySize({}), kMaxJsonValues - 1);
  try {
    JsonDocument(list(kMaxJsonValues), "config.json");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResLimit);
  }
}

std::vector<Diagnostic> DiagnosticsOf(const std::string& text) {
  try {
    JsonDocument document(text, "config.json");
  } catch (const Error& error) {
    return error.diagnostics();
  }
  return {};
}

// The text after one edit.
std::string Set(const std::string& text, const std::vector<std::string>& path, const std::string& value) {
  JsonDocument document(text, "config.json");
  document.SetRaw(path, value);
  EXPECT_EQ(document.GetRaw(path), value);
  return document.text();
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(JsonDocument, KeepsTextThatIsNotEdited) { EXPECT_EQ(JsonDocument(kTwoSpaces, "f").text(), kTwoSpaces); }

TEST(JsonDocument, ReadsValuesByType) {
  const JsonDocument document(kTwoSpaces, "config.json");
  EXPECT_EQ(document.file(), "config.json");
  EXPECT_EQ(document.GetUint({"vocab_size"}), 151936u);
  EXPECT_EQ(document.GetUint({"text_config", "hidden_size"}), 896u);
  EXPECT_EQ(document.GetBool({"tie_word_embeddings"}), true);
  EXPECT_EQ(document.GetString({"torch_dtype"}), "bfloat16");
  EXPECT_EQ(document.GetArraySize({"time_step_limit"}), 2u);
  EXPECT_EQ(document.GetArraySize({"architectures"}), 1u);
  EXPECT_EQ(document.GetRaw({"layer_norm_epsilon"}), "1e-05");
  EXPECT_EQ(document.GetRaw({"rope_theta"}), "1000000.0");
  EXPECT_EQ(document.GetRaw({"low"}), "-Infinity");
  EXPECT_EQ(document.GetRaw({"rope_scaling"}), "null");
  EXPECT_THAT(document.Keys({"text_config"}), ElementsAre("hidden_size", "vocab_size"));
}

TEST(JsonDocument, AbsentOrOtherTypeIsNothing) {
  const JsonDocument document(kTwoSpaces, "config.json");
  EXPECT_EQ(document.GetUint({"rope_theta"}), std::nullopt);
  EXPECT_EQ(document.GetUint({"torch_dtype"}), std::nullopt);
  EXPECT_EQ(document.GetUint({"low"}), std::nullopt);
  EXPECT_EQ(document.GetBool({"vocab_size"}), std::nullopt);
  EXPECT_EQ(document.GetString({"vocab_size"}), std::nullopt);
  EXPECT_EQ(document.GetArraySize({"text_config"}), std::nullopt);
  EXPECT_EQ(document.GetRaw({"text_config", "nope"}), std::nullopt);
  EXPECT_EQ(document.GetRaw({"vocab_size", "deeper"}), std::nullopt);
  EXPECT_FALSE(document.Has({"dtype"}));
  EXPECT_TRUE(document.Has({"rope_scaling"}));
  EXPECT_TRUE(document.Keys({"architectures"}).empty());
}

TEST(JsonDocument, UnsignedNumbersEndAt64Bits) {
  const JsonDocument document(R"({"a": 18446744073709551615, "b": 18446744073709551616, "c": -1, "d": 0})", "f");
  EXPECT_EQ(document.GetUint({"a"}), 18446744073709551615u);
  EXPECT_EQ(document.GetUint({"b"}), std::nullopt);
  EXPECT_EQ(document.GetUint({"c"}), std::nullopt);
  EXPECT_EQ(document.GetUint({"d"}), 0u);
}

TEST(JsonDocument, ReplacesOneValueOnly) {
  EXPECT_EQ(Set(kTwoSpaces, {"num_hidden_layers"}, "48"),
            Replaced(kTwoSpaces, "\"num_hidden_layers\": 24", "\"num_hidden_layers\": 48"));
  EXPECT_EQ(Set(kTwoSpaces, {"text_config", "vocab_size"}, "7"),
            Replaced(kTwoSpaces, "\"vocab_size\": 151936\n  }", "\"vocab_size\": 7\n  }"));
  EXPECT_EQ(Set(kTwoSpaces, {"time_step_limit"}, "[]"), Replaced(kTwoSpaces, "[\n    0.0,\n    Infinity\n  ]", "[]"));
}

TEST(JsonDocument, AppendsInTheFilesOwnStyle) {
  EXPECT_EQ(Set(kTwoSpaces, {"dtype"}, "\"float16\""),
            Replaced(kTwoSpaces, "151936\n}\n", "151936,\n  \"dtype\": \"float16\"\n}\n"));
  EXPECT_EQ(Set(kTwoSpaces, {"text_config", "dtype"}, "1"),
            Replaced(kTwoSpaces, "151936\n  }", "151936,\n    \"dtype\": 1\n  }"));
  EXPECT_EQ(Set("{\n    \"a\": 1\n}", {"b"}, "2"), "{\n    \"a\": 1,\n    \"b\": 2\n}");
  EXPECT_EQ(Set("{\r\n  \"a\": 1,\r\n  \"c\": 1\r\n}\r\n", {"b"}, "2"),
            "{\r\n  \"a\": 1,\r\n  \"c\": 1,\r\n  \"b\": 2\r\n}\r\n");
  EXPECT_EQ(Set("{\r\n  \"a\": {}\r\n}", {"a", "b"}, "2"), "{\r\n  \"a\": {\r\n    \"b\": 2\r\n  }\r\n}");
  EXPECT_EQ(Set("{\n\t\"a\": 1\n}", {"b"}, "2"), "{\n\t\"a\": 1,\n\t\"b\": 2\n}");
  EXPECT_EQ(Set(R"({"a":1,"b":{}})", {"c"}, "3"), R"({"a":1,"b":{},"c":3})");
  EXPECT_EQ(Set(R"({"a":1,"b":{}})", {"b", "c"}, "3"), R"({"a":1,"b":{"c":3}})");
  EXPECT_EQ(Set(R"({"a": 1, "b": 2})", {"c"}, "3"), R"({"a": 1, "b": 2, "c": 3})");
  EXPECT_EQ(Set(R"({"a": 1})", {"c"}, "3"), R"({"a": 1, "c": 3})");
  EXPECT_EQ(Set(R"({"a":1})", {"c"}, "3"), R"({"a":1,"c":3})");
  EXPECT_EQ(Set("{ \"a\" : 1 }", {"c"}, "3"), "{ \"a\" : 1, \"c\" : 3 }");
  EXPECT_EQ(Set("{}", {"c"}, "3"), "{\n  \"c\": 3\n}");
  EXPECT_EQ(Set(" { } ", {"c"}, "3"), " {\n  \"c\": 3\n} ");
  EXPECT_EQ(Set("{\n  \"a\": {\n  }\n}", {"a", "b"}, "2"), "{\n  \"a\": {\n    \"b\": 2\n  }\n}");
}

TEST(JsonDocument, EditsFollowOneAnother) {
  JsonDocument document("{}", "f");
  document.SetRaw({"a"}, "{}");
  document.SetRaw({"a", "x\"y"}, "[1, 2]");
  document.SetRaw({"b"}, QuoteJson("tab\there"));
  document.SetRaw({"a", "x\"y"}, "3");
  EXPECT_EQ(document.text(), "{\n  \"a\": {\n    \"x\\\"y\": 3\n  },\n  \"b\": \"tab\\u0009here\"\n}");
  EXPECT_EQ(document.GetString({"b"}), "tab\there");
  document.SetRaw({}, "4");
  EXPECT_EQ(document.text(), "4");
}

TEST(JsonDocument, RefusesBadEdits) {
  JsonDocument document(R"({"a": 1})", "f");
  EXPECT_THROW(document.SetRaw({"a"}, "1 2"), Error);
  EXPECT_THROW(document.SetRaw({"a"}, ""), Error);
  try {
    document.SetRaw({"a", "b"}, "1");
    FAIL() << "a number got a key";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfigField);
    EXPECT_EQ(error.diagnostics()[0].message, "cannot set \"a.b\": \"a\" is not an object");
    EXPECT_EQ(error.diagnostics()[0].found, "1");
  }
  EXPECT_THROW(document.SetRaw({"x", "b"}, "1"), Error);
  EXPECT_EQ(document.text(), R"({"a": 1})");
}

TEST(JsonDocument, EditsTheRealModelsConfigs) {
  for (const char* model : {"base", "german", "kjv", "python"}) {
    std::ifstream file(std::string(GPUMERGE_SOURCE_DIR) + "/tests/models/" + model + "/config.json");
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    ASSERT_GT(text.size(), 100u) << model;
    EXPECT_EQ(JsonDocument(text, "f").text(), text);
    EXPECT_EQ(Set(text, {"dtype"}, "\"float16\""), Replaced(text, "\"bfloat16\"", "\"float16\""));
  }
}

TEST(JsonDocument, UnescapesStrings) {
  const JsonDocument document(R"({"a\u0062": "\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00é€😀", "e": ""})", "f");
  EXPECT_EQ(document.GetString({"ab"}), "\"\\/\b\f\n\r\té€😀é€😀");
  EXPECT_EQ(document.GetString({"e"}), "");
}

TEST(JsonDocument, DuplicatesAreAllReportedWithBothPlaces) {
  const auto diagnostics =
      DiagnosticsOf("{\n  \"é\": 1, \"a\": 2,\n  \"\\u0061\": 3,\n  \"n\": {\"b\": 1, \"b\": 1}\n}");
  ASSERT_EQ(diagnostics.size(), 2u);
  EXPECT_EQ(diagnostics[0].code, ErrorCode::kCfgDuplicateJson);
  EXPECT_EQ(diagnostics[0].message, "key \"b\" is given twice in one object");
  EXPECT_EQ(diagnostics[0].where, "config.json:4:17");
  EXPECT_EQ(diagnostics[1].where, "config.json:3:3");
  EXPECT_EQ(diagnostics[1].found, "line 2 column 11, and line 3 column 3");
}

TEST(JsonDocument, SameKeyInTwoObjectsIsNoDuplicate) {
  EXPECT_TRUE(DiagnosticsOf(R"({"a": {"b": 1}, "c": {"b": 1, "a": 2}, "d": [{"a": 1}, {"a": 1}]})").empty());
}

TEST(JsonDocument, MalformedTextIsRefusedWithItsPlace) {
  struct Case {
    std::string text, where, message;
  };
  const std::vector<Case> cases{
      {"", "config.json:1:1", "a value is missing"},
      {"{\"a\": 1,\n}", "config.json:2:1", "an object's key is missing"},
      {"{\"a\" 1}", "config.json:1:6", "no colon after a key"},
      {"{\"a\": 1 \"b\": 2}", "config.json:1:9", "an object is not closed"},
      {"{\"a\": }", "config.json:1:7", "a value is missing"},
      {"[1, 2", "config.json:1:6", "an array is not closed"},
      {"[1,]", "config.json:1:4", "a value is missing"},
      {"{} {}", "config.json:1:4", "text after the end of the value"},
      {"{'a': 1}", "config.json:1:2", "an object's key is missing"},
      {"{\"a\": 01}", "config.json:1:8", "a number with a leading zero"},
      {"{\"a\": +1}", "config.json:1:7", "a value is missing"},
      {"{\"a\": -}", "config.json:1:8", "a lone minus sign"},
      {"{\"a\": 1.}", "config.json:1:9", "a number is incomplete"},
      {"{\"a\": 1e}", "config.json:1:9", "a number is incomplete"},
      {"{\"a\": .5}", "config.json:1:7", "a value is missing"},
      {"{\"a\": tru}", "config.json:1:7", "a value is missing"},
      {"{\"a\": nullx}", "config.json:1:11", "an object is not closed"},
      {"{\"a\": \"x\ny\"}", "config.json:1:9", "a control character in a string"},
      {"{\"a\": \"\\x\"}", "config.json:1:9", "an unknown escape"},
      {"{\"a\": \"\\u12g4\"}", "config.json:1:12", "a \\u escape is too short"},
      {"{\"a\": \"\\ud800\"}", "config.json:1:8", "half of a surrogate pair in a string"},
      {"{\"a\": \"\\ud800\\u0041\"}", "config.json:1:8", "half of a surrogate pair in a string"},
      {"{\"a\": \"\\udc00\"}", "config.json:1:8", "half of a surrogate pair in a string"},
      {"{\"a\": \"\xff\"}", "config.json:1:7", "a string is not UTF-8"},
      {"{\"a\": \"\xed\xa0\x80\"}", "config.json:1:7", "a string is not UTF-8"},
      {"\xEF\xBB\xBF{}", "config.json:1:1", "the file begins with a byte order mark"},
      {std::string("{}\0", 3), "config.json:1:3", "text after the end of the value"},
      {"{\"a\": 1} // note", "config.json:1:10", "text after the end of the value"},
  };
  for (const Case& c : cases) {
    const auto diagnostics = DiagnosticsOf(c.text);
    ASSERT_EQ(diagnostics.size(), 1u) << c.text;
    EXPECT_EQ(diagnostics[0].code, ErrorCode::kJsonSyntax) << c.text;
    EXPECT_EQ(diagnostics[0].message, "not valid JSON: " + c.message) << c.text;
    EXPECT_EQ(diagnostics[0].where, c.where) << c.text;
  }
}

TEST(JsonDocument, ColumnsCountCharacters) { EXPECT_EQ(DiagnosticsOf("{\"é😀\": x}").at(0).where, "config.json:1:8"); }

TEST(JsonDocument, DepthAndSizeAreLimited) {
  EXPECT_TRUE(DiagnosticsOf(std::string(64, '[') + std::string(64, ']')).empty());
  const auto deep = DiagnosticsOf(std::string(65, '[') + std::string(65, ']'));
  ASSERT_EQ(deep.size(), 1u);
  EXPECT_EQ(deep[0].code, ErrorCode::kResLimit);
  EXPECT_EQ(DiagnosticsOf(std::string(10'000'000, '[')).at(0).code, ErrorCode::kResLimit);
  EXPECT_EQ(DiagnosticsOf(std::string(kMaxJsonBytes + 1, ' ')).at(0).code, ErrorCode::kResLimit);
}

TEST(JsonDocument, EveryTruncationIsAnErrorAndNoByteChangeCrashes) {
  const std::string text = std::string(R"({"u": "\ud83d\ude00", )") + (kTwoSpaces + 1);
  for (size_t size = 0; size + 1 < text.size(); ++size) {
    const auto diagnostics = DiagnosticsOf(text.substr(0, size));
    ASSERT_EQ(diagnostics.size(), 1u) << size;
    EXPECT_EQ(diagnostics[0].code, ErrorCode::kJsonSyntax) << size;
  }
  size_t n_accepted = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char c : std::string("\0\"\\{}[],:-0eu \x80\xff", 17)) {
      std::string changed = text;
      changed[at] = c;
      n_accepted += DiagnosticsOf(changed).empty();
    }
  }
  EXPECT_GT(n_accepted, 0u);
  EXPECT_LT(n_accepted, 17 * text.size());
}

}  // namespace
}  // namespace gpumerge
