// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a backend needs to know about one output tensor, and nothing else: no names, files or YAML. Plain data.
#pragma once

#include "gpumerge/dtype.h"

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <vector>

namespace gpumerge {

// The most models (base not counted) that one tensor can be merged from. Elements keep one value a model in registers
// or on the stack, so there is a limit; it is far above what people merge.
inline constexpr uint32_t kMaxModels = 64;

// Sums are taken over blocks of this many elements, by flat index; chunks begin at multiples of it.
inline constexpr uint64_t kBlockElems = 4096;

// One pass over all inputs of a tensor. Select reads its tensor twice when the tensor is streamed, the others once.
enum class PassKind : uint8_t { kSelect, kReduce, kReduceGroups, kMap };

enum class ReduceOp : uint8_t { kSum, kMax };

// What a tensor is divided into for statistics of its own parts. A row runs along the last axis, a column along the
// first: element i belongs to row i / extent(last), to column i mod (n_elems / extent(first)). A tensor of one axis is
// one row; a scalar is one row and one column.
enum class GroupAxis : uint8_t { kNone, kRows, kColumns };

struct PassInfo {
  PassKind kind;
  uint32_t n_values = 0;  // kSelect: selections made; kReduce, kReduceGroups: values reduced
  ReduceOp op = ReduceOp::kSum;
  GroupAxis axis = GroupAxis::kNone;  // of the group values that the pass makes (kReduceGroups) or reads
  uint32_t n_group_values = 0;        // values kept for every group, of the whole job; 0: it has none
  bool ranks = false;                 // the pass reads ranks within rows
};

constexpr std::string_view PassName(PassKind kind) {
  switch (kind) {
    case PassKind::kSelect:
      return "select";
    case PassKind::kReduce:
      return "reduce";
    case PassKind::kReduceGroups:
      return "reduce_groups";
    case PassKind::kMap:
      break;
  }
  return "map";
}

// How many times a pass reads the whole tensor when the tensor does not stay in memory.
constexpr uint32_t ReadsOf(PassKind kind) { return kind == PassKind::kSelect ? 2 : 1; }

using PassList = std::vector<PassInfo>;

// Such a job is cut between rows only: reductions of rows and ranks see whole rows.
inline bool NeedsWholeRows(const PassList& passes) {
  for (const PassInfo& pass : passes)
    if (pass.ranks || (pass.kind == PassKind::kReduceGroups && pass.axis == GroupAxis::kRows)) return true;
  return false;
}

// Readings of a tensor when it is streamed: the passes' reads added up.
inline uint32_t TotalReads(const PassList& passes) {
  uint32_t reads = 0;
  for (const PassInfo& pass : passes) reads += ReadsOf(pass.kind);
  return reads;
}

// Which pass reading number `reading` of a streamed tensor belongs to, and which of the pass's readings it is. The
// reading must be below TotalReads.
struct PassReading {
  uint32_t pass, nth;
};
inline PassReading ReadingOf(const PassList& passes, uint32_t reading) {
  uint32_t pass = 0;
  while (reading >= ReadsOf(passes.at(pass).kind)) reading -= ReadsOf(passes[pass++].kind);
  return {pass, reading};
}

// An exactly-k selection of one model's elements in two words: every key (31 magnitude bits) above the threshold and,
// of those equal to it, the ones at a flat index below tie_end. Ties go to the lowest indices, so the kept ones end at
// one index, and the merging pass is elementwise on every device.
struct Selection {
  uint32_t threshold_bits = 0;
  uint64_t tie_end = 0;
};

struct JobInput {
  DType dtype = DType::kF32;
  // Place among the models in config order, the base not counted (0 for the base itself): it keys the random draws, so
  // it does not change when another model lacks the tensor.
  uint32_t model_index = 0;
};

// The values of one parameter of the method: one, or one an input (unused for the base when the scope is kPerModel).
struct JobParam {
  std::vector<double> values;
};

// Why a method has no result for a tensor, as only its values show. Constant text of the method.
struct DataProblem {
  std::string_view message;  // "the models' differences from the base are opposite"
  std::string_view help;
};

struct MergeJob {
  uint32_t method = 0;    // row in Methods()
  bool has_base = false;  // inputs[0] is the base: always with BaseUse::kRequired, perhaps with BaseUse::kOptional
  std::vector<JobInput> inputs;  // the base first if has_base, then the models in config order
  DType out_dtype = DType::kF32;
  std::vector<uint64_t> shape;  // of every input and of the output, row-major
  uint64_t n_elems = 0;
  std::vector<JobParam> params;  // in the order of MethodInfo::params
  uint64_t seed = 0;
  uint64_t name_hash = 0;  // XXH64, seed 0, of the output tensor's name

  // What was found over the whole model before the run, where `trim_scope: model` asks for it, else empty: the kept
  // elements of every model, (n_models), and the sign (+1, 0, -1) that `zero_sign: majority` gives.
  std::vector<Selection> model_selections;
  double model_majority = 0;

  uint32_t n_models() const { return static_cast<uint32_t>(inputs.size()) - (has_base ? 1u : 0u); }

  // Extent of the last axis (elements of a row), and of the first; 1 for a scalar.
  uint64_t row_elems() const { return shape.empty() ? 1 : shape.back(); }
  uint64_t column_elems() const { return shape.empty() ? 1 : shape.front(); }
  uint64_t n_groups(GroupAxis axis) const {
    if (n_elems == 0 || axis == GroupAxis::kNone) return 0;
    return n_elems / (axis == GroupAxis::kRows ? row_elems() : column_elems());
  }

  // The value of a shared parameter. The name must be one of the method's.
  double Shared(std::string_view name) const;
  // The value of a kPerModel or kPerInput parameter for model m (0-based, the base not counted).
  double PerModel(std::string_view name, uint32_t m) const;
};

// The least number of whole rows, in elements, that is a whole number of blocks.
inline uint64_t RowBlockElems(const MergeJob& job) {
  return job.row_elems() * (kBlockElems / std::gcd(job.row_elems(), kBlockElems));
}

// Parts of a tensor begin at multiples of this. It may be more than the tensor has elements.
inline uint64_t CutElems(const MergeJob& job, const PassList& passes) {
  return NeedsWholeRows(passes) && job.n_elems > 0 ? RowBlockElems(job) : kBlockElems;
}

}  // namespace gpumerge
