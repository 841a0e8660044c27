// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// NaN and infinity in stored values: counted in what is only copied, and given one spelling in what is merged.
// Thread-safe (no state).
#pragma once

#include "gpumerge/dtype.h"

#include <cstddef>
#include <cstdint>

namespace gpumerge {

// How many of the values are NaN or infinity; 0 for types that have neither, or that nobody computes with.
uint64_t CountNonFinite(DType dtype, const std::byte* data, uint64_t size_bytes);

// Makes every NaN the positive quiet one without a payload: which payload arithmetic passes on is up to the processor,
// and the output's bytes are not.
void MakeNansAlike(DType dtype, std::byte* data, uint64_t n_elems);

}  // namespace gpumerge
