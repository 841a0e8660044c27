// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The reference executor: one element after the other, whole tensors, a stable sort. It is written to be obviously
// right, not fast; the other executors are compared with it bit for bit. Compiled once for each header of
// kernels/methods/.
#pragma once

#include "kernels/philox.h"
#include "kernels/recipe.h"
#include "src/reference/entry.h"
#include "src/reference/stored.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <numeric>
#include <vector>

namespace gpumerge::GM_TARGET {

class ReferenceExecutor {
 public:
  explicit ReferenceExecutor(const ReferenceCall& call) : call_(call), job_(*call.job), x_(job_.inputs.size()) {}

  const MergeJob& job() const { return job_; }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts) {
    return Select(key, counts, job_.n_models());
  }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts, uint32_t n) {
    std::vector<Selection>& selections = selections_.emplace_back(n);
    for (uint32_t s = 0; s < n; ++s) {
      std::vector<uint32_t> keys(job_.n_elems);
      for (uint64_t i = 0; i < job_.n_elems; ++i) {
        LoadAll(i);
        At<float> at{{x_.data(), 1}, {nullptr, 1}, 0};
        at.group = GroupOf(GroupsOf<Key>(), i);
        keys[i] = key(at, s);
      }
      const std::vector<uint64_t> order = SortedIndices(keys, std::greater<>{});
      const uint64_t last_kept = counts[s] == 0 ? 0 : order[counts[s] - 1];
      selections[s] = counts[s] == 0 ? kKeepNone : Selection{keys[last_kept], last_kept + 1};
    }
    return selections.data();
  }

  template <class Sum>
  const double* Reduce(Sum sum, uint32_t n_values, ReduceOp op, const Selection* kept = nullptr) {
    Begin(sum, kept);
    return sums_.emplace_back(Tree(sum, n_values, op, 0, job_.n_elems)).data();
  }

  template <class Sum, class Finish>
  void ReduceGroups(Sum sum, uint32_t n_values, ReduceOp op, const Finish& finish) {
    Begin(sum, nullptr);
    const GroupAxis axis = GroupsOf<Sum>();
    const uint64_t n_groups = job_.n_groups(axis);
    n_group_values_ = Finish::kGroupValues;
    group_values_.resize(n_groups * n_group_values_);  // zeros at first
    std::vector<std::vector<double>> sums;             // (n_groups, n_values)
    for (uint64_t group = 0; group < n_groups; ++group) {
      if (axis == GroupAxis::kRows) {
        sums.push_back(Tree(sum, n_values, op, group * job_.row_elems(), job_.row_elems()));
      } else {
        sums.push_back(ColumnSums(sum, n_values, op, group));
      }
    }
    const uint64_t group_elems = axis == GroupAxis::kRows ? job_.row_elems() : job_.column_elems();
    for (uint64_t group = 0; group < n_groups; ++group)
      if (const DataProblem* problem =
              FinishGroup(finish, sums[group].data(), group_elems, &group_values_[group * n_group_values_]);
          problem != nullptr && call_.result->problem == nullptr)
        Fail(*problem);  // of the first such group
  }

  template <class Element>
  void Map(Element element, const Selection* kept = nullptr) {
    Begin(element, kept);
    call_.result->inputs.assign(job_.inputs.size(), std::nullopt);
    RoundingLoss block_loss;
    for (uint64_t i = 0; i < job_.n_elems; ++i) {
      const float value = element(Prepare(element, i));
      bool finite_inputs = true;
      for (size_t input = 0; input < x_.size(); ++input) {
        if ((Bits(x_[input]) & kMagnitudeMask) < kInfinityBits) continue;
        finite_inputs = false;
        Note(call_.result->inputs[input], i, 0);
      }
      const bool finite_output = Store(job_.out_dtype, value, call_.output, i);
      if (!finite_output && finite_inputs) Note(call_.result->overflow, i, value);
      if (i % SampleStride(job_.n_elems) == 0 && finite_output) {
        const double error = static_cast<double>(Load(job_.out_dtype, call_.output, i)) - value;
        const double change = static_cast<double>(value) - x_[0];
        block_loss.error_squares += error * error;
        block_loss.change_squares += change * change;
      }
      if ((i + 1) % kBlockElems != 0 && i + 1 != job_.n_elems) continue;
      call_.result->loss.error_squares += block_loss.error_squares;
      call_.result->loss.change_squares += block_loss.change_squares;
      block_loss = {};
    }
  }

  void NoteLerp() { call_.result->used_lerp = true; }
  void Fail(const DataProblem& problem) {
    if (job_.n_elems > 0) call_.result->problem = &problem;
  }

 private:
  template <class Functor>
  void Begin(Functor& functor, const Selection* kept) {
    functor.Bind(kept);
    ranked_row_ = ~uint64_t{0};  // the last functor may have ranked by another key
  }

  void LoadAll(uint64_t i) {
    for (size_t input = 0; input < x_.size(); ++input)
      x_[input] = Load(job_.inputs[input].dtype, call_.inputs[input], i);
  }

  // Everything a functor reads at flat index i.
  template <class Functor>
  At<float> Prepare(Functor& functor, uint64_t i) {
    if constexpr (kRanks<Functor>) RankRow<typename Functor::RankKey>(i / job_.row_elems());
    LoadAll(i);
    if constexpr (Functor::kDraws) {
      const PhiloxKey key = MakePhiloxKey(job_.seed, job_.name_hash);
      draws_.resize(job_.n_models());
      for (uint32_t m = 0; m < job_.n_models(); ++m) {
        uint32_t words[4];
        Philox(key, job_.inputs[m + (job_.has_base ? 1u : 0u)].model_index, static_cast<uint32_t>(i / 4), words);
        draws_[m] = words[i % 4];
      }
    }
    functor.MoveTo(i / 4 * 4);
    At<float> at{{x_.data(), 1}, {draws_.data(), 1}, static_cast<uint32_t>(i % 4)};
    at.group = GroupOf(GroupsOf<Functor>(), i);
    if constexpr (kRanks<Functor>)
      at.rank = {ranks_.data() + i % job_.row_elems(), static_cast<uint32_t>(job_.row_elems())};
    return at;
  }

  // The values of the row or column of element i.
  Values<double> GroupOf(GroupAxis axis, uint64_t i) const {
    if (axis == GroupAxis::kNone) return {};
    const uint64_t group = axis == GroupAxis::kRows ? i / job_.row_elems() : i % job_.n_groups(axis);
    return {group_values_.data() + group * n_group_values_, 1};
  }

  // Sets ranks_ for that row, unless it has them already.
  template <class RankKey>
  void RankRow(uint64_t row) {
    if (ranked_row_ == row) return;
    ranked_row_ = row;
    const uint64_t n = job_.row_elems();
    ranks_.resize(job_.n_models() * n);
    for (uint32_t m = 0; m < job_.n_models(); ++m) {
      std::vector<uint32_t> keys(n);
      for (uint64_t i = 0; i < n; ++i) {
        LoadAll(row * n + i);
        keys[i] = RankKey{}(At<float>{{x_.data(), 1}, {nullptr, 1}, 0}, m);
      }
      const std::vector<uint64_t> order = SortedIndices(keys, std::less<>{});
      for (uint64_t rank = 0; rank < n; ++rank) ranks_[m * n + order[rank]] = static_cast<uint32_t>(rank);
    }
  }

  // Ties keep their order.
  template <class Before>
  static std::vector<uint64_t> SortedIndices(const std::vector<uint32_t>& keys, Before before) {
    std::vector<uint64_t> order(keys.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](uint64_t a, uint64_t b) { return before(keys[a], keys[b]); });
    return order;
  }

  static double Combine(ReduceOp op, double a, double b) { return op == ReduceOp::kSum ? a + b : std::max(a, b); }

  // Neighbours are paired until one is left; an odd last one moves up unchanged.
  static double PairUp(std::vector<double> level, ReduceOp op) {
    while (level.size() > 1) {
      for (size_t pair = 0; pair < level.size() / 2; ++pair)
        level[pair] = Combine(op, level[2 * pair], level[2 * pair + 1]);
      if (level.size() % 2 == 1) level[level.size() / 2] = level.back();
      level.resize((level.size() + 1) / 2);
    }
    return level.empty() ? 0.0 : level[0];
  }

  // The n_values of n elements from `first` on, in lanes and blocks counted from there.
  template <class Sum>
  std::vector<double> Tree(Sum& sum, uint32_t n_values, ReduceOp op, uint64_t first, uint64_t n) {
    std::vector<std::vector<double>> blocks(n_values);
    for (uint64_t begin = 0; begin < n; begin += kBlockElems) {
      std::vector<std::vector<double>> lanes(n_values, std::vector<double>(64, 0.0));
      for (uint64_t i = begin; i < std::min(begin + kBlockElems, n); ++i) {
        std::vector<double> values(n_values);
        sum(Prepare(sum, first + i), values.data());
        for (uint32_t v = 0; v < n_values; ++v) lanes[v][i % 64] = Combine(op, lanes[v][i % 64], values[v]);
      }
      for (uint32_t v = 0; v < n_values; ++v) blocks[v].push_back(PairUp(lanes[v], op));
    }
    std::vector<double> totals;
    for (uint32_t v = 0; v < n_values; ++v) totals.push_back(PairUp(blocks[v], op));
    return totals;
  }

  template <class Sum>
  std::vector<double> ColumnSums(Sum& sum, uint32_t n_values, ReduceOp op, uint64_t column) {
    std::vector<double> totals(n_values);
    for (uint64_t i = column; i < job_.n_elems; i += job_.n_groups(GroupAxis::kColumns)) {
      std::vector<double> values(n_values);
      sum(Prepare(sum, i), values.data());
      for (uint32_t v = 0; v < n_values; ++v) totals[v] = i == column ? values[v] : Combine(op, totals[v], values[v]);
    }
    return totals;
  }

  static void Note(std::optional<NonFinite>& found, uint64_t i, float value) {
    if (!found) found = NonFinite{i, 0, 0};
    ++found->count;
    if ((Bits(value) & kMagnitudeMask) < kInfinityBits)
      found->largest_finite = std::max(found->largest_finite, FromBits(Bits(value) & kMagnitudeMask));
  }

  const ReferenceCall call_;
  const MergeJob& job_;
  std::vector<float> x_;                           // (n_inputs) at the current index
  std::vector<uint32_t> draws_;                    // (n_models)
  std::deque<std::vector<Selection>> selections_;  // of every Select
  std::deque<std::vector<double>> sums_;           // of every Reduce
  std::vector<double> group_values_;               // (n_groups, n_group_values)
  uint32_t n_group_values_ = 0;
  std::vector<uint32_t> ranks_;  // (n_models, row_elems) of the row ranked last
  uint64_t ranked_row_ = ~uint64_t{0};
};

// The rows of the methods of one file.
template <class Method>
std::optional<JobProblem> CheckJob(const MergeJob& job) {
  if constexpr (requires { Method::Check(job); }) return Method::Check(job);
  return std::nullopt;
}

template <class Method>
bool JobIsCopy(const MergeJob& job) {
  if constexpr (requires { Method::IsCopy(job); }) return Method::IsCopy(job);
  return false;
}

template <class Method>
PassList CountPasses(const MergeJob& job) {
  PassCounter counter(job);
  Method::Recipe(counter);
  return counter.passes();
}

template <class Method>
void RunReference(const ReferenceCall& call) {
  ReferenceExecutor executor(call);
  Method::Recipe(executor);
}

template <class... Methods>
std::span<const ReferenceMethod> ReferenceMethodsIn(MethodList<Methods...>) {
  static const std::array kMethods{ReferenceMethod{
      {&Methods::Info(), CountPasses<Methods>, CheckJob<Methods>, JobIsCopy<Methods>}, RunReference<Methods>}...};
  return kMethods;
}

}  // namespace gpumerge::GM_TARGET
