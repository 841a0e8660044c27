// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// linear: weighted mean (model soups, arXiv:2203.05482; WiSE-FT, arXiv:2109.01903).
//   out = sum_m w_m * x_m, divided by sum_m w_m if normalize
//
// Mirrors mergekit's linear. Differs: products and sums are rounded separately (no fused multiply-add), the sum starts
// with the first product so that -0 survives, weights that sum to zero are refused.
#pragma once

#include "kernels/recipe.h"
#include "kernels/weights.h"

namespace gpumerge::GM_TARGET {

template <int kModels>
struct LinearElement : PlainFunctor, KnownCounts<kModels, kModels> {
  ModelCount<kModels> n_models;
  float weight[kCapacity<kModels>];
  float divisor;  // 1 = none

  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    F sum = at.x[0] * F(weight[0]);
    for (uint32_t m = 1; m < n_models(); ++m) sum = sum + at.x[m] * F(weight[m]);
    return sum / F(divisor);
  }
};

struct Linear {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "weight", .scope = ParamScope::kPerInput, .min = -1e30, .max = 1e30, .help = "the model's share"},
        {.name = "normalize",
         .type = ParamType::kBool,
         .default_value = 1.0,
         .help = "divide by the sum of the weights"}};
    static constexpr std::string_view kRemarks[] = {
        "Uniform and weighted soups and WiSE-FT are this method: configs/soup_uniform.yaml, soup_weighted.yaml, "
        "wise_ft.yaml.",
        "A configured base_model is one more model, and needs a weight.",
        "Weights that sum to zero are refused with normalize; mergekit writes infinity or NaN.",
        "Products and sums are rounded one by one; mergekit on a CPU fuses them, which changes last bits."};
    static constexpr MethodInfo kInfo{.name = "linear",
                                      .summary = "weighted mean of the models",
                                      .formula = "out = sum_m w_m x_m / sum_m w_m",
                                      .reference = "model soups, arXiv:2203.05482",
                                      .base = BaseUse::kOrdinaryInput,
                                      .min_models = 1,
                                      .params = kParams,
                                      .remarks = kRemarks};
    return kInfo;
  }
  static std::optional<JobProblem> Check(const MergeJob& job) {
    return job.Shared("normalize") != 0 ? CheckWeightSum(job) : std::nullopt;
  }
  template <class X>
  static void Recipe(X& x) {
    DispatchModels(x.job().n_models(), [&](auto models) {
      LinearElement<models()> element;
      element.n_models.any = x.job().n_models();
      const float weight_sum = ReadWeights(x.job(), element.weight);
      element.divisor = x.job().Shared("normalize") != 0 ? weight_sum : 1.0f;
      x.Map(element);
    });
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Linear)
