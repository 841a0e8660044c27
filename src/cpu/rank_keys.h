// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Ranks of the keys of one row: a radix sort, written out because a library's sort would be shared between instruction
// sets.
#pragma once

#include "kernels/platform.h"

#include <cstdint>

namespace gpumerge::GM_TARGET {

// Replaces each of n keys by its rank: 0 for the smallest, equal keys by index. words: 2 * n of them, for its own use.
inline void RanksOfKeys(uint32_t* keys, uint32_t n, uint64_t* words) {
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

}  // namespace gpumerge::GM_TARGET
