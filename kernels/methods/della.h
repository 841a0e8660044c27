// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// della, della_linear: task vectors whose elements are dropped at random, the smaller ones of a row more likely. Rank r
// is an element's place among the m of its row by magnitude, smallest first, equal ones by index, from 0:
//   q = (density - epsilon) + r / (m - 1) * 2 epsilon        in fp64; a row of one element: q = density
//   kept when its random word < q * 2^32;  then divided by float32(q), or grown as `rescale` says
// A row runs along the last axis. The rest is the family's (task_merge.h). arXiv:2406.11617.
//
// Mirrors mergekit's methods of these names. Differs: rescale: true is 1/q as in the paper (l1 is mergekit's rule);
// draws are seeded and counted; rows of one element work; of more than two axes the last one makes the rows.
#pragma once

#include "kernels/recipe.h"
#include "kernels/task_merge.h"

namespace gpumerge::GM_TARGET {

template <int kModels>
struct TaskVectors<Sparsify::kRankDrop, kModels> {
  struct Asks {
    using RankKey = DeltaMagnitude;
    static constexpr bool kScalar = true;  // q is a double
  };
  static constexpr bool kDraws = true;
  ModelCount<kModels> n_models;
  bool divides;                         // by q
  float factor[kCapacity<kModels>];     // else
  double lowest[kCapacity<kModels>];    // q of rank 0
  double widening[kCapacity<kModels>];  // from there to the highest rank
  double last_rank;                     // of a row, but at least 1

  bool Configure(const MergeJob& job, Rescale rescale) {
    n_models.any = job.n_models();
    divides = rescale == Rescale::kInvDensity;
    last_rank = job.row_elems() > 1 ? static_cast<double>(job.row_elems() - 1) : 1;
    bool drops_any = false;
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const double density = job.PerModel("density", m), epsilon = job.PerModel("epsilon", m);
      const bool by_rank = density > 0 && density < 1 && job.row_elems() > 1;
      drops_any = drops_any || density < 1;
      lowest[m] = by_rank ? density - epsilon : density;
      widening[m] = by_rank ? 2 * epsilon : 0;
      factor[m] = 1;
    }
    return drops_any;
  }
  template <class X>
  const Selection* SelectPass(X&) const {
    return nullptr;
  }
  GM_HD void Bind(const Selection*) {}
  GM_HD void MoveTo(uint64_t) {}

  GM_HD double KeepProbability(const At<float>& at, uint32_t m) const {
    return lowest[m] + static_cast<double>(at.rank[m]) / last_rank * widening[m];
  }
  template <class F>
  GM_HD F Kept(const At<F>& at, uint32_t m) const {
    // The same as word < ceil(q * 2^32), as words are whole numbers.
    const bool kept = static_cast<double>(at.draw[m]) < KeepProbability(at, m) * 0x1p32;
    return FromBits(Bits(at.x[m + 1] - at.x[0]) & (0u - static_cast<uint32_t>(kept)));  // a condition makes branches
  }
  template <class F>
  GM_HD F Grown(const At<F>& at, uint32_t m) const {
    const float delta = Kept(at, m);
    // Either of the factor and the divisor is 1, and q may be 0 where nothing is kept.
    const uint32_t by_q = static_cast<uint32_t>(divides) & static_cast<uint32_t>(delta != 0);
    return delta * factor[m] / Where(by_q != 0, static_cast<float>(KeepProbability(at, m)), 1.0f);
  }
};

template <Consensus kConsensus>
struct DellaFamily : TaskArithmeticFamily<Sparsify::kRankDrop, kConsensus> {
  using Family = TaskArithmeticFamily<Sparsify::kRankDrop, kConsensus>;
  static constexpr ParamSpec kEpsilon{.name = "epsilon",
                                      .scope = ParamScope::kPerModel,
                                      .default_value = 0.15,
                                      .min = -0.5,
                                      .max = 0.5,
                                      .help =
                                          "the largest element of a row is kept with probability density + "
                                          "epsilon, the smallest with density - epsilon"};
  static constexpr std::string_view kRowRemark =
      "rows run along the last axis; mergekit's do in tensors of one or two axes, and with more it ranks along the "
      "second";
  static constexpr std::string_view kOneElementRemark =
      "a row of one element is kept with probability density; mergekit fails there (NaN), and on scalars";
  static constexpr std::string_view kRangeRemark =
      "density + epsilon and density - epsilon must lie between 0 and 1, both excluded, unless density is 0 or 1, as "
      "in "
      "mergekit; here the plan says so";
  static constexpr std::string_view kRankRemark =
      "ranks are exact, equal magnitudes by their place in the row; mergekit holds them in the tensor's type, and "
      "bfloat16 has no ranks above 256 of its own";

  static std::optional<JobProblem> Check(const MergeJob& job) {
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const double density = job.PerModel("density", m), epsilon = std::fabs(job.PerModel("epsilon", m));
      if (density <= 0 || density >= 1 || (density - epsilon > 0 && density + epsilon < 1)) continue;
      return JobProblem{
          ErrorCode::kCfgRange,
          "keep probabilities from density - epsilon to density + epsilon leave the range between 0 and 1",
          "make epsilon smaller than density and than 1 - density"};
    }
    return Family::Check(job);
  }

  template <class X>
  static void Recipe(X& x) {
    const MergeJob& job = x.job();
    bool drops_any = false;
    for (uint32_t m = 0; m < job.n_models(); ++m) drops_any = drops_any || job.PerModel("density", m) < 1;
    const Rescale rescale = RescaleOf(job, Sparsify::kRankDrop);
    if (drops_any) return TaskMerge<Sparsify::kRankDrop, kConsensus>(x, rescale);
    TaskMerge<Sparsify::kNone, kConsensus>(x, rescale);
  }
};

struct Della : DellaFamily<Consensus::kElectSign> {
  static constexpr PresetValue kAsMergekit[] = {With("normalize", true),
                                                With("rescale", Rescale::kL1),
                                                With("sign", SignRule::kSum),
                                                With("zero_sign", ZeroSign::kPlus),
                                                With("elect_on", ElectOn::kWeighted),
                                                With("divide_by", DivideBy::kWeights)};
  static constexpr PresetValue kAsPaper[] = {With("normalize", true),         With("rescale", Rescale::kTrue),
                                             With("sign", SignRule::kSum),    With("zero_sign", ZeroSign::kPlus),
                                             With("elect_on", ElectOn::kRaw), With("divide_by", DivideBy::kCount)};

  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        kWeight, kDensity,  kEpsilon, Normalize(true), RescaleParam(Rescale::kTrue), kLambda, kInt8Mask,
        kSign,   kZeroSign, kElectOn, kDivideBy};
    static constexpr Preset kPresets[] = {
        {"mergekit", "rescale: l1, elects on weighted sums, divides by weights", kAsMergekit},
        {"paper", "divides by keep probabilities, elects on plain sums, divides by the count", kAsPaper}};
    static constexpr std::string_view kRemarks[] = {kL1Remark,      kSeededRemark,     kRangeRemark, kRankRemark,
                                                    kRowRemark,     kOneElementRemark, kFp32Remark,  kEvenVoteRemark,
                                                    kZeroSumRemark, kMixedSignsRemark};
    static constexpr MethodInfo kInfo{
        .name = "della",
        .summary = "drops small elements of each difference more likely than large ones, elects a sign, averages",
        .formula = "out = base + lambda * sum_agreeing w_m drop(x_m - base) / q / sum_agreeing w_m",
        .reference = "DELLA-Merging, arXiv:2406.11617",
        .base = BaseUse::kRequired,
        .params = kParams,
        .presets = kPresets,
        .remarks = kRemarks};
    return kInfo;
  }
};

struct DellaLinear : DellaFamily<Consensus::kNone> {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {kWeight, kDensity, kEpsilon, Normalize(false), RescaleParam(Rescale::kTrue),
                                            kLambda, kInt8Mask};
    static constexpr PresetValue kAsMergekit[] = {With("normalize", false), With("rescale", Rescale::kL1)};
    static constexpr PresetValue kAsPaper[] = {With("normalize", false), With("rescale", Rescale::kTrue)};
    static constexpr Preset kPresets[] = {{"mergekit", "rescale: l1", kAsMergekit},
                                          {"paper", "divides by keep probabilities: the defaults", kAsPaper}};
    static constexpr std::string_view kRemarks[] = {
        kL1Remark,    kSeededRemark,
        kRangeRemark, kRankRemark,
        kRowRemark,   kOneElementRemark,
        kFp32Remark,  "with normalize, weights that sum to zero are refused while planning; mergekit divides by 1"};
    static constexpr MethodInfo kInfo{
        .name = "della_linear",
        .summary = "drops small elements of each difference more likely than large ones, adds the rest",
        .formula = "out = base + lambda * sum_m w_m drop(x_m - base) / q",
        .reference = "DELLA-Merging, arXiv:2406.11617",
        .base = BaseUse::kRequired,
        .params = kParams,
        .presets = kPresets,
        .remarks = kRemarks};
    return kInfo;
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Della, DellaLinear)
