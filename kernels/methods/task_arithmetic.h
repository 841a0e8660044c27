// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// task_arithmetic, ties, dare_linear, dare_ties: sums of sparsified task vectors.
//   d_m = sparsify(x_m - base) * factor_m           D_m = w_m * d_m
//   task_arithmetic, dare_linear:   M = sum_m D_m,                             N = sum_m w_m
//   ties, dare_ties (elect a sign): s = + if sum_m D_m >= 0 else -
//                                   M = sum of the D_m of sign s (0 has none), N = sum of their w_m (0 counts as 1)
//   out = base + lambda * (M / N if normalize else M)
// Task Arithmetic arXiv:2212.04089, TIES arXiv:2306.01708, DARE arXiv:2311.03099.
//
// Mirrors mergekit's task_arithmetic, ties, dare_linear and dare_ties. Differs: arithmetic is fp32 whatever the input
// type; exactly trunc(density * n) elements are kept, ties by lowest index; DARE draws are seeded and counted, and
// rescale: true is 1/density for DARE as in the paper (l1 is mergekit's rule); weights that sum to zero are refused
// with normalize.
#pragma once

#include "kernels/recipe.h"
#include "kernels/task_vectors.h"
#include "kernels/weights.h"

namespace gpumerge::GM_TARGET {

enum class Consensus : uint8_t { kNone, kElectSign };

template <Sparsify kSparsify, Consensus kConsensus, int kModels>
struct TaskArithmeticElement : KnownCounts<kModels, kModels + 1> {
  static constexpr bool kDraws = kSparsify == Sparsify::kDrop;
  TaskVectors<kSparsify, kModels> vectors;
  float weight[kCapacity<kModels>];
  float weight_sum;
  float lambda;
  bool normalize;

  GM_HD void Bind(const Selection* kept) { vectors.Bind(kept); }
  GM_HD void MoveTo(uint64_t first_elem) { vectors.MoveTo(first_elem); }

  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    const F zero(0.0f);
    F delta[kCapacity<kModels>];
    F sum = zero;
    for (uint32_t m = 0; m < vectors.n_models(); ++m) {
      delta[m] = (vectors.Kept(at, m) * F(vectors.factor[m])) * F(weight[m]);
      sum = m == 0 ? delta[0] : sum + delta[m];
    }
    F merged = sum;
    if constexpr (kConsensus == Consensus::kElectSign) {
      const auto plus = sum >= zero;
      F agreeing_weight = zero;
      for (uint32_t m = 0; m < vectors.n_models(); ++m) {
        const auto agrees = (plus && (delta[m] > zero)) || (!plus && (delta[m] < zero));
        const F kept_delta = Where(agrees, delta[m], zero);
        const F kept_weight = Where(agrees, F(weight[m]), zero);
        merged = m == 0 ? kept_delta : merged + kept_delta;
        agreeing_weight = m == 0 ? kept_weight : agreeing_weight + kept_weight;
      }
      if (normalize) merged = merged / Where(agreeing_weight == zero, F(1.0f), agreeing_weight);
    } else {
      if (normalize) merged = merged / F(weight_sum);
    }
    return at.x[0] + merged * F(lambda);
  }
};

template <Sparsify kSparsify, Consensus kConsensus>
struct TaskArithmeticFamily {
  // What `rescale: true` means for this sparsifier.
  static constexpr Rescale kTrueRescale = kSparsify == Sparsify::kDrop ? Rescale::kInvDensity : Rescale::kL1;

  static constexpr ParamSpec kWeight{.name = "weight",
                                     .scope = ParamScope::kPerModel,
                                     .min = -1e30,
                                     .max = 1e30,
                                     .help = "factor of the model's task vector"};
  static constexpr ParamSpec kDensity{.name = "density",
                                      .scope = ParamScope::kPerModel,
                                      .default_value = 1.0,
                                      .min = 0,
                                      .max = 1,
                                      .help = "share of the task vector's elements that are kept"};
  static constexpr ParamSpec kDensityUnused{.name = "density",
                                            .scope = ParamScope::kPerModel,
                                            .default_value = 1.0,
                                            .min = 0,
                                            .max = 1,
                                            .effect = ParamEffect::kNone,
                                            .help = "accepted as mergekit accepts it; this method drops nothing"};
  static constexpr ParamSpec Normalize(bool by_default) {
    return {.name = "normalize",
            .type = ParamType::kBool,
            .default_value = by_default ? 1.0 : 0.0,
            .help = "divide by the sum of the (agreeing) weights"};
  }
  static constexpr ParamSpec RescaleParam(Rescale by_default) {
    return {
        .name = "rescale",
        .type = ParamType::kChoice,
        .default_value = static_cast<double>(by_default),
        .choices = kRescaleChoices,
        .help =
            kSparsify == Sparsify::kDrop
                ? "factor of what is kept: true = inv_density = 1/density, l1 = mergekit's rule, l2, linf, false = none"
                : "factor of what is kept: true = l1 (keep the norm), l2, linf, inv_density = 1/density, false = none"};
  }
  static constexpr ParamSpec kRescaleUnused{.name = "rescale",
                                            .type = ParamType::kChoice,
                                            .default_value = 0.0,
                                            .choices = kRescaleChoices,
                                            .effect = ParamEffect::kNone,
                                            .help = "accepted as mergekit accepts it; this method drops nothing"};
  static constexpr ParamSpec kLambda{
      .name = "lambda", .default_value = 1.0, .min = -1e30, .max = 1e30, .help = "factor of the merged task vector"};
  static constexpr ParamSpec kInt8Mask{
      .name = "int8_mask",
      .type = ParamType::kBool,
      .default_value = 0.0,
      .effect = ParamEffect::kNone,
      .help = "accepted as mergekit accepts it; masks are never stored here, so there is nothing to shrink"};

  static std::optional<JobProblem> Check(const MergeJob& job) {
    return job.Shared("normalize") != 0 ? CheckWeightSum(job) : std::nullopt;
  }

  template <class X>
  static void Recipe(X& x) {
    Rescale rescale = static_cast<Rescale>(static_cast<int>(x.job().Shared("rescale")));
    if (rescale == Rescale::kTrue) rescale = kTrueRescale;
    DispatchModels(x.job().n_models(), [&](auto models) {
      TaskArithmeticElement<kSparsify, kConsensus, models()> element;
      const Selection* selections = nullptr;
      element.vectors = SparsifyPasses<kSparsify, models()>(x, rescale, &selections);
      element.weight_sum = ReadWeights(x.job(), element.weight);
      element.lambda = static_cast<float>(x.job().Shared("lambda"));
      element.normalize = x.job().Shared("normalize") != 0;
      x.Map(element, selections);
    });
  }
};

struct TaskArithmetic : TaskArithmeticFamily<Sparsify::kNone, Consensus::kNone> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight,        kDensityUnused, Normalize(false),
                                            kRescaleUnused, kLambda,        kInt8Mask};
    static constexpr MethodInfo kInfo{.name = "task_arithmetic",
                                      .summary = "adds the models' differences to the base",
                                      .formula = "out = base + lambda * sum_m w_m (x_m - base)",
                                      .reference = "Task Arithmetic, arXiv:2212.04089",
                                      .base = BaseUse::kRequired,
                                      .params = kParams};
    return kInfo;
  }
};

struct Ties : TaskArithmeticFamily<Sparsify::kTrim, Consensus::kElectSign> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight, kDensity, Normalize(true), RescaleParam(Rescale::kFalse),
                                            kLambda, kInt8Mask};
    static constexpr MethodInfo kInfo{
        .name = "ties",
        .summary = "trims each difference to its largest elements, elects a sign, averages what agrees with it",
        .formula = "out = base + lambda * sum_agreeing w_m trim(x_m - base) / sum_agreeing w_m",
        .reference = "TIES-Merging, arXiv:2306.01708",
        .base = BaseUse::kRequired,
        .params = kParams};
    return kInfo;
  }
};

struct DareLinear : TaskArithmeticFamily<Sparsify::kDrop, Consensus::kNone> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight, kDensity, Normalize(false), RescaleParam(Rescale::kTrue),
                                            kLambda, kInt8Mask};
    static constexpr MethodInfo kInfo{
        .name = "dare_linear",
        .summary = "drops elements of each difference at random, grows the rest, adds them",
        .formula = "out = base + lambda * sum_m w_m drop(x_m - base) / density_m",
        .reference = "DARE, arXiv:2311.03099",
        .base = BaseUse::kRequired,
        .params = kParams};
    return kInfo;
  }
};

struct DareTies : TaskArithmeticFamily<Sparsify::kDrop, Consensus::kElectSign> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight, kDensity, Normalize(false), RescaleParam(Rescale::kTrue),
                                            kLambda, kInt8Mask};
    static constexpr MethodInfo kInfo{
        .name = "dare_ties",
        .summary = "drops elements of each difference at random, grows the rest, elects a sign, adds what agrees",
        .formula = "out = base + lambda * sum_agreeing w_m drop(x_m - base) / density_m",
        .reference = "DARE, arXiv:2311.03099; TIES-Merging, arXiv:2306.01708",
        .base = BaseUse::kRequired,
        .params = kParams};
    return kInfo;
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(TaskArithmetic, Ties, DareLinear, DareTies)
