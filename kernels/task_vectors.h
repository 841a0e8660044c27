// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Task vectors (deltas to the base), sparsified: the shared half of the task-arithmetic family. A sparsifier says which
// elements of a delta are kept and by what factor the kept ones grow.
//   none       all are kept
//   trim       the density * n largest by magnitude (TIES, arXiv:2306.01708)
//   drop       each with probability density, at random (DARE, arXiv:2311.03099)
//   band       the density * n largest but for the very largest (breadcrumbs.h)
//   rank drop  at random, the larger ones of a row more likely (della.h)
#pragma once

#include "kernels/philox.h"
#include "kernels/recipe.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

enum class Sparsify : uint8_t { kNone, kTrim, kDrop, kBand, kRankDrop };

// The choices of the parameter `rescale`, in this order.
enum class Rescale : uint8_t { kFalse, kTrue, kL1, kL2, kLinf, kInvDensity };
inline constexpr std::string_view kRescaleChoices[] = {"false", "true", "l1", "l2", "linf", "inv_density"};
constexpr bool IsNorm(Rescale rescale) {
  return rescale == Rescale::kL1 || rescale == Rescale::kL2 || rescale == Rescale::kLinf;
}

// The choices of the parameters `trim_scope` and `tie_break`.
enum class TrimScope : uint8_t { kTensor, kModel };
inline constexpr std::string_view kTrimScopeChoices[] = {"tensor", "model"};
enum class TieBreak : uint8_t { kLowestIndex, kAll };
inline constexpr std::string_view kTieBreakChoices[] = {"lowest_index", "keep_all"};

template <class Enum>
Enum ChoiceOf(const MergeJob& job, std::string_view param) {
  return static_cast<Enum>(static_cast<int>(job.Shared(param)));
}

// |x_m - base| as an integer that orders like the value: the 31 magnitude bits of the fp32 difference.
struct DeltaMagnitude {
  static constexpr bool kOfBaseAndModel = true;
  template <class F>
  GM_HD UInt<F> operator()(const At<F>& at, uint32_t m) const {
    return Bits(at.x[m + 1] - at.x[0]) & kMagnitudeMask;
  }
};

// What every sparsifier of the family has, and this one for the first three (see breadcrumbs.h and della.h for others):
//   Asks                what its functors ask an executor for, besides inputs
//   Configure           reads the job's parameters; false when nothing is dropped, so that no pass is needed
//   SelectPass          its selections, perhaps none
//   Kept, Grown         the delta of model m where it is kept, else 0; before and after it grows by its factor
template <Sparsify kSparsify, int kModels>
struct TaskVectors {
  struct Asks {};
  static constexpr bool kDraws = kSparsify == Sparsify::kDrop;
  ModelCount<kModels> n_models;
  float factor[kCapacity<kModels>];    // of kept elements; 1 = none
  Selection kept[kCapacity<kModels>];  // trim
  TileSelection in_tile[kCapacity<kModels>];
  bool keep_ties;                               // trim: all that equal the smallest kept one
  uint32_t last_kept_draw[kCapacity<kModels>];  // drop: an element is kept when its random word is at most this
  bool keeps_any[kCapacity<kModels>];

  bool Configure(const MergeJob& job, Rescale rescale) {
    n_models.any = job.n_models();
    keep_ties = false;
    bool drops_any = false;
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const double density = kSparsify == Sparsify::kNone ? 1.0 : job.PerModel("density", m);
      drops_any = drops_any || density < 1;
      const uint64_t kept_draws = static_cast<uint64_t>(std::ceil(density * 0x1p32));
      keeps_any[m] = kept_draws > 0;
      last_kept_draw[m] = kept_draws > 0 ? static_cast<uint32_t>(kept_draws - 1) : 0;
      factor[m] = rescale == Rescale::kInvDensity && density > 0 ? static_cast<float>(1 / density) : 1.0f;
      kept[m] = kKeepAll;
    }
    if constexpr (kSparsify == Sparsify::kTrim) {
      keep_ties = ChoiceOf<TieBreak>(job, "tie_break") == TieBreak::kAll;
      // Found over the whole model before the run; while the plan is made they are not there yet.
      if (ChoiceOf<TrimScope>(job, "trim_scope") == TrimScope::kModel)
        for (uint32_t m = 0; m < job.model_selections.size(); ++m) kept[m] = job.model_selections[m];
    }
    return drops_any;
  }
  template <class X>
  const Selection* SelectPass(X& x) const {
    if constexpr (kSparsify == Sparsify::kTrim) {
      const MergeJob& job = x.job();
      if (ChoiceOf<TrimScope>(job, "trim_scope") == TrimScope::kModel) return nullptr;
      uint64_t counts[kCapacity<kModels>];
      for (uint32_t m = 0; m < job.n_models(); ++m) counts[m] = KeptCount(job.PerModel("density", m), job.n_elems);
      return x.Select(DeltaMagnitude{}, counts);
    } else {
      return nullptr;
    }
  }

  GM_HD void Bind(const Selection* selections) {
    if constexpr (kSparsify == Sparsify::kTrim) {
      for (uint32_t m = 0; m < n_models(); ++m) {
        if (selections != nullptr) kept[m] = selections[m];
        if (keep_ties) kept[m].tie_end = ~uint64_t{0};  // no key equals the threshold of kKeepNone
      }
    }
  }
  GM_HD void MoveTo(uint64_t first_elem) {
    if constexpr (kSparsify == Sparsify::kTrim)
      for (uint32_t m = 0; m < n_models(); ++m) in_tile[m] = ForTile(kept[m], first_elem);
  }
  template <class F>
  GM_HD F Kept(const At<F>& at, uint32_t m) const {
    const F delta = at.x[m + 1] - at.x[0];
    if constexpr (kSparsify == Sparsify::kTrim) {
      return Where(Keeps(in_tile[m], UInt<F>(Bits(delta) & kMagnitudeMask), at.i), delta, F(0.0f));
    } else if constexpr (kSparsify == Sparsify::kDrop) {
      if (!keeps_any[m]) return F(0.0f);
      return Where(at.draw[m] <= last_kept_draw[m], delta, F(0.0f));
    } else {
      return delta;
    }
  }
  template <class F>
  GM_HD F Grown(const At<F>& at, uint32_t m) const {
    return Kept(at, m) * F(factor[m]);
  }
};

// What `rescale: l1|l2|linf` compares: a norm of each delta before and after sparsifying, values (2, n_models).
template <Sparsify kSparsify, int kModels>
struct RescaleNorms : KnownCounts<kModels, kModels + 1, 2 * kModels>, TaskVectors<kSparsify, kModels>::Asks {
  static constexpr bool kDraws = TaskVectors<kSparsify, kModels>::kDraws;
  TaskVectors<kSparsify, kModels> vectors;
  bool squares;
  GM_HD void Bind(const Selection* kept) { vectors.Bind(kept); }
  GM_HD void MoveTo(uint64_t first_elem) { vectors.MoveTo(first_elem); }
  GM_HD void operator()(const At<float>& at, double* values) const {
    for (uint32_t m = 0; m < vectors.n_models(); ++m) {
      const double before = at.x[m + 1] - at.x[0];
      const double after = vectors.template Kept<float>(at, m);
      values[m] = squares ? before * before : std::fabs(before);
      values[vectors.n_models() + m] = squares ? after * after : std::fabs(after);
    }
  }
};

// A norm below this is noise: the delta is left as it is.
inline constexpr double kSmallestNorm = 1e-7;

inline float FactorFromNorms(double before, double after, bool squares) {
  if (squares) {
    before = std::sqrt(before);
    after = std::sqrt(after);
  }
  return before < kSmallestNorm || after < kSmallestNorm ? 1.0f : static_cast<float>(before / after);
}

// The passes that come before the merging one, and the sparsifier they give.
template <Sparsify kSparsify, int kModels, class X>
TaskVectors<kSparsify, kModels> SparsifyPasses(X& x, Rescale rescale, const Selection** selections) {
  const MergeJob& job = x.job();
  TaskVectors<kSparsify, kModels> vectors{};
  *selections = nullptr;
  if (!vectors.Configure(job, rescale)) return vectors;
  *selections = vectors.SelectPass(x);
  if (IsNorm(rescale)) {
    RescaleNorms<kSparsify, kModels> norms{};
    norms.vectors = vectors;
    norms.squares = rescale == Rescale::kL2;
    const double* values =
        x.Reduce(norms, 2 * job.n_models(), rescale == Rescale::kLinf ? ReduceOp::kMax : ReduceOp::kSum, *selections);
    for (uint32_t m = 0; m < job.n_models(); ++m)
      vectors.factor[m] = FactorFromNorms(values[m], values[job.n_models() + m], norms.squares);
  }
  return vectors;
}

}  // namespace gpumerge::GM_TARGET
