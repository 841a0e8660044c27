// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/base/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace gpumerge {
namespace {

std::string HexOf(DigestKind kind, std::string_view text, size_t piece_bytes) {
  Digest digest(kind, text.size());
  for (size_t at = 0; at < text.size(); at += piece_bytes) {
    const std::string_view piece = text.substr(at, piece_bytes);
    digest.Update(piece.data(), piece.size());
  }
  return digest.Hex();
}

// As `sha256sum` and `git hash-object` print them.
TEST(Digest, IsSha256) {
  EXPECT_EQ(HexOf(DigestKind::kSha256, "", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (const size_t piece : {1u, 2u, 3u})
    EXPECT_EQ(HexOf(DigestKind::kSha256, "abc", piece),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, IsGitsSha1OfABlob) {
  EXPECT_EQ(HexOf(DigestKind::kGitSha1, "", 1), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  for (const size_t piece : {1u, 5u, 12u})
    EXPECT_EQ(HexOf(DigestKind::kGitSha1, "hello world\n", piece), "3b18e512dba79e4c8300dd08aeb37f8e728b8dad");
}

}  // namespace
}  // namespace gpumerge
