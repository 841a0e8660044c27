// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The executor that runs one step of one pass over one range: a recipe is run again for every range, and all passes but
// the one asked for do nothing but hand over their results. Compiled for each instruction set and method header; must
// not use inline code from outside its namespace that could end up out of line (a test looks at the objects' symbols).
#pragma once

#include "src/cpu/range_reduce.h"
#include "src/cpu/range_select.h"

#include <array>

namespace gpumerge::GM_TARGET {

class RangeExecutor {
 public:
  explicit RangeExecutor(const RangeContext& context) : c_(context), job_(*context.job), tiles_(context) {}

  const MergeJob& job() const { return job_; }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts) {
    return Select(key, counts, job_.n_models());
  }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts, uint32_t n) {
    const PassView& pass = c_.passes[next_pass_];
    if (next_pass_++ == c_.pass) RunSelectStep(tiles_, key, counts, n);
    return pass.selections;
  }

  template <class Sum>
  const double* Reduce(Sum sum, uint32_t n_values, ReduceOp op, const Selection* kept = nullptr) {
    const PassView& pass = c_.passes[next_pass_];
    if (next_pass_++ == c_.pass && c_.step == Step::kReduce) {
      sum.Bind(kept);
      if (op == ReduceOp::kSum) {
        ReduceBlocks<Plus>(tiles_, sum, n_values);
      } else {
        ReduceBlocks<Larger>(tiles_, sum, n_values);
      }
    }
    return pass.sums;
  }

  template <class Sum, class Finish>
  void ReduceGroups(Sum sum, uint32_t n_values, ReduceOp op, const Finish& finish) {
    if (next_pass_++ != c_.pass) return;
    sum.Bind(nullptr);
    if (c_.step == Step::kEndColumns) {
      for (uint64_t column = c_.first_column; column < c_.last_column; ++column)
        EndGroup(c_, finish, c_.column_sums + column * n_values, job_.n_elems / c_.n_columns, column);
    } else if (op == ReduceOp::kSum) {
      ReduceGroupsOf<Plus>(sum, n_values, finish);
    } else {
      ReduceGroupsOf<Larger>(sum, n_values, finish);
    }
  }

  template <class Element>
  void Map(Element element, const Selection* kept = nullptr) {
    if (next_pass_++ != c_.pass || c_.step != Step::kMap) return;
    element.Bind(kept);
    const uint32_t overflow_bits = OverflowBits(job_.out_dtype);
    const uint64_t out_elem_bytes = ElementBytes(job_.out_dtype);
    float* y = tiles_.results();
    tiles_.ForEach<Element, NumberOf<Element>>([&](uint64_t first, uint32_t n) {
      element.MoveTo(c_.first_elem + first);
      if constexpr (kIsScalar<Element>) {
        const Element own = element;  // what only this loop sees needs no loading again after every store
        for (uint32_t j = 0; j < n; ++j) y[j] = own(tiles_.FloatAt(j));
      } else {
        for (uint32_t j = 0; j < n; j += kPackElems) {
          const Pack result = element(tiles_.PackAt(j));
          result.copy_to(y + j, std::experimental::vector_aligned);
        }
      }
      uint32_t largest_result = 0;
      for (uint32_t j = 0; j < n; ++j) {
        const uint32_t magnitude = Bits(y[j]) & kMagnitudeMask;
        largest_result = magnitude > largest_result ? magnitude : largest_result;
      }
      std::byte* output = c_.output + first * out_elem_bytes;
      StoreTile(job_.out_dtype, y, n, output);
      AddLoss(first, n, output);
      if (tiles_.largest_input() >= kInfinityBits || largest_result >= overflow_bits)
        NoteNonFinite(first, n, overflow_bits);
    });
  }

  void NoteLerp() {
    if (c_.step == Step::kMap) *c_.used_lerp = true;
  }
  void Fail(const DataProblem& problem) {
    if (c_.step == Step::kMap) *c_.problem = &problem;
  }

 private:
  template <class Combine, class Sum, class Finish>
  void ReduceGroupsOf(Sum& sum, uint32_t n_values, const Finish& finish) {
    static_assert(GroupsOf<Sum>() != GroupAxis::kNone, "the sum says whether it is of rows or of columns");
    if constexpr (GroupsOf<Sum>() == GroupAxis::kRows) {
      ReduceRows<Combine>(tiles_, sum, n_values, finish);
    } else {
      ReduceColumns<Combine>(tiles_, sum, n_values);
    }
  }

  // Of the results in the tile, which are stored at `output`.
  void AddLoss(uint64_t first, uint32_t n, const std::byte* output) {
    const uint32_t stride = static_cast<uint32_t>(SampleStride(job_.n_elems));
    float* rounded = reinterpret_cast<float*>(tiles_.keys());
    LoadSamples(job_.out_dtype, output, n, stride, rounded);
    const float* y = tiles_.results();
    double errors[kTileElems], changes[kTileElems];  // squares
    const uint32_t n_samples = (n + stride - 1) / stride;
    for (uint32_t s = 0; s < n_samples; ++s) {
      const bool finite = (Bits(rounded[s]) & kMagnitudeMask) < kInfinityBits;
      const double exact = y[s * stride];
      const double error = finite ? rounded[s] - exact : 0;
      const double change = finite ? exact - tiles_.value(0, s * stride) : 0;
      errors[s] = error * error;
      changes[s] = change * change;
    }
    RoundingLoss loss;  // of the block so far
    if (first % kBlockElems != 0) loss = c_.block_losses[first / kBlockElems];
    for (uint32_t s = 0; s < n_samples; ++s) {
      loss.error_squares += errors[s];
      loss.change_squares += changes[s];
    }
    c_.block_losses[first / kBlockElems] = loss;
  }

  // The rare path: which inputs of this tile are not finite, and where the result overflowed all the same.
  void NoteNonFinite(uint64_t first, uint32_t n, uint32_t overflow_bits) {
    for (uint32_t j = 0; j < n; ++j) {
      const uint64_t index = c_.first_elem + first + j;
      bool finite_inputs = true;
      for (uint32_t i = 0; i < tiles_.n_inputs(); ++i) {
        if ((Bits(tiles_.value(i, j)) & kMagnitudeMask) < kInfinityBits) continue;
        finite_inputs = false;
        Note(c_.findings[i], index, 0);
      }
      const uint32_t magnitude = Bits(tiles_.results()[j]) & kMagnitudeMask;
      if (finite_inputs && magnitude >= overflow_bits)
        Note(c_.findings[tiles_.n_inputs()], index, magnitude < kInfinityBits ? FromBits(magnitude) : 0);
    }
  }
  static void Note(RangeFinding& finding, uint64_t index, float magnitude) {
    if (finding.count++ == 0) finding.first_index = index;
    if (magnitude > finding.largest_finite) finding.largest_finite = magnitude;
  }

  const RangeContext& c_;
  const MergeJob& job_;
  RangeTiles tiles_;
  uint32_t next_pass_ = 0;
};

template <class Method>
void RunRange(const RangeContext& context) {
  RangeExecutor executor(context);
  Method::Recipe(executor);
}

template <class... Methods>
std::span<const CpuMethod> CpuMethodsIn(MethodList<Methods...>) {
  static const std::array kMethods{CpuMethod{Methods::Info().name, RunRange<Methods>}...};
  return kMethods;
}

}  // namespace gpumerge::GM_TARGET
