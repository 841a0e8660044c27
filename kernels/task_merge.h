// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What the methods of the task-arithmetic family share: the merging element, parameters, checks and the recipe.
//   d_m = sparsify(x_m - base) * factor_m           D_m = w_m * d_m
//   without election:  M = sum_m D_m,                             N = sum_m w_m
//   with election:     s = + if sum_m D_m >= 0 else -
//                      M = sum of the D_m of sign s (0 has none), N = sum of their w_m (0 counts as 1)
//   out = base + lambda * (M / N if normalize else M)
#pragma once

#include "kernels/recipe.h"
#include "kernels/sign_election.h"
#include "kernels/task_vectors.h"
#include "kernels/weights.h"

namespace gpumerge::GM_TARGET {

enum class Consensus : uint8_t { kNone, kElectSign };

template <Sparsify kSparsify, Consensus kConsensus, int kModels>
struct TaskArithmeticElement : KnownCounts<kModels, kModels + 1>, TaskVectors<kSparsify, kModels>::Asks {
  static constexpr bool kDraws = TaskVectors<kSparsify, kModels>::kDraws;
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
    ForModels<kModels>(vectors.n_models(), [&](uint32_t m) GM_INLINED {
      delta[m] = vectors.Grown(at, m) * F(weight[m]);
      sum = m == 0 ? delta[0] : sum + delta[m];
    });
    F merged = sum;
    if constexpr (kConsensus == Consensus::kElectSign) {
      const UInt<F> minus = Where(sum >= zero, UInt<F>(0u), UInt<F>(kSignBit));
      F agreeing_weight = zero;
      ForModels<kModels>(vectors.n_models(), [&](uint32_t m) GM_INLINED {
        const auto agrees = FromBits(Bits(delta[m]) ^ minus) > zero;
        const F kept_delta = Where(agrees, delta[m], zero);
        const F kept_weight = Where(agrees, F(weight[m]), zero);
        merged = m == 0 ? kept_delta : merged + kept_delta;
        agreeing_weight = m == 0 ? kept_weight : agreeing_weight + kept_weight;
      });
      if (normalize) merged = merged / Where(agreeing_weight == zero, F(1.0f), agreeing_weight);
    } else {
      if (normalize) merged = merged / F(weight_sum);
    }
    return at.x[0] + merged * F(lambda);
  }
};

template <Sparsify kSparsify, Consensus kConsensus, int kModels, class X>
void TaskMergePasses(X& x, Rescale rescale) {
  const MergeJob& job = x.job();
  const Selection* selections = nullptr;
  TaskArithmeticElement<kSparsify, kConsensus, kModels> element{};
  element.vectors = SparsifyPasses<kSparsify, kModels>(x, rescale, &selections);
  element.weight_sum = ReadWeights(job, element.weight);
  element.lambda = static_cast<float>(job.Shared("lambda"));
  element.normalize = job.Shared("normalize") != 0;
  x.Map(element, selections);
}

// All passes of a method of the family, `rescale: true` already being what it stands for.
template <Sparsify kSparsify, Consensus kConsensus, class X>
void TaskMerge(X& x, Rescale rescale) {
  if constexpr (kConsensus == Consensus::kElectSign) {
    if (!ElectionRules(x.job()).AreDefault()) {
      const Selection* selections = nullptr;
      const auto vectors = SparsifyPasses<kSparsify, 0>(x, rescale, &selections);
      bool is_model_wide = false;
      if constexpr (kSparsify == Sparsify::kTrim) is_model_wide = TrimsWholeModel(x.job());
      return ElectionPasses<kSparsify>(x, vectors, selections, is_model_wide);
    }
  }
  if constexpr (kSparsify != Sparsify::kBand) {
    DispatchModels(x.job().n_models(),
                   [&](auto models) { TaskMergePasses<kSparsify, kConsensus, models()>(x, rescale); });
  } else {
    TaskMergePasses<kSparsify, kConsensus, 0>(x, rescale);
  }
}

// What `rescale: true` means for a sparsifier: what its paper does where it drops at random, else to keep the norm.
constexpr Rescale TrueRescale(Sparsify sparsify) {
  return sparsify == Sparsify::kDrop || sparsify == Sparsify::kRankDrop ? Rescale::kInvDensity : Rescale::kL1;
}
inline Rescale RescaleOf(const MergeJob& job, Sparsify sparsify) {
  const Rescale rescale = ChoiceOf<Rescale>(job, "rescale");
  return rescale == Rescale::kTrue ? TrueRescale(sparsify) : rescale;
}

template <Sparsify kSparsify, Consensus kConsensus>
struct TaskArithmeticFamily {
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
  static constexpr std::string_view kRescaleHelp =
      kSparsify == Sparsify::kDrop
          ? "factor of what is kept: true = inv_density = 1/density, l1 = mergekit's rule, l2, linf, false = none"
      : kSparsify == Sparsify::kRankDrop
          ? "factor of what is kept: true = inv_density = 1/its keep probability, l1 = mergekit's rule, l2, linf, "
            "false = none"
          : "factor of what is kept: true = l1 (keep the norm), l2, linf, inv_density = 1/density, false = none";
  static constexpr ParamSpec RescaleParam(Rescale by_default) {
    return {.name = "rescale",
            .type = ParamType::kChoice,
            .default_value = static_cast<double>(by_default),
            .choices = kRescaleChoices,
            .help = kRescaleHelp};
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

  // Of the magnitudes' selection.
  static constexpr ParamSpec kTrimScope{.name = "trim_scope",
                                        .type = ParamType::kChoice,
                                        .default_value = 0.0,
                                        .choices = kTrimScopeChoices,
                                        .help =
                                            "where the largest elements are looked for: in every tensor, or in the "
                                            "whole model at once as the paper does"};
  static constexpr ParamSpec kTieBreak{.name = "tie_break",
                                       .type = ParamType::kChoice,
                                       .default_value = 0.0,
                                       .choices = kTieBreakChoices,
                                       .help =
                                           "of elements as large as the smallest kept one: exactly so many that "
                                           "the density is met, in order of their place, or all"};
  // Of the election.
  static constexpr ParamSpec kSign{.name = "sign",
                                   .type = ParamType::kChoice,
                                   .default_value = 0.0,
                                   .choices = kSignChoices,
                                   .help =
                                       "what elects the sign: the sum of the differences, or a count of their "
                                       "signs"};
  static constexpr ParamSpec kZeroSign{.name = "zero_sign",
                                       .type = ParamType::kChoice,
                                       .default_value = 0.0,
                                       .choices = kZeroSignChoices,
                                       .help =
                                           "sign where the vote is even: plus, the tensor's majority (the model's "
                                           "with trim_scope: model), or none, which leaves the base"};
  static constexpr ParamSpec kElectOn{.name = "elect_on",
                                      .type = ParamType::kChoice,
                                      .default_value = 0.0,
                                      .choices = kElectOnChoices,
                                      .help = "whether differences vote with their weights or without"};
  static constexpr ParamSpec kDivideBy{.name = "divide_by",
                                       .type = ParamType::kChoice,
                                       .default_value = 0.0,
                                       .choices = kDivideByChoices,
                                       .help =
                                           "what normalize divides by: the weights of those that agree, or their "
                                           "number"};

  static std::optional<JobProblem> Check(const MergeJob& job) {
    if constexpr (kSparsify == Sparsify::kTrim) {
      if (TrimsWholeModel(job) && IsNorm(RescaleOf(job, kSparsify)) &&
          ElectionRules(job).zero_sign == ZeroSign::kMajority)
        return JobProblem{ErrorCode::kCfgRange,
                          "zero_sign: majority over the whole model needs votes that no tensor's norm changes",
                          "set rescale to false or inv_density, or trim_scope: tensor"};
    }
    if (job.Shared("normalize") == 0) return std::nullopt;
    if constexpr (kConsensus == Consensus::kElectSign)
      if (ElectionRules(job).divide_by == DivideBy::kCount) return std::nullopt;
    return CheckWeightSum(job);
  }

  template <class X>
  static void Recipe(X& x) {
    TaskMerge<kSparsify, kConsensus>(x, RescaleOf(x.job(), kSparsify));
  }
};

// One value of a preset; a choice, or a truth value.
constexpr PresetValue With(std::string_view param, auto value) { return {param, static_cast<double>(value)}; }

// Remarks that several methods share.
inline constexpr std::string_view kFp32Remark =
    "arithmetic is float32 whatever the inputs' type; mergekit computes in the inputs' type, e.g. bfloat16";
inline constexpr std::string_view kSeededRemark =
    "draws are Philox words keyed by seed, model, tensor name and element: the same on every device, for any number of "
    "threads, and not mergekit's (which seeds one generator for the whole run, or none)";
inline constexpr std::string_view kL1Remark =
    "preset mergekit sets rescale: l1, which keeps the l1 norm of each tensor's difference; the default is the paper's "
    "rule, which mergekit used before 0.1.0";
inline constexpr std::string_view kEvenVoteRemark =
    "where the weighted sum of the differences is exactly zero the elected sign is plus, as in mergekit; zero_sign "
    "changes it";
inline constexpr std::string_view kZeroSumRemark =
    "with normalize, weights that sum to zero are refused while planning (unless divide_by: count); mergekit divides "
    "by "
    "1 or by what rounding left";
inline constexpr std::string_view kMixedSignsRemark =
    "weights of both signs with normalize may nearly cancel among the models that agree at an element; only a sum of "
    "exactly zero counts as 1, as in mergekit. divide_by: count cannot cancel";
inline constexpr std::string_view kZeroWeightRemark =
    "a model of weight 0 has no say: its weighted difference is zero and agrees with no sign";

}  // namespace gpumerge::GM_TARGET
