// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a CUDA kernel is told: parts of tensors, in device memory. Plain data that the host writes and kernels read; a
// launch works on an array of parts, each with blocks of its own, so that many small tensors are one launch.
#pragma once

#include "gpumerge/job.h"

#include <cstddef>
#include <cstdint>

namespace gpumerge {

// A block of threads works on this many elements (reductions on kReduceSegmentElems).
inline constexpr uint32_t kSegmentElems = 8192;
inline constexpr uint32_t kReduceSegmentElems = 4 * static_cast<uint32_t>(kBlockElems);
// Elements of a row up to which they are ranked by comparing them all.
inline constexpr uint32_t kShortRowElems = 64;
// An exact selection counts keys by their high 16 bits, then those of the threshold's bin by their low 15.
inline constexpr uint32_t kDeviceLowKeyBits = 15;
inline constexpr uint32_t kDeviceHighBins = 1u << 16;
inline constexpr uint32_t kDeviceLowBins = 1u << kDeviceLowKeyBits;

struct DeviceInput {
  const std::byte* data;  // at the part's first element; 16-byte aligned
  DType dtype;
  uint32_t model_index;  // see JobInput
};

// Non-finite values found. All zero: none.
struct DeviceFinding {
  uint64_t last_index_complement;  // ~(first flat index), so that zero means none and the maximum is the first
  uint64_t count;
  uint32_t largest_finite_bits;
  uint32_t unused;
};

// What a selection of a pass knows until its last tie is found.
struct DeviceSelectProgress {
  uint64_t wanted_in_bin;  // after the high count: keys of the bin to keep
  uint64_t ties_left;      // ties to keep at or after the parts seen so far; 0: tie_end is final
  uint32_t high_bin;
  uint32_t unused;
};

struct DevicePart {
  uint64_t first_elem, n_elems;  // of the tensor
  uint64_t tensor_elems;
  const DeviceInput* inputs;  // (n_inputs)
  uint32_t n_inputs, n_models;
  std::byte* output;  // at first_elem; 16-byte aligned
  DType out_dtype;
  uint32_t has_base;
  uint64_t seed, name_hash;
  const Selection* kept;    // selections that the functor is bound to, or null
  DeviceFinding* findings;  // (n_inputs + 1)

  uint32_t n_values;  // of the pass at hand: selections made, or values reduced
  ReduceOp op;

  // Select: of the pass at hand.
  Selection* selections;           // (n_values)
  DeviceSelectProgress* progress;  // (n_values)
  const uint64_t* wanted;          // (n_values) keys to keep
  uint32_t* high_counts;           // (n_values, kDeviceHighBins)
  uint32_t* low_counts;            // (n_values, kDeviceLowBins)
  uint32_t* ties;                  // (n_values, segments of the part)

  // Reduce, and ReduceGroups over the part's groups: of the pass at hand.
  double* block_sums;  // (blocks of the tensor, n_values); (n_groups, blocks_per_group, n_values)
  double* sums;        // (n_values), in pinned host memory; of groups (n_groups, n_values), then their values

  // Rows and columns.
  GroupAxis axis;
  uint32_t n_group_values;
  uint32_t row_elems, n_columns;
  uint32_t blocks_per_group;       // of a row; 1 of a column, whose running sums are its block's
  uint32_t first_group, n_groups;  // which of them the step is about
  double* group_values;            // (groups of the tensor, n_group_values)

  // Ranks within rows of the part's elements, and of their neighbours in those rows: (n_models, rank_stride).
  // rank_keys, rank_elems: while sorting, (2, n_models, rank_stride) each; ranks are the second half of rank_keys.
  const uint32_t* ranks;  // of the part's first element
  uint32_t rank_stride;
  uint32_t *rank_keys, *rank_elems;

  double* losses;  // Map: (blocks of the part, 2), in pinned host memory: see RoundingLoss

  uint32_t first_block;     // of the launch: where this part's blocks begin
  uint32_t functor_offset;  // in bytes from the launch's functors
};

}  // namespace gpumerge
