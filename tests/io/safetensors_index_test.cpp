// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The index's text: what it may say, and what is refused before any shard is opened.
#include "src/io/safetensors_index.h"

#include "tests/support/errors.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gpumerge {
namespace {

using namespace std::string_literals;
using test::CodeOf;
using test::DiagnosticsOf;
using test::FirstDiagnosticOf;

std::string CodeOfParse(const std::string& json) {
  return CodeOf([&] { ParseSafetensorsIndex(json, "index.json"); });
}

std::string WithShard(const std::string& escaped_name) { return R"({"weight_map":{"a":")" + escaped_name + "\"}}"; }

TEST(SafetensorsIndex, ReadsSortedEntries) {
  const SafetensorsIndex index = ParseSafetensorsIndex(
      R"({"metadata":{"total_size":24,"other":{"x":[1]}},"weight_map":{"b":"m-2.safetensors","a\u0031":"m-1.safetensors",)"
      R"("c":"m-1.safetensors"},"comment":[{"weight_map":3}]})",
      "index.json");
  EXPECT_EQ(index.shards, (std::vector<std::string>{"m-1.safetensors", "m-2.safetensors"}));
  ASSERT_EQ(index.entries.size(), 3u);
  EXPECT_EQ(index.entries[0].tensor, "a1");
  EXPECT_EQ(index.entries[0].shard, 0u);
  EXPECT_EQ(index.entries[1].tensor, "b");
  EXPECT_EQ(index.entries[1].shard, 1u);
  EXPECT_EQ(index.entries[2].tensor, "c");
  EXPECT_EQ(index.total_size, 24.0);
}

TEST(SafetensorsIndex, TotalSizeIsReadInEverySpelling) {
  const auto total_size = [](const std::string& value) {
    return ParseSafetensorsIndex(R"({"metadata":{"total_size":)" + value + R"(},"weight_map":{"a":"m.safetensors"}})",
                                 "index.json")
        .total_size;
  };
  EXPECT_EQ(total_size("16060522496"), 16060522496.0);
  EXPECT_EQ(total_size("16060522496.0"), 16060522496.0);
  EXPECT_EQ(total_size("1.6e3"), 1600.0);
  EXPECT_EQ(total_size("\"24\""), 24.0);
  EXPECT_EQ(total_size("null"), std::nullopt);
  EXPECT_EQ(total_size("\"big\""), std::nullopt);
  EXPECT_EQ(total_size("[24]"), std::nullopt);
}

TEST(SafetensorsIndex, RefusesOtherForms) {
  for (const char* json : {"", "[]", "null", "3", "{}", R"({"weight_map":{}})", R"({"weight_map":[]})",
                           R"({"weight_map":null})", R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":["x"]}})",
                           R"({"weight_map":{"a":{"b":"c.safetensors"}}})", R"({"weight_map":{"":"c.safetensors"}})",
                           R"({"weight_map":{"a":"c.safetensors"})", R"({"weight_map":{"a":"c.safetensors"}}x)",
                           R"({"weight_map":{"a":"c.safetensors",}})", "\xEF\xBB\xBF{}", R"({"metadata":{}})"})
    EXPECT_EQ(CodeOfParse(json), "IX-FORMAT") << json;
  EXPECT_EQ(CodeOfParse("{}\0{}"s), "IX-FORMAT");
  EXPECT_EQ(CodeOfParse(WithShard("a\xff.safetensors")), "IX-FORMAT");
}

TEST(SafetensorsIndex, RefusesDuplicates) {
  const Diagnostic d = FirstDiagnosticOf([] {
    ParseSafetensorsIndex(R"({"weight_map":{"a":"x.safetensors","b":"x.safetensors","\u0061":"y.safetensors"}})", "i");
  });
  EXPECT_EQ(d.code, ErrorCode::kIndexDuplicate);
  EXPECT_EQ(d.message, "the index names tensor \"a\" twice");
  EXPECT_EQ(d.where, "i (byte 55)");
  EXPECT_EQ(CodeOfParse(R"({"weight_map":{"a":"x.safetensors"},"weight_map":{"b":"x.safetensors"}})"), "IX-DUP");
  EXPECT_EQ(CodeOfParse(R"({"metadata":{},"weight_map":{"a":"x.safetensors"},"metadata":{}})"), "IX-DUP");
  EXPECT_EQ(CodeOfParse(R"({"weight_map":{"a":"x.safetensors","a":"x.safetensors"}})"), "IX-DUP");
  EXPECT_EQ(CodeOfParse(R"({"x":1,"weight_map":{"a":"x.safetensors"},"x":2})"), "IX-DUP");
  EXPECT_EQ(CodeOfParse(R"({"metadata":{"total_size":1,"total_size":2},"weight_map":{"a":"x.safetensors"}})"),
            "IX-DUP");
}

TEST(SafetensorsIndex, RefusesNamesThatLeaveTheDirectory) {
  const std::string long_name(300, 'x');
  for (const std::string& name :
       {"../x.safetensors"s, "/etc/passwd"s, "/x.safetensors"s, "a/../../b.safetensors"s, "..\\\\x.safetensors"s,
        "./x.safetensors"s, ""s, "."s, ".."s, "a//b.safetensors"s, "a/"s, "a/./b.safetensors"s, "x\\u0000.safetensors"s,
        "C:\\\\x.safetensors"s, long_name + ".safetensors", "a/" + long_name + "/b.safetensors",
        "\\u002e\\u002e/x.safetensors"s})
    EXPECT_EQ(CodeOfParse(WithShard(name)), "IX-TRAVERSAL") << name;
}

TEST(SafetensorsIndex, TakesSubdirectoriesAndAnyCase) {
  for (const char* name : {"a/b.safetensors", "x.SafeTensors", "..x.safetensors", "a..b/c.safetensors"})
    EXPECT_EQ(CodeOfParse(WithShard(name)), "") << name;
}

TEST(SafetensorsIndex, RefusesOtherFiles) {
  EXPECT_EQ(CodeOfParse(WithShard("pytorch_model-00001-of-00002.bin")), "PKL-OFF");
  EXPECT_EQ(CodeOfParse(WithShard("x.PT")), "PKL-OFF");
  EXPECT_EQ(CodeOfParse(WithShard("x.txt")), "IX-FORMAT");
  EXPECT_EQ(CodeOfParse(WithShard("safetensors")), "IX-FORMAT");
}

TEST(SafetensorsIndex, ReportsAllBadNamesAtOnce) {
  const std::vector<Diagnostic> diagnostics = DiagnosticsOf([] {
    ParseSafetensorsIndex(R"({"weight_map":{"a":"../x.safetensors","b":"/y","c":"ok.safetensors","d":"z.bin"}})", "i");
  });
  ASSERT_EQ(diagnostics.size(), 3u);
  EXPECT_EQ(diagnostics[0].code, ErrorCode::kIndexTraversal);
  EXPECT_EQ(diagnostics[1].code, ErrorCode::kIndexTraversal);
  EXPECT_EQ(diagnostics[2].code, ErrorCode::kInPickle);
}

TEST(SafetensorsIndex, DeepNestingIsALimit) {
  EXPECT_EQ(CodeOfParse("{\"metadata\":" + std::string(100'000, '[')), "ST-LIMIT");
}

// Whatever is accepted stays below the directory.
TEST(SafetensorsIndex, AcceptedNamesNeverClimb) {
  EXPECT_TRUE(rc::check([](const std::vector<uint8_t>& choices) {
    constexpr const char* kParts[] = {"..", ".", "a", "/", "\\\\", "x.safetensors", "", "b/"};
    std::string name;
    for (const uint8_t choice : choices) name += kParts[choice % 8];
    if (!CodeOfParse(WithShard(name + ".safetensors")).empty()) return;
    name += ".safetensors";
    RC_ASSERT(name.front() != '/');
    RC_ASSERT(("/" + name + "/").find("/../") == std::string::npos);
    RC_ASSERT(name.find('\\') == std::string::npos);
  }));
}

}  // namespace
}  // namespace gpumerge
