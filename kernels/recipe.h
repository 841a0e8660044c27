// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a merge method is written. A method is a struct in one header of kernels/methods/:
//
//   struct Linear {
//     static const MethodInfo& Info();                           // what help, checks, docs and tests follow from
//     static std::optional<JobProblem> Check(const MergeJob&);   // optional
//     static bool IsCopy(const MergeJob&);                       // optional
//     template <class X> static void Recipe(X& x) {...}          // passes over one tensor, on any executor X
//   };
//   GM_METHODS(Linear)                                           // last line; may list a family
//
// A recipe is a straight list of passes, each over all inputs of x.job():
//   x.Select(key, counts)              exactly counts[m] largest keys for each model m; returns the selections
//   x.Select(key, counts, n)           the same for n selections of the method's own: key(at, s), s < n
//   x.Reduce(sums, n, op, selections)  n fp64 values over the whole tensor, added (or maximised) in a fixed order
//   x.ReduceGroups(sums, n, op, finish)  n fp64 values over every row or column (Sum::kGroups), in a fixed order; then
//                                      finish, on the host, turns them into the values that the job keeps for the group
//   x.Map(element, selections)         the last pass: writes the output
//   x.Fail(problem)                    before Map: the values, as earlier passes found them, have no merge
// An executor may run the recipe again for every pass and chunk, skipping what is done or not yet due: a recipe must
// not branch on tensor data but through the results of earlier passes, and those are zeros until their pass has ended.
// Which passes there are depends on the parameters only, never on results.
// Selections may never reach the host: they are handed on to Reduce and Map, which give them to the functor (Bind).
//
// A key:      template <class F> UInt<F> operator()(const At<F>& at, uint32_t m) const      31 bits
// A sum:      void operator()(const At<float>& at, double* values) const       static constexpr bool kDraws
// An element: template <class F> F operator()(const At<F>& at) const           static constexpr bool kDraws
//             void Bind(const Selection* kept)     all of the tensor's selections
//             void MoveTo(uint64_t first_elem)     at.i counts from here in what follows; a multiple of 4
// Sums have Bind and MoveTo as well. A key that reads only the base and model m says so with kOfBaseAndModel, and may
// then be given these two alone. Functors are trivially copyable, allocate nothing, and know no files.
//
// Any functor may also have:
//   static constexpr GroupAxis kGroups;   it reads at.group, the values of the element's row or column so far
//   using RankKey = ...;                  it reads at.rank: ranks within rows by RankKey{}(at, m), an empty key
//   static constexpr bool kScalar = true; a key or element that needs double: called with At<float> on every executor
// A Finish:   static constexpr uint32_t kGroupValues;   values kept for every group, the same in all passes of a recipe
//             void operator()(const double* sums, uint64_t group_elems, double* group_values) const    group_values
//             hold what earlier ReduceGroups of the recipe left there, zeros at first. May return const DataProblem*
//             instead: why the group's values have no merge, or nullptr
// Rows are summed by the same tree as whole tensors, indices counted from the row's first element; columns from the
// first row on, one after the other.
#pragma once

#include "kernels/number.h"
#include "kernels/selection.h"

#include "gpumerge/method.h"

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace gpumerge::GM_TARGET {

template <class... Methods>
struct MethodList {};

#define GM_METHODS(...)                              \
  namespace gpumerge::GM_TARGET {                    \
  using MethodsOfThisFile = MethodList<__VA_ARGS__>; \
  }

// What a functor asks for besides its inputs; see above.
template <class Functor>
constexpr GroupAxis GroupsOf() {
  if constexpr (requires { Functor::kGroups; })
    return Functor::kGroups;
  else
    return GroupAxis::kNone;
}
template <class Functor>
inline constexpr bool kRanks = requires {
  typename Functor::RankKey;
};
template <class Functor>
inline constexpr bool kIsScalar = requires {
  requires Functor::kScalar;
};

// The most values that one Reduce or ReduceGroups makes: two a model, or all inner products of kMaxGramModels models.
inline constexpr uint32_t kMaxGramModels = 15;
inline constexpr uint32_t kMaxReducedValues = 2 * kMaxModels;
static_assert(kMaxGramModels * (kMaxGramModels + 1) / 2 <= kMaxReducedValues);

// Functors that use no selection and no position inherit these.
struct PlainFunctor {
  static constexpr bool kDraws = false;
  GM_HD void Bind(const Selection*) {}
  GM_HD void MoveTo(uint64_t) {}
};

// What the compiler knows of a functor, inherited where kModels > 0: executors may then keep its inputs and values in
// registers. Optional.
template <int kModels, int kInputCount, int kValueCount = 0>
struct KnownCounts {
  static constexpr uint32_t kInputs = static_cast<uint32_t>(kInputCount);  // the base included
  static constexpr uint32_t kValues = static_cast<uint32_t>(kValueCount);  // of a sum
};
template <int kInputCount, int kValueCount>
struct KnownCounts<0, kInputCount, kValueCount> {};

// The same where the number of inputs is not known: a base may be there or not.
template <int kModels, int kValueCount>
struct KnownSums {
  static constexpr uint32_t kValues = static_cast<uint32_t>(kValueCount);
};
template <int kValueCount>
struct KnownSums<0, kValueCount> {};

// Calls f with std::integral_constant<int, kModels>: the exact number for few models, else 0.
template <class Function>
inline void DispatchModels(uint32_t n_models, const Function& f) {
  static_assert(kExactModels == 4);
#ifndef GM_ANY_COUNT_ONLY  // the reference executor compiles the general form only
  switch (n_models) {
    case 1:
      return f(std::integral_constant<int, 1>{});
    case 2:
      return f(std::integral_constant<int, 2>{});
    case 3:
      return f(std::integral_constant<int, 3>{});
    case 4:
      return f(std::integral_constant<int, 4>{});
    default:
      break;
  }
#endif
  (void)n_models;
  f(std::integral_constant<int, 0>{});
}

// Space for one value a model, and the loop bound: a constant where the number is exact.
template <int kModels>
inline constexpr uint32_t kCapacity = kModels > 0 ? static_cast<uint32_t>(kModels) : kMaxModels;

// Calls f(m) for every model, in order. With an exact number of them this is straight code and what is indexed by m
// lies in registers; compilers keep loops of this length, and arrays in memory with them.
template <class Function, uint32_t... kIndices>
GM_HD void ForEachOf(std::integer_sequence<uint32_t, kIndices...>, const Function& f) {
  (f(kIndices), ...);
}
template <int kModels, class Function>
GM_HD void ForModels(uint32_t n_models, const Function& f) {
  if constexpr (kModels > 0) {
    ForEachOf(std::make_integer_sequence<uint32_t, static_cast<uint32_t>(kModels)>{}, f);
  } else {
    for (uint32_t m = 0; m < n_models; ++m) f(m);
  }
}

template <int kModels>
struct ModelCount {
  uint32_t any = 0;
  GM_HD uint32_t operator()() const {
    if constexpr (kModels > 0) {
      return static_cast<uint32_t>(kModels);
    } else {
      return any;
    }
  }
};

// Finishes one group; returns its problem or nullptr.
template <class Finish>
const DataProblem* FinishGroup(const Finish& finish, const double* sums, uint64_t group_elems, double* group_values) {
  if constexpr (std::is_void_v<decltype(finish(sums, group_elems, group_values))>) {
    finish(sums, group_elems, group_values);
    return nullptr;
  } else {
    return finish(sums, group_elems, group_values);
  }
}

// An executor that runs nothing and lists the passes.
class PassCounter {
 public:
  explicit PassCounter(const MergeJob& job) : job_(job) {}
  const MergeJob& job() const { return job_; }
  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts) {
    return Select(key, counts, job_.n_models());
  }
  template <class Key>
  const Selection* Select(const Key&, const uint64_t*, uint32_t n) {
    Add<Key>(PassKind::kSelect, n, ReduceOp::kSum);
    return nullptr;
  }
  template <class Sum>
  const double* Reduce(const Sum&, uint32_t n_values, ReduceOp op, const Selection* = nullptr) {
    Add<Sum>(PassKind::kReduce, n_values, op);
    return kZeros;
  }
  template <class Sum, class Finish>
  void ReduceGroups(const Sum&, uint32_t n_values, ReduceOp op, const Finish&) {
    n_group_values_ = Finish::kGroupValues;
    Add<Sum>(PassKind::kReduceGroups, n_values, op);
  }
  template <class Element>
  void Map(const Element&, const Selection* = nullptr) {
    Add<Element>(PassKind::kMap, 0, ReduceOp::kSum);
  }
  void NoteLerp() {}
  void Fail(const DataProblem&) {}
  const PassList& passes() const { return passes_; }

 private:
  template <class Functor>
  void Add(PassKind kind, uint32_t n_values, ReduceOp op) {
    constexpr GroupAxis kAxis = GroupsOf<Functor>();
    passes_.push_back({kind, n_values, op, kAxis, kAxis == GroupAxis::kNone ? 0 : n_group_values_, kRanks<Functor>});
  }

  static constexpr double kZeros[kMaxReducedValues] = {};
  const MergeJob& job_;
  uint32_t n_group_values_ = 0;
  PassList passes_;
};

}  // namespace gpumerge::GM_TARGET
