// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a recipe's `overflow:` does with results that are too large for the output's type. Executors store infinity (NaN
// in a type without one) with the right sign, so a pass over the stored values settles it. Thread-safe (no state).
#pragma once

#include "gpumerge/config.h"
#include "gpumerge/dtype.h"

#include <cstddef>
#include <cstdint>

namespace gpumerge {

struct Overflowed {
  uint64_t n_values = 0;  // that did not fit
  uint64_t n_nan = 0;     // that are no number at all, in a type that tells them from infinity
};

// Of n_elems values stored at `data`: added to *found, and with kSaturate replaced by the largest finite value of their
// sign.
void SettleOverflow(DType dtype, OverflowPolicy policy, std::byte* data, uint64_t n_elems, Overflowed* found);

}  // namespace gpumerge
