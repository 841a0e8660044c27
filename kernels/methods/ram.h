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
  return FromBits(Bits(delta) & kMagnitudeMask) > F(epsilon);
}

// Values (2, n_models): elements where the model is active with others, and alone.
template <int kModels>
struct RamCounts : PlainFunctor, KnownCounts<kModels, kModels + 1, 2 * kModels> {
  ModelCount<kModels> n_models;
  float epsilon;
  GM_HD void operator()(const At<float>& at, double* values) const {
    int32_t count = 0;
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      count += static_cast<int32_t>(IsActive(at.x[m + 1] - at.x[0], epsilon));
    });
    // Numbers and no conditions, which would become branches.
    const int32_t with_others = static_cast<int32_t>(count > 1);
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      const int32_t active = static_cast<int32_t>(IsActive(at.x[m + 1] - at.x[0], epsilon));
      const int32_t shared = active & with_others;
      values[m] = shared;
      values[n_models() + m] = active - shared;
    });
  }
};

template <int kModels>
struct RamElement : PlainFunctor, KnownCounts<kModels, kModels + 1> {
  ModelCount<kModels> n_models;
  float epsilon;
  float unique_factor[kCapacity<kModels>];

  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    const F zero(0.0f), one(1.0f);
    F count = zero;
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      count = count + Where(IsActive(at.x[m + 1] - at.x[0], epsilon), one, zero);
    });
    const auto alone = count == one;
    const F divisor = Where(count == zero, one, count);
    F sum = zero;
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      const F delta = at.x[m + 1] - at.x[0];
      const F grown = Where(alone, delta * F(unique_factor[m]), delta / divisor);
      const F term = Where(IsActive(delta, epsilon), grown, zero);
      sum = m == 0 ? term : sum + term;
    });
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
  template <int kModels>
  static RamElement<kModels> PlainElement(const MergeJob& job) {
    RamElement<kModels> element;
    element.n_models = {job.n_models()};
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
    DispatchModels(x.job().n_models(), [&](auto models) { x.Map(PlainElement<models()>(x.job())); });
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
    DispatchModels(x.job().n_models(), [&](auto models) { Passes<models()>(x); });
  }

 private:
  template <int kModels, class X>
  static void Passes(X& x) {
    const MergeJob& job = x.job();
    RamElement<kModels> element = PlainElement<kModels>(job);
    RamCounts<kModels> sums;
    sums.n_models = {job.n_models()};
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
