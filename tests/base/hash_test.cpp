// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The hashes are those that other xxHash programs compute, whichever instruction set does the work.
#include "src/base/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace gpumerge {
namespace {

std::string HexOf(std::string_view text) {
  ContentHash hash;
  hash.Update(text.data(), text.size());
  return hash.Hex();
}

// Bytes 0, 1, 2, ... modulo 251.
std::string Pattern(size_t size_bytes) {
  std::string text(size_bytes, '\0');
  for (size_t i = 0; i < size_bytes; ++i) text[i] = static_cast<char>(i % 251);
  return text;
}

TEST(NameHash, IsXxh64WithSeedZero) {
  EXPECT_EQ(NameHash(""), 0xef46db3751d8e999u);
  EXPECT_EQ(NameHash("a"), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(NameHash("abc"), 0x44bc2cf5ad770999u);
  EXPECT_EQ(NameHash("model.embed_tokens.weight"), 0x13bfaa3139ad575au);
}

TEST(ContentHash, IsXxh3_128) {
  EXPECT_EQ(HexOf(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(HexOf("a"), "a96faf705af16834e6c632b61e964e1f");
  EXPECT_EQ(HexOf(Pattern(240)), "65b5be86da5540e7c92b68e16f83bbb6");
  EXPECT_EQ(HexOf(Pattern(1'000'003)), "ff7880a76b3ad0273bd135bb217f309d");
}

TEST(ContentHash, DoesNotDependOnThePieces) {
  const std::string text = Pattern(100'000);
  const std::string expected = HexOf(text);
  for (const size_t piece_bytes : {1u, 63u, 64u, 255u, 256u, 257u, 4096u, 99'999u}) {
    ContentHash hash;
    for (size_t at = 0; at < text.size(); at += piece_bytes)
      hash.Update(text.data() + at, std::min<size_t>(piece_bytes, text.size() - at));
    EXPECT_EQ(hash.Hex(), expected) << piece_bytes;
    EXPECT_EQ(hash.Hex(), expected) << "a second time";
  }
}

TEST(ContentHash, StartsAgainAfterReset) {
  ContentHash hash;
  hash.Update("something", 9);
  hash.Reset();
  EXPECT_EQ(hash.Hex(), HexOf(""));
  hash.Update("a", 1);
  ContentHash moved = std::move(hash);
  EXPECT_EQ(moved.Hex(), HexOf("a"));
  moved.Update(nullptr, 0);
  EXPECT_EQ(moved.Hex(), HexOf("a"));
}

}  // namespace
}  // namespace gpumerge
