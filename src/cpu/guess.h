// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Exact selection in one counting pass, where that works: differences of 16-bit weights lie on a coarse grid, so that a
// few values near the threshold hold most of the keys around it. A sample says which; counting the keys above and equal
// to each shows whether one of them is the threshold. When none is, the caller counts histograms: the sample decides no
// result. No threads, no data access.
#pragma once

#include "src/cpu/range.h"

#include <cstdint>
#include <optional>
#include <span>

namespace gpumerge {

inline constexpr uint64_t kMaxSamples = 65536;

// How many keys to look at in a tensor of that size; a multiple of 64.
uint64_t SampleSize(uint64_t n_elems);

// The values most likely to be the threshold when `wanted` of n_elems keys are kept; nullopt when the keys around it
// are spread too evenly to guess. Reorders the sample.
std::optional<Guesses> GuessThreshold(std::span<uint32_t> sample, uint64_t wanted, uint64_t n_elems);

// A selection whose last tie is number `tie_rank` (1 = the first) among the keys equal to guess number `guess`.
struct GuessedSelection {
  friend bool operator==(const GuessedSelection&, const GuessedSelection&) = default;
  uint32_t guess = 0;
  uint64_t tie_rank = 0;
  bool keeps_all_ties = false;
};

// counts: of the whole tensor. nullopt: no guess is the threshold.
std::optional<GuessedSelection> ConfirmGuess(const GuessCounts& counts, uint64_t wanted);

}  // namespace gpumerge
