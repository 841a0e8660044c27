// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The executor that runs one step of one pass over one range: a recipe is run again for every range, and all passes but
// the one asked for do nothing but hand over their results. Compiled for each instruction set and method header; must
// not use inline code from outside its namespace that could end up out of line (a test looks at the objects' symbols).
#pragma once

#include "kernels/recipe.h"
#include "src/cpu/pack.h"
#include "src/cpu/tile.h"

#include <array>

namespace gpumerge::GM_TARGET {

class RangeExecutor {
 public:
  explicit RangeExecutor(const RangeContext& context)
      : c_(context),
        job_(*context.job),
        n_inputs_(static_cast<uint32_t>(context.job->inputs.size())),
        n_models_(context.job->n_models()),
        x_(context.scratch),
        draws_(reinterpret_cast<uint32_t*>(x_ + n_inputs_ * kTileElems)),
        keys_(draws_ + n_models_ * kTileElems),
        y_(reinterpret_cast<float*>(keys_ + kTileElems)) {}

  const MergeJob& job() const { return job_; }

  template <class Key>
  const Selection* Select(const Key& key, const uint64_t* counts) {
    const PassView& pass = c_.passes[next_pass_];
    if (next_pass_++ != c_.pass) return pass.selections;
    switch (c_.step) {
      case Step::kBeginSelect:
        for (uint32_t m = 0; m < n_models_; ++m) pass.wanted[m] = counts[m];
        break;
      case Step::kSample:
        ForTiles<PlainFunctor>([&](uint64_t first, uint32_t n) {
          for (uint32_t m = 0; m < n_models_; ++m) {
            MakeKeys(key, m, n);
            for (uint32_t j = 0; j < n; ++j) c_.samples[m * c_.n_elems + first + j] = keys_[j];
          }
        });
        break;
      case Step::kCountGuesses:
        for (uint32_t m = 0; m < n_models_; ++m) c_.guess_counts[m] = {};
        ForTiles<PlainFunctor>([&](uint64_t, uint32_t n) {
          for (uint32_t m = 0; m < n_models_; ++m) CountGuesses(key, m, n);
        });
        break;
      case Step::kCountHigh:
        ForTiles<PlainFunctor>([&](uint64_t first, uint32_t n) { CountHigh(key, pass, first, n); });
        break;
      case Step::kCountLow:
        ForTiles<PlainFunctor>([&](uint64_t first, uint32_t n) { CountLow(key, pass, first, n); });
        break;
      case Step::kCountTies:
        for (uint32_t m = 0; m < n_models_; ++m) c_.ties[m] = 0;
        ForTiles<PlainFunctor>([&](uint64_t first, uint32_t n) { CountTies(key, pass, first, n); });
        break;
      case Step::kFindTie:
        ties_left_ = c_.tie_rank;
        ForTiles<PlainFunctor>([&](uint64_t first, uint32_t n) { FindTie(key, pass, first, n); });
        break;
      default:
        break;
    }
    return pass.selections;
  }

  template <class Sum>
  const double* Reduce(Sum sum, uint32_t n_values, ReduceOp op, const Selection* kept = nullptr) {
    const PassView& pass = c_.passes[next_pass_];
    if (next_pass_++ == c_.pass && c_.step == Step::kReduce) {
      sum.Bind(kept);
      if (op == ReduceOp::kSum) {
        ReduceBlocks(sum, n_values, [](double a, double b) { return a + b; });
      } else {
        ReduceBlocks(sum, n_values, [](double a, double b) { return a < b ? b : a; });
      }
    }
    return pass.sums;
  }

  template <class Element>
  void Map(Element element, const Selection* kept = nullptr) {
    if (next_pass_++ != c_.pass || c_.step != Step::kMap) return;
    element.Bind(kept);
    const uint32_t overflow_bits = OverflowBits(job_.out_dtype);
    const uint64_t out_elem_bytes = ElementBytes(job_.out_dtype);
    ForTiles<Element>([&](uint64_t first, uint32_t n) {
      element.MoveTo(c_.first_elem + first);
      for (uint32_t j = 0; j < n; j += kPackElems) {
        const Pack y = element(PackAt(j));
        y.copy_to(y_ + j, std::experimental::vector_aligned);
      }
      uint32_t largest_result = 0;
      for (uint32_t j = 0; j < n; ++j) {
        const uint32_t magnitude = Bits(y_[j]) & kMagnitudeMask;
        largest_result = magnitude > largest_result ? magnitude : largest_result;
      }
      StoreTile(job_.out_dtype, y_, n, c_.output + first * out_elem_bytes);
      if (largest_input_ >= kInfinityBits || largest_result >= overflow_bits) NoteNonFinite(first, n, overflow_bits);
    });
  }

  void NoteLerp() {
    if (c_.step == Step::kMap) *c_.used_lerp = true;
  }
  void Fail(const DataProblem& problem) {
    if (c_.step == Step::kMap) *c_.problem = &problem;
  }

 private:
  // Loads tile after tile (and draws its random words where Functor wants them) and calls f(offset in the range, n).
  template <class Functor, class Function>
  void ForTiles(const Function& f) {
    for (uint64_t first = 0; first < c_.n_elems; first += kTileElems) {
      const uint64_t left = c_.n_elems - first;
      const uint32_t n = left < kTileElems ? static_cast<uint32_t>(left) : kTileElems;
      largest_input_ = 0;
      for (uint32_t i = 0; i < n_inputs_; ++i) {
        const DType dtype = job_.inputs[i].dtype;
        const uint32_t largest = LoadTile(dtype, c_.inputs[i] + first * ElementBytes(dtype), n, x_ + i * kTileElems);
        largest_input_ = largest > largest_input_ ? largest : largest_input_;
      }
      if constexpr (Functor::kDraws) DrawTile(job_, c_.first_elem + first, n, draws_);
      f(first, n);
    }
  }

  GM_HD At<Pack> PackAt(uint32_t j) const {
    return {{x_ + j, kTileElems}, {draws_ + j, kTileElems}, PackU([](auto lane) { return uint32_t{lane}; }) + j};
  }

  // Keys of model m for the whole tile, the last pack padded.
  template <class Key>
  void MakeKeys(const Key& key, uint32_t m, uint32_t n) {
    for (uint32_t j = 0; j < n; j += kPackElems)
      key(PackAt(j), m).copy_to(keys_ + j, std::experimental::vector_aligned);
  }

  template <class Key>
  void CountGuesses(const Key& key, uint32_t m, uint32_t n) {
    PackU guess[kGuesses], above[kGuesses], equal[kGuesses];
    for (uint32_t g = 0; g < kGuesses; ++g) {
      guess[g] = c_.guesses[m].keys[g];
      above[g] = equal[g] = 0;
    }
    const auto add = [&](const PackU& keys) {
#pragma GCC unroll 8
      for (uint32_t g = 0; g < kGuesses; ++g) {  // unrolled, so that the counters stay in registers
        std::experimental::where(keys > guess[g], above[g]) += 1u;
        std::experimental::where(keys == guess[g], equal[g]) += 1u;
      }
    };
    uint32_t j = 0;
    for (; j + kPackElems <= n; j += kPackElems) add(key(PackAt(j), m));
    GuessCounts& counts = c_.guess_counts[m];
    for (uint32_t g = 0; g < kGuesses; ++g) {
      counts.above[g] += std::experimental::reduce(above[g]);
      counts.equal[g] += std::experimental::reduce(equal[g]);
    }
    if (j == n) return;
    key(PackAt(j), m).copy_to(keys_, std::experimental::vector_aligned);
    for (uint32_t lane = 0; lane < n - j; ++lane) {
      for (uint32_t g = 0; g < kGuesses; ++g) {
        counts.above[g] += keys_[lane] > c_.guesses[m].keys[g] ? 1u : 0u;
        counts.equal[g] += keys_[lane] == c_.guesses[m].keys[g] ? 1u : 0u;
      }
    }
  }

  template <class Key>
  void CountHigh(const Key& key, const PassView&, uint64_t, uint32_t n) {
    for (uint32_t m = 0; m < n_models_; ++m) {
      MakeKeys(key, m, n);
      uint32_t* histogram = c_.histogram + m * kHighBins;
      for (uint32_t j = 0; j < n; ++j) ++histogram[keys_[j] >> kLowKeyBits];
    }
  }

  template <class Key>
  void CountLow(const Key& key, const PassView& pass, uint64_t, uint32_t n) {
    for (uint32_t m = 0; m < n_models_; ++m) {
      uint32_t* histogram = c_.histogram + m * kLowBins;
      const uint32_t bin = pass.high_bins[m];
      for (uint32_t j = 0; j < n; j += kPackElems) {
        const PackU keys = key(PackAt(j), m);
        if (std::experimental::none_of((keys >> static_cast<int>(kLowKeyBits)) == bin)) continue;
        keys.copy_to(keys_, std::experimental::vector_aligned);
        for (uint32_t lane = 0; lane < kPackElems && j + lane < n; ++lane)
          if (keys_[lane] >> kLowKeyBits == bin) ++histogram[keys_[lane] & (kLowBins - 1)];
      }
    }
  }

  template <class Key>
  void CountTies(const Key& key, const PassView& pass, uint64_t, uint32_t n) {
    for (uint32_t m = 0; m < n_models_; ++m) {
      MakeKeys(key, m, n);
      const uint32_t threshold = pass.selections[m].threshold_bits;
      uint32_t ties = 0;
      for (uint32_t j = 0; j < n; ++j) ties += keys_[j] == threshold ? 1u : 0u;
      c_.ties[m] += ties;
    }
  }

  template <class Key>
  void FindTie(const Key& key, const PassView& pass, uint64_t first, uint32_t n) {
    if (ties_left_ == 0) return;
    MakeKeys(key, c_.model, n);
    const uint32_t threshold = pass.selections[c_.model].threshold_bits;
    for (uint32_t j = 0; j < n; ++j) {
      if (keys_[j] != threshold || --ties_left_ > 0) continue;
      *c_.tie_index = c_.first_elem + first + j;
      return;
    }
  }

  // Each block of 4096: 64 lanes (index mod 64), each in order from 0; then neighbouring lanes are paired.
  template <class Sum, class Combine>
  void ReduceBlocks(Sum sum, uint32_t n_values, const Combine& combine) {
    constexpr uint32_t kLanes = 64;
    static_assert(kTileElems % kLanes == 0 && kBlockElems % kTileElems == 0);
    constexpr bool kKnown = requires { Sum::kValues; };
    double lanes[MaxValues<Sum>()][kLanes];
    const auto count = [&] {
      if constexpr (kKnown)
        return Sum::kValues;
      else
        return n_values;
    }();
    double* block_sum = c_.block_sums;
    ForTiles<Sum>([&](uint64_t first, uint32_t n) {
      if (first % kBlockElems == 0)
        for (uint32_t v = 0; v < count; ++v)
          for (double& lane : lanes[v]) lane = 0;
      sum.MoveTo(c_.first_elem + first);
      const auto add = [&](uint32_t j, uint32_t lane) {
        double values[MaxValues<Sum>()];
        sum(At<float>{{x_ + j, kTileElems}, {draws_ + j, kTileElems}, j}, values);
        for (uint32_t v = 0; v < count; ++v) lanes[v][lane] = combine(lanes[v][lane], values[v]);
      };
      uint32_t j = 0;
      for (; j + kLanes <= n; j += kLanes)
        for (uint32_t lane = 0; lane < kLanes; ++lane) add(j + lane, lane);
      for (; j < n; ++j) add(j, j % kLanes);
      if ((first + n) % kBlockElems != 0 && first + n != c_.n_elems) return;
      for (uint32_t v = 0; v < count; ++v) {
        for (uint32_t left = kLanes / 2; left > 0; left /= 2)
          for (uint32_t pair = 0; pair < left; ++pair)
            lanes[v][pair] = combine(lanes[v][2 * pair], lanes[v][2 * pair + 1]);
        block_sum[v] = lanes[v][0];
      }
      block_sum += count;
    });
  }

  template <class Sum>
  static constexpr uint32_t MaxValues() {
    if constexpr (requires { Sum::kValues; })
      return Sum::kValues;
    else
      return 2 * kMaxModels;
  }

  // The rare path: which inputs of this tile are not finite, and where the result overflowed all the same.
  void NoteNonFinite(uint64_t first, uint32_t n, uint32_t overflow_bits) {
    for (uint32_t j = 0; j < n; ++j) {
      const uint64_t index = c_.first_elem + first + j;
      bool finite_inputs = true;
      for (uint32_t i = 0; i < n_inputs_; ++i) {
        if ((Bits(x_[i * kTileElems + j]) & kMagnitudeMask) < kInfinityBits) continue;
        finite_inputs = false;
        Note(c_.findings[i], index, 0);
      }
      const uint32_t magnitude = Bits(y_[j]) & kMagnitudeMask;
      if (finite_inputs && magnitude >= overflow_bits)
        Note(c_.findings[n_inputs_], index, magnitude < kInfinityBits ? FromBits(magnitude) : 0);
    }
  }
  static void Note(RangeFinding& finding, uint64_t index, float magnitude) {
    if (finding.count++ == 0) finding.first_index = index;
    if (magnitude > finding.largest_finite) finding.largest_finite = magnitude;
  }

  const RangeContext& c_;
  const MergeJob& job_;
  uint32_t n_inputs_, n_models_;
  float* x_;         // (n_inputs, kTileElems)
  uint32_t* draws_;  // (n_models, kTileElems)
  uint32_t* keys_;   // (kTileElems)
  float* y_;         // (kTileElems)
  uint32_t next_pass_ = 0;
  uint32_t largest_input_ = 0;  // magnitude bits in the current tile
  uint64_t ties_left_ = 0;
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
