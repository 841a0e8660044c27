// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Ranks of the keys of one row: sorts written out, because a library's would be shared between instruction sets.
#pragma once

#include "kernels/platform.h"

#include <cstdint>

namespace gpumerge::GM_TARGET {

// As RanksOfKeys, for keys most of which are short: magnitudes of floats with few bits, as differences of 16-bit
// weights are. Equal short keys share a bucket, in which they only need counting; between two such buckets lies one of
// the long keys there, which alone are sorted. False, and keys as they were, where that would take long.
inline bool RanksOfShortKeys(uint32_t* keys, uint32_t n, uint64_t* words) {
  constexpr uint32_t kLowBits = 17, kLowMask = (1u << kLowBits) - 1;
  constexpr uint32_t kBuckets = 1024;  // of 8 binades below the largest key: 64 of short keys each, and of long ones
  constexpr uint32_t kMostKeys = 1u << 16;  // with more of them too many long ones share a bucket
  if (n < kBuckets / 2 || n > kMostKeys) return false;
  uint32_t largest = 0, n_long = 0;
  for (uint32_t i = 0; i < n; ++i) {
    largest = keys[i] > largest ? keys[i] : largest;
    n_long += (keys[i] & kLowMask) != 0 ? 1u : 0u;
  }
  if (n_long > n / 4) return false;
  const uint32_t top = 2 * (largest >> kLowBits) + 1, skipped = top < kBuckets ? 0 : top - (kBuckets - 1);
  uint32_t* const bucket = reinterpret_cast<uint32_t*>(words + n);
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t at = 2 * (keys[i] >> kLowBits) + ((keys[i] & kLowMask) != 0 ? 1u : 0u);
    // All small ones but zero count as long.
    const uint32_t small = keys[i] != 0 ? 1u : 0u;
    bucket[i] = at > skipped + 1 ? at - skipped : small;
  }
  uint32_t ends[kBuckets] = {};
  for (uint32_t i = 0; i < n; ++i) ++ends[bucket[i]];
  uint32_t before = 0;
  for (uint32_t& end : ends) {
    const uint32_t in_bucket = end;
    end = before;
    before += in_bucket;
  }
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t rank = ends[bucket[i]]++;
    words[rank] = uint64_t{keys[i]} << 32 | i;
    keys[i] = rank;
  }
  uint64_t moves_left = 2 * uint64_t{n};
  for (uint32_t b = 1; b < kBuckets; b += 2) {
    const uint32_t begin = ends[b - 1];
    if (ends[b] - begin < 2) continue;
    for (uint32_t i = begin + 1; i < ends[b]; ++i) {
      const uint64_t word = words[i];
      uint32_t to = i;
      for (; to > begin && words[to - 1] > word; --to) words[to] = words[to - 1];
      words[to] = word;
      if (i - to > moves_left) {
        for (uint32_t rank = 0; rank < n; ++rank)
          keys[static_cast<uint32_t>(words[rank])] = static_cast<uint32_t>(words[rank] >> 32);
        return false;
      }
      moves_left -= i - to;
    }
    for (uint32_t rank = begin; rank < ends[b]; ++rank) keys[static_cast<uint32_t>(words[rank])] = rank;
  }
  return true;
}

// As RanksOfKeys, for any keys: a radix sort.
inline void RanksOfAnyKeys(uint32_t* keys, uint32_t n, uint64_t* words) {
  constexpr uint32_t kDigits = 4, kDigitBits = 8, kBuckets = 1u << kDigitBits;
  uint32_t counts[kDigits][kBuckets] = {};
  uint64_t* from = words;  // a key and below it the index
  uint64_t* to = words + n;
  for (uint32_t i = 0; i < n; ++i) {
    from[i] = uint64_t{keys[i]} << 32 | i;
    for (uint32_t d = 0; d < kDigits; ++d) ++counts[d][keys[i] >> (d * kDigitBits) & (kBuckets - 1)];
  }
  for (uint32_t d = 0; d < kDigits; ++d) {
    const auto digit = [d](uint64_t word) { return word >> (32 + d * kDigitBits) & (kBuckets - 1); };
    if (n == 0 || counts[d][digit(from[0])] == n) continue;  // all have the same
    uint32_t before = 0;
    for (uint32_t& count : counts[d]) {
      const uint32_t in_bucket = count;
      count = before;
      before += in_bucket;
    }
    for (uint32_t i = 0; i < n; ++i) to[counts[d][digit(from[i])]++] = from[i];
    uint64_t* const sorted = to;
    to = from;
    from = sorted;
  }
  for (uint32_t rank = 0; rank < n; ++rank) keys[static_cast<uint32_t>(from[rank])] = rank;
}

// Replaces each of n keys of 31 bits by its rank: 0 for the smallest, equal keys by index. words: 2 * n of them, for
// its own use.
inline void RanksOfKeys(uint32_t* keys, uint32_t n, uint64_t* words) {
  if (!RanksOfShortKeys(keys, n, words)) RanksOfAnyKeys(keys, n, words);
}

}  // namespace gpumerge::GM_TARGET
