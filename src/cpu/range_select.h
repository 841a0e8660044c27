// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The steps of an exact selection over one range. Compiled for each instruction set and method header, like
// range_executor.h.
#pragma once

#include "src/cpu/range_tiles.h"

namespace gpumerge::GM_TARGET {

template <class Key>
void CountGuesses(RangeTiles& tiles, const Key& key, uint32_t s, uint32_t n) {
  const RangeContext& c = tiles.context();
  PackU guess[kGuesses], above[kGuesses], equal[kGuesses];
  for (uint32_t g = 0; g < kGuesses; ++g) {
    guess[g] = c.guesses[s].keys[g];
    above[g] = equal[g] = 0;
  }
  const auto add = [&](const PackU& keys) {
#pragma GCC unroll 8
    for (uint32_t g = 0; g < kGuesses; ++g) {  // unrolled, so that the counters stay in registers
      std::experimental::where(keys > guess[g], above[g]) += 1u;
      std::experimental::where(keys == guess[g], equal[g]) += 1u;
    }
  };
  uint32_t j = 0;
  for (; j + kPackElems <= n; j += kPackElems) add(tiles.KeysAt(key, j, s));
  GuessCounts& counts = c.guess_counts[s];
  for (uint32_t g = 0; g < kGuesses; ++g) {
    counts.above[g] += std::experimental::reduce(above[g]);
    counts.equal[g] += std::experimental::reduce(equal[g]);
  }
  if (j == n) return;
  uint32_t* keys = tiles.keys();
  tiles.KeysAt(key, j, s).copy_to(keys, std::experimental::vector_aligned);
  for (uint32_t lane = 0; lane < n - j; ++lane) {
    for (uint32_t g = 0; g < kGuesses; ++g) {
      counts.above[g] += keys[lane] > c.guesses[s].keys[g] ? 1u : 0u;
      counts.equal[g] += keys[lane] == c.guesses[s].keys[g] ? 1u : 0u;
    }
  }
}

template <class Key>
void CountHigh(RangeTiles& tiles, const Key& key, uint32_t s, uint32_t n) {
  tiles.MakeKeys(key, s, n);
  uint32_t* histogram = tiles.context().histogram + size_t{s} * kHighBins;
  for (uint32_t j = 0; j < n; ++j) ++histogram[tiles.keys()[j] >> kLowKeyBits];
}

template <class Key>
void CountLow(RangeTiles& tiles, const Key& key, uint32_t s, uint32_t n) {
  const RangeContext& c = tiles.context();
  uint32_t* histogram = c.histogram + size_t{s} * kLowBins;
  const uint32_t bin = c.passes[c.pass].high_bins[s];
  uint32_t* lanes = tiles.keys();
  for (uint32_t j = 0; j < n; j += kPackElems) {
    const PackU keys = tiles.KeysAt(key, j, s);
    if (std::experimental::none_of((keys >> static_cast<int>(kLowKeyBits)) == bin)) continue;
    keys.copy_to(lanes, std::experimental::vector_aligned);
    for (uint32_t lane = 0; lane < kPackElems && j + lane < n; ++lane)
      if (lanes[lane] >> kLowKeyBits == bin) ++histogram[lanes[lane] & (kLowBins - 1)];
  }
}

template <class Key>
void CountTies(RangeTiles& tiles, const Key& key, uint32_t s, uint32_t n) {
  const RangeContext& c = tiles.context();
  tiles.MakeKeys(key, s, n);
  const uint32_t threshold = c.passes[c.pass].selections[s].threshold_bits;
  uint32_t ties = 0;
  for (uint32_t j = 0; j < n; ++j) ties += tiles.keys()[j] == threshold ? 1u : 0u;
  c.ties[s] += ties;
}

// ties_left: how many ties on from here the one looked for is; 0 when it is found.
template <class Key>
void FindTie(RangeTiles& tiles, const Key& key, uint64_t first, uint32_t n, uint64_t* ties_left) {
  const RangeContext& c = tiles.context();
  if (*ties_left == 0) return;
  tiles.MakeKeys(key, c.selection, n);
  const uint32_t threshold = c.passes[c.pass].selections[c.selection].threshold_bits;
  for (uint32_t j = 0; j < n; ++j) {
    if (tiles.keys()[j] != threshold || --*ties_left > 0) continue;
    *c.tie_index = c.first_elem + first + j;
    return;
  }
}

template <class Key>
void SampleKeys(RangeTiles& tiles, const Key& key, uint32_t s, uint64_t first, uint32_t n) {
  const RangeContext& c = tiles.context();
  tiles.MakeKeys(key, s, n);
  for (uint32_t j = 0; j < n; ++j) c.samples[s * c.n_elems + first + j] = tiles.keys()[j];
}

// One step of n selections over the range.
template <class Key>
void RunSelectStep(RangeTiles& tiles, const Key& key, const uint64_t* counts, uint32_t n_selections) {
  static_assert(!kRanks<Key> && !DrawsOf<Key>(), "keys are of values only");
  const RangeContext& c = tiles.context();
  const auto for_all = [&](const auto& f) {  // f(s, offset in the range, n)
    tiles.ForEach<Key, NumberOf<Key>>([&](uint64_t first, uint32_t n) {
      for (uint32_t s = 0; s < n_selections; ++s) f(s, first, n);
    });
  };
  switch (c.step) {
    case Step::kBeginSelect:
      for (uint32_t s = 0; s < n_selections; ++s) c.passes[c.pass].wanted[s] = counts[s];
      break;
    case Step::kSample:
      return for_all([&](uint32_t s, uint64_t first, uint32_t n) { SampleKeys(tiles, key, s, first, n); });
    case Step::kCountGuesses:
      for (uint32_t s = 0; s < n_selections; ++s) c.guess_counts[s] = {};
      return for_all([&](uint32_t s, uint64_t, uint32_t n) { CountGuesses(tiles, key, s, n); });
    case Step::kCountHigh:
      return for_all([&](uint32_t s, uint64_t, uint32_t n) { CountHigh(tiles, key, s, n); });
    case Step::kCountLow:
      return for_all([&](uint32_t s, uint64_t, uint32_t n) { CountLow(tiles, key, s, n); });
    case Step::kCountTies:
      for (uint32_t s = 0; s < n_selections; ++s) c.ties[s] = 0;
      return for_all([&](uint32_t s, uint64_t, uint32_t n) { CountTies(tiles, key, s, n); });
    case Step::kFindTie: {
      uint64_t ties_left = c.tie_rank;
      tiles.ForEach<Key, NumberOf<Key>>([&](uint64_t first, uint32_t n) { FindTie(tiles, key, first, n, &ties_left); });
      break;
    }
    default:
      break;
  }
}

}  // namespace gpumerge::GM_TARGET
