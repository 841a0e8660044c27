// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The ring that device memory is handed out from: pieces never overlap, never wrap, and come back in order.
#include "src/cuda/ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace gpumerge {
namespace {

TEST(RingEagerOnly, HandsOutInOrder) {
  Ring ring(1024);
  EXPECT_EQ(ring.capacity(), 1024u);
  EXPECT_EQ(ring.Take(256), 0u);
  EXPECT_EQ(ring.Take(1), 256u);
  EXPECT_EQ(ring.Take(257), 512u);
  EXPECT_EQ(ring.Take(1), std::nullopt);
  EXPECT_EQ(ring.Take(0), 0u);  // nothing always fits
}

TEST(RingEagerOnly, TooLargeNeverFits) {
  Ring ring(1024);
  EXPECT_EQ(ring.Take(1025), std::nullopt);
  EXPECT_EQ(ring.Take(1024), 0u);
  EXPECT_EQ(ring.Take(1), std::nullopt);
}

TEST(RingEagerOnly, EmptyRingIsOneRun) {
  Ring ring(1024);
  ring.Take(512);
  ring.GiveBack(ring.Mark());
  EXPECT_EQ(ring.Take(1024), 0u);  // not behind the 512
  ring.GiveBack(ring.Mark());
  EXPECT_EQ(ring.Take(1024), 0u);
}

TEST(RingEagerOnly, PiecesDoNotWrap) {
  Ring ring(1024);
  EXPECT_EQ(ring.Take(512), 0u);
  const uint64_t first = ring.Mark();
  EXPECT_EQ(ring.Take(256), 512u);
  ring.GiveBack(first);
  EXPECT_EQ(ring.Take(512), 0u);  // 256 are left at the end, too few
  EXPECT_EQ(ring.Take(256), std::nullopt);
}

TEST(RingEagerOnly, OlderMarkGivesNothingMoreBack) {
  Ring ring(1024);
  ring.Take(256);
  const uint64_t first = ring.Mark();
  ring.Take(256);
  ring.GiveBack(ring.Mark());
  ring.GiveBack(first);
  EXPECT_EQ(ring.Take(1024), 0u);
}

TEST(RingEagerOnly, NoCapacity) {
  Ring ring;
  EXPECT_EQ(ring.Take(1), std::nullopt);
  EXPECT_EQ(ring.Take(0), 0u);
  Ring none(0);
  EXPECT_EQ(none.Take(0), 0u);
}

TEST(RingEagerOnly, RandomPiecesNeverOverlap) {
  struct Piece {
    uint64_t begin, end, mark;
  };
  std::mt19937_64 random(7);
  for (const uint64_t capacity : {256u, 1024u, 65536u, 66048u}) {
    Ring ring(capacity);
    std::deque<Piece> pieces;
    uint64_t taken = 0;
    for (int step = 0; step < 20000; ++step) {
      const uint64_t bytes = random() % (capacity / (1 + random() % 8)) + 1;
      if (const std::optional<uint64_t> offset = ring.Take(bytes)) {
        ++taken;
        ASSERT_EQ(*offset % 256, 0u);
        ASSERT_LE(*offset + bytes, capacity);
        for (const Piece& piece : pieces)
          ASSERT_TRUE(*offset + bytes <= piece.begin || piece.end <= *offset) << step << " of " << capacity;
        pieces.push_back({*offset, *offset + bytes, ring.Mark()});
      } else {
        ASSERT_FALSE(pieces.empty()) << bytes << " do not fit an empty ring of " << capacity;
      }
      if (pieces.empty() || random() % 3 == 0) continue;
      ring.GiveBack(pieces.front().mark);
      pieces.pop_front();
    }
    EXPECT_GT(taken, 5000u);
  }
}

}  // namespace
}  // namespace gpumerge
