// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// arcee_fusion: takes over the changes that matter most.
//   p, q = softmax of the model's and of the base's row (last axis), + 1e-8 each;  K = sum over the row of p log(p/q)
//   importance = |x - base| * max(K, 0), rounded to fp32
//   threshold = median + iqr_factor * (third quartile - first quartile) of the tensor's importance
//   out = base + (x - base where importance >= threshold, else 0)
//
// Mirrors mergekit's arcee_fusion, but for its sampled quantiles: these are exact, the element of rank floor(q (n-1)).
// Softmax and divergence are fp64 with the exp and log of kernels/exp_log.h.
#pragma once

#include "kernels/exp_log.h"
#include "kernels/recipe.h"

namespace gpumerge::GM_TARGET {

// Values of a row: largest element and sum of exponentials, of the model and of the base; the divergence at last.
enum FusionValue : uint32_t { kModelMax, kBaseMax, kModelSum, kBaseSum, kDivergence, kFusionValues };

// A float as an unsigned integer of the same order: reductions keep the largest value above zero.
GM_HD double Ordered(float x) {
  const uint32_t u = Bits(x);
  return (u >> 31) != 0 ? ~u : u | 0x80000000u;
}
inline double FromOrdered(double ordered) {
  const uint32_t u = static_cast<uint32_t>(ordered);
  return FromBits((u >> 31) != 0 ? u & kMagnitudeMask : ~u);
}

struct RowFunctor : PlainFunctor {
  static constexpr GroupAxis kGroups = GroupAxis::kRows;
};

struct RowMaxima : RowFunctor, KnownCounts<1, 2, 2> {
  GM_HD void operator()(const At<float>& at, double* values) const {
    values[0] = Ordered(at.x[1]);
    values[1] = Ordered(at.x[0]);
  }
};
struct KeepMaxima {
  static constexpr uint32_t kGroupValues = kFusionValues;
  void operator()(const double* sums, uint64_t, double* row) const {
    row[kModelMax] = FromOrdered(sums[0]);
    row[kBaseMax] = FromOrdered(sums[1]);
  }
};

struct RowExponentials : RowFunctor, KnownCounts<1, 2, 2> {
  GM_HD void operator()(const At<float>& at, double* values) const {
    values[0] = Exp(at.x[1] - at.group[kModelMax]);
    values[1] = Exp(at.x[0] - at.group[kBaseMax]);
  }
};
struct KeepExponentials {
  static constexpr uint32_t kGroupValues = kFusionValues;
  void operator()(const double* sums, uint64_t, double* row) const {
    row[kModelSum] = sums[0];
    row[kBaseSum] = sums[1];
  }
};

struct RowDivergence : RowFunctor, KnownCounts<1, 2, 1> {
  GM_HD void operator()(const At<float>& at, double* values) const {
    const double p = Exp(at.x[1] - at.group[kModelMax]) / at.group[kModelSum] + 1e-8;
    const double q = Exp(at.x[0] - at.group[kBaseMax]) / at.group[kBaseSum] + 1e-8;
    values[0] = p * Log(p / q);
  }
};
struct KeepDivergence {
  static constexpr uint32_t kGroupValues = kFusionValues;
  void operator()(const double* sums, uint64_t, double* row) const { row[kDivergence] = sums[0] > 0 ? sums[0] : 0; }
};

GM_HD float Importance(const At<float>& at) {
  const double delta = at.x[1] - at.x[0];
  return static_cast<float>((delta < 0 ? -delta : delta) * at.group[kDivergence]);
}

struct ImportanceKey {
  static constexpr GroupAxis kGroups = GroupAxis::kRows;
  static constexpr bool kScalar = true;
  GM_HD uint32_t operator()(const At<float>& at, uint32_t) const { return Bits(Importance(at)) & kMagnitudeMask; }
};

struct FusionElement : RowFunctor, KnownCounts<1, 2> {
  static constexpr bool kScalar = true;
  double iqr_factor;
  double threshold = 0;
  GM_HD void Bind(const Selection* quartile) {  // upper, median, lower
    if (quartile == nullptr) return;
    const double upper = FromBits(quartile[0].threshold_bits), lower = FromBits(quartile[2].threshold_bits);
    threshold = FromBits(quartile[1].threshold_bits) + iqr_factor * (upper - lower);
  }
  GM_HD float operator()(const At<float>& at) const {
    return Importance(at) >= threshold ? at.x[0] + (at.x[1] - at.x[0]) : at.x[0];
  }
};

struct ArceeFusion {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "iqr_factor",
         .default_value = 1.5,
         .min = -1e6,
         .max = 1e6,
         .help = "how many interquartile ranges above the median a change must lie"}};
    static constexpr std::string_view kRemarks[] = {
        "Quartiles are exact whatever the tensor's size; above a million elements mergekit takes them from an unseeded "
        "sample, so that two of its runs differ. iqr_factor is 1.5 there.",
        "The result has the inputs' type (or out_dtype); mergekit writes float32.",
        "A divergence below zero, which only rounding and the added 1e-8 can cause, counts as zero.",
        "Where every importance is zero the threshold is zero as well, and every change is taken."};
    static constexpr MethodInfo kInfo{
        .name = "arcee_fusion",
        .summary = "takes over the changes whose size and effect on their row's softmax stand out",
        .formula = "out = base + d where |d| KL(softmax row) >= median + iqr_factor (Q3 - Q1), d = model - base",
        .reference = "Arcee Fusion; mergekit arcee_fusion",
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
    x.ReduceGroups(RowMaxima{}, 2, ReduceOp::kMax, KeepMaxima{});
    x.ReduceGroups(RowExponentials{}, 2, ReduceOp::kSum, KeepExponentials{});
    x.ReduceGroups(RowDivergence{}, 1, ReduceOp::kSum, KeepDivergence{});
    const uint64_t n = x.job().n_elems, last = n == 0 ? 0 : n - 1;
    // The element of ascending rank r is the smallest of the n - r largest.
    const uint64_t counts[3] = {n - last / 4 * 3 - last % 4 * 3 / 4, n - last / 2, n - last / 4};
    const Selection* quartiles = x.Select(ImportanceKey{}, counts, 3);
    FusionElement element;
    element.iqr_factor = x.job().Shared("iqr_factor");
    x.Map(element, quartiles);
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(ArceeFusion)
