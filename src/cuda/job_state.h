// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The state of one tensor on the GPU between its passes: where its parts lie in device memory, and what has come back
// to the host. No CUDA calls.
#pragma once

#include "src/cuda/entry.h"

#include "gpumerge/backend.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace gpumerge {

constexpr uint64_t AlignDevice(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

// Offsets in bytes in a tensor's state in device memory. What must be zero at first comes first.
struct StateLayout {
  struct Pass {
    uint64_t selections = 0, progress = 0, high_counts = 0, low_counts = 0, ties = 0;
    uint64_t block_sums = 0;  // of groups: see DevicePart
  };
  StateLayout(const MergeJob& job, const PassList& passes, bool in_parts);
  std::vector<Pass> passes;
  uint64_t group_values = 0, rank_keys = 0, rank_elems = 0;  // of all passes
  uint64_t zeroed_bytes = 0;
  uint64_t bytes = 0;  // multiple of 256
  // Findings lie at the beginning when the tensor comes in parts, else apart, together with those of its batch.
  uint64_t findings_bytes = 0;
};

class CudaJobState : public JobState {
 public:
  CudaJobState(const MergeJob& job, const PassList& passes);

  std::optional<NonFinite> InputNonFinite(uint32_t input) const override { return Found(input); }
  std::optional<NonFinite> OutputOverflow() const override { return Found(findings.size() - 1); }
  bool UsedLerp() const override { return used_lerp; }
  RoundingLoss Loss() const override { return loss; }
  const DataProblem* Problem() const override { return problem; }

  // What recipes see. Valid once `device` is set.
  std::vector<PassResult> Results() const;

  const PassList passes;
  std::optional<StateLayout> layout;      // set with `device`
  std::byte* device = nullptr;            // in device memory, while the tensor is under way
  std::byte* device_findings = nullptr;   // likewise
  std::vector<std::vector<double>> sums;  // (n_passes, n_values)
  std::vector<DeviceFinding> findings;    // (n_inputs + 1)
  bool used_lerp = false;
  const DataProblem* problem = nullptr;
  RoundingLoss loss;

  // What kernels write into pinned memory: to be taken in when its event has come.
  struct Arrival {
    DeviceStep step;  // kEndReduce: sums of the pass; kSendGroups: sums and values of groups; kMap: losses of blocks
    uint32_t pass;
    const double* from;
    uint64_t n_blocks;  // kMap
    uint64_t ticket;    // of the batch whose kernels write it
  };
  std::vector<Arrival> arriving;
  // Of those that have come with the batch `ticket` or before.
  void TakeIn(uint64_t ticket);

  // Kept inputs, each whole, while the tensor is under way.
  std::vector<std::byte*> kept_inputs;

 private:
  std::optional<NonFinite> Found(size_t finding) const;
};

}  // namespace gpumerge
