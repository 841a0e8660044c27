// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Selection by counting keys in brackets, against the sorted keys: whatever the sample said, the threshold and its ties
// are the right ones. What a good sample must save is tested as well.
#include "src/cpu/bracket.h"

#include "src/cpu/cpu_backend.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace gpumerge {
namespace {

using Keys = std::vector<uint32_t>;

constexpr uint32_t kLargestKey = 0x7fffffff;

struct Selected {
  friend bool operator==(const Selected&, const Selected&) = default;
  uint32_t threshold = 0;
  uint64_t kept_ties = 0;
  bool keeps_all_ties = false;
};

std::ostream& operator<<(std::ostream& to, const Selected& s) {
  return to << "threshold " << s.threshold << ", ties " << s.kept_ties << (s.keeps_all_ties ? " (all)" : "");
}

Selected BySorting(Keys keys, uint64_t wanted) {
  std::sort(keys.begin(), keys.end(), std::greater<>{});
  const uint32_t threshold = keys[wanted - 1];
  const auto above =
      static_cast<uint64_t>(std::count_if(keys.begin(), keys.end(), [&](uint32_t k) { return k > threshold; }));
  const auto ties = static_cast<uint64_t>(std::count(keys.begin(), keys.end(), threshold));
  return {threshold, wanted - above, wanted - above == ties};
}

// As the methods' code counts: the ends of a bracket by comparing, what is between them in bins.
void CountInto(const Keys& keys, size_t first, size_t step, const Bracket& bracket, Counters* counters) {
  for (size_t i = first; i < keys.size(); i += step) {
    const uint32_t key = keys[i];
    EdgeCounts& edges = counters->edges[0];
    if (key > bracket.last_key) {
      ++edges.n_above;
    } else if (key == bracket.last_key) {
      ++edges.n_last;
    } else if (key == bracket.first_key) {
      ++edges.n_first;
    } else if (key > bracket.first_key) {
      counters->bins_of[0][(key - bracket.first_key) >> bracket.shift].Add(KeyBin<uint32_t>{1, key + 1});
    }
  }
}

struct Counted {
  Selected selected;
  uint32_t n_counts = 0;
};

// Counts by some threads until the threshold is known.
Counted ByCounting(const Keys& keys, uint64_t wanted, Bracket bracket, uint32_t max_bins, size_t n_threads) {
  Counted run;
  while (run.n_counts < 64) {
    const std::vector<Bracket> brackets = {bracket};
    Totals totals;
    for (size_t thread = 0; thread < n_threads; ++thread) {
      Counters counters;
      counters.Begin(brackets);
      CountInto(keys, thread, n_threads, bracket, &counters);
      counters.AddTo(brackets, &totals);
    }
    ++run.n_counts;
    const Narrowed narrowed = Narrow(bracket, totals.n_above[0], totals.bins[0], wanted, max_bins);
    if (narrowed.threshold) {
      run.selected = {*narrowed.threshold, narrowed.tie_rank, narrowed.keeps_all_ties};
      return run;
    }
    bracket = narrowed.next;
    EXPECT_LE(bracket.first_key, bracket.last_key);
    EXPECT_LE(bracket.last_key, kLargestKey);
    EXPECT_LE(bracket.n_bins(), max_bins);
    if (::testing::Test::HasFailure()) return run;
  }
  ADD_FAILURE() << "no end";
  return run;
}

uint32_t KeyOf(double value) { return std::bit_cast<uint32_t>(static_cast<float>(std::fabs(value))); }

// Keys that selections find hard.
rc::Gen<Keys> AnyKeys(size_t n) {
  return rc::gen::exec([n] {
    Keys keys(n);
    std::mt19937_64 random(*rc::gen::arbitrary<uint64_t>());
    const uint32_t a = *rc::gen::element(0u, 1u, kLargestKey, kLargestKey - 1, 0x3f800000u, 0x3f80ffffu, 12345u);
    const uint32_t b = *rc::gen::element(0u, kLargestKey, 0x3f800001u, a, a ^ 1u);
    const uint32_t few = *rc::gen::inRange(1u, 20u);
    std::normal_distribution<double> normal(0, 0.02);
    const int kind = *rc::gen::inRange(0, 8);
    for (uint32_t& key : keys) {
      const uint32_t word = static_cast<uint32_t>(random());
      switch (kind) {
        case 0:  // one value
          key = a;
          break;
        case 1:  // two
          key = word % 4 == 0 ? a : b;
          break;
        case 2:  // a few, far apart
          key = word % few * (kLargestKey / few);
          break;
        case 3:  // a few, neighbours
          key = 0x3f800000u + word % few;
          break;
        case 4:  // floats of 32 bits
          key = KeyOf(normal(random));
          break;
        case 5:  // of 16
          key = KeyOf(normal(random)) & 0xffff0000u;
          break;
        case 6:
          key = word & kLargestKey;
          break;
        default:  // zeros and a few others
          key = word % 16 == 0 ? KeyOf(normal(random)) : 0;
      }
    }
    return keys;
  });
}

rc::Gen<uint64_t> Wanted(uint64_t n) {
  return rc::gen::oneOf(rc::gen::element<uint64_t>(1, std::max<uint64_t>(n, 2) - 1, n, (n + 1) / 2),
                        rc::gen::inRange<uint64_t>(1, n + 1));
}

// Of the keys, or of others: all above the threshold, all below, of anything.
rc::Gen<Keys> Sample(const Keys& keys, uint64_t run_elems) {
  return rc::gen::exec([keys, run_elems] {
    Keys sample(*rc::gen::inRange<size_t>(1, 17) * run_elems);
    std::mt19937_64 random(*rc::gen::arbitrary<uint64_t>());
    const auto [least, most] = std::minmax_element(keys.begin(), keys.end());
    const int kind = *rc::gen::inRange(0, 6);
    for (uint32_t& key : sample)
      key = kind == 0   ? *least
            : kind == 1 ? *most
            : kind == 2 ? 0
            : kind == 3 ? kLargestKey
            : kind == 4 ? static_cast<uint32_t>(random()) & kLargestKey
                        : keys[random() % keys.size()];
    return sample;
  });
}

TEST(BracketTest, CountingFindsWhatSortingFinds) {
  EXPECT_TRUE(rc::check("any keys, any sample", [] {
    const Keys keys = *AnyKeys(*rc::gen::inRange<size_t>(1, 3000));
    const uint64_t n = keys.size(), wanted = *Wanted(n), run_elems = *rc::gen::element<uint64_t>(1, 8, 256);
    Keys sample = *Sample(keys, run_elems);
    const uint32_t max_bins = *rc::gen::element(1u << 16, 1u << 12, 16u, 2u);
    const Bracket bracket = BracketOf(sample, run_elems, wanted, n, max_bins);
    RC_ASSERT(bracket.first_key <= bracket.last_key);
    RC_ASSERT(bracket.last_key <= kLargestKey);
    RC_ASSERT(bracket.n_bins() <= max_bins);
    const Counted run = ByCounting(keys, wanted, bracket, max_bins, *rc::gen::inRange<size_t>(1, 4));
    RC_ASSERT(run.selected == BySorting(keys, wanted));
  }));
}

TEST(BracketTest, AllKeysInOneBracketOrAnyOther) {
  EXPECT_TRUE(rc::check("any bracket", [] {
    const Keys keys = *AnyKeys(*rc::gen::inRange<size_t>(1, 500));
    const uint64_t wanted = *Wanted(keys.size());
    const uint32_t max_bins = *rc::gen::element(1u << 16, 1u << 12, 16u);
    Bracket bracket = WholeBracket(max_bins);
    if (*rc::gen::arbitrary<bool>()) {
      const uint32_t key = keys[*rc::gen::inRange<size_t>(0, keys.size())];
      const uint32_t below = *rc::gen::inRange(0u, 3u), above = *rc::gen::inRange(0u, 3u);
      bracket = {key - std::min(key, below), key + std::min(kLargestKey - key, above), *rc::gen::inRange(0u, 3u)};
    }
    RC_ASSERT(ByCounting(keys, wanted, bracket, max_bins, 2).selected == BySorting(keys, wanted));
  }));
}

TEST(BracketTest, TheWholeBracketHoldsEveryKey) {
  for (const uint32_t max_bins : {1u, 2u, 1u << 12, 1u << 16}) {
    const Bracket bracket = WholeBracket(max_bins);
    EXPECT_EQ(bracket.first_key, 0u);
    EXPECT_EQ(bracket.last_key, kLargestKey);
    EXPECT_EQ(bracket.n_bins(), max_bins);
  }
}

TEST(BracketTest, OneKeyAlone) {
  for (const uint32_t key : {0u, 1u, 0x3f800000u, kLargestKey}) {
    Keys sample(256, key);
    const Bracket bracket = BracketOf(sample, 256, 5, 1000, 1u << 14);
    EXPECT_EQ(bracket, (Bracket{key, key, 0}));
    const Counted run = ByCounting(Keys(1000, key), 5, bracket, 1u << 16, 3);
    EXPECT_EQ(run.selected, (Selected{key, 5, false}));
    EXPECT_EQ(run.n_counts, 1u);  // where all keys of a bin are equal, it needs no finer one
  }
}

// Two keys of one bin must not be taken for one.
TEST(BracketTest, ABinOfSeveralKeysIsCountedAgain) {
  const Keys keys = {100, 101, 101, 102, 103, 103, 900};
  for (uint64_t wanted = 1; wanted <= keys.size(); ++wanted)
    for (const uint32_t shift : {0u, 1u, 2u, 5u, 12u})
      for (const size_t n_threads : {1u, 2u, 7u}) {
        const Counted run = ByCounting(keys, wanted, {64, 1000, shift}, 1u << 12, n_threads);
        EXPECT_EQ(run.selected, BySorting(keys, wanted)) << wanted << " of them, shift " << shift;
      }
}

// The last bin may hold fewer keys than the others, and must not reach into what is above the bracket.
TEST(BracketTest, TheLastBinEndsWithItsBracket) {
  const Keys keys = {10, 11, 12, 12, 13, 14, 15};
  for (uint64_t wanted = 1; wanted <= keys.size(); ++wanted)
    EXPECT_EQ(ByCounting(keys, wanted, {8, 13, 2}, 16, 1).selected, BySorting(keys, wanted)) << wanted;
  KeyBin<uint64_t> of_two{2, KeyBin<uint64_t>::kDifferent};
  const std::vector<KeyBin<uint64_t>> bins = {{}, of_two};
  EXPECT_EQ(Narrow({8, 13, 2}, 0, bins, 1, 16).next, (Bracket{12, 13, 0}));
}

TEST(BracketTest, AMissGoesToTheSideWhereTheThresholdIs) {
  const std::vector<KeyBin<uint64_t>> bins = {{3, 51}};
  EXPECT_EQ(Narrow({50, 50, 0}, 10, bins, 10, 1u << 16).next.first_key, 51u);
  EXPECT_EQ(Narrow({50, 50, 0}, 10, bins, 10, 1u << 16).next.last_key, kLargestKey);
  EXPECT_EQ(*Narrow({50, 50, 0}, 10, bins, 11, 1u << 16).threshold, 50u);
  EXPECT_EQ(*Narrow({50, 50, 0}, 10, bins, 13, 1u << 16).threshold, 50u);
  EXPECT_TRUE(Narrow({50, 50, 0}, 10, bins, 13, 1u << 16).keeps_all_ties);
  EXPECT_FALSE(Narrow({50, 50, 0}, 10, bins, 12, 1u << 16).keeps_all_ties);
  EXPECT_EQ(Narrow({50, 50, 0}, 10, bins, 14, 1u << 16).next, (Bracket{0, 49, 0}));
}

// Otherwise every selection would take several passes over the files, or count most keys in memory.
TEST(BracketTest, ASampleOfSmoothValuesSavesPassesAndBins) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0, 0.02);
  uint32_t n_once = 0, n_trials = 0;
  for (const bool is_short : {false, true}) {
    Keys keys(1 << 18);
    for (uint32_t& key : keys) key = KeyOf(normal(random)) & (is_short ? 0xffff0000u : ~0u);
    for (const double density : {0.01, 0.1, 0.3, 0.5, 0.9})
      for (uint32_t repeat = 0; repeat < 10; ++repeat, ++n_trials) {
        Keys sample(16 * 256);
        for (uint32_t& key : sample) key = keys[random() % keys.size()];
        const auto wanted = static_cast<uint64_t>(density * static_cast<double>(keys.size()));
        const Bracket bracket = BracketOf(sample, 256, wanted, keys.size(), 1u << 14);
        const auto inside = std::count_if(
            keys.begin(), keys.end(), [&](uint32_t key) { return key > bracket.first_key && key < bracket.last_key; });
        EXPECT_LT(inside, static_cast<long>(keys.size() / 8));
        const uint32_t threshold = BySorting(keys, wanted).threshold;
        if (bracket.first_key <= threshold && threshold <= bracket.last_key) ++n_once;
      }
  }
  EXPECT_GE(n_once, n_trials * 95 / 100);
}

// Runs that differ, as rows of a weight do, make the bracket wider than their number of keys alone would say.
TEST(BracketTest, RunsThatDifferWidenTheBracket) {
  std::mt19937_64 random(8);
  std::normal_distribution<double> normal(0, 1);
  Keys alike(16 * 256), differing(16 * 256);
  for (size_t i = 0; i < alike.size(); ++i) {
    alike[i] = KeyOf(normal(random));
    differing[i] = KeyOf(normal(random) * std::exp(0.5 * std::sin(static_cast<double>(i / 256 * 5))));
  }
  const Bracket narrow = BracketOf(alike, 256, 300, 1000, 1u << 14);
  const Bracket wide = BracketOf(differing, 256, 300, 1000, 1u << 14);
  EXPECT_GT(wide.last_key - wide.first_key, 2 * (narrow.last_key - narrow.first_key));
}

}  // namespace
}  // namespace gpumerge
