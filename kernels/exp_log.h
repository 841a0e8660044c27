// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// exp and log of doubles from + - x and integer operations only, so that every executor gets the same bits; within 2
// units in the last place. The series are the textbook ones (Taylor of exp; of log, in (m-1)/(m+1)).
#pragma once

#include "kernels/platform.h"

#include <bit>
#include <cstdint>

namespace gpumerge::GM_TARGET {

// ln 2 in two parts; the first has 21 trailing zero bits, so that its product with an exponent is exact.
inline constexpr double kLn2High = 0x1.62e42feep-1;
inline constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

// 2^k for -1022 <= k <= 1023.
GM_HD double PowerOfTwo(int32_t k) { return std::bit_cast<double>(static_cast<uint64_t>(k + 1023) << 52); }

// Infinity above 709.79, 0 below -745.14, NaN for NaN.
GM_HD double Exp(double argument) {
  // No branches, so that loops over it can be vectorised: what is beyond the range is set right at the end.
  const bool in_range = argument <= 709.79 && argument >= -745.14;
  const double x = in_range ? argument : 0.0;
  // x = k ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^52 rounds to an integer.
  constexpr double kRound = 0x1.8p52;
  const double k = (x * 0x1.71547652b82fep0 + kRound) - kRound;
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double series = 1.0 / 6227020800.0;  // 1/13!
  series = series * r + 1.0 / 479001600.0;
  series = series * r + 1.0 / 39916800.0;
  series = series * r + 1.0 / 3628800.0;
  series = series * r + 1.0 / 362880.0;
  series = series * r + 1.0 / 40320.0;
  series = series * r + 1.0 / 5040.0;
  series = series * r + 1.0 / 720.0;
  series = series * r + 1.0 / 120.0;
  series = series * r + 1.0 / 24.0;
  series = series * r + 1.0 / 6.0;
  series = series * r + 0.5;
  const double exp_r = 1.0 + (r + (r * r) * series);
  // Two factors, because 2^k itself may be too large or too small.
  const int32_t exponent = static_cast<int32_t>(k), half = exponent / 2;
  const double result = (exp_r * PowerOfTwo(half)) * PowerOfTwo(exponent - half);
  const double beyond = argument > 0 ? std::bit_cast<double>(uint64_t{0x7ff} << 52) : argument < 0 ? 0.0 : argument;
  return in_range ? result : beyond;
}

// Of a finite x > 0.
GM_HD double Log(double x) {
  const bool is_denormal = x < 0x1p-1022;
  x = x * (is_denormal ? 0x1p54 : 1.0);
  // x = 2^exponent m, m in [sqrt(1/2), sqrt(2)).
  constexpr uint64_t kRootHalf = 0x3fe6a09e667f3bcdULL;
  const uint64_t above = std::bit_cast<uint64_t>(x) - kRootHalf;
  // With the bias the shifted number is never negative.
  const uint64_t biased = (above + (uint64_t{1023} << 52)) >> 52;
  const int32_t exponent = static_cast<int32_t>(biased) - (is_denormal ? 1023 + 54 : 1023);
  const double m = std::bit_cast<double>((above & 0xfffffffffffffULL) + kRootHalf);
  const double f = m - 1.0;
  // 1 / (2 + f) by Newton's steps from a line that is right within 2 %.
  const double d = 2.0 + f;
  double reciprocal = 0.98928 - 0.24264 * d;
  for (int step = 0; step < 5; ++step) reciprocal = reciprocal * (2.0 - d * reciprocal);
  // log m = log((1+s)/(1-s)) = 2 s (1 + s^2/3 + s^4/5 + ...), s = f / (2+f); and 2 s = f - s f, so that the rounding of
  // s counts little.
  const double s = f * reciprocal, s2 = s * s;
  double series = 2.0 / 25.0;
  series = series * s2 + 2.0 / 23.0;
  series = series * s2 + 2.0 / 21.0;
  series = series * s2 + 2.0 / 19.0;
  series = series * s2 + 2.0 / 17.0;
  series = series * s2 + 2.0 / 15.0;
  series = series * s2 + 2.0 / 13.0;
  series = series * s2 + 2.0 / 11.0;
  series = series * s2 + 2.0 / 9.0;
  series = series * s2 + 2.0 / 7.0;
  series = series * s2 + 2.0 / 5.0;
  series = series * s2 + 2.0 / 3.0;
  const double rest = s2 * series, half_square = 0.5 * f * f;
  const double k = exponent;
  // f - s f + s rest, with s f written as f^2/2 - s f^2/2 for accuracy.
  return k * kLn2High - ((half_square - (s * (half_square + rest) + k * kLn2Low)) - f);
}

}  // namespace gpumerge::GM_TARGET
