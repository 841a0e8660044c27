// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Guessing a selection's threshold from a sample, and what a count of the guesses proves.
#include "src/cpu/guess.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace gpumerge {
namespace {

constexpr uint32_t kUnused = 0xffffffff;

TEST(GuessThreshold, TakesTheValuesAroundTheRank) {
  std::vector<uint32_t> sample;  // 1000 each of 50, 40, 30, 20, 10
  for (const uint32_t value : {10u, 20u, 30u, 40u, 50u}) sample.insert(sample.end(), 1000, value);
  std::shuffle(sample.begin(), sample.end(), std::mt19937(1));
  const auto guesses = GuessThreshold(sample, 500'000, 1'000'000);  // the middle of the 30s
  ASSERT_TRUE(guesses.has_value());
  EXPECT_EQ(guesses->keys[0], 30u);
  EXPECT_EQ(guesses->keys[1], kUnused);  // nothing else is near
}

TEST(GuessThreshold, TakesBothSidesOfAnEdge) {
  std::vector<uint32_t> sample;
  for (const uint32_t value : {10u, 20u, 30u, 40u}) sample.insert(sample.end(), 1000, value);
  const auto guesses = GuessThreshold(sample, 500'000, 1'000'000);  // between 30 and 20
  ASSERT_TRUE(guesses.has_value());
  EXPECT_TRUE(std::count(std::begin(guesses->keys), std::end(guesses->keys), 30u));
  EXPECT_TRUE(std::count(std::begin(guesses->keys), std::end(guesses->keys), 20u));
}

TEST(GuessThreshold, GivesUpOnSpreadKeys) {
  std::vector<uint32_t> sample(8192);
  for (uint32_t i = 0; i < sample.size(); ++i) sample[i] = i * 1000;
  EXPECT_EQ(GuessThreshold(sample, 300'000, 1'000'000), std::nullopt);
}

TEST(GuessThreshold, HoldsAtBothEnds) {
  std::vector<uint32_t> sample(4096, 7);
  for (const uint64_t wanted : {uint64_t{0}, uint64_t{1}, uint64_t{999'999}, uint64_t{1'000'000}}) {
    const auto guesses = GuessThreshold(sample, wanted, 1'000'000);
    ASSERT_TRUE(guesses.has_value()) << wanted;
    EXPECT_EQ(guesses->keys[0], 7u);
  }
}

TEST(ConfirmGuess, NeedsTheRankToFallAmongEqualKeys) {
  const GuessCounts counts{{100, 50, 160, 0}, {10, 50, 5, 0}};
  EXPECT_EQ(ConfirmGuess(counts, 50), std::nullopt);  // above 50 ends at 50: the threshold is larger
  ASSERT_TRUE(ConfirmGuess(counts, 51).has_value());
  EXPECT_EQ(ConfirmGuess(counts, 51)->guess, 1u);
  EXPECT_EQ(ConfirmGuess(counts, 51)->tie_rank, 1u);
  EXPECT_FALSE(ConfirmGuess(counts, 51)->keeps_all_ties);
  EXPECT_TRUE(ConfirmGuess(counts, 100)->keeps_all_ties);
  EXPECT_EQ(ConfirmGuess(counts, 110)->guess, 0u);
  EXPECT_EQ(ConfirmGuess(counts, 110)->tie_rank, 10u);
  EXPECT_EQ(ConfirmGuess(counts, 111), std::nullopt);
  EXPECT_EQ(ConfirmGuess(counts, 165)->guess, 2u);
}

TEST(SampleSize, IsWholeRuns) {
  for (const uint64_t n : {70'000u, 1'000'001u, 100'000'000u}) {
    EXPECT_EQ(SampleSize(n) % 64, 0u);
    EXPECT_LE(SampleSize(n), kMaxSamples);
    EXPECT_LE(SampleSize(n), n);
  }
}

}  // namespace
}  // namespace gpumerge
