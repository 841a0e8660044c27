// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Sums over one range: of blocks, of whole rows, of some columns. Compiled for each instruction set and method header,
// like range_executor.h.
#pragma once

#include "src/cpu/range_tiles.h"

namespace gpumerge::GM_TARGET {

struct Plus {
  GM_HD double operator()(double a, double b) const { return a + b; }
};
struct Larger {
  GM_HD double operator()(double a, double b) const { return a < b ? b : a; }
};

// How many values a Sum has: a constant where it says so.
template <class Sum>
struct ValueCount {
  static constexpr uint32_t kMost = kMaxReducedValues;
  uint32_t any;
  GM_HD uint32_t operator()() const { return any; }
};
template <class Sum>
requires requires { Sum::kValues; }
struct ValueCount<Sum> {
  static constexpr uint32_t kMost = Sum::kValues;
  uint32_t any;
  GM_HD uint32_t operator()() const { return Sum::kValues; }
};

// The values of up to kBlockElems elements: 64 lanes by index, each in order from 0; then neighbouring lanes are
// paired.
template <class Sum, class Combine>
struct BlockSum {
  static constexpr uint32_t kLanes = 64;
  static_assert(kTileElems % kLanes == 0 && kBlockElems % kTileElems == 0);
  ValueCount<Sum> count;
  double lanes[ValueCount<Sum>::kMost][kLanes];

  GM_HD void Clear() {
    for (uint32_t v = 0; v < count(); ++v)
      for (double& lane : lanes[v]) lane = 0;
  }
  // Adds elements [j, j + n) of the tile, the first to lane 0.
  GM_HD void Add(const RangeTiles& tiles, const Sum& sum, uint32_t j, uint32_t n) {
    uint32_t done = 0;
    for (; done + kLanes <= n; done += kLanes) AddLanes(tiles.FloatAt(j + done), sum, kLanes);
    AddLanes(tiles.FloatAt(j + done), sum, n - done);
  }
  // Plain code for one element at a time, which compilers vectorise.
  GM_HD void AddLanes(const At<float>& first, const Sum& sum, size_t n) {
    for (size_t lane = 0; lane < n; ++lane) {
      At<float> at = first;
      at.x.first += lane;
      at.draw.first += lane;
      at.i += static_cast<uint32_t>(lane);
      at.group.first += lane;
      at.rank.first += lane;
      double values[ValueCount<Sum>::kMost];
      sum(at, values);
      for (uint32_t v = 0; v < count(); ++v) lanes[v][lane] = Combine{}(lanes[v][lane], values[v]);
    }
  }
  GM_HD void End(double* totals) {
    for (uint32_t v = 0; v < count(); ++v) {
      for (uint32_t left = kLanes / 2; left > 0; left /= 2)
        for (uint32_t pair = 0; pair < left; ++pair)
          lanes[v][pair] = Combine{}(lanes[v][2 * pair], lanes[v][2 * pair + 1]);
      totals[v] = lanes[v][0];
    }
  }
};

// To block_sums.
template <class Combine, class Sum>
void ReduceBlocks(RangeTiles& tiles, Sum& sum, uint32_t n_values) {
  const RangeContext& c = tiles.context();
  BlockSum<Sum, Combine> block{{n_values}, {}};
  double* to = c.block_sums;
  tiles.ForEach<Sum, float>([&](uint64_t first, uint32_t n) {
    if (first % kBlockElems == 0) block.Clear();
    sum.MoveTo(c.first_elem + first);
    block.Add(tiles, sum, 0, n);
    if ((first + n) % kBlockElems != 0 && first + n != c.n_elems) return;
    block.End(to);
    to += block.count();
  });
}

// Pairs neighbouring blocks as they come, an odd last one moves up: level l holds the total of 2^l of them, if any.
template <class Sum, class Combine>
struct PairedBlocks {
  static constexpr uint32_t kLevels = 48;
  ValueCount<Sum> count;
  uint64_t n = 0;  // blocks so far: bit l says whether level l is taken
  double levels[kLevels][ValueCount<Sum>::kMost];

  GM_HD void Push(double* totals) {
    uint32_t level = 0;
    for (; n >> level & 1; ++level)
      for (uint32_t v = 0; v < count(); ++v) totals[v] = Combine{}(levels[level][v], totals[v]);
    for (uint32_t v = 0; v < count(); ++v) levels[level][v] = totals[v];
    ++n;
  }
  GM_HD void End(double* totals) {
    bool any = false;
    for (uint32_t level = 0; level < kLevels; ++level) {
      if ((n >> level & 1) == 0) continue;
      for (uint32_t v = 0; v < count(); ++v)
        totals[v] = any ? Combine{}(levels[level][v], totals[v]) : levels[level][v];
      any = true;
    }
    n = 0;
  }
};

// Elements loaded at once where the first need not be at a multiple of 4: a multiple of the lanes.
inline constexpr uint32_t kWindowElems = kTileElems - 64;

// Loads elements [first, first + n) of the range, n at most kWindowElems; returns the place of the first in the tile.
template <class Sum>
GM_HD uint32_t LoadWindow(RangeTiles& tiles, Sum& sum, uint64_t first, uint32_t n) {
  const uint32_t skipped = static_cast<uint32_t>(first % 4);
  tiles.Load<Sum, float>(first - skipped, n + skipped);
  sum.MoveTo(tiles.context().first_elem + first - skipped);
  return skipped;
}

GM_HD uint32_t Window(uint64_t left) { return left < kWindowElems ? static_cast<uint32_t>(left) : kWindowElems; }

template <class Finish>
void EndGroup(const RangeContext& c, const Finish& finish, const double* sums, uint64_t group_elems, uint64_t group) {
  const DataProblem* problem = FinishGroup(finish, sums, group_elems, c.group_values + group * Finish::kGroupValues);
  if (problem != nullptr && group < c.group_problem->group) *c.group_problem = {problem, group};
}

// The rows of the range, one after the other: summed and finished.
template <class Combine, class Sum, class Finish>
void ReduceRows(RangeTiles& tiles, Sum& sum, uint32_t n_values, const Finish& finish) {
  const RangeContext& c = tiles.context();
  BlockSum<Sum, Combine> block{{n_values}, {}};
  PairedBlocks<Sum, Combine> blocks{{n_values}, 0, {}};
  double totals[ValueCount<Sum>::kMost] = {};
  for (uint64_t row = 0; row < c.n_elems; row += c.row_elems) {
    for (uint64_t begin = 0; begin < c.row_elems; begin += kBlockElems) {
      const uint64_t end = begin + kBlockElems < c.row_elems ? begin + kBlockElems : c.row_elems;
      block.Clear();
      for (uint64_t at = begin; at < end; at += kWindowElems) {
        const uint32_t n = Window(end - at);
        block.Add(tiles, sum, LoadWindow(tiles, sum, row + at, n), n);
      }
      block.End(totals);
      blocks.Push(totals);
    }
    blocks.End(totals);
    EndGroup(c, finish, totals, c.row_elems, (c.first_elem + row) / c.row_elems);
  }
}

// Adds the range to the sums of its columns; the tensor's first row begins them.
template <class Combine, class Sum>
void ReduceColumns(RangeTiles& tiles, Sum& sum, uint32_t n_values) {
  const RangeContext& c = tiles.context();
  const ValueCount<Sum> count{n_values};
  const bool all_columns = c.first_column == 0 && c.last_column == c.n_columns;
  uint64_t first = 0;  // of the range
  while (first < c.n_elems) {
    uint64_t column = (c.first_elem + first) % c.n_columns;
    if (column < c.first_column || column >= c.last_column) {
      first += (column < c.first_column ? 0 : c.n_columns) + c.first_column - column;
      continue;
    }
    const uint64_t left = c.n_elems - first;
    const uint32_t n = Window(all_columns || left < c.last_column - column ? left : c.last_column - column);
    const uint32_t begin = LoadWindow(tiles, sum, first, n);
    for (uint32_t j = 0; j < n; ++j) {
      double values[ValueCount<Sum>::kMost];
      sum(tiles.FloatAt(begin + j), values);
      double* totals = c.column_sums + column * count();
      const bool begins = c.first_elem + first + j < c.n_columns;
      for (uint32_t v = 0; v < count(); ++v) totals[v] = begins ? values[v] : Combine{}(totals[v], values[v]);
      if (++column == c.n_columns) column = 0;
    }
    first += n;
  }
}

}  // namespace gpumerge::GM_TARGET
