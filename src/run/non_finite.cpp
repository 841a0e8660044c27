// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/run/non_finite.h"

#include <cstring>

namespace gpumerge {
namespace {

// The types' patterns without the sign: infinity, above it NaN, and the NaN that is written.
template <class Bits>
struct Patterns {
  Bits magnitude, infinity, nan;
};

constexpr Patterns<uint64_t> kF64{0x7fffffffffffffff, 0x7ff0000000000000, 0x7ff8000000000000};
constexpr Patterns<uint32_t> kF32{0x7fffffff, 0x7f800000, 0x7fc00000};
constexpr Patterns<uint16_t> kBF16{0x7fff, 0x7f80, 0x7fc0};
constexpr Patterns<uint16_t> kF16{0x7fff, 0x7c00, 0x7e00};
constexpr Patterns<uint8_t> kF8E5M2{0x7f, 0x7c, 0x7e};
constexpr Patterns<uint8_t> kF8E4M3{0x7f, 0x7f, 0x7f};  // without infinities: its one NaN is counted like one

// Whether any value in 64 bytes has an exponent of ones: adding that exponent's lowest bit then carries into the sign's
// place and no further, so all values of a word are looked at in one addition. In what is finite, that is all there is
// to do, at the speed of memory.
constexpr uint64_t kPieceBytes = 64;
template <class Bits>
bool MayHaveNonFinite(const Patterns<Bits>& patterns, const std::byte* data) {
  constexpr uint64_t kEachValue = ~uint64_t{0} / static_cast<Bits>(~Bits{0});
  const uint64_t exponent = patterns.infinity * kEachValue;
  const uint64_t lowest = static_cast<Bits>(patterns.infinity & (~patterns.infinity + 1)) * kEachValue;
  const uint64_t sign = static_cast<Bits>(~patterns.magnitude) * kEachValue;
  uint64_t found = 0;
  for (uint64_t at = 0; at < kPieceBytes; at += sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, data + at, sizeof word);
    found |= (word & exponent) + lowest;
  }
  return (found & sign) != 0;
}

template <class Bits>
uint64_t CountOneByOne(const Patterns<Bits>& patterns, const std::byte* data, uint64_t size_bytes) {
  uint64_t count = 0;
  for (uint64_t at = 0; at + sizeof(Bits) <= size_bytes; at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, data + at, sizeof bits);
    count += (bits & patterns.magnitude) >= patterns.infinity ? 1u : 0u;
  }
  return count;
}

// f(patterns) for the types that are computed with, and of a complex number's parts; nothing for others.
template <class Function>
void WithPatterns(DType dtype, const Function& f) {
  switch (dtype) {
    case DType::kF64:
      return f(kF64);
    case DType::kF32:
    case DType::kC64:
      return f(kF32);
    case DType::kBF16:
      return f(kBF16);
    case DType::kF16:
      return f(kF16);
    case DType::kF8E5M2:
      return f(kF8E5M2);
    case DType::kF8E4M3:
      return f(kF8E4M3);
    default:
      return;
  }
}

}  // namespace

uint64_t CountNonFinite(DType dtype, const std::byte* data, uint64_t size_bytes) {
  uint64_t count = 0;
  WithPatterns(dtype, [&]<class Bits>(const Patterns<Bits>& patterns) {
    uint64_t at = 0;
    for (; at + kPieceBytes <= size_bytes; at += kPieceBytes)
      if (MayHaveNonFinite(patterns, data + at)) count += CountOneByOne(patterns, data + at, kPieceBytes);
    count += CountOneByOne(patterns, data + at, size_bytes - at);
  });
  return count;
}

void MakeNansAlike(DType dtype, std::byte* data, uint64_t n_elems) {
  WithPatterns(dtype, [&]<class Bits>(const Patterns<Bits>& patterns) {
    const bool has_infinity = patterns.nan != patterns.infinity;
    for (uint64_t i = 0; i < n_elems; ++i) {
      Bits bits;
      std::memcpy(&bits, data + i * sizeof bits, sizeof bits);
      const auto magnitude = static_cast<Bits>(bits & patterns.magnitude);
      if (magnitude < patterns.infinity || (has_infinity && magnitude == patterns.infinity)) continue;
      std::memcpy(data + i * sizeof bits, &patterns.nan, sizeof bits);
    }
  });
}

}  // namespace gpumerge
