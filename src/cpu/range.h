// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The line between the CPU backend, compiled once, and the methods' code, compiled for each instruction set: one step
// of a pass over one range of elements, on the calling thread. Plain data only, so that nothing inline is shared across
// it.
#pragma once

#include "gpumerge/backend.h"
#include "gpumerge/job.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gpumerge {

// A tile of every input is widened to float, worked on and stored while it stays in the first-level cache.
inline constexpr uint32_t kTileElems = 1024;

// An exact selection counts the keys of a bracket in at most so many bins; those of a small tensor in fewer, which are
// cleared and summed as often as they are counted into.
inline constexpr uint32_t kMaxBins = 1u << 16, kSmallBins = 1u << 12;

// Keys counted in one bin of a bracket, in 32 bits for one thread and 64 for all of them. Where all of them are equal,
// which they are in most bins when weights are of 16 bits, it says so.
template <class Count>
struct KeyBin {
  static constexpr uint32_t kDifferent = 0xffffffffu;
  Count n_keys = 0;
  uint32_t mark = 0;  // key + 1 when all of them are equal, or kDifferent; 0 without any

  template <class Other>
  void Add(const KeyBin<Other>& other) {
    if (other.n_keys == 0) return;
    mark = n_keys == 0 || mark == other.mark ? other.mark : kDifferent;
    n_keys += other.n_keys;
  }
};

enum class Step : uint8_t {
  kBeginSelect,  // writes how many elements each model keeps to PassView::wanted; reads no data
  kSample,       // hands out the keys of the range
  kCountBracket,
  kCountTies,
  kFindTie,
  kReduce,
  kReduceGroups,  // rows: sums of whole rows, finished; columns: adds the range to the sums of some columns
  kEndColumns,    // finishes some columns; reads no data
  kMap,
};

// The results of one pass of a job, as range code sees them.
struct PassView {
  Selection* selections = nullptr;  // kSelect: (n_values)
  uint64_t* wanted = nullptr;       // kSelect: (n_values) elements to keep
  double* sums = nullptr;           // kReduce: (n_values), 0 until the pass has ended
};

// Values that are infinite or NaN, in one range.
struct RangeFinding {
  uint64_t first_index = ~uint64_t{0};
  uint64_t count = 0;
  float largest_finite = 0;
};

// The first row or column whose values have no merge.
struct GroupProblem {
  const DataProblem* problem = nullptr;  // nullptr: none
  uint64_t group = ~uint64_t{0};
};

// Keys [first_key, last_key] in bins of 2^shift keys each; none when last_key < first_key.
struct Bracket {
  friend bool operator==(const Bracket&, const Bracket&) = default;
  uint32_t first_key = 1, last_key = 0, shift = 0;
  uint32_t n_bins() const { return last_key < first_key ? 0 : ((last_key - first_key) >> shift) + 1; }
};

// Keys beside those that are counted in bins: the ends of a bracket are values that many keys have, where weights are
// of 16 bits, and comparing is cheaper than counting in memory.
struct EdgeCounts {
  uint64_t n_above = 0, n_last = 0, n_first = 0;  // keys above the bracket, its last key, its first (if another)
};

struct RangeContext {
  const MergeJob* job = nullptr;
  const PassView* passes = nullptr;
  uint32_t pass = 0;
  Step step = Step::kMap;
  uint64_t first_elem = 0;  // multiple of kBlockElems; where ranks or sums of rows are made, the first of a row as well
  uint64_t n_elems = 0;
  uint64_t row_elems = 1, n_columns = 1;
  const std::byte* const* inputs = nullptr;    // (n_inputs), each at first_elem
  float* scratch = nullptr;                    // ScratchFloats, 64-byte aligned, owned by the thread
  uint64_t* rank_words = nullptr;              // RankWords, where the pass reads ranks; owned by the range meanwhile
  uint32_t n_group_values = 0;                 // of the job
  double* group_values = nullptr;              // (n_groups, n_group_values)
  std::byte* output = nullptr;                 // kMap: at first_elem
  RangeFinding* findings = nullptr;            // kMap: (n_inputs + 1); the last is the output's overflow
  RoundingLoss* block_losses = nullptr;        // kMap: (n_blocks of the range)
  bool* used_lerp = nullptr;                   // kMap
  const DataProblem** problem = nullptr;       // kMap
  GroupProblem* group_problem = nullptr;       // kReduceGroups of rows, kEndColumns
  const Bracket* brackets = nullptr;           // kCountBracket: (n_values)
  EdgeCounts* edges = nullptr;                 // kCountBracket: (n_values), added to
  KeyBin<uint32_t>* const* bins = nullptr;     // kCountBracket: (n_values) arrays of n_bins(), added to
  uint32_t* samples = nullptr;                 // kSample: out, (n_values, n_elems)
  uint64_t* ties = nullptr;                    // kCountTies: out, (n_values)
  uint32_t selection = 0;                      // kFindTie: which one
  uint64_t tie_rank = 0;                       // kFindTie: in, 1 = the first tie of the range
  uint64_t* tie_index = nullptr;               // kFindTie: out, flat index of that tie
  double* block_sums = nullptr;                // kReduce: (n_blocks of the range, n_values)
  double* column_sums = nullptr;               // kReduceGroups, kEndColumns of columns: (n_columns, n_values)
  uint64_t first_column = 0, last_column = 0;  // of these only [first_column, last_column)
};

inline uint32_t GroupValues(const PassList& passes) {
  uint32_t n = 0;
  for (const PassInfo& pass : passes) n = n < pass.n_group_values ? pass.n_group_values : n;
  return n;
}

// Values, random words, result, keys, group values (as double) and ranks of one tile.
inline uint64_t ScratchFloats(const MergeJob& job, const PassList& passes) {
  bool ranks = false;
  for (const PassInfo& pass : passes) ranks = ranks || pass.ranks;
  const uint64_t rows = job.inputs.size() + job.n_models() + 2 + 2 * GroupValues(passes) + (ranks ? job.n_models() : 0);
  return rows * kTileElems;
}

// Ranks of one row, in 32 bits each, and its keys with their indices twice.
inline uint64_t RankWords(const MergeJob& job) { return job.row_elems() * (2 + (job.n_models() + 1) / 2); }

struct CpuMethod {
  std::string_view name;
  void (*run)(const RangeContext& context);
};
using CpuMethodsOfFile = std::span<const CpuMethod> (*)();

struct CpuIsaMethods {
  std::string_view isa;  // "x86-64-v3", or "baseline" on other processors
  std::span<const CpuMethodsOfFile> files;
};
// Generated by the build; the least demanding instruction set first.
std::span<const CpuIsaMethods> CpuMethodFiles();

}  // namespace gpumerge
