// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// 32-bit words in the low halves of 64-bit lanes, for arithmetic on them whose products have 64 bits. The high halves
// mean nothing. As wide as the instruction set that this file is compiled for.
#pragma once

#include "kernels/philox.h"

#include <bit>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace gpumerge::GM_TARGET {

static_assert(std::endian::native == std::endian::little);

#if defined(__AVX512F__)
inline constexpr uint32_t kWideLanes = 8;
#elif defined(__AVX2__)
inline constexpr uint32_t kWideLanes = 4;
#else
inline constexpr uint32_t kWideLanes = 2;
#endif

struct WideWords {
  using Lanes [[gnu::vector_size(8 * kWideLanes)]] = uint64_t;
  Lanes lanes;

  WideWords() = default;
  GM_HD explicit WideWords(uint32_t word) : lanes(Lanes{} + word) {}
  // first, first + 1, ...
  GM_HD static WideWords From(uint32_t first) {
    WideWords words(first);
    for (uint32_t lane = 0; lane < kWideLanes; ++lane) words.lanes[lane] += lane;
    return words;
  }
  GM_HD friend WideWords operator^(WideWords a, WideWords b) {
    a.lanes ^= b.lanes;
    return a;
  }
};

GM_HD WordProduct<WideWords> MultiplyWords(uint32_t factor, WideWords words) {
  const WideWords factors(factor);
  WordProduct<WideWords> product;
#if defined(__AVX512F__)
  // With a mask: GCC 12 takes the plain form for a use of something undefined.
  product.low.lanes = std::bit_cast<WideWords::Lanes>(
      _mm512_maskz_mul_epu32(0xff, std::bit_cast<__m512i>(words.lanes), std::bit_cast<__m512i>(factors.lanes)));
#elif defined(__AVX2__)
  product.low.lanes = std::bit_cast<WideWords::Lanes>(
      _mm256_mul_epu32(std::bit_cast<__m256i>(words.lanes), std::bit_cast<__m256i>(factors.lanes)));
#elif defined(__SSE2__)
  product.low.lanes = std::bit_cast<WideWords::Lanes>(
      _mm_mul_epu32(std::bit_cast<__m128i>(words.lanes), std::bit_cast<__m128i>(factors.lanes)));
#else
  for (uint32_t lane = 0; lane < kWideLanes; ++lane)
    product.low.lanes[lane] = uint64_t{static_cast<uint32_t>(words.lanes[lane])} * factor;
#endif
  product.high.lanes = product.low.lanes >> 32;
  return product;
}

// words[0] to words[3] of the first lane, then of the next: 4 * kWideLanes words.
GM_HD void StoreInterleaved(const WideWords* words, uint32_t* to) {
  constexpr uint64_t kLow = 0xffffffffu;
  const WideWords::Lanes first = (words[0].lanes & kLow) | (words[1].lanes << 32);
  const WideWords::Lanes second = (words[2].lanes & kLow) | (words[3].lanes << 32);
  WideWords::Lanes out[2];
#if defined(__AVX512F__)
  out[0] = __builtin_shufflevector(first, second, 0, 8, 1, 9, 2, 10, 3, 11);
  out[1] = __builtin_shufflevector(first, second, 4, 12, 5, 13, 6, 14, 7, 15);
#elif defined(__AVX2__)
  out[0] = __builtin_shufflevector(first, second, 0, 4, 1, 5);
  out[1] = __builtin_shufflevector(first, second, 2, 6, 3, 7);
#else
  out[0] = __builtin_shufflevector(first, second, 0, 2);
  out[1] = __builtin_shufflevector(first, second, 1, 3);
#endif
  __builtin_memcpy(to, out, sizeof out);
}

}  // namespace gpumerge::GM_TARGET
