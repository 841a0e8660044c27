// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// sce: select, calculate, erase; task vectors weighted by their own size. d_m = x_m - base in fp32;
//   select     the k elements whose d_m vary most between the models (population variance in fp64, rounded to fp32; the
//              first of equal ones), k = trunc(select_topk * how many vary at all); select_topk >= 1 keeps all
//   calculate  e_m = mean of the squares of the kept d_m over the tensor, fp64;  h_m = float32(e_m / sum_m e_m), or
//              float32(1 / n_models) where that sum is 0 or below weight_floor
//   erase      s = + if sum_m d_m >= 0 else -;  M = sum of the h_m d_m of sign s, N = sum of their h_m
//   out = base + M / max(N, divisor_floor), N = 0 counting as 1
// `mask: weights` selects for e_m only and merges all elements. arXiv:2408.07990.
//
// Mirrors mergekit's sce. Differs: no floors by default (preset mergekit sets its 1e-6 twice); sums are fp64.
#pragma once

#include "kernels/recipe.h"
#include "kernels/task_vectors.h"

namespace gpumerge::GM_TARGET {

// The choices of the parameter `mask`.
enum class SceMask : uint8_t { kDeltas, kWeights };
inline constexpr std::string_view kSceMaskChoices[] = {"deltas", "weights"};

// The variance between the models' deltas at one element, which is never negative, as the bits of a float.
template <int kModels>
struct DeltaVariance {
  static constexpr bool kScalar = true;
  ModelCount<kModels> n_models;
  template <class F>
  GM_HD UInt<F> operator()(const At<F>& at, uint32_t) const {
    const double n = n_models();
    double sum = 0, squares = 0;
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED { sum += static_cast<double>(at.x[m + 1] - at.x[0]); });
    const double mean = sum / n;
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      const double distance = static_cast<double>(at.x[m + 1] - at.x[0]) - mean;
      squares += distance * distance;
    });
    return Bits(static_cast<float>(squares / n)) & kMagnitudeMask;
  }
};

template <int kModels>
struct CountVarying : PlainFunctor, KnownCounts<kModels, kModels + 1, 1> {
  DeltaVariance<kModels> variance;
  GM_HD void operator()(const At<float>& at, double* count) const { *count = variance(at, 0) != 0 ? 1 : 0; }
};

// The selected elements, or all.
template <bool kSelects, int kModels>
struct SceSelected {
  DeltaVariance<kModels> variance;
  Selection kept;
  TileSelection in_tile;
  GM_HD void Bind(const Selection* selections) { kept = selections != nullptr ? *selections : kKeepAll; }
  GM_HD void MoveTo(uint64_t first_elem) { in_tile = ForTile(kept, first_elem); }
  template <class F>
  GM_HD bool Has(const At<F>& at) const {
    if constexpr (kSelects)
      return Keeps(in_tile, variance(at, 0), at.i);
    else
      return true;
  }
};

template <bool kSelects, int kModels>
struct DeltaSquares : KnownCounts<kModels, kModels + 1, kModels> {
  static constexpr bool kDraws = false;
  SceSelected<kSelects, kModels> selected;
  GM_HD void Bind(const Selection* kept) { selected.Bind(kept); }
  GM_HD void MoveTo(uint64_t first_elem) { selected.MoveTo(first_elem); }
  GM_HD void operator()(const At<float>& at, double* values) const {
    const uint32_t mask = 0u - static_cast<uint32_t>(selected.Has(at));  // a condition would become a branch
    ForModels<kModels>(selected.variance.n_models(), [&](uint32_t m) GM_INLINED {
      const double delta = FromBits(Bits(at.x[m + 1] - at.x[0]) & mask);
      values[m] = delta * delta;
    });
  }
};

// Packs of elements cannot ask for a double variance; without a selection none is needed.
struct ScalarOnly {
  static constexpr bool kScalar = true;
};
struct AnyNumber {};

template <bool kSelects, int kModels>
struct SceElement : KnownCounts<kModels, kModels + 1>, std::conditional_t<kSelects, ScalarOnly, AnyNumber> {
  static constexpr bool kDraws = false;
  SceSelected<kSelects, kModels> selected;
  float weight[kCapacity<kModels>];
  float divisor_floor;

  GM_HD void Bind(const Selection* kept) { selected.Bind(kept); }
  GM_HD void MoveTo(uint64_t first_elem) { selected.MoveTo(first_elem); }

  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    const F zero(0.0f);
    const uint32_t n_models = selected.variance.n_models();
    F sum = zero;
    ForModels<kModels>(n_models, [&](uint32_t m) GM_INLINED {
      const F delta = at.x[m + 1] - at.x[0];
      sum = m == 0 ? delta : sum + delta;
    });
    const UInt<F> minus = Where(sum >= zero, UInt<F>(0u), UInt<F>(kSignBit));
    F merged = zero, divisor = zero;
    ForModels<kModels>(n_models, [&](uint32_t m) GM_INLINED {
      const F delta = at.x[m + 1] - at.x[0];
      const auto agrees = FromBits(Bits(delta) ^ minus) > zero;
      const F kept_delta = Where(agrees, delta * F(weight[m]), zero);
      const F kept_weight = Where(agrees, F(weight[m]), zero);
      merged = m == 0 ? kept_delta : merged + kept_delta;
      divisor = m == 0 ? kept_weight : divisor + kept_weight;
    });
    divisor = Where(divisor == zero, F(1.0f), Where(divisor < F(divisor_floor), F(divisor_floor), divisor));
    merged = merged / divisor;
    if constexpr (kSelects) merged = Where(selected.Has(at), merged, zero);
    return at.x[0] + merged;
  }
};

struct Sce {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "select_topk",
         .default_value = 1.0,
         .min = 0,
         .max = 1,
         .help = "share of the elements that differ between the models, those that differ most, that is merged"},
        {.name = "mask",
         .type = ParamType::kChoice,
         .default_value = 0.0,
         .choices = kSceMaskChoices,
         .help = "what the selection is for: the merged differences, or only their weights"},
        {.name = "weight_floor",
         .default_value = 0.0,
         .min = 0,
         .max = 1e30,
         .help = "where the mean squares of all differences add up to less, the models weigh the same"},
        {.name = "divisor_floor",
         .default_value = 0.0,
         .min = 0,
         .max = 1,
         .help = "the least that a sum of agreeing weights divides by"},
        {.name = "int8_mask",
         .type = ParamType::kBool,
         .default_value = 0.0,
         .effect = ParamEffect::kNone,
         .help = "accepted as mergekit accepts it; masks are never stored here, so there is nothing to shrink"}};
    static constexpr PresetValue kAsMergekit[] = {
        {"mask", static_cast<double>(SceMask::kDeltas)}, {"weight_floor", 1e-6}, {"divisor_floor", 1e-6}};
    static constexpr PresetValue kAsPaper[] = {
        {"mask", static_cast<double>(SceMask::kDeltas)}, {"weight_floor", 0}, {"divisor_floor", 0}};
    static constexpr PresetValue kAsFuseAi[] = {
        {"mask", static_cast<double>(SceMask::kWeights)}, {"weight_floor", 0}, {"divisor_floor", 0}};
    static constexpr Preset kPresets[] = {
        {"mergekit", "equal weights where the differences are small, no divisor below 1e-6", kAsMergekit},
        {"paper", "the defaults", kAsPaper},
        {"fuseai", "the authors' code: the selection only decides on the weights", kAsFuseAi}};
    static constexpr std::string_view kRemarks[] = {
        "mergekit weighs the models equally wherever their mean squares add up to less than 1e-6, which is most "
        "tensors "
        "of an ordinary fine-tune; here only where the sum is zero. weight_floor: 1e-6, or preset mergekit, does as it "
        "does",
        "mergekit divides by 1e-6 at least; a lone agreeing model of a tiny weight is then scaled down. Here it counts "
        "in full; divisor_floor: 1e-6 does as mergekit",
        "select_topk: 0, or a k of zero, leaves the base, and so does select_topk < 1 with a single model, which does "
        "not vary; with mask: weights all elements are merged with equal weights",
        "of elements that vary equally the first are selected; mergekit leaves it open which",
        "the sign is elected on plain sums; a sum of exactly zero elects plus, as in mergekit",
        "arithmetic is float32 with sums and variances in float64 whatever the inputs' type; mergekit computes in the "
        "inputs' type"};
    static constexpr MethodInfo kInfo{
        .name = "sce",
        .summary = "merges what differs most, each model weighted by the size of its difference, minorities erased",
        .formula =
            "out = base + sum_agreeing h_m d_m / sum_agreeing h_m, d_m = select(x_m - base), h_m = mean d_m^2 / "
            "sum_m mean d_m^2",
        .reference = "FuseChat (SCE), arXiv:2408.07990",
        .base = BaseUse::kRequired,
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
    const DeltaVariance<kModels> variance{{job.n_models()}};
    if (job.Shared("select_topk") >= 1) return Merge<false, false>(x, variance, nullptr);
    const double n_varying = x.Reduce(CountVarying<kModels>{{}, {}, variance}, 1, ReduceOp::kSum)[0];
    const uint64_t k = static_cast<uint64_t>(job.Shared("select_topk") * n_varying);
    const Selection* selection = x.Select(variance, &k, 1);
    if (ChoiceOf<SceMask>(job, "mask") == SceMask::kDeltas) return Merge<true, true>(x, variance, selection);
    Merge<true, false>(x, variance, selection);
  }

  template <bool kSelects, bool kMasksDeltas, int kModels, class X>
  static void Merge(X& x, const DeltaVariance<kModels>& variance, const Selection* selection) {
    const MergeJob& job = x.job();
    DeltaSquares<kSelects, kModels> squares{};
    squares.selected.variance = variance;
    const double* sums = x.Reduce(squares, job.n_models(), ReduceOp::kSum, selection);
    SceElement<kMasksDeltas, kModels> element{};
    element.selected.variance = variance;
    element.divisor_floor = static_cast<float>(job.Shared("divisor_floor"));
    SetWeights(job, sums, element.weight);
    x.Map(element, kMasksDeltas ? selection : nullptr);
  }

  static void SetWeights(const MergeJob& job, const double* sums, float* weight) {
    const double n = static_cast<double>(job.n_elems);
    double total = 0;
    for (uint32_t m = 0; m < job.n_models(); ++m) total += sums[m] / n;
    const bool are_equal = !(total > 0) || total < job.Shared("weight_floor");
    for (uint32_t m = 0; m < job.n_models(); ++m)
      weight[m] = static_cast<float>(are_equal ? 1.0 / job.n_models() : sums[m] / n / total);
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Sce)
