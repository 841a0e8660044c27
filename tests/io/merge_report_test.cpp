// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reports read back: what is taken from them, and that damage never passes for a report.
#include "src/io/merge_report.h"

#include "tests/support/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;

const std::string kHash = "0123456789abcdef0123456789abcdef";

std::string Report() {
  return R"({"gpumerge":"0.1.0","method":"ties","seed":0,"models":[{"name":"a","base":false},{"name":"s","stage":true}],
"warnings":[{"code":"X","message":"tensors"}],"files":[{"name":"config.json","xxh3_128":")" +
         kHash + R"("},{"name":"model.safetensors","header_xxh3_128":")" + kHash + R"("},{"name":"README.md"}],
"tensors":[{"name":"x.[]","dtype":"BF16","shape":[2,3],"params":{"weight":[1,0.5],"name":"no"},
"inputs":[{"model":0,"tensor":"x","dtype":"BF16","xxh3_128":")" +
         kHash + R"("},{"model":1,"tensor":"y","xxh3_128":")" + kHash + R"("}],"xxh3_128":")" + kHash + R"("}],
"stage_tensors":[{"name":"y","stage":"s","dtype":"F32","shape":[],"inputs":[],"xxh3_128":")" +
         kHash + R"("}]})";
}

std::string With(const std::string& from, const std::string& to) {
  std::string text = Report();
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

std::string CodeOfText(const std::string& text) {
  return CodeOf([&] { ParseMergeReport(text, "report"); });
}

TEST(MergeReport, HasTensorsWithTheirHashes) {
  const MergeReport report = ParseMergeReport(Report(), "report");
  EXPECT_EQ(report.version, "0.1.0");
  EXPECT_EQ(report.method, "ties");
  ASSERT_EQ(report.models.size(), 2u);
  EXPECT_FALSE(report.models[0].is_stage);
  EXPECT_TRUE(report.models[1].is_stage);
  ASSERT_EQ(report.files.size(), 3u);
  EXPECT_EQ(report.files[2].hash, "");
  EXPECT_FALSE(report.files[0].is_header);
  EXPECT_TRUE(report.files[1].is_header);
  EXPECT_EQ(report.files[0].name, "config.json");
  EXPECT_EQ(report.files[0].hash, kHash);
  ASSERT_EQ(report.tensors.size(), 1u);
  EXPECT_EQ(report.tensors[0].name, "x.[]");
  EXPECT_EQ(report.tensors[0].dtype, DType::kBF16);
  EXPECT_THAT(report.tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(report.tensors[0].hash, kHash);
  ASSERT_EQ(report.tensors[0].inputs.size(), 2u);
  EXPECT_EQ(report.tensors[0].inputs[1].tensor, "y");
  EXPECT_EQ(report.tensors[0].inputs[1].model, 1u);
  ASSERT_EQ(report.stage_tensors.size(), 1u);
  EXPECT_TRUE(report.stage_tensors[0].shape.empty());
}

TEST(MergeReport, WhatIsMissingOrWrongIsNoReport) {
  EXPECT_EQ(CodeOfText(With("\"gpumerge\"", "\"other\"")), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With("\"model\":1", "\"model\":2")), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With("\"model\":1", "\"model\":-1")), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With("[2,3]", "[2,3.5]")), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With("BF16", "BF17")), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With(kHash, kHash.substr(1))), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With(kHash, "X" + kHash.substr(1))), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With("\"x.[]\"", "7")), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(Report() + "x"), "JSON-SYNTAX");
  const std::string tensors =
      R"("tensors":[{"name":"t","dtype":"F32","shape":[],"inputs":[],"xxh3_128":")" + kHash + "\"}";
  EXPECT_EQ(CodeOfText("{\"gpumerge\":\"1\"," + tensors + "," + tensors.substr(11) + "]}"), "JSON-DUP");
}

// In files of a few megabytes.
TEST(MergeReport, EntriesAndListsWithoutEndAreRefused) {
  const auto many = [](const std::string& entry) {
    std::string text;
    for (size_t i = 0; i < 200'000; ++i) text += entry;
    return text;
  };
  EXPECT_EQ(CodeOfText(R"({"gpumerge":"1","tensors":[)" + many("{},") + "{}]}"), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(R"({"gpumerge":"1","files":[)" + many("{},") + "{}]}"), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With("\"inputs\":[]", "\"inputs\":[" + many("{},") + "{}]")), "JSON-SYNTAX");
  EXPECT_EQ(CodeOfText(With("{\"name\":\"a\"", many("{},") + "{\"name\":\"a\"")), "ST-LIMIT");
  EXPECT_EQ(CodeOfText(With("[2,3]", "[2," + many("3,") + "4]")), "ST-LIMIT");
}

TEST(MergeReport, FilesHavePlainNames) {
  for (const char* name : {"..", ".", "a/b", "", "a\\u0000"})
    EXPECT_EQ(CodeOfText(With("config.json", name)), "JSON-SYNTAX") << name;
}

TEST(MergeReport, EveryTruncationIsRefused) {
  const std::string text = Report();
  for (size_t size = 0; size < text.size(); ++size) EXPECT_EQ(CodeOfText(text.substr(0, size)), "JSON-SYNTAX") << size;
}

}  // namespace
}  // namespace gpumerge::test
