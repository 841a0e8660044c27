// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// nuslerp: spherical interpolation of two models, or of their differences from a base; of the whole tensor, of rows or
// of columns (Shoemake, SIGGRAPH 1985).
//   a, b = x_1, x_2, or x_1 - base, x_2 - base;  t = w_2 / (w_1 + w_2), 1/2 if |w_1 + w_2| < 1e-6
//   c = <a, b> / (|a| |b|);  A = acos c;  out = sin((1-t)A)/sin A * a + sin(tA)/sin A * b, plus the base
//   1 - c^2 <= 1e-16: out = (1-t) a + t b
//
// Mirrors mergekit's nuslerp. Norms, dot products and coefficients are fp64, the coefficients are rounded to fp32 once.
#pragma once

#include "kernels/recipe.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

template <GroupAxis kAxis>
struct ArcSums : PlainFunctor {
  static constexpr GroupAxis kGroups = kAxis;
  bool from_base;
  GM_HD void operator()(const At<float>& at, double* values) const {
    const double a = from_base ? at.x[1] - at.x[0] : at.x[0];
    const double b = from_base ? at.x[2] - at.x[0] : at.x[1];
    values[0] = a * a;
    values[1] = b * b;
    values[2] = a * b;
  }
};

// The coefficients of a and b, rounded to fp32.
struct Arc {
  static constexpr double kShortest = 1e-7;         // a vector counts as at least that long
  static constexpr double kCollinear = 1e-16;       // 1 - c^2 up to which there is no arc
  static constexpr double kOppositeSquare = 1e-14;  // the same for c < 0, where fp32 coefficients would say nothing
  double t;

  void Coefficients(const double* sums, double* of_a, double* of_b) const {
    const double norm_a = std::sqrt(sums[0]), norm_b = std::sqrt(sums[1]);
    // The root of the product: proportional vectors have a cosine of exactly 1 or -1.
    const double lengths = norm_a >= kShortest && norm_b >= kShortest
                               ? std::sqrt(sums[0] * sums[1])
                               : (norm_a > kShortest ? norm_a : kShortest) * (norm_b > kShortest ? norm_b : kShortest);
    double c = sums[2] / lengths;
    c = c > 1 ? 1 : c < -1 ? -1 : c;
    const bool straight = 1 - c * c <= (c < 0 ? kOppositeSquare : kCollinear);
    const double angle = std::acos(c), sine = std::sin(angle);
    *of_a = static_cast<float>(straight ? 1 - t : std::sin((1 - t) * angle) / sine);
    *of_b = static_cast<float>(straight ? t : std::sin(t * angle) / sine);
  }
};

struct ArcFinish {
  static constexpr uint32_t kGroupValues = 2;
  Arc arc;
  void operator()(const double* sums, uint64_t, double* group_values) const {
    arc.Coefficients(sums, &group_values[0], &group_values[1]);
  }
};

template <GroupAxis kAxis>
struct ArcElement : PlainFunctor {
  static constexpr GroupAxis kGroups = kAxis;
  bool from_base;
  float of_a, of_b;  // of the whole tensor
  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    const F a = from_base ? at.x[1] - at.x[0] : at.x[0];
    const F b = from_base ? at.x[2] - at.x[0] : at.x[1];
    F merged;
    if constexpr (kAxis == GroupAxis::kNone)
      merged = a * F(of_a) + b * F(of_b);
    else
      merged = a * F(at.group[0]) + b * F(at.group[1]);
    return from_base ? at.x[0] + merged : merged;
  }
};

struct Nuslerp {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "weight", .scope = ParamScope::kPerModel, .min = -1e30, .max = 1e30, .help = "the model's share"},
        {.name = "nuslerp_row_wise",
         .type = ParamType::kBool,
         .default_value = 0.0,
         .help = "without nuslerp_flatten: vectors along the first axis (W[:, j]) instead of the last (W[i, :])"},
        {.name = "nuslerp_flatten",
         .type = ParamType::kBool,
         .default_value = 1.0,
         .help = "the whole tensor is one vector"}};
    static constexpr std::string_view kRemarks[] = {
        "nuslerp_row_wise: true takes vectors along the first axis, as mergekit's code does; its documentation reads "
        "the "
        "other way round.",
        "There is no threshold of 0.9995 as in slerp: fine-tunes of one base are interpolated along their small arc.",
        "Opposite vectors (1 - c^2 <= 1e-14, c < 0) are interpolated on a line: coefficients in float32 could not hold "
        "the arc.",
        "mergekit computes angles in the type of the inputs (in bf16 a quarter of the elements come out different); "
        "here "
        "they are float64."};
    static constexpr MethodInfo kInfo{
        .name = "nuslerp",
        .summary =
            "spherical interpolation of two models by weight: whole tensors, rows or columns, with or without a base",
        .formula = "out = sin((1-t)A)/sin A * a + sin(tA)/sin A * b, t = w_b / (w_a + w_b), A = angle between a and b",
        .reference = "Shoemake 1985; mergekit nuslerp",
        .base = BaseUse::kOptional,
        .min_models = 2,
        .max_models = 2,
        .params = kParams,
        .copies_lone_input = true,
        .remarks = kRemarks};
    return kInfo;
  }
  template <class X>
  static void Recipe(X& x) {
    if (x.job().Shared("nuslerp_flatten") != 0)
      WholeTensor(x);
    else if (x.job().Shared("nuslerp_row_wise") != 0)
      Groups<GroupAxis::kColumns>(x);
    else
      Groups<GroupAxis::kRows>(x);
  }

 private:
  static Arc ArcOf(const MergeJob& job) {
    const double a = static_cast<float>(job.PerModel("weight", 0)), b = static_cast<float>(job.PerModel("weight", 1));
    return {std::fabs(a + b) < 1e-6 ? 0.5 : b / (a + b)};
  }
  template <class X>
  static void WholeTensor(X& x) {
    const bool from_base = x.job().has_base;
    double of_a, of_b;
    const double* sums = x.Reduce(ArcSums<GroupAxis::kNone>{{}, from_base}, 3, ReduceOp::kSum);
    ArcOf(x.job()).Coefficients(sums, &of_a, &of_b);
    x.Map(ArcElement<GroupAxis::kNone>{{}, from_base, static_cast<float>(of_a), static_cast<float>(of_b)});
  }
  template <GroupAxis kAxis, class X>
  static void Groups(X& x) {
    const bool from_base = x.job().has_base;
    x.ReduceGroups(ArcSums<kAxis>{{}, from_base}, 3, ReduceOp::kSum, ArcFinish{ArcOf(x.job())});
    x.Map(ArcElement<kAxis>{{}, from_base, 0, 0});
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Nuslerp)
