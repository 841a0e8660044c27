// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What elements do with a Selection (see gpumerge/job.h), and how many elements a density keeps.
#pragma once

#include "kernels/number.h"

#include "gpumerge/job.h"

#include <cstdint>

namespace gpumerge::GM_TARGET {

inline constexpr Selection kKeepAll{0, ~uint64_t{0}};
inline constexpr Selection kKeepNone{0xffffffffu, 0};

// A Selection for a tile: tie_end counts from the tile's first element.
struct TileSelection {
  uint32_t threshold_bits;
  uint32_t tie_end;
};

GM_HD TileSelection ForTile(const Selection& selection, uint64_t first_elem) {
  const uint64_t after = selection.tie_end > first_elem ? selection.tie_end - first_elem : 0;
  return {selection.threshold_bits, after > 0xffffffffu ? 0xffffffffu : static_cast<uint32_t>(after)};
}

template <class U>
GM_HD auto Keeps(const TileSelection& selection, const U& key, const U& i) {
  // key > threshold, or key == threshold and i < tie_end; keys have 31 bits.
  return key + Where(i < selection.tie_end, U(1u), U(0u)) > selection.threshold_bits;
}

// k = trunc(density * n) in double, at least 1 when density > 0 (an empty tensor keeps nothing).
GM_HD uint64_t KeptCount(double density, uint64_t n_elems) {
  if (density >= 1 || n_elems == 0) return n_elems;
  if (density <= 0) return 0;
  const uint64_t k = static_cast<uint64_t>(density * static_cast<double>(n_elems));
  return k == 0 ? 1 : k;
}

}  // namespace gpumerge::GM_TARGET
