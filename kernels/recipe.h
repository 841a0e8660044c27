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
//   x.Reduce(sums, n, op, selections)  n fp64 values over the whole tensor, added (or maximised) in a fixed order
//   x.Map(element, selections)         the last pass: writes the output
// An executor may run the recipe again for every pass and chunk, skipping what is done or not yet due: a recipe must
// not branch on tensor data but through the results of earlier passes, and those are zeros until their pass has ended.
// Selections may never reach the host: they are handed on to Reduce and Map, which give them to the functor (Bind).
//
// A key:      template <class F> UInt<F> operator()(const At<F>& at, uint32_t m) const
// A sum:      void operator()(const At<float>& at, double* values) const       static constexpr bool kDraws
// An element: template <class F> F operator()(const At<F>& at) const           static constexpr bool kDraws
//             void Bind(const Selection* kept)     all of the tensor's selections
//             void MoveTo(uint64_t first_elem)     at.i counts from here in what follows; a multiple of 4
// Sums have Bind and MoveTo as well. A key that reads only the base and model m says so with kOfBaseAndModel, and may
// then be given these two alone. Functors are trivially copyable, allocate nothing, and know no files.
#pragma once

#include "kernels/number.h"
#include "kernels/selection.h"

#include "gpumerge/method.h"

#include <cstdint>
#include <optional>
#include <type_traits>

namespace gpumerge::GM_TARGET {

template <class... Methods>
struct MethodList {};

#define GM_METHODS(...)                              \
  namespace gpumerge::GM_TARGET {                    \
  using MethodsOfThisFile = MethodList<__VA_ARGS__>; \
  }

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

// An executor that runs nothing and lists the passes.
class PassCounter {
 public:
  explicit PassCounter(const MergeJob& job) : job_(job) {}
  const MergeJob& job() const { return job_; }
  template <class Key>
  const Selection* Select(const Key&, const uint64_t*) {
    passes_.push_back({PassKind::kSelect, job_.n_models()});
    return nullptr;
  }
  template <class Sum>
  const double* Reduce(const Sum&, uint32_t n_values, ReduceOp op, const Selection* = nullptr) {
    passes_.push_back({PassKind::kReduce, n_values, op});
    return kZeros;
  }
  template <class Element>
  void Map(const Element&, const Selection* = nullptr) {
    passes_.push_back({PassKind::kMap});
  }
  void NoteLerp() {}
  const PassList& passes() const { return passes_; }

 private:
  static constexpr double kZeros[2 * kMaxModels] = {};
  const MergeJob& job_;
  PassList passes_;
};

}  // namespace gpumerge::GM_TARGET
