// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Text for people: escapes, sizes, typos, UTF-8.
#include "src/base/text.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>

namespace gpumerge {
namespace {

using namespace std::string_literals;

TEST(EscapeForTerminal, KeepsPlainText) {
  EXPECT_EQ(EscapeForTerminal("model.layers.0.mlp\\x/äöü 漢字 😀"), "model.layers.0.mlp\\x/äöü 漢字 😀");
}

TEST(EscapeForTerminal, EscapesControls) {
  EXPECT_EQ(EscapeForTerminal("a\n\x1b[31mb"), "a\\n\\x1b[31mb");
  EXPECT_EQ(EscapeForTerminal("\t\r\0\x7f"s), "\\t\\r\\x00\\x7f");
  EXPECT_EQ(EscapeForTerminal("\xc2\x9b"), "\\u{009b}");  // C1: CSI in one character
}

TEST(EscapeForTerminal, EscapesWhatReordersOrHides) {
  EXPECT_EQ(EscapeForTerminal("a\u202eb"), "a\\u{202e}b");
  EXPECT_EQ(EscapeForTerminal("\u2066x\u2069"), "\\u{2066}x\\u{2069}");
  EXPECT_EQ(EscapeForTerminal("\u200b\ufeff\u2028"), "\\u{200b}\\u{feff}\\u{2028}");
  EXPECT_EQ(EscapeForTerminal("\U000e0041"), "\\u{e0041}");
}

TEST(EscapeForTerminal, EscapesInvalidUtf8) {
  EXPECT_EQ(EscapeForTerminal("a\xff"), "a\\xff");
  EXPECT_EQ(EscapeForTerminal("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(EscapeForTerminal("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(EscapeForTerminal("\xe4\xb8"), "\\xe4\\xb8");           // cut off
}

TEST(EscapeForTerminal, TruncatesAtWholeCharacters) {
  EXPECT_EQ(EscapeForTerminal("abcdef", 6), "abcdef");
  EXPECT_EQ(EscapeForTerminal("abcdef", 5), "abcde...");
  EXPECT_EQ(EscapeForTerminal("abä", 3), "ab...");
  EXPECT_EQ(EscapeForTerminal(std::string(1000, 'x')), std::string(256, 'x') + "...");
}

TEST(EscapeForTerminal, IsIdempotent) {
  EXPECT_TRUE(rc::check([](const std::string& text) {
    const std::string once = EscapeForTerminal(text, 10000);
    RC_ASSERT(IsUtf8(once));
    RC_ASSERT(EscapeForTerminal(once, 100000) == once);
  }));
}

TEST(FormatBytes, RoundsToThreeOrMoreDigits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(1'500'000'000), "1.50 GB");
  EXPECT_EQ(FormatBytes(999'994), "999.99 kB");
  EXPECT_EQ(FormatBytes(999'995), "1.00 MB");
  EXPECT_EQ(FormatBytes(1'005'000), "1.01 MB");
  EXPECT_EQ(FormatBytes(141'107'412'992), "141.11 GB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "18.45 EB");
}

TEST(ParseBytes, AcceptsSizes) {
  EXPECT_EQ(ParseBytes("0"), 0u);
  EXPECT_EQ(ParseBytes("123"), 123u);
  EXPECT_EQ(ParseBytes("123B"), 123u);
  EXPECT_EQ(ParseBytes("32M"), 32'000'000u);
  EXPECT_EQ(ParseBytes("32MB"), 32'000'000u);
  EXPECT_EQ(ParseBytes("32Mi"), 33'554'432u);
  EXPECT_EQ(ParseBytes("32MiB"), 33'554'432u);
  EXPECT_EQ(ParseBytes("512k"), 512'000u);
  EXPECT_EQ(ParseBytes("5G"), 5'000'000'000u);
  EXPECT_EQ(ParseBytes("5 GB"), 5'000'000'000u);
  EXPECT_EQ(ParseBytes("1.5G"), 1'500'000'000u);
  EXPECT_EQ(ParseBytes("0.5Ki"), 512u);
  EXPECT_EQ(ParseBytes("2T"), 2'000'000'000'000u);
  EXPECT_EQ(ParseBytes("18446744073709551615"), UINT64_MAX);
}

TEST(ParseBytes, RefusesEverythingElse) {
  for (const char* text : {"",
                           "G",
                           "B",
                           "-1",
                           "+1",
                           " 1",
                           "1 ",
                           "1  G",
                           "1Gx",
                           "1GBB",
                           "1BB",
                           "1i",
                           "1iB",
                           "0x10",
                           "1e9",
                           "1.",
                           ".5G",
                           "1..5G",
                           "1.5.5G",
                           "1.5",
                           "0.0001K",
                           "18446744073709551616",
                           "19E",
                           "16Ei",
                           "100000000000000000000000",
                           "1,5G",
                           "inf",
                           "1G G",
                           "1\xc2\xa0G"})
    EXPECT_EQ(ParseBytes(text), std::nullopt) << text;
}

TEST(ParseBytes, ReadsWhatFormatBytesWrites) {
  EXPECT_EQ(ParseBytes(FormatBytes(1'230'000)), 1'230'000u);
  EXPECT_EQ(ParseBytes(FormatBytes(999)), 999u);
}

TEST(NearestName, FindsTypos) {
  constexpr std::array<std::string_view, 6> kKeys{"merge_method", "weight", "density", "base_model", "t", "normalize"};
  EXPECT_EQ(NearestName("wieght", kKeys), "weight");
  EXPECT_EQ(NearestName("merge_metod", kKeys), "merge_method");
  EXPECT_EQ(NearestName("merge-method", kKeys), "merge_method");
  EXPECT_EQ(NearestName("Density", kKeys), "density");
  EXPECT_EQ(NearestName("normalise", kKeys), "normalize");
  EXPECT_EQ(NearestName("T", kKeys), "t");
}

TEST(NearestName, DoesNotGuess) {
  constexpr std::array<std::string_view, 3> kKeys{"weight", "t", "ab"};
  EXPECT_EQ(NearestName("lambda", kKeys), "");
  EXPECT_EQ(NearestName("q", kKeys), "");
  EXPECT_EQ(NearestName("xb", kKeys), "");
  EXPECT_EQ(NearestName("", kKeys), "");
  EXPECT_EQ(NearestName(std::string(100'000, 'w'), kKeys), "");
  EXPECT_EQ(NearestName("weight", {}), "");
}

TEST(NearestName, PrefersTheNearestThenTheFirst) {
  constexpr std::array<std::string_view, 3> kKeys{"gamma_x", "gamma", "gammb"};
  EXPECT_EQ(NearestName("gamma_", kKeys), "gamma_x");
  EXPECT_EQ(NearestName("gamm", kKeys), "gamma");
}

TEST(IsUtf8, FollowsTheStandard) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("plain ascii of more than eight bytes"));
  EXPECT_TRUE(IsUtf8("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
  EXPECT_TRUE(IsUtf8("a\0b"s));
  for (const char* text : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
                           "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2", "\xe1\x80",
                           "\xf1\x80\x80", "12345678\x80", "1234567\xc2", "\xc2\x41"})
    EXPECT_FALSE(IsUtf8(text)) << EscapeForTerminal(text);
}

}  // namespace
}  // namespace gpumerge
