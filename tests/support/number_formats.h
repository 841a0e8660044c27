// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The small floating-point formats from their definitions, by arithmetic in double and search in a table: independent
// of kernels/convert.h, which works on bits. Slow and plain. Header-only.
#pragma once

#include "gpumerge/dtype.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace gpumerge::testing {

struct NumberFormat {
  int exponent_bits;
  int mantissa_bits;
  bool has_infinity;  // without: only the pattern of all ones is special, a NaN

  uint32_t n_magnitudes() const { return 1u << (exponent_bits + mantissa_bits); }
  uint32_t sign_bit() const { return n_magnitudes(); }
  // The pattern after that of the largest finite value.
  uint32_t first_special() const {
    return has_infinity ? ((1u << exponent_bits) - 1) << mantissa_bits : n_magnitudes() - 1;
  }
};

inline NumberFormat FormatOf(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return {8, 7, true};
    case DType::kF16:
      return {5, 10, true};
    case DType::kF8E4M3:
      return {4, 3, false};
    case DType::kF8E5M2:
      return {5, 2, true};
    default:
      throw std::invalid_argument("not a small floating-point format");
  }
}

// The value that exponent and mantissa fields stand for, specials aside.
inline double MagnitudeOf(const NumberFormat& format, uint32_t pattern) {
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(pattern >> format.mantissa_bits);
  const int mantissa = static_cast<int>(pattern & ((1u << format.mantissa_bits) - 1));
  if (exponent == 0) return std::ldexp(mantissa, 1 - bias - format.mantissa_bits);
  return std::ldexp(mantissa + (1 << format.mantissa_bits), exponent - bias - format.mantissa_bits);
}

inline double Decode(const NumberFormat& format, uint32_t pattern) {
  const uint32_t magnitude = pattern & (format.sign_bit() - 1);
  double value = MagnitudeOf(format, magnitude);
  if (magnitude == format.first_special() && format.has_infinity) value = std::numeric_limits<double>::infinity();
  if (magnitude > format.first_special() || (magnitude == format.first_special() && !format.has_infinity))
    value = std::numeric_limits<double>::quiet_NaN();
  return (pattern & format.sign_bit()) != 0 ? -value : value;
}

// Rounds to nearest even by looking for the two neighbours in the table of all values.
class NearestEven {
 public:
  explicit NearestEven(const NumberFormat& format) : format_(format) {
    // One beyond the finite ones: what the first special pattern would mean decides where overflow begins.
    for (uint32_t pattern = 0; pattern <= format.first_special(); ++pattern)
      values_.push_back(MagnitudeOf(format, pattern));
  }

  static const NearestEven& Of(DType dtype) {
    static const NearestEven bf16(FormatOf(DType::kBF16)), f16(FormatOf(DType::kF16)), e4m3(FormatOf(DType::kF8E4M3)),
        e5m2(FormatOf(DType::kF8E5M2));
    switch (dtype) {
      case DType::kBF16:
        return bf16;
      case DType::kF16:
        return f16;
      case DType::kF8E4M3:
        return e4m3;
      default:
        return e5m2;
    }
  }

  // Not for NaN. A value beyond the largest becomes infinity, or NaN in a format without infinity.
  uint32_t Pattern(double value) const {
    const double magnitude = std::fabs(value);
    const uint32_t sign = std::signbit(value) ? format_.sign_bit() : 0;
    const size_t upper =
        static_cast<size_t>(std::upper_bound(values_.begin(), values_.end(), magnitude) - values_.begin());
    if (upper == values_.size()) return sign | format_.first_special();
    const size_t lower = upper - 1;
    const double middle = (values_[lower] + values_[upper]) / 2;
    const bool up = magnitude > middle || (magnitude == middle && lower % 2 == 1);
    return sign | static_cast<uint32_t>(up ? upper : lower);
  }

 private:
  NumberFormat format_;
  std::vector<double> values_;  // by magnitude pattern
};

}  // namespace gpumerge::testing
