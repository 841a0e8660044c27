// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// One element of a tensor as it lies in memory, to and from float, for the reference executor.
#pragma once

#include "kernels/convert.h"

#include "gpumerge/dtype.h"
#include "gpumerge/error.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace gpumerge::GM_TARGET {

inline float Load(DType dtype, const std::byte* tensor, uint64_t i) {
  const auto read = [&](auto value) {
    std::memcpy(&value, tensor + i * sizeof value, sizeof value);
    return value;
  };
  switch (dtype) {
    case DType::kF32:
      return read(float{});
    case DType::kBF16:
      return FromBf16(read(uint16_t{}));
    case DType::kF16:
      return FromF16(read(uint16_t{}));
    case DType::kF8E4M3:
      return FromF8E4M3(read(uint8_t{}));
    case DType::kF8E5M2:
      return FromF8E5M2(read(uint8_t{}));
    case DType::kF64:
      return FromF64(read(double{}));
    default:
      throw Error({.code = ErrorCode::kInternal, .message = "a job has an input type without arithmetic"});
  }
}

// Returns false when the stored value is infinite or NaN.
inline bool Store(DType dtype, float value, std::byte* tensor, uint64_t i) {
  const uint32_t magnitude = Bits(value) & kMagnitudeMask;
  const auto write = [&](auto stored, uint32_t overflow_bits) {
    std::memcpy(tensor + i * sizeof stored, &stored, sizeof stored);
    return magnitude < overflow_bits;
  };
  switch (dtype) {
    case DType::kF32:
      return write(value, kInfinityBits);
    case DType::kBF16:
      return write(ToBf16(value), kBf16OverflowBits);
    case DType::kF16:
      return write(ToF16(value), kF16OverflowBits);
    case DType::kF8E4M3:
      return write(ToF8E4M3(value), kF8E4M3OverflowBits);
    case DType::kF8E5M2:
      return write(ToF8E5M2(value), kF8E5M2OverflowBits);
    case DType::kF64:
      return write(static_cast<double>(value), kInfinityBits);
    default:
      throw Error({.code = ErrorCode::kInternal, .message = "a job has an output type without arithmetic"});
  }
}

}  // namespace gpumerge::GM_TARGET
