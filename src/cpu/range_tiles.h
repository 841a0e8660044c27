// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// One tile at a time of everything that functors read: inputs widened to float, random words, the values of their rows
// or columns, their ranks. Compiled for each instruction set and method header, like range_executor.h.
#pragma once

// clang-format off
#include "src/cpu/pack.h"  // first: templates of kernels/ find its words only when they come before them
// clang-format on
#include "kernels/recipe.h"
#include "src/cpu/rank_keys.h"
#include "src/cpu/tile.h"

namespace gpumerge::GM_TARGET {

// What keys and elements are called with: packs, or plain floats where they ask for that.
template <class Functor>
using NumberOf = std::conditional_t<kIsScalar<Functor>, float, Pack>;

template <class Functor>
constexpr bool DrawsOf() {
  if constexpr (requires { Functor::kDraws; })
    return Functor::kDraws;
  else
    return false;  // keys
}

class RangeTiles {
 public:
  explicit RangeTiles(const RangeContext& context)
      : c_(context),
        job_(*context.job),
        n_inputs_(static_cast<uint32_t>(context.job->inputs.size())),
        n_models_(context.job->n_models()),
        x_(context.scratch),
        draws_(reinterpret_cast<uint32_t*>(x_ + n_inputs_ * kTileElems)),
        keys_(draws_ + n_models_ * kTileElems),
        y_(reinterpret_cast<float*>(keys_ + kTileElems)),
        groups_(y_ + kTileElems),
        ranks_(reinterpret_cast<uint32_t*>(groups_ + 2 * context.n_group_values * kTileElems)) {}

  // Loads what a Functor reads, as F, of elements [first, first + n) of the range: first is a multiple of 4, n at most
  // kTileElems.
  template <class Functor, class F>
  void Load(uint64_t first, uint32_t n) {
    if constexpr (kRanks<Functor>) LoadRanks<typename Functor::RankKey>(first, n);  // first: it goes through x_
    LoadInputs(first, n);
    if constexpr (DrawsOf<Functor>()) DrawTile(job_, c_.first_elem + first, n, draws_);
    if constexpr (std::is_same_v<F, float>) {
      SpreadGroups<GroupsOf<Functor>()>(c_.first_elem + first, n, reinterpret_cast<double*>(groups_));
    } else {
      SpreadGroups<GroupsOf<Functor>()>(c_.first_elem + first, n, groups_);
    }
  }

  // Loads tile after tile of the range and calls f(offset in the range, n).
  template <class Functor, class F, class Function>
  void ForEach(const Function& f) {
    for (uint64_t first = 0; first < c_.n_elems; first += kTileElems) {
      const uint64_t left = c_.n_elems - first;
      const uint32_t n = left < kTileElems ? static_cast<uint32_t>(left) : kTileElems;
      Load<Functor, F>(first, n);
      f(first, n);
    }
  }

  GM_HD At<Pack> PackAt(uint32_t j) const {
    return {{x_ + j, kTileElems},
            {draws_ + j, kTileElems},
            PackU([](auto lane) { return uint32_t{lane}; }) + j,
            {groups_ + j, kTileElems},
            {ranks_ + j, kTileElems}};
  }
  GM_HD At<float> FloatAt(uint32_t j) const {
    return {{x_ + j, kTileElems},
            {draws_ + j, kTileElems},
            j,
            {reinterpret_cast<const double*>(groups_) + j, kTileElems},
            {ranks_ + j, kTileElems}};
  }

  // Keys of selection s, into keys(); those past the tile's end mean nothing.
  template <class Key>
  void MakeKeys(const Key& key, uint32_t s, uint32_t n) {
    if constexpr (kIsScalar<Key>) {
      const Key own = key;  // what only this loop sees needs no loading again after every store
      for (uint32_t j = 0; j < n; ++j) keys_[j] = own(FloatAt(j), s);
    } else {
      for (uint32_t j = 0; j < n; j += kPackElems)
        key(PackAt(j), s).copy_to(keys_ + j, std::experimental::vector_aligned);
    }
  }
  // Before KeysAt.
  template <class Key>
  void PrepareKeys(const Key& key, uint32_t s, uint32_t n) {
    if constexpr (kIsScalar<Key>) MakeKeys(key, s, n);
  }
  // kPackElems of them, in order of j: what lies before may be overwritten.
  template <class Key>
  GM_HD PackU KeysAt(const Key& key, uint32_t j, uint32_t s) const {
    if constexpr (kIsScalar<Key>)
      return PackU(keys_ + j, std::experimental::vector_aligned);
    else
      return key(PackAt(j), s);
  }

  const RangeContext& context() const { return c_; }
  uint32_t* keys() { return keys_; }  // (kTileElems)
  float* results() { return y_; }     // (kTileElems)
  float value(uint32_t input, uint32_t j) const { return x_[input * kTileElems + j]; }
  uint32_t n_inputs() const { return n_inputs_; }
  uint32_t largest_input() const { return largest_input_; }

 private:
  void LoadInputs(uint64_t first, uint32_t n) {
    largest_input_ = 0;
    for (uint32_t i = 0; i < n_inputs_; ++i) {
      const DType dtype = job_.inputs[i].dtype;
      const uint32_t largest = LoadTile(dtype, c_.inputs[i] + first * ElementBytes(dtype), n, x_ + i * kTileElems);
      largest_input_ = largest > largest_input_ ? largest : largest_input_;
    }
  }

  // The values of each element's row or column: to (n_group_values, kTileElems).
  template <GroupAxis kAxis, class T>
  void SpreadGroups(uint64_t first_elem, uint32_t n, T* to) {
    if constexpr (kAxis != GroupAxis::kNone) {
      const uint64_t run = kAxis == GroupAxis::kRows ? c_.row_elems : c_.n_columns;
      uint64_t row = first_elem / run, column = first_elem % run;
      for (uint32_t j = 0; j < n;) {
        const uint32_t end = run - column < n - j ? j + static_cast<uint32_t>(run - column) : n;
        for (uint32_t v = 0; v < c_.n_group_values; ++v) {
          T* values = to + v * kTileElems;
          if constexpr (kAxis == GroupAxis::kRows) {
            const T value = static_cast<T>(c_.group_values[row * c_.n_group_values + v]);
            for (uint32_t at = j; at < end; ++at) values[at] = value;
          } else {
            const double* from = c_.group_values + column * c_.n_group_values + v;
            for (uint32_t at = j; at < end; ++at) values[at] = static_cast<T>(from[(at - j) * c_.n_group_values]);
          }
        }
        j = end;
        column = 0;
        ++row;
      }
    }
  }

  template <class RankKey>
  void LoadRanks(uint64_t first, uint32_t n) {
    uint32_t run = 0;
    for (uint32_t j = 0; j < n; j += run) {
      const uint64_t row = (first + j) / c_.row_elems, at = (first + j) % c_.row_elems;  // the range begins with a row
      if (row != ranked_row_) RankRow<RankKey>(row);
      run = c_.row_elems - at < n - j ? static_cast<uint32_t>(c_.row_elems - at) : n - j;
      for (uint32_t m = 0; m < n_models_; ++m)
        for (uint32_t r = 0; r < run; ++r) ranks_[m * kTileElems + j + r] = RowRanks(m)[at + r];
    }
  }
  uint32_t* RowRanks(uint32_t m) const {
    return reinterpret_cast<uint32_t*>(c_.rank_words + 2 * c_.row_elems) + m * c_.row_elems;
  }

  // Sets RowRanks of all models for a row of the range; leaves other data in the tile.
  template <class RankKey>
  void RankRow(uint64_t row) {
    ranked_row_ = row;
    for (uint64_t at = 0; at < c_.row_elems; at += kTileElems) {
      const uint64_t left = c_.row_elems - at;
      const uint32_t n = left < kTileElems ? static_cast<uint32_t>(left) : kTileElems;
      LoadInputs(row * c_.row_elems + at, n);
      for (uint32_t m = 0; m < n_models_; ++m) {
        MakeKeys(RankKey{}, m, n);
        for (uint32_t j = 0; j < n; ++j) RowRanks(m)[at + j] = keys_[j];
      }
    }
    for (uint32_t m = 0; m < n_models_; ++m)
      RanksOfKeys(RowRanks(m), static_cast<uint32_t>(c_.row_elems), c_.rank_words);
  }

  const RangeContext& c_;
  const MergeJob& job_;
  uint32_t n_inputs_, n_models_;
  float* x_;                            // (n_inputs, kTileElems)
  uint32_t* draws_;                     // (n_models, kTileElems)
  uint32_t* keys_;                      // (kTileElems)
  float* y_;                            // (kTileElems)
  float* groups_;                       // (n_group_values, kTileElems), of float or double
  uint32_t* ranks_;                     // (n_models, kTileElems) where the pass reads ranks
  uint64_t ranked_row_ = ~uint64_t{0};  // of the range
  uint32_t largest_input_ = 0;          // magnitude bits in the current tile
};

}  // namespace gpumerge::GM_TARGET
