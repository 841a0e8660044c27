// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The words of kernels/number.h for a SIMD pack, as wide as the instruction set that this file is compiled for.
#pragma once

#include "kernels/number.h"

#include <experimental/simd>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

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
GM_HD Pack FromBits(PackU u) { return std::bit_cast<Pack>(u); }
GM_HD PackU Where(PackU::mask_type c, PackU a, PackU b) {
  std::experimental::where(!c, a) = b;
  return a;
}
// Integer and float masks of the same width differ in type only.
GM_HD PackU Where(Pack::mask_type c, PackU a, PackU b) { return Where(PackU::mask_type(c.__cvt()), a, b); }
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

// Stores the lanes with first < lane < last one after the other and returns how many they are. May write kPackElems
// lanes whatever their number.
GM_HD uint32_t AppendBetween(PackU lanes, PackU first, PackU last, uint32_t* to) {
#if defined(__AVX512F__)
  const __m512i x = std::bit_cast<__m512i>(lanes);
  const __mmask16 is_above = _mm512_cmpgt_epu32_mask(x, std::bit_cast<__m512i>(first));
  const __mmask16 between = _mm512_mask_cmplt_epu32_mask(is_above, x, std::bit_cast<__m512i>(last));
  // Not the form that stores to memory, which is microcode on some processors.
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(between, x));
  return static_cast<uint32_t>(__builtin_popcount(between));
#elif defined(__AVX2__)
  const __m256i x = std::bit_cast<__m256i>(lanes);
  const __m256i inside = _mm256_and_si256(_mm256_cmpgt_epi32(x, std::bit_cast<__m256i>(first)),  // 31 bits: no sign
                                          _mm256_cmpgt_epi32(std::bit_cast<__m256i>(last), x));
  const uint32_t between = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(inside)));
  const uint64_t bytes = _pdep_u64(between, 0x0101010101010101u) * 0xffu;
  const uint64_t places = _pext_u64(0x0706050403020100u, bytes);
  const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(places)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(x, order));
  return static_cast<uint32_t>(__builtin_popcount(between));
#else
  uint32_t n = 0;
  for (uint32_t lane = 0; lane < kPackElems; ++lane) {
    const uint32_t x = lanes[lane];
    to[n] = x;
    n += x > first[lane] && x < last[lane] ? 1u : 0u;
  }
  return n;
#endif
}

}  // namespace gpumerge::GM_TARGET
