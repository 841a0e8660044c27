// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// slerp: spherical interpolation of two models, the whole tensor as one vector (Shoemake, SIGGRAPH 1985).
//   c = <a, b> / (|a| |b|);  theta = acos c;  out = sin((1-t) theta)/sin theta * a + sin(t theta)/sin theta * b
//   |c| > 0.9995: out = (1-t) a + t b
//
// Mirrors mergekit's slerp (a is the base, the vectors themselves are not normalised). Norms, dot product and
// coefficients are fp64, the coefficients are rounded to fp32 once. t = 0 and t = 1 give the end itself, the sign of
// zero included.
#pragma once

#include "kernels/recipe.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

struct SlerpSums : PlainFunctor, KnownCounts<1, 2, 3> {
  GM_HD void operator()(const At<float>& at, double* values) const {
    const double a = at.x[0], b = at.x[1];
    values[0] = a * a;
    values[1] = b * b;
    values[2] = a * b;
  }
};

struct SlerpElement : PlainFunctor, KnownCounts<1, 2> {
  float from_a, from_b;
  bool only_a, only_b;
  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    if (only_a) return at.x[0];
    if (only_b) return at.x[1];
    return at.x[0] * F(from_a) + at.x[1] * F(from_b);
  }
};

struct Slerp {
  static constexpr double kLerpAbove = 0.9995;  // |cos| from which on the arc is taken for straight
  static constexpr double kZeroNorm = 1e-8;     // a vector shorter than this has no direction

  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "t", .min = -1e6, .max = 1e6, .help = "0 is the base model, 1 the other one"}};
    static constexpr std::string_view kRemarks[] = {
        "Models of one base are often so close (|cos| > 0.9995) that slerp is plain interpolation; the report says of "
        "which tensors. nuslerp has no such threshold.",
        "t may lie outside of 0 to 1; t = 0 and t = 1 are the models themselves, bit for bit.",
        "Norms, angle and coefficients are float64 whatever the type of the inputs."};
    static constexpr MethodInfo kInfo{
        .name = "slerp",
        .summary = "spherical interpolation between the base and one other model",
        .formula = "out = sin((1-t)A)/sin A * base + sin(tA)/sin A * model, A = angle between them",
        .reference = "Shoemake 1985; mergekit slerp",
        .base = BaseUse::kRequired,
        .min_models = 1,
        .max_models = 1,
        .params = kParams,
        .copies_lone_input = true,
        .remarks = kRemarks};
    return kInfo;
  }

  template <class X>
  static void Recipe(X& x) {
    const double t = static_cast<float>(x.job().Shared("t"));
    SlerpElement element;
    element.only_a = t == 0;
    element.only_b = t == 1;
    element.from_a = element.from_b = 0;
    if (!element.only_a && !element.only_b) {
      const double* sums = x.Reduce(SlerpSums{}, SlerpSums::kValues, ReduceOp::kSum);
      const double norm_a = std::sqrt(sums[0]), norm_b = std::sqrt(sums[1]);
      double c = sums[2] / ((norm_a > kZeroNorm ? norm_a : 1) * (norm_b > kZeroNorm ? norm_b : 1));
      c = c > 1 ? 1 : c < -1 ? -1 : c;
      if (std::fabs(c) > kLerpAbove) {
        element.from_a = static_cast<float>(1 - t);
        element.from_b = static_cast<float>(t);
        x.NoteLerp();
      } else {
        const double theta = std::acos(c), sin_theta = std::sin(theta);
        element.from_a = static_cast<float>(std::sin((1 - t) * theta) / sin_theta);
        element.from_b = static_cast<float>(std::sin(t * theta) / sin_theta);
      }
    }
    x.Map(element);
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Slerp)
