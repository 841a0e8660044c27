// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// model_stock: between the base and the mean of the models, at the point that their angle suggests (arXiv:2403.19522).
//   d_m = x_m - base;  c = mean over pairs of cos(d_m, d_n), of the tensor or of each row (filter_wise)
//   t = N c / (1 + (N-1) c);  out = base + t * mean of the d_m
//
// Mirrors mergekit's model_stock; the defaults are the paper's formula, preset: mergekit its safeguards. Cosines and t
// are fp64, t/N is rounded to fp32 once.
#pragma once

#include "kernels/gram.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

// How t follows from the inner products of the differences.
struct StockShare {
  static constexpr double kSingular = 1e-6;  // |1 + (N-1) c| below this has no t
  static constexpr DataProblem kNoShare{
      "its models differ from the base in opposite ways (mean cosine -1/(N-1)), where the method has no result",
      "set singular: base to keep the base there, or leave a model out"};

  uint32_t n_models;
  double norm_floor;
  bool singular_is_base, clamp;

  // t/N as a float. A problem where there is none.
  const DataProblem* Share(const double* gram, double* share) const {
    double sum = 0;
    for (uint32_t a = 1; a < n_models; ++a)
      for (uint32_t b = 0; b < a; ++b) {
        // The root of the product: the cosine of proportional vectors is then exactly 1 or -1.
        double lengths = std::sqrt(gram[GramIndex(a, a)] * gram[GramIndex(b, b)]);
        lengths = lengths > norm_floor ? lengths : norm_floor;
        const double cosine = lengths > 0 ? gram[GramIndex(a, b)] / lengths : 0;
        sum += cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
      }
    const double n = n_models, cosine = sum / (n * (n - 1) / 2), divisor = 1 + (n - 1) * cosine;
    *share = 0;
    if (std::fabs(divisor) < kSingular) return singular_is_base ? nullptr : &kNoShare;
    double t = n * cosine / divisor;
    if (clamp) t = t < 0 ? 0 : t > 1 ? 1 : t;
    *share = static_cast<float>(t / n);
    return nullptr;
  }
};

struct StockFinish {
  static constexpr uint32_t kGroupValues = 1;
  StockShare rule;
  const DataProblem* operator()(const double* sums, uint64_t, double* group_values) const {
    return rule.Share(sums, group_values);
  }
};

// The share is of the whole tensor or of the element's row.
template <int kModels, GroupAxis kAxis>
struct StockElement : PlainFunctor, KnownCounts<kModels, kModels + 1> {
  static constexpr GroupAxis kGroups = kAxis;
  ModelCount<kModels> n_models;
  float share;
  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    F sum(0.0f);
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      const F delta = at.x[m + 1] - at.x[0];
      sum = m == 0 ? delta : sum + delta;
    });
    if constexpr (kAxis == GroupAxis::kNone)
      return at.x[0] + sum * F(share);
    else
      return at.x[0] + sum * F(at.group[0]);
  }
};

struct ModelStock {
  static const MethodInfo& Info() {
    static constexpr std::string_view kSingularChoices[] = {"error", "base"};
    static constexpr ParamSpec kParams[] = {
        {.name = "filter_wise",
         .type = ParamType::kBool,
         .default_value = 0.0,
         .help = "an angle for every row (last axis) instead of one for the tensor"},
        {.name = "norm_floor",
         .default_value = 0.0,
         .min = 0,
         .max = 1e30,
         .help = "smallest product of two lengths in a cosine; mergekit has 1e-6"},
        {.name = "singular",
         .type = ParamType::kChoice,
         .default_value = 0.0,
         .choices = kSingularChoices,
         .help = "where the mean cosine is -1/(N-1): an error, or the base as in mergekit"},
        {.name = "clamp_t",
         .type = ParamType::kBool,
         .default_value = 0.0,
         .help = "hold t between 0 (the base) and 1 (the mean)"}};
    static constexpr PresetValue kMergekit[] = {{"norm_floor", 1e-6}, {"singular", 1.0}};
    static constexpr Preset kPresets[] = {{"mergekit", "mergekit 0.1.5's safeguards", kMergekit}};
    static constexpr std::string_view kRemarks[] = {
        "mergekit holds the product of two lengths above 1e-6, which pulls small tensors (norms, biases) towards the "
        "base; "
        "norm_floor: 1e-6 or preset: mergekit does that.",
        "A model equal to the base has no direction: its cosines are 0.",
        "t is not clamped, as in the paper's formula: a negative mean cosine goes beyond the base.",
        "A tensor that too few models have is an error; mergekit leaves it out of the output with a warning.",
        "At most 15 models besides the base."};
    static constexpr MethodInfo kInfo{
        .name = "model_stock",
        .summary = "between the base and the models' mean, as far as their angle suggests",
        .formula = "out = t mean_m x_m + (1-t) base, t = N c / (1 + (N-1) c), c = mean cosine of the x_m - base",
        .reference = "Model Stock, arXiv:2403.19522",
        .base = BaseUse::kRequired,
        .min_models = 2,
        .max_models = kMaxGramModels,
        .params = kParams,
        .presets = kPresets,
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
    const StockShare rule{job.n_models(), job.Shared("norm_floor"), job.Shared("singular") != 0,
                          job.Shared("clamp_t") != 0};
    if (job.Shared("filter_wise") != 0) {
      const GramSums<kModels, true, GroupAxis::kRows> sums{{}, {}, {job.n_models()}};
      x.ReduceGroups(sums, GramValues(job.n_models()), ReduceOp::kSum, StockFinish{rule});
      x.Map(StockElement<kModels, GroupAxis::kRows>{{}, {}, {job.n_models()}, 0});
    } else {
      const GramSums<kModels, true> sums{{}, {}, {job.n_models()}};
      const double* gram = x.Reduce(sums, GramValues(job.n_models()), ReduceOp::kSum);
      double share;
      if (const DataProblem* problem = rule.Share(gram, &share)) x.Fail(*problem);
      x.Map(StockElement<kModels, GroupAxis::kNone>{{}, {}, {job.n_models()}, static_cast<float>(share)});
    }
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(ModelStock)
