// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The words of kernels/number.h for a SIMD pack, as wide as the instruction set that this file is compiled for.
#pragma once

#include "kernels/number.h"

#include <experimental/simd>

namespace gpumerge::GM_TARGET {

using Pack = std::experimental::native_simd<float>;
using PackU = std::experimental::rebind_simd_t<uint32_t, Pack>;
inline constexpr uint32_t kPackElems = static_cast<uint32_t>(Pack::size());

template <>
struct UIntOf<Pack> {
  using type = PackU;
};

GM_HD PackU Bits(Pack f) { return std::bit_cast<PackU>(f); }
GM_HD Pack Where(Pack::mask_type c, Pack a, Pack b) {
  std::experimental::where(!c, a) = b;
  return a;
}
// Integer and float masks of the same width differ in type only.
GM_HD Pack Where(PackU::mask_type c, Pack a, Pack b) { return Where(Pack::mask_type(c.__cvt()), a, b); }

// The lanes lie side by side in a tile; the next input is a whole tile further.
template <>
struct Values<Pack> {
  const float* first = nullptr;
  uint32_t stride = 0;
  GM_HD Pack operator[](uint32_t m) const { return Pack(first + m * stride, std::experimental::vector_aligned); }
};
template <>
struct Values<PackU> {
  const uint32_t* first = nullptr;
  uint32_t stride = 0;
  GM_HD PackU operator[](uint32_t m) const { return PackU(first + m * stride, std::experimental::vector_aligned); }
};

}  // namespace gpumerge::GM_TARGET
