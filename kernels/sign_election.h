// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Sign election with options: the forms of TIES that differ from mergekit's. For every element
//   D_m = w_m * d_m (d_m sparsified and rescaled),  v_m = D_m (elect_on: weighted) or d_m (raw)
//   T   = sum_m v_m (sign: sum) or sum_m sign(v_m) (count);  s = sign(T), and where T = 0 what zero_sign says:
//         plus; majority: the sign of the sum of all elements' sign(T); zero: none
//   M   = sum of the D_m whose v_m has sign s;  N = sum of their w_m (divide_by: weights) or of ones (count)
// The defaults have a faster element of their own (task_merge.h); these are compiled for any number of models only.
#pragma once

#include "kernels/task_vectors.h"
#include "kernels/weights.h"

namespace gpumerge::GM_TARGET {

// The choices of the parameters of the same names.
enum class SignRule : uint8_t { kSum, kCount };
inline constexpr std::string_view kSignChoices[] = {"sum", "count"};
enum class ZeroSign : uint8_t { kPlus, kMajority, kZero };
inline constexpr std::string_view kZeroSignChoices[] = {"plus", "majority", "zero"};
enum class ElectOn : uint8_t { kWeighted, kRaw };
inline constexpr std::string_view kElectOnChoices[] = {"weighted", "raw"};
enum class DivideBy : uint8_t { kWeights, kCount };
inline constexpr std::string_view kDivideByChoices[] = {"weights", "count"};

struct ElectionRules {
  SignRule sign;
  ZeroSign zero_sign;
  ElectOn elect_on;
  DivideBy divide_by;
  explicit ElectionRules(const MergeJob& job)
      : sign(ChoiceOf<SignRule>(job, "sign")),
        zero_sign(ChoiceOf<ZeroSign>(job, "zero_sign")),
        elect_on(ChoiceOf<ElectOn>(job, "elect_on")),
        divide_by(ChoiceOf<DivideBy>(job, "divide_by")) {}
  bool AreDefault() const {
    return sign == SignRule::kSum && zero_sign == ZeroSign::kPlus && elect_on == ElectOn::kWeighted &&
           divide_by == DivideBy::kWeights;
  }
};

// What the models vote with at one element.
template <Sparsify kSparsify>
struct Ballot {
  TaskVectors<kSparsify, 0> vectors;
  float weight[kMaxModels];
  bool raw;
  bool counts;

  template <class F>
  GM_HD F Vote(const At<F>& at, uint32_t m) const {
    const F delta = vectors.Grown(at, m);
    return raw ? delta : delta * F(weight[m]);
  }
  // T: above zero, below zero or zero.
  template <class F>
  GM_HD F Total(const At<F>& at) const {
    const F zero(0.0f);
    F total = zero;
    for (uint32_t m = 0; m < vectors.n_models(); ++m) {
      F vote = Vote(at, m);
      if (counts) vote = Where(vote > zero, F(1.0f), Where(vote < zero, F(-1.0f), zero));
      total = m == 0 ? vote : total + vote;
    }
    return total;
  }
};

template <Sparsify kSparsify>
Ballot<kSparsify> MakeBallot(const MergeJob& job, const TaskVectors<kSparsify, 0>& vectors) {
  const ElectionRules rules(job);
  Ballot<kSparsify> ballot{};
  ballot.vectors = vectors;
  ReadWeights(job, ballot.weight);
  ballot.raw = rules.elect_on == ElectOn::kRaw;
  ballot.counts = rules.sign == SignRule::kCount;
  return ballot;
}

// sign(T), for `zero_sign: majority`: +1, 0 or -1.
template <Sparsify kSparsify>
struct ElectedSign : TaskVectors<kSparsify, 0>::Asks {
  static constexpr bool kDraws = TaskVectors<kSparsify, 0>::kDraws;
  Ballot<kSparsify> ballot;
  GM_HD void Bind(const Selection* kept) { ballot.vectors.Bind(kept); }
  GM_HD void MoveTo(uint64_t first_elem) { ballot.vectors.MoveTo(first_elem); }
  GM_HD void operator()(const At<float>& at, double* sign) const {
    const float total = ballot.Total(at);
    *sign = total > 0 ? 1.0 : total < 0 ? -1.0 : 0.0;
  }
};

template <Sparsify kSparsify>
struct ElectionElement : TaskVectors<kSparsify, 0>::Asks {
  static constexpr bool kDraws = TaskVectors<kSparsify, 0>::kDraws;
  Ballot<kSparsify> ballot;
  float share[kMaxModels];  // of the divisor: the weight, or 1
  float zero_sign;          // of an element whose T is zero: +1, 0 or -1
  float lambda;
  bool normalize;

  GM_HD void Bind(const Selection* kept) { ballot.vectors.Bind(kept); }
  GM_HD void MoveTo(uint64_t first_elem) { ballot.vectors.MoveTo(first_elem); }

  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    const F zero(0.0f);
    const F total = ballot.Total(at);
    const F sign = Where(total > zero, F(1.0f), Where(total < zero, F(-1.0f), F(zero_sign)));
    F merged = zero, divisor = zero;
    for (uint32_t m = 0; m < ballot.vectors.n_models(); ++m) {
      const F delta = ballot.vectors.Grown(at, m);
      const F weighted = delta * F(ballot.weight[m]);
      const F vote = ballot.raw ? delta : weighted;
      const auto agrees = ((sign > zero) && (vote > zero)) || ((sign < zero) && (vote < zero));
      const F kept_delta = Where(agrees, weighted, zero);
      const F kept_share = Where(agrees, F(share[m]), zero);
      merged = m == 0 ? kept_delta : merged + kept_delta;
      divisor = m == 0 ? kept_share : divisor + kept_share;
    }
    if (normalize) merged = merged / Where(divisor == zero, F(1.0f), divisor);
    return at.x[0] + merged * F(lambda);
  }
};

// The passes of an election that is not the default one, after sparsifying.
template <Sparsify kSparsify, class X>
void ElectionPasses(X& x, const TaskVectors<kSparsify, 0>& vectors, const Selection* selections, bool is_model_wide) {
  const MergeJob& job = x.job();
  const ElectionRules rules(job);
  ElectionElement<kSparsify> element{};
  element.ballot = MakeBallot(job, vectors);
  element.zero_sign = rules.zero_sign == ZeroSign::kPlus ? 1.0f : 0.0f;
  if (rules.zero_sign == ZeroSign::kMajority) {
    double balance = job.model_majority;
    if (!is_model_wide) {
      ElectedSign<kSparsify> signs{};
      signs.ballot = element.ballot;
      balance = x.Reduce(signs, 1, ReduceOp::kSum, selections)[0];
    }
    element.zero_sign = balance > 0 ? 1.0f : balance < 0 ? -1.0f : 0.0f;
  }
  for (uint32_t m = 0; m < job.n_models(); ++m)
    element.share[m] = rules.divide_by == DivideBy::kCount ? 1.0f : element.ballot.weight[m];
  element.lambda = static_cast<float>(job.Shared("lambda"));
  element.normalize = job.Shared("normalize") != 0;
  x.Map(element, selections);
}

// For `trim_scope: model` with `zero_sign: majority`: called for all elements of all tensors, with job.model_selections
// filled in, its values' sum over the model is job.model_majority (or its sign). MoveTo before a run of elements.
inline ElectedSign<Sparsify::kTrim> ModelWideSign(const MergeJob& job) {
  TaskVectors<Sparsify::kTrim, 0> vectors{};
  // Norms of single tensors are not known here; CheckElection refuses them.
  vectors.Configure(job, ChoiceOf<Rescale>(job, "rescale"));
  ElectedSign<Sparsify::kTrim> sign{};
  sign.ballot = MakeBallot(job, vectors);
  sign.Bind(nullptr);
  return sign;
}

inline bool TrimsWholeModel(const MergeJob& job) { return ChoiceOf<TrimScope>(job, "trim_scope") == TrimScope::kModel; }

}  // namespace gpumerge::GM_TARGET
