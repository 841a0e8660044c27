// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Exact selection by counting keys in a bracket around the threshold: a sample says where the threshold probably lies,
// one pass counts the keys above the bracket and, in bins, those in it. What was counted says whether the threshold is
// in there, and which bin it is; where a bin holds several keys, or the sample was wrong, the next pass has another
// bracket. The sample decides no result. No threads, no data access.
#pragma once

#include "src/cpu/range.h"

#include <cstdint>
#include <optional>
#include <span>

namespace gpumerge {

// Keys are of 31 bits.
inline constexpr uint32_t kKeyEnd = 1u << 31;

// All keys in as many bins as may be.
Bracket WholeBracket(uint32_t max_bins);

// The bracket to count first when `wanted` of a tensor's keys are kept. The sample is made of runs of run_elems
// neighbours each, taken from places that are evenly spaced; how much the runs differ says how wide the bracket must
// be.
Bracket BracketOf(std::span<const uint32_t> sample, uint64_t run_elems, uint64_t wanted, uint64_t n_elems,
                  uint32_t max_bins);

struct Narrowed {
  friend bool operator==(const Narrowed&, const Narrowed&) = default;
  std::optional<uint32_t> threshold;  // else:
  Bracket next{};                     // the bracket to count
  uint64_t tie_rank = 0;              // of the last key equal to the threshold that is kept, 1 = the first
  bool keeps_all_ties = false;
};

// n_above: keys above the bracket; bins: keys in each of its bins. wanted >= 1, and there are as many keys.
Narrowed Narrow(const Bracket& bracket, uint64_t n_above, std::span<const KeyBin<uint64_t>> bins, uint64_t wanted,
                uint32_t max_bins);

}  // namespace gpumerge
