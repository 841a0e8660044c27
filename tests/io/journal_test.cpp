// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What is written is read; what was torn, damaged or spelled in another way counts for nothing.
#include "src/io/journal.h"

#include "src/base/hash.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <string>

namespace gpumerge {
namespace {

JournalHeader SomeHeader() {
  return {.version = "0.1.0",
          .recipe = "aa",
          .plan = "bb",
          .n_tensors = 2,
          .n_shards = 1,
          .size_bytes = 100,
          .inputs = {{"/models/a \"b\"\n.safetensors", 50, -3, "cc"}, {"/models/b.safetensors", 60, 7, "dd"}}};
}

JournalRecord SomeRecord(const std::string& tensor) {
  return {.tensor = tensor,
          .stage = "",
          .shard = "model.safetensors",
          .offset_bytes = 64,
          .size_bytes = std::numeric_limits<uint64_t>::max(),
          .hash = "0123",
          .inputs = {"4567", "89ab"},
          .n_overflowed = 3,
          .used_lerp = true,
          .error_squares = 0.1,
          .change_squares = -0.0};
}

std::string Hashed(const std::string& json) { return fmt::format("{:016x} {}\n", LineHash(json), json); }
std::string JsonOf(const std::string& line) { return line.substr(17, line.size() - 18); }

TEST(Journal, WhatIsWrittenIsRead) {
  const JournalRecord odd = SomeRecord("a\n\x1b[31m\"\\\u00e9");
  const std::string text = JournalLine(SomeHeader()) + JournalLine(odd) + JournalLine(SomeRecord("b"));
  const std::optional<Journal> journal = ParseJournal(text);
  ASSERT_TRUE(journal);
  EXPECT_EQ(journal->header, SomeHeader());
  ASSERT_EQ(journal->records.size(), 2u);
  EXPECT_EQ(journal->records[0], odd);
  EXPECT_TRUE(std::signbit(journal->records[0].change_squares));
  EXPECT_EQ(journal->records[1], SomeRecord("b"));
  EXPECT_FALSE(journal->has_bad_end);
}

TEST(Journal, AtEveryLengthTheWholeLinesCount) {
  const std::string header = JournalLine(SomeHeader());
  const std::string text = header + JournalLine(SomeRecord("a")) + JournalLine(SomeRecord("b"));
  for (size_t length = 0; length <= text.size(); ++length) {
    const std::optional<Journal> journal = ParseJournal(text.substr(0, length));
    ASSERT_EQ(journal.has_value(), length >= header.size()) << length;
    if (!journal) continue;
    const size_t n_lines = (length - header.size()) / (JournalLine(SomeRecord("a")).size());
    EXPECT_EQ(journal->records.size(), n_lines) << length;
    EXPECT_EQ(journal->has_bad_end, (length - header.size()) % JournalLine(SomeRecord("a")).size() != 0) << length;
  }
}

TEST(Journal, OneWrongBitEndsIt) {
  const std::string header = JournalLine(SomeHeader()), first = JournalLine(SomeRecord("a"));
  const std::string text = header + first + JournalLine(SomeRecord("b"));
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const std::optional<Journal> journal = ParseJournal(damaged);
    const size_t byte = bit / 8;
    ASSERT_EQ(journal.has_value(), byte >= header.size()) << bit;
    if (!journal) continue;
    EXPECT_TRUE(journal->has_bad_end) << bit;
    EXPECT_EQ(journal->records.size(), byte < header.size() + first.size() ? 0u : 1u) << bit;
  }
}

TEST(Journal, OnlyItsOwnSpellingIsAccepted) {
  const std::string header = JournalLine(SomeHeader());
  const std::string json = JsonOf(JournalLine(SomeRecord("a")));
  ASSERT_EQ(ParseJournal(header + Hashed(json))->records.size(), 1u);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = json;
    changed.replace(changed.find(from), from.size(), to);
    return changed;
  };
  for (const std::string& odd :
       {std::string(), std::string("null"), std::string("[]"), std::string("{}"), json + " ", " " + json, json + json,
        with("\"lerp\":true", "\"lerp\":1"), with("\"offset\":64", "\"offset\":64.0"),
        with("\"offset\":64", "\"offset\":-64"), with("\"offset\":64", "\"offset\":\"64\""),
        with("\"tensor\":\"a\"", "\"tensor\":\"a\",\"tensor\":\"a\""),
        with("\"tensor\":\"a\"", "\"tensor\":\"\\u0061\""), with("\"lerp\":true", "\"lerp\":true,\"more\":0"),
        with("\"loss\":[", "\"loss\":[0,"), with("\"hash\":\"0123\",", ""), std::string(100'000, '[')}) {
    const std::optional<Journal> journal = ParseJournal(header + Hashed(odd));
    ASSERT_TRUE(journal);
    EXPECT_TRUE(journal->records.empty() && journal->has_bad_end) << odd.substr(0, 200);
  }
  std::string other = JsonOf(header);
  other.replace(other.find("journal 1"), 9, "journal 2");
  EXPECT_FALSE(ParseJournal(Hashed(other)));
  EXPECT_FALSE(ParseJournal(JournalLine(SomeRecord("a")) + header));
}

TEST(Journal, NamesTheFirstFieldThatDiffers) {
  const JournalHeader was = SomeHeader();
  EXPECT_FALSE(FirstDifference(was, was));
  const auto field = [&](const auto& change) {
    JournalHeader is = was;
    change(&is);
    const auto found = FirstDifference(was, is);
    return found ? found->field : std::string();
  };
  EXPECT_EQ(field([](JournalHeader* is) { is->version = "9"; }), "version");
  EXPECT_EQ(field([](JournalHeader* is) { is->recipe = "9"; }), "recipe");
  EXPECT_EQ(field([](JournalHeader* is) { is->plan = "9"; }), "plan");
  EXPECT_EQ(field([](JournalHeader* is) { is->n_tensors = 9; }), "output.tensors");
  EXPECT_EQ(field([](JournalHeader* is) { is->n_shards = 9; }), "output.shards");
  EXPECT_EQ(field([](JournalHeader* is) { is->size_bytes = 9; }), "output.size_bytes");
  EXPECT_EQ(field([](JournalHeader* is) { is->inputs.pop_back(); }), "inputs");
  EXPECT_EQ(field([](JournalHeader* is) { is->inputs[1].path = "/x"; }), "inputs[1].path");
  EXPECT_EQ(field([](JournalHeader* is) { is->inputs[1].size_bytes = 9; }),
            "inputs[1].size_bytes (/models/b.safetensors)");
  EXPECT_EQ(field([](JournalHeader* is) { is->inputs[1].mtime_ns = 9; }), "inputs[1].mtime_ns (/models/b.safetensors)");
  EXPECT_EQ(field([](JournalHeader* is) { is->inputs[1].header_hash = "9"; }),
            "inputs[1].header (/models/b.safetensors)");
}

TEST(Journal, PathsOfAnyBytesEqualThemselves) {
  JournalHeader header = SomeHeader();
  header.inputs[0].path = "/models/\xff\xfe";
  const std::optional<Journal> journal = ParseJournal(JournalLine(header));
  ASSERT_TRUE(journal);
  EXPECT_FALSE(FirstDifference(journal->header, header));
}

}  // namespace
}  // namespace gpumerge
