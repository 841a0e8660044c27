// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// multislerp: the weighted mean of the models' directions, as long as the weighted mean of their lengths.
//   v_m = x_m, or x_m - base;  u_m = v_m / (|v_m| + eps);  M = sum_m w_m u_m
//   out = M / |M| * sum_m w_m |v_m|, plus the base;  weights are divided by their sum if normalize_weights
//
// Mirrors mergekit's multislerp: its way along the tangent space of M adds a vector that is zero for every input.
// Lengths and the coefficients of the sum are fp64, the coefficients are rounded to fp32 once.
#pragma once

#include "kernels/gram.h"
#include "kernels/weights.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

// values (n_models): squares.
template <int kModels>
struct SquareSums : PlainFunctor, KnownSums<kModels, kModels> {
  ModelCount<kModels> n_models;
  bool from_base;
  GM_HD void operator()(const At<float>& at, double* values) const {
    const float origin = from_base ? at.x[0] : 0.0f;  // x - 0 is x, whatever its sign
    const uint32_t first_model = from_base ? 1 : 0;
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      const double x = at.x[first_model + m] - origin;
      values[m] = x * x;
    });
  }
};

// One value: the square of sum_m factor_m x_m. Summed like this and not from inner products, whose rounding would hide
// a sum that is nearly zero.
template <int kModels>
struct CombinationSquare : PlainFunctor, KnownSums<kModels, 1> {
  ModelCount<kModels> n_models;
  bool from_base;
  double factor[kCapacity<kModels>];
  GM_HD void operator()(const At<float>& at, double* values) const {
    const float origin = from_base ? at.x[0] : 0.0f;
    const uint32_t first_model = from_base ? 1 : 0;
    double sum = 0;
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      const double x = at.x[first_model + m] - origin;
      sum = sum + factor[m] * x;
    });
    values[0] = sum * sum;
  }
};

struct Multislerp {
  static constexpr DataProblem kNoDirection{
      "the weighted directions of its models cancel out, so their mean has none",
      "change the weights of this tensor (a filter selects it), or merge it with linear"};

  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "weight", .scope = ParamScope::kPerModel, .min = -1e30, .max = 1e30, .help = "the model's share"},
        {.name = "normalize_weights",
         .type = ParamType::kBool,
         .default_value = 1.0,
         .help = "divide the weights by their sum"},
        {.name = "eps",
         .default_value = 1e-8,
         .min = 0,
         .max = 1,
         .help = "added to lengths; a mean direction shorter than this is none"}};
    static constexpr std::string_view kRemarks[] = {
        "Three or more models whose weighted directions cancel out are an error (NUM-SINGULAR) as in mergekit; two "
        "give "
        "their weighted sum. A tensor that is zero in all models, or equal to the base in all, stays so: mergekit "
        "stops.",
        "One model is returned as it is, without the base.",
        "With two models this is slerp only where their weights are equal.",
        "Weights that sum to zero are refused with normalize_weights; mergekit gives NaN."};
    static constexpr MethodInfo kInfo{
        .name = "multislerp",
        .summary = "mean direction of any number of models, with their mean length",
        .formula = "out = M/|M| * sum_m w_m |v_m|, M = sum_m w_m v_m / |v_m|, v_m = x_m (or x_m - base, plus base)",
        .reference = "mergekit multislerp",
        .base = BaseUse::kOptional,
        .params = kParams,
        .remarks = kRemarks};
    return kInfo;
  }
  static std::optional<JobProblem> Check(const MergeJob& job) {
    if (job.n_models() < 2 || job.Shared("normalize_weights") == 0) return std::nullopt;
    std::optional<JobProblem> problem = CheckWeightSum(job);
    if (problem) problem->help = "change the weights or set normalize_weights: false";
    return problem;
  }
  static bool IsCopy(const MergeJob& job) { return job.inputs.size() == 1; }

  template <class X>
  static void Recipe(X& x) {
    DispatchModels(x.job().n_models(), [&](auto models) { Passes<models()>(x); });
  }

 private:
  template <int kModels, class X>
  static void Passes(X& x) {
    const MergeJob& job = x.job();
    const uint32_t n = job.n_models();
    CombinationElement<kModels> element;
    element.n_models = {n};
    element.first_model = job.has_base ? 1 : 0;
    element.from_base = job.has_base && n > 1;
    for (float& factor : element.factor) factor = 1;
    if (n > 1) SetFactors(x, &element);
    x.Map(element);
  }

  template <int kModels, class X>
  static void SetFactors(X& x, CombinationElement<kModels>* element) {
    const uint32_t n = element->n_models();
    double weight[kMaxModels];
    ReadShares(x.job(), weight);
    SquareSums<kModels> squares;
    squares.n_models = {n};
    squares.from_base = element->from_base;
    const double* sums = x.Reduce(squares, n, ReduceOp::kSum);

    const double eps = x.job().Shared("eps");
    CombinationSquare<kModels> mean;
    mean.n_models = {n};
    mean.from_base = element->from_base;
    double length = 0;
    bool all_zero = true;
    for (uint32_t m = 0; m < n; ++m) {
      const double norm = std::sqrt(sums[m]), divisor = norm + eps;
      mean.factor[m] = divisor > 0 ? weight[m] / divisor : 0;
      length += weight[m] * norm;
      all_zero = all_zero && weight[m] * norm == 0;
    }
    const double mean_length = std::sqrt(x.Reduce(mean, 1, ReduceOp::kSum)[0]);
    const bool has_direction = mean_length > 0 && mean_length >= eps;
    if (!has_direction && n > 2 && !all_zero) x.Fail(kNoDirection);
    for (uint32_t m = 0; m < n; ++m)
      element->factor[m] = static_cast<float>(has_direction ? mean.factor[m] * (length / mean_length) : weight[m]);
  }

  // The fp32 weights, divided by their sum where that is asked for.
  static void ReadShares(const MergeJob& job, double* weight) {
    float rounded[kMaxModels];
    ReadWeights(job, rounded);
    double sum = 0;
    for (uint32_t m = 0; m < job.n_models(); ++m) sum += rounded[m];
    const double divisor = job.Shared("normalize_weights") != 0 ? sum : 1;
    for (uint32_t m = 0; m < job.n_models(); ++m) weight[m] = rounded[m] / divisor;
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Multislerp)
