// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// exp and log of our own against the C library's long double, over everything that a double can hold.
#define GM_TARGET on_exp_log_test
#include "kernels/exp_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace gpumerge {
namespace {

using on_exp_log_test::Exp;
using on_exp_log_test::Log;

// The distance from `exact` in units of the last place of the double next to it.
double UlpsFrom(long double exact, double found) {
  const double near = std::fabs(static_cast<double>(exact));
  const double next = std::nextafter(near, std::numeric_limits<double>::infinity());
  return static_cast<double>(std::fabs(found - exact) / (static_cast<long double>(next) - near));
}

template <class Function, class Exact>
double WorstUlps(double from, double to, const Function& f, const Exact& exact) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> points(from, to);
  double worst = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double x = points(random);
    worst = std::max(worst, UlpsFrom(exact(static_cast<long double>(x)), f(x)));
  }
  return worst;
}

TEST(Exp, IsWithinTwoUlps) {
  const std::pair<double, double> ranges[] = {{-708, 709}, {-1, 1},      {-1e-3, 1e-3}, {-1e-9, 1e-9},
                                              {-40, 0},    {-745, -708}, {709, 709.78}};
  for (const auto& [from, to] : ranges)
    EXPECT_LE(WorstUlps(from, to, Exp, [](long double x) { return std::exp(x); }), 2) << from << " to " << to;
}

TEST(Exp, AtTheEdges) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Exp(0.0), 1.0);
  EXPECT_EQ(Exp(-0.0), 1.0);
  EXPECT_EQ(Exp(-745.13), 4.9406564584124654e-324);
  EXPECT_EQ(Exp(-745.14), 0.0);
  EXPECT_EQ(Exp(-746.0), 0.0);
  EXPECT_EQ(Exp(-1e300), 0.0);
  EXPECT_EQ(Exp(-kInfinity), 0.0);
  EXPECT_TRUE(std::isfinite(Exp(709.78)));
  EXPECT_EQ(Exp(709.79), kInfinity);
  EXPECT_EQ(Exp(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(Exp(std::nan(""))));
}

TEST(Log, IsWithinTwoUlps) {
  const auto exact = [](long double x) { return std::log(x); };
  const std::pair<double, double> ranges[] = {{0.5, 2},        {0.70, 0.71}, {1.41, 1.42},    {0.999, 1.001},
                                              {1e-300, 1e300}, {1e-8, 1e8},  {1e-310, 1e-308}};
  for (const auto& [from, to] : ranges) EXPECT_LE(WorstUlps(from, to, Log, exact), 2) << from << " to " << to;
  const auto log_of_power = [](double e) { return Log(std::exp2(e)); };
  const auto exact_of_power = [](long double e) {
    return std::log(static_cast<long double>(std::exp2(static_cast<double>(e))));
  };
  EXPECT_LE(WorstUlps(-1074, 1023.9, log_of_power, exact_of_power), 2);
}

TEST(Log, AtTheEdges) {
  EXPECT_EQ(Log(1.0), 0.0);
  EXPECT_EQ(Log(2.0), 0.69314718055994530942);
  EXPECT_LE(UlpsFrom(std::log(static_cast<long double>(5e-324)), Log(5e-324)), 2);
  EXPECT_LE(UlpsFrom(std::log(static_cast<long double>(std::numeric_limits<double>::max())),
                     Log(std::numeric_limits<double>::max())),
            2);
  EXPECT_LE(UlpsFrom(std::log1p(0x1p-52L), Log(1 + 0x1p-52)), 2);
}

}  // namespace
}  // namespace gpumerge
