// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Element types to float and back, the only place of these rules: widening is exact (F64 rounds to nearest even),
// storing rounds to nearest even by integer arithmetic, so that every executor gives the same bits. NaN becomes the
// canonical quiet NaN of the type. Branch-free, so that compilers vectorise the loops around them.
#pragma once

#include "kernels/number.h"

#include "gpumerge/dtype.h"

#include <cstdint>

namespace gpumerge::GM_TARGET {

GM_HD float FromBf16(uint16_t h) { return FromBits(static_cast<uint32_t>(h) << 16); }

GM_HD float FromF16(uint16_t h) {
  const uint32_t sign = (static_cast<uint32_t>(h) & 0x8000u) << 16;
  const uint32_t magnitude = (static_cast<uint32_t>(h) & 0x7fffu) << 13;
  // Moving the exponent's bias by a multiplication also normalises subnormal halves, exactly.
  const uint32_t finite = Bits(FromBits(magnitude) * 0x1p112f);
  const uint32_t special = magnitude | kInfinityBits;
  return FromBits(sign | (magnitude >= 0x0f800000u ? special : finite));
}

GM_HD float FromF8E4M3(uint8_t h) {
  const uint32_t sign = (static_cast<uint32_t>(h) & 0x80u) << 24;
  const uint32_t magnitude = (static_cast<uint32_t>(h) & 0x7fu) << 20;
  const uint32_t finite = Bits(FromBits(magnitude) * 0x1p120f);
  return FromBits(sign | (magnitude == 0x07f00000u ? 0x7fc00000u : finite));  // no infinity in this type
}

GM_HD float FromF8E5M2(uint8_t h) { return FromF16(static_cast<uint16_t>(static_cast<uint32_t>(h) << 8)); }

GM_HD float FromF64(double d) { return static_cast<float>(d); }

GM_HD uint16_t ToBf16(float f) {
  const uint32_t u = Bits(f);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>((u & kMagnitudeMask) > kInfinityBits ? 0x7fffu : rounded);
}

// A float with kExponentBits and kMantissaBits, rounded to nearest even; overflow is the caller's. Magnitude bits only.
template <int kExponentBits, int kMantissaBits>
GM_HD uint32_t RoundMagnitude(uint32_t magnitude) {
  constexpr uint32_t kBias = (1u << (kExponentBits - 1)) - 1;
  constexpr uint32_t kDropped = 23 - kMantissaBits;
  constexpr uint32_t kSmallestNormal = (127 - kBias + 1) << 23;
  // Adding a float whose last bit is this type's smallest subnormal makes the FPU round to that grid.
  constexpr uint32_t kGrid = (127 - kBias + 1 + kDropped) << 23;
  const uint32_t subnormal = Bits(FromBits(magnitude) + FromBits(kGrid)) - kGrid;
  const uint32_t odd = (magnitude >> kDropped) & 1u;
  const uint32_t normal = (magnitude - ((127 - kBias) << 23) + ((1u << (kDropped - 1)) - 1) + odd) >> kDropped;
  return magnitude < kSmallestNormal ? subnormal : normal;
}

// Magnitude bits from which on a value becomes infinity or NaN in the type.
inline constexpr uint32_t kBf16OverflowBits = 0x7f7f8000u;
inline constexpr uint32_t kF16OverflowBits = 0x477ff000u;     // 65520
inline constexpr uint32_t kF8E4M3OverflowBits = 0x43e80001u;  // above 464, the tie that rounds to 448
inline constexpr uint32_t kF8E5M2OverflowBits = 0x47700000u;  // 61440

GM_HD uint32_t OverflowBits(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return kBf16OverflowBits;
    case DType::kF16:
      return kF16OverflowBits;
    case DType::kF8E4M3:
      return kF8E4M3OverflowBits;
    case DType::kF8E5M2:
      return kF8E5M2OverflowBits;
    default:
      return kInfinityBits;
  }
}

GM_HD uint16_t ToF16(float f) {
  const uint32_t u = Bits(f) & kMagnitudeMask;
  const uint32_t special = u > kInfinityBits ? 0x7fffu : 0x7c00u;
  const uint32_t h = u >= kF16OverflowBits ? special : RoundMagnitude<5, 10>(u);
  return static_cast<uint16_t>(h | ((Bits(f) >> 16) & 0x8000u));
}

GM_HD uint8_t ToF8E4M3(float f) {
  const uint32_t u = Bits(f) & kMagnitudeMask;
  const uint32_t h = u >= kF8E4M3OverflowBits ? 0x7fu : RoundMagnitude<4, 3>(u);
  return static_cast<uint8_t>(h | ((Bits(f) >> 24) & 0x80u));
}

GM_HD uint8_t ToF8E5M2(float f) {
  const uint32_t u = Bits(f) & kMagnitudeMask;
  const uint32_t special = u > kInfinityBits ? 0x7fu : 0x7cu;
  const uint32_t h = u >= kF8E5M2OverflowBits ? special : RoundMagnitude<5, 2>(u);
  return static_cast<uint8_t>(h | ((Bits(f) >> 24) & 0x80u));
}

}  // namespace gpumerge::GM_TARGET
