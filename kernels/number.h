// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of element math for one plain float: the reference executor and CUDA. src/cpu/pack.h has the same
// words for a SIMD pack. An element written in these words is right for both.
#pragma once

#include "kernels/platform.h"

#include <bit>
#include <cstdint>

namespace gpumerge::GM_TARGET {

// The unsigned integer, or pack of them, as wide as F.
template <class F>
struct UIntOf;
template <>
struct UIntOf<float> {
  using type = uint32_t;
};
template <class F>
using UInt = typename UIntOf<F>::type;

inline constexpr uint32_t kMagnitudeMask = 0x7fffffffu, kSignBit = 0x80000000u;
inline constexpr uint32_t kInfinityBits = 0x7f800000u;

GM_HD uint32_t Bits(float f) { return std::bit_cast<uint32_t>(f); }
GM_HD float FromBits(uint32_t u) { return std::bit_cast<float>(u); }
GM_HD float Where(bool c, float a, float b) { return c ? a : b; }
GM_HD uint32_t Where(bool c, uint32_t a, uint32_t b) { return c ? a : b; }

// One value of T for each input (or model) at one index: T itself lies `stride` apart in memory.
template <class T>
struct Values {
  const T* first = nullptr;
  uint32_t stride = 0;
  GM_HD T operator[](uint32_t m) const { return first[m * stride]; }
};

// Values of a group (a row or column) are double; a pack has them rounded to float.
template <class F>
struct GroupValueOf {
  using type = F;
};
template <>
struct GroupValueOf<float> {
  using type = double;
};

// What an element reads at one flat index (or one a lane): the values, the random words, the index within the tile.
template <class F>
struct At {
  Values<F> x;           // (n_inputs): the base first if the method has one
  Values<UInt<F>> draw;  // (n_models): 32 random bits a model; only for functors with kDraws
  UInt<F> i;             // flat index minus the one given to MoveTo
  // (n_group_values) of the element's group; only for functors with kGroups. Write F(at.group[v]) in elements.
  Values<typename GroupValueOf<F>::type> group{};
  Values<UInt<F>> rank{};  // (n_models): rank in its row by the functor's RankKey, 0 = smallest; ties by index
};

// Elements are compiled for an exact number of models up to kExactModels, and once for any number (kModels = 0).
inline constexpr int kExactModels = 4;

}  // namespace gpumerge::GM_TARGET
