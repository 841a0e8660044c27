// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// ram, ramplus_tl: differences from the base are averaged over the models that changed the element only
// (arXiv:2601.13572).
//   d_m = x_m - base;  m is active where |d_m| > epsilon;  c = number of active models
//   ram:         out = base + sum over active m of d_m / c
//   ramplus_tl:  where c = 1, d_m is multiplied by L_m = 1 + r * clamp(shared_m / max(unique_m, epsilon), 0, alpha)
//                shared_m, unique_m: elements of the tensor where m is active with others, and alone
#pragma once

#include "kernels/recipe.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

template <class F>
GM_HD auto IsActive(F delta, float epsilon) {
  return (delta > F(epsilon)) || (delta < F(-epsilon));
}

// Values (2, n_models): elements where the model is active with others, and alone.
struct RamCounts : PlainFunctor {
  uint32_t n_models;
  float epsilon;
  GM_HD void operator()(const At<float>& at, double* values) const {
    uint32_t count = 0;
    for (uint32_t m = 0; m < n_models; ++m) count += IsActive(at.x[m + 1] - at.x[0], epsilon) ? 1u : 0u;
    for (uint32_t m = 0; m < n_models; ++m) {
      const bool active = IsActive(at.x[m + 1] - at.x[0], epsilon);
      values[m] = active && count > 1 ? 1 : 0;
      values[n_models + m] = active && count == 1 ? 1 : 0;
    }
  }
};

struct RamElement : PlainFunctor {
  uint32_t n_models;
  float epsilon;
  float unique_factor[kMaxModels];

  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    const F zero(0.0f), one(1.0f);
    F count = zero;
    for (uint32_t m = 0; m < n_models; ++m) count = count + Where(IsActive(at.x[m + 1] - at.x[0], epsilon), one, zero);
    const auto alone = count == one;
    const F divisor = Where(count == zero, one, count);
    F sum = zero;
    for (uint32_t m = 0; m < n_models; ++m) {
      const F delta = at.x[m + 1] - at.x[0];
      const F grown = Where(alone, delta * F(unique_factor[m]), delta / divisor);
      const F term = Where(IsActive(delta, epsilon), grown, zero);
      sum = m == 0 ? term : sum + term;
    }
    return at.x[0] + sum;
  }
};

struct RamFamily {
  static constexpr ParamSpec kEpsilon{.name = "epsilon",
                                      .default_value = 1e-5,
                                      .min = 0,
                                      .max = 1,
                                      .help = "differences from the base up to this count as unchanged"};
  static constexpr std::string_view kTypeRemark =
      "Differences are taken in float32 and the result has the inputs' type; mergekit subtracts in the inputs' type, "
      "where epsilon mostly means \"not equal\", and its ramplus_tl writes float32.";

  // |d| > epsilon is decided as in double: no float lies between epsilon and the float below it.
  static float FloatBelow(double epsilon) {
    const float rounded = static_cast<float>(epsilon);
    return rounded > epsilon ? std::nextafter(rounded, 0.0f) : rounded;
  }
  static RamElement PlainElement(const MergeJob& job) {
    RamElement element;
    element.n_models = job.n_models();
    element.epsilon = FloatBelow(job.Shared("epsilon"));
    for (uint32_t m = 0; m < job.n_models(); ++m) element.unique_factor[m] = 1;
    return element;
  }
};

struct Ram : RamFamily {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kEpsilon};
    static constexpr std::string_view kRemarks[] = {kTypeRemark};
    static constexpr MethodInfo kInfo{.name = "ram",
                                      .summary = "averages each element over the models that changed it",
                                      .formula = "out = base + sum_active (x_m - base) / number of active models",
                                      .reference = "RAM, arXiv:2601.13572",
                                      .base = BaseUse::kRequired,
                                      .params = kParams,
                                      .remarks = kRemarks};
    return kInfo;
  }
  template <class X>
  static void Recipe(X& x) {
    x.Map(PlainElement(x.job()));
  }
};

struct RamplusTl : RamFamily {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "r", .default_value = 0.1, .min = -1e30, .max = 1e30, .help = "how much elements of one model grow"},
        {.name = "alpha", .default_value = 0.2, .min = 0, .max = 1e30, .help = "largest ratio that counts"},
        kEpsilon};
    static constexpr std::string_view kRemarks[] = {
        kTypeRemark,
        "Shared and unique elements are counted in each tensor, as in mergekit (\"TL\"); the paper counts over the "
        "whole "
        "model.",
        "A model that changed no element alone has the ratio alpha: its divisor is epsilon, not zero."};
    static constexpr MethodInfo kInfo{
        .name = "ramplus_tl",
        .summary = "ram, with what only one model changed grown a little",
        .formula =
            "out = base + sum_active (x_m - base) * (1 + r clamp(shared_m / unique_m, 0, alpha) if alone else 1/count)",
        .reference = "RAM+, arXiv:2601.13572",
        .base = BaseUse::kRequired,
        .params = kParams,
        .remarks = kRemarks};
    return kInfo;
  }
  template <class X>
  static void Recipe(X& x) {
    const MergeJob& job = x.job();
    RamElement element = PlainElement(job);
    RamCounts sums;
    sums.n_models = job.n_models();
    sums.epsilon = element.epsilon;
    const double* counts = x.Reduce(sums, 2 * job.n_models(), ReduceOp::kSum);
    const double r = job.Shared("r"), alpha = job.Shared("alpha"), epsilon = job.Shared("epsilon");
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const double shared = counts[m], unique = counts[job.n_models() + m];
      const double divisor = unique > epsilon ? unique : epsilon;
      const double ratio = shared == 0 ? 0 : shared > alpha * divisor ? alpha : shared / divisor;
      element.unique_factor[m] = static_cast<float>(1 + r * ratio);
    }
    x.Map(element);
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Ram, RamplusTl)
