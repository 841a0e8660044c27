// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Merge methods that no user would want, which between them use all that recipes can do: groups by rows and columns,
// ranks, selections of their own, functors in double. A test program that has no other methods registers them.
#pragma once

#include "kernels/recipe.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

inline constexpr ParamSpec kNoParams[] = {{.name = "scale", .default_value = 1.0, .min = 0, .max = 10}};

constexpr MethodInfo TestInfo(std::string_view name) {
  return {.name = name, .base = BaseUse::kRequired, .min_models = 1, .params = kNoParams};
}

// Mean and length of a group; then how far it strays from that mean. A group whose first input is all 7 has no merge.
template <GroupAxis kAxis>
struct MeanSum : PlainFunctor {
  static constexpr GroupAxis kGroups = kAxis;
  static constexpr bool kDraws = true;
  uint32_t n_models;
  GM_HD void operator()(const At<float>& at, double* values) const {
    values[0] = at.x[0];
    for (uint32_t m = 0; m < n_models; ++m)
      values[m + 1] = static_cast<double>(at.x[m + 1]) * (1 + at.draw[m] % 8) + at.group[0];
  }
};
struct MeanFinish {
  static constexpr uint32_t kGroupValues = 3;
  uint32_t n_models;
  const DataProblem* operator()(const double* sums, uint64_t group_elems, double* group) const {
    static constexpr DataProblem kSeven{"a mean of seven", "use other numbers"}, kEight{"a mean of eight", ""};
    group[0] = sums[0] / static_cast<double>(group_elems);
    for (uint32_t m = 0; m < n_models; ++m) group[1] += std::sqrt(std::fabs(sums[m + 1]));
    return group[0] == 7 ? &kSeven : group[0] == 8 ? &kEight : nullptr;
  }
};
template <GroupAxis kAxis>
struct StrayMax : PlainFunctor, KnownCounts<1, 2, 2> {
  static constexpr GroupAxis kGroups = kAxis;
  GM_HD void operator()(const At<float>& at, double* values) const {
    values[0] = std::fabs(at.x[0] - at.group[0]);
    values[1] = -values[0] - at.group[1];
  }
};
struct StrayFinish {
  static constexpr uint32_t kGroupValues = 3;
  void operator()(const double* largest, uint64_t, double* group) const { group[2] = largest[0] + largest[1]; }
};
template <GroupAxis kAxis>
struct GroupElement : PlainFunctor {
  static constexpr GroupAxis kGroups = kAxis;
  float offset;
  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    return at.x[1] * F(at.group[0]) + F(at.group[1]) - at.x[0] * F(at.group[2]) + F(offset);
  }
};
template <GroupAxis kAxis>
struct GroupKey {
  static constexpr GroupAxis kGroups = kAxis;
  template <class F>
  GM_HD UInt<F> operator()(const At<F>& at, uint32_t s) const {
    return Bits(at.x[s % 2] * F(at.group[0])) & kMagnitudeMask;
  }
};
// Of everything that the selections keep.
template <GroupAxis kAxis>
struct KeptSum : PlainFunctor {
  static constexpr GroupAxis kGroups = kAxis;
  Selection kept[3];
  TileSelection in_tile[3];
  GM_HD void Bind(const Selection* selections) {
    for (uint32_t s = 0; s < 3; ++s) kept[s] = selections[s];
  }
  GM_HD void MoveTo(uint64_t first_elem) {
    for (uint32_t s = 0; s < 3; ++s) in_tile[s] = ForTile(kept[s], first_elem);
  }
  GM_HD void operator()(const At<float>& at, double* values) const {
    for (uint32_t s = 0; s < 3; ++s)
      values[s] = Keeps(in_tile[s], GroupKey<kAxis>{}(at, s), at.i) ? at.x[1] + at.group[2] : 0.0;
  }
};

template <GroupAxis kAxis>
struct GroupRecipe {
  static const MethodInfo& Info() {
    static constexpr MethodInfo kInfo = TestInfo(kAxis == GroupAxis::kRows ? "rows" : "columns");
    return kInfo;
  }
  template <class X>
  static void Recipe(X& x) {
    MeanSum<kAxis> mean;
    mean.n_models = x.job().n_models();
    x.ReduceGroups(mean, mean.n_models + 1, ReduceOp::kSum, MeanFinish{mean.n_models});
    x.ReduceGroups(StrayMax<kAxis>{}, 2, ReduceOp::kMax, StrayFinish{});
    const uint64_t n = x.job().n_elems, counts[] = {n / 3, n < 1 ? n : 1, n};
    const Selection* kept = x.Select(GroupKey<kAxis>{}, counts, 3);
    const double* sums = x.Reduce(KeptSum<kAxis>{}, 3, ReduceOp::kSum, kept);
    GroupElement<kAxis> element;
    element.offset = static_cast<float>(x.job().Shared("scale") * (std::atan(sums[0]) + sums[1] + std::atan(sums[2])));
    x.Map(element);
  }
};

// Ranks of two kinds: by size of the difference, and by the model's bits as they are.
struct DifferenceKey {
  template <class F>
  GM_HD UInt<F> operator()(const At<F>& at, uint32_t m) const {
    return Bits(at.x[m + 1] - at.x[0]) & kMagnitudeMask;
  }
};
struct BitsKey {
  template <class F>
  GM_HD UInt<F> operator()(const At<F>& at, uint32_t m) const {
    return Bits(at.x[m + 1]) >> 1;
  }
};
struct RankSum : PlainFunctor {
  using RankKey = DifferenceKey;
  uint32_t n_models;
  GM_HD void operator()(const At<float>& at, double* values) const {
    for (uint32_t m = 0; m < n_models; ++m) values[m] = at.x[m + 1] * (1.0 + at.rank[m]);
  }
};
struct RankElement : PlainFunctor {
  static constexpr bool kDraws = true;
  using RankKey = BitsKey;
  uint32_t n_models;
  float scale;
  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    F sum = at.x[0] * F(scale);
    for (uint32_t m = 0; m < n_models; ++m)
      sum = sum + Where((at.rank[m] + (at.draw[m] & 1u)) > 2u, at.x[m + 1], F(0.25f));
    return sum;
  }
};
struct RanksRecipe {
  static const MethodInfo& Info() {
    static constexpr MethodInfo kInfo = TestInfo("ranks");
    return kInfo;
  }
  template <class X>
  static void Recipe(X& x) {
    RankSum sum;
    RankElement element;
    sum.n_models = element.n_models = x.job().n_models();
    const double* sums = x.Reduce(sum, sum.n_models, ReduceOp::kSum);
    double total = 0;
    for (uint32_t m = 0; m < sum.n_models; ++m) total += sums[m];
    element.scale = static_cast<float>(std::atan(total));
    x.Map(element);
  }
};

// Two selections a model and one more, by keys that carry data, one kind of them in double.
struct DataKey {
  uint32_t n_models;
  float shift;
  template <class F>
  GM_HD UInt<F> operator()(const At<F>& at, uint32_t s) const {
    const UInt<F> magnitude = Bits(at.x[1 + s % n_models] - at.x[0] * F(shift)) & kMagnitudeMask;
    return s < n_models ? magnitude : UInt<F>(kMagnitudeMask) - magnitude;
  }
};
struct ScalarKey {
  static constexpr bool kScalar = true;
  GM_HD uint32_t operator()(const At<float>& at, uint32_t s) const {
    const double square = static_cast<double>(at.x[s % 2]) * at.x[1];
    return Bits(static_cast<float>(square * square)) & kMagnitudeMask;
  }
};
struct BandElement {
  static constexpr bool kDraws = false;
  static constexpr bool kScalar = true;
  DataKey key;
  double offset;
  Selection kept[2 * kMaxModels + 1];
  TileSelection in_tile[2 * kMaxModels + 1];
  GM_HD void Bind(const Selection* selections) {
    for (uint32_t s = 0; s < 2 * key.n_models + 1; ++s) kept[s] = selections[s];
  }
  GM_HD void MoveTo(uint64_t first_elem) {
    for (uint32_t s = 0; s < 2 * key.n_models + 1; ++s) in_tile[s] = ForTile(kept[s], first_elem);
  }
  GM_HD float operator()(const At<float>& at) const {
    double sum = at.x[0] + offset;
    for (uint32_t s = 0; s < 2 * key.n_models + 1; ++s)
      if (Keeps(in_tile[s], key(at, s), at.i)) sum += at.x[1 + s % key.n_models] / 3.0;
    return static_cast<float>(sum);
  }
};
struct SelectionsRecipe {
  static const MethodInfo& Info() {
    static constexpr MethodInfo kInfo = TestInfo("selections");
    return kInfo;
  }
  template <class X>
  static void Recipe(X& x) {
    const uint32_t n = 2 * x.job().n_models() + 1;
    uint64_t counts[2 * kMaxModels + 1];
    for (uint32_t s = 0; s < n; ++s) counts[s] = x.job().n_elems * s / n;
    const Selection* scalar = x.Select(ScalarKey{}, counts, 2);
    BandElement element;
    element.key = {x.job().n_models(), 0.5f};
    const Selection* kept = x.Select(element.key, counts, n);
    element.offset = x.Reduce(KeptScalars{}, 1, ReduceOp::kSum, scalar)[0];
    x.Map(element, kept);
  }
  struct KeptScalars : PlainFunctor {
    Selection kept[2];
    GM_HD void Bind(const Selection* selections) {
      for (uint32_t s = 0; s < 2; ++s) kept[s] = selections != nullptr ? selections[s] : kKeepNone;
    }
    GM_HD void operator()(const At<float>& at, double* values) const {
      values[0] = ScalarKey{}(at, 0) > kept[0].threshold_bits ? 1 : 0;
    }
  };
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(GroupRecipe<GroupAxis::kRows>, GroupRecipe<GroupAxis::kColumns>, RanksRecipe, SelectionsRecipe)
