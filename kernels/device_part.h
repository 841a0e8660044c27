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

// What a selection knows between its passes, for one model.
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

  // Select: of the pass at hand.
  Selection* selections;           // (n_models)
  DeviceSelectProgress* progress;  // (n_models)
  const uint64_t* wanted;          // (n_models) keys to keep
  uint32_t* high_counts;           // (n_models, kDeviceHighBins)
  uint32_t* low_counts;            // (n_models, kDeviceLowBins)
  uint32_t* ties;                  // (n_models, segments of the part)

  // Reduce: of the pass at hand.
  double* block_sums;  // (blocks of the tensor, n_values)
  double* sums;        // (n_values), in pinned host memory
  uint32_t n_values;
  ReduceOp op;

  uint32_t first_block;     // of the launch: where this part's blocks begin
  uint32_t functor_offset;  // in bytes from the launch's functors
};

}  // namespace gpumerge
