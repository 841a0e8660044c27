// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The steps of an exact selection over one range. Compiled for each instruction set and method header, like
// range_executor.h.
#pragma once

#include "src/cpu/range_tiles.h"

namespace gpumerge::GM_TARGET {

template <class Key>
void CountBracket(RangeTiles& tiles, const Key& key, uint32_t s, uint32_t n) {
  const RangeContext& c = tiles.context();
  const Bracket bracket = c.brackets[s];
  if (bracket.last_key < bracket.first_key) return;
  tiles.PrepareKeys(key, s, n);
  const PackU first_key(bracket.first_key), last_key(bracket.last_key);
  PackU above = 0, at_last = 0, at_first = 0;
  uint32_t* inside = tiles.keys();  // never past the keys that were read
  uint32_t n_inside = 0;
  uint32_t j = 0;
  for (; j + kPackElems <= n; j += kPackElems) {
    const PackU keys = tiles.KeysAt(key, j, s);
    std::experimental::where(keys > last_key, above) += 1u;
    std::experimental::where(keys == last_key, at_last) += 1u;
    std::experimental::where(keys == first_key, at_first) += 1u;
    n_inside += AppendBetween(keys, first_key, last_key, inside + n_inside);
  }
  EdgeCounts& edges = c.edges[s];
  edges.n_above += std::experimental::reduce(above);
  edges.n_last += std::experimental::reduce(at_last);
  if (bracket.first_key != bracket.last_key) edges.n_first += std::experimental::reduce(at_first);
  if (j < n) {
    alignas(64) uint32_t lanes[kPackElems];
    tiles.KeysAt(key, j, s).copy_to(lanes, std::experimental::vector_aligned);
    for (uint32_t lane = 0; lane < n - j; ++lane) {
      if (lanes[lane] > bracket.last_key) {
        ++edges.n_above;
      } else if (lanes[lane] == bracket.last_key) {
        ++edges.n_last;
      } else if (lanes[lane] == bracket.first_key) {
        ++edges.n_first;
      } else if (lanes[lane] > bracket.first_key) {
        inside[n_inside++] = lanes[lane];
      }
    }
  }
  KeyBin<uint32_t>* bins = c.bins[s];
  for (uint32_t i = 0; i < n_inside; ++i) {
    KeyBin<uint32_t>& bin = bins[(inside[i] - bracket.first_key) >> bracket.shift];
    const uint32_t mark = inside[i] + 1;
    const uint32_t differs = static_cast<uint32_t>(bin.mark != 0) & static_cast<uint32_t>(bin.mark != mark);
    bin.mark = mark | (0u - differs);  // no branch: which key comes next cannot be foretold
    ++bin.n_keys;
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
    case Step::kCountBracket:
      return for_all([&](uint32_t s, uint64_t, uint32_t n) { CountBracket(tiles, key, s, n); });
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
