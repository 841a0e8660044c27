// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// breadcrumbs, breadcrumbs_ties: task vectors without their smallest and their very largest elements. Of the n elements
// of a difference, sorted by magnitude (smallest first, equal ones by index), a band is kept:
//   n_kept = max(1, trunc(density * n)),  n_top = trunc(gamma * n),  n_bot = max(0, n - n_kept - n_top)
//   places n_bot to n_bot + n_kept - 1;  density >= 1 keeps all, density <= 0 none
// The rest is the family's (task_merge.h). arXiv:2312.06795.
//
// Mirrors mergekit's methods of these names. Differs: at least one element is kept when density > 0; ties by index.
#pragma once

#include "kernels/recipe.h"
#include "kernels/task_merge.h"

namespace gpumerge::GM_TARGET {

// Orders backwards: the k largest of these keys are the k smallest magnitudes, the first of equal ones first.
// Selections 2m and 2m + 1 are of model m.
struct SmallDeltas {
  template <class F>
  GM_HD UInt<F> operator()(const At<F>& at, uint32_t selection) const {
    return UInt<F>(kMagnitudeMask) - DeltaMagnitude{}(at, selection / 2);
  }
};

// The band of one model: what lies below it, and what lies below its end.
struct Band {
  uint64_t n_bot, n_end;
  Band(double density, double gamma, uint64_t n_elems) : n_bot(0), n_end(KeptCount(density, n_elems)) {
    if (density <= 0 || density >= 1) return;
    const uint64_t n_top = static_cast<uint64_t>(gamma * static_cast<double>(n_elems));
    const uint64_t n_out = n_end + n_top;  // kept, or above the band
    n_bot = n_out < n_elems ? n_elems - n_out : 0;
    n_end += n_bot;
  }
};

template <int kModels>
struct TaskVectors<Sparsify::kBand, kModels> {
  struct Asks {};
  static constexpr bool kDraws = false;
  ModelCount<kModels> n_models;
  float factor[kCapacity<kModels>];
  Selection small[2 * kCapacity<kModels>];  // (n_models, 2): below the band; below the band's end
  TileSelection in_tile[2 * kCapacity<kModels>];

  bool Configure(const MergeJob& job, Rescale rescale) {
    n_models.any = job.n_models();
    bool drops_any = false;
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const double density = job.PerModel("density", m);
      drops_any = drops_any || density < 1;
      factor[m] = rescale == Rescale::kInvDensity && density > 0 ? static_cast<float>(1 / density) : 1.0f;
      small[2 * m] = kKeepNone;
      small[2 * m + 1] = kKeepAll;
    }
    return drops_any;
  }
  template <class X>
  const Selection* SelectPass(X& x) const {
    const MergeJob& job = x.job();
    uint64_t counts[2 * kCapacity<kModels>];
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const Band band(job.PerModel("density", m), job.PerModel("gamma", m), job.n_elems);
      counts[2 * m] = band.n_bot;
      counts[2 * m + 1] = band.n_end;
    }
    return x.Select(SmallDeltas{}, counts, 2 * job.n_models());
  }

  GM_HD void Bind(const Selection* selections) {
    if (selections == nullptr) return;
    for (uint32_t s = 0; s < 2 * n_models(); ++s) small[s] = selections[s];
  }
  GM_HD void MoveTo(uint64_t first_elem) {
    for (uint32_t s = 0; s < 2 * n_models(); ++s) in_tile[s] = ForTile(small[s], first_elem);
  }
  template <class F>
  GM_HD F Kept(const At<F>& at, uint32_t m) const {
    const UInt<F> key = SmallDeltas{}(at, 2 * m);
    const F delta = at.x[m + 1] - at.x[0];
    const F up_to_end = Where(Keeps(in_tile[2 * m + 1], key, at.i), delta, F(0.0f));
    return Where(Keeps(in_tile[2 * m], key, at.i), F(0.0f), up_to_end);
  }
  template <class F>
  GM_HD F Grown(const At<F>& at, uint32_t m) const {
    return Kept(at, m) * F(factor[m]);
  }
};

template <Consensus kConsensus>
struct BreadcrumbsFamily : TaskArithmeticFamily<Sparsify::kBand, kConsensus> {
  static constexpr ParamSpec kGamma{.name = "gamma",
                                    .scope = ParamScope::kPerModel,
                                    .default_value = 0.01,
                                    .min = 0,
                                    .max = 1,
                                    .help = "share of the task vector's elements, the largest, that are left out"};
  static constexpr std::string_view kBandRemark =
      "of n elements max(1, trunc(density * n)) are kept, below the trunc(gamma * n) largest where there are so many; "
      "mergekit keeps none when trunc(density * n) is 0, and leaves open which of equal ones it keeps";
  static constexpr std::string_view kAllRemark =
      "density 1, the default, keeps everything and ignores gamma, as in mergekit";
  static constexpr std::string_view kRowRemark =
      "the band is of the whole tensor, as in mergekit; the paper's code takes one in every row";
};

struct Breadcrumbs : BreadcrumbsFamily<Consensus::kNone> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight, kDensity, kGamma, Normalize(false), RescaleParam(Rescale::kFalse),
                                            kLambda, kInt8Mask};
    static constexpr PresetValue kAsMergekit[] = {With("normalize", false), With("rescale", Rescale::kFalse)};
    static constexpr Preset kPresets[] = {{"mergekit", "the defaults", kAsMergekit}};
    static constexpr std::string_view kRemarks[] = {
        kBandRemark, kAllRemark, kRowRemark, kFp32Remark,
        "with normalize, weights that sum to zero are refused while planning; mergekit divides by 1"};
    static constexpr MethodInfo kInfo{
        .name = "breadcrumbs",
        .summary = "drops the smallest and the very largest elements of each difference, adds the rest",
        .formula = "out = base + lambda * sum_m w_m band(x_m - base)",
        .reference = "Model Breadcrumbs, arXiv:2312.06795",
        .base = BaseUse::kRequired,
        .params = kParams,
        .presets = kPresets,
        .remarks = kRemarks};
    return kInfo;
  }
};

struct BreadcrumbsTies : BreadcrumbsFamily<Consensus::kElectSign> {
  static constexpr PresetValue kAsMergekit[] = {
      With("normalize", false),           With("rescale", Rescale::kFalse),     With("sign", SignRule::kSum),
      With("zero_sign", ZeroSign::kPlus), With("elect_on", ElectOn::kWeighted), With("divide_by", DivideBy::kWeights)};

  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        kWeight, kDensity,  kGamma,   Normalize(false), RescaleParam(Rescale::kFalse), kLambda, kInt8Mask,
        kSign,   kZeroSign, kElectOn, kDivideBy};
    static constexpr Preset kPresets[] = {{"mergekit", "the defaults", kAsMergekit}};
    static constexpr std::string_view kRemarks[] = {kBandRemark,     kAllRemark,     kRowRemark,       kFp32Remark,
                                                    kEvenVoteRemark, kZeroSumRemark, kMixedSignsRemark};
    static constexpr MethodInfo kInfo{
        .name = "breadcrumbs_ties",
        .summary =
            "drops the smallest and the very largest elements of each difference, elects a sign, adds what agrees",
        .formula = "out = base + lambda * sum_agreeing w_m band(x_m - base)",
        .reference = "Model Breadcrumbs, arXiv:2312.06795; TIES-Merging, arXiv:2306.01708",
        .base = BaseUse::kRequired,
        .params = kParams,
        .presets = kPresets,
        .remarks = kRemarks};
    return kInfo;
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Breadcrumbs, BreadcrumbsTies)
