// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tiles: widening a tile of an input to floats, storing a tile of results, drawing its random words. Plain loops that
// compilers vectorise.
#pragma once

#include "kernels/convert.h"
#include "kernels/philox.h"
#include "src/cpu/range.h"
#include "src/cpu/wide_words.h"

#include "gpumerge/job.h"

#include <cstdint>

namespace gpumerge::GM_TARGET {

template <class Stored, class Widen>
GM_HD uint32_t LoadLoop(const std::byte* from, uint32_t n, float* to, Widen widen) {
  const Stored* stored = reinterpret_cast<const Stored*>(from);
  uint32_t largest = 0;
  for (uint32_t j = 0; j < n; ++j) {
    const float value = widen(stored[j]);
    const uint32_t magnitude = Bits(value) & kMagnitudeMask;
    to[j] = value;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

// Widens n <= kTileElems elements and clears the rest of the last pack. Returns the largest magnitude bits.
inline uint32_t LoadTile(DType dtype, const std::byte* from, uint32_t n, float* to) {
  for (uint32_t j = n; j < kTileElems && j % 64 != 0; ++j) to[j] = 0;
  switch (dtype) {
    case DType::kF32:
      return LoadLoop<float>(from, n, to, [](float f) { return f; });
    case DType::kBF16:
      return LoadLoop<uint16_t>(from, n, to, [](uint16_t h) { return FromBf16(h); });
    case DType::kF16:
      return LoadLoop<uint16_t>(from, n, to, [](uint16_t h) { return FromF16(h); });
    case DType::kF8E4M3:
      return LoadLoop<uint8_t>(from, n, to, [](uint8_t h) { return FromF8E4M3(h); });
    case DType::kF8E5M2:
      return LoadLoop<uint8_t>(from, n, to, [](uint8_t h) { return FromF8E5M2(h); });
    case DType::kF64:
      return LoadLoop<double>(from, n, to, [](double d) { return FromF64(d); });
    default:
      return 0;  // the planner lets only these types reach arithmetic
  }
}

template <class Stored, class Narrow>
GM_HD void StoreLoop(const float* from, uint32_t n, std::byte* to, Narrow narrow) {
  Stored* stored = reinterpret_cast<Stored*>(to);
  for (uint32_t j = 0; j < n; ++j) stored[j] = narrow(from[j]);
}

// Rounds n results to the output type.
inline void StoreTile(DType dtype, const float* from, uint32_t n, std::byte* to) {
  switch (dtype) {
    case DType::kF32:
      return StoreLoop<float>(from, n, to, [](float f) { return f; });
    case DType::kBF16:
      return StoreLoop<uint16_t>(from, n, to, [](float f) { return ToBf16(f); });
    case DType::kF16:
      return StoreLoop<uint16_t>(from, n, to, [](float f) { return ToF16(f); });
    case DType::kF8E4M3:
      return StoreLoop<uint8_t>(from, n, to, [](float f) { return ToF8E4M3(f); });
    case DType::kF8E5M2:
      return StoreLoop<uint8_t>(from, n, to, [](float f) { return ToF8E5M2(f); });
    case DType::kF64:
      return StoreLoop<double>(from, n, to, [](float f) { return static_cast<double>(f); });
    default:
      return;
  }
}

template <class Stored, class Widen>
GM_HD void SampleLoop(const std::byte* from, uint32_t n, uint32_t stride, float* to, Widen widen) {
  const Stored* stored = reinterpret_cast<const Stored*>(from);
  for (uint32_t j = 0; j < n; j += stride) *to++ = widen(stored[j]);
}

// Widens every stride-th of n elements.
inline void LoadSamples(DType dtype, const std::byte* from, uint32_t n, uint32_t stride, float* to) {
  switch (dtype) {
    case DType::kF32:
      return SampleLoop<float>(from, n, stride, to, [](float f) { return f; });
    case DType::kBF16:
      return SampleLoop<uint16_t>(from, n, stride, to, [](uint16_t h) { return FromBf16(h); });
    case DType::kF16:
      return SampleLoop<uint16_t>(from, n, stride, to, [](uint16_t h) { return FromF16(h); });
    case DType::kF8E4M3:
      return SampleLoop<uint8_t>(from, n, stride, to, [](uint8_t h) { return FromF8E4M3(h); });
    case DType::kF8E5M2:
      return SampleLoop<uint8_t>(from, n, stride, to, [](uint8_t h) { return FromF8E5M2(h); });
    case DType::kF64:
      return SampleLoop<double>(from, n, stride, to, [](double d) { return FromF64(d); });
    default:
      return;
  }
}

// The random words of a tile for every model: draws (n_models, kTileElems). first_elem is a multiple of 4. May draw
// more than n words, but no more than a tile has.
inline void DrawTile(const MergeJob& job, uint64_t first_elem, uint32_t n, uint32_t* draws) {
  const PhiloxKey key = MakePhiloxKey(job.seed, job.name_hash);
  const uint32_t first_block = static_cast<uint32_t>(first_elem / 4);
  const uint32_t n_blocks = (n + 3) / 4;
  for (uint32_t m = 0; m < job.n_models(); ++m) {
    const uint32_t model_index = job.inputs[m + (job.has_base ? 1u : 0u)].model_index;
    uint32_t* words = draws + m * kTileElems;
    for (uint32_t b = 0; b < n_blocks; b += kWideLanes) {
      WideWords drawn[4];
      Philox(key, model_index, WideWords::From(first_block + b), drawn);
      StoreInterleaved(drawn, words + 4 * b);
    }
  }
}

}  // namespace gpumerge::GM_TARGET
