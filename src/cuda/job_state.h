// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The state of one tensor on the GPU between its passes: where its parts lie in device memory, which steps a part of it
// takes, and what has come back to the host. No CUDA calls.
#pragma once

#include "src/cuda/entry.h"

#include "gpumerge/backend.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace gpumerge {

// A tensor up to this size, submitted whole, is selected from by one block of threads a model, in one launch.
inline constexpr uint64_t kSelectWholeElems = 1 << 18;

constexpr uint64_t AlignDevice(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

// Offsets in bytes in a tensor's state in device memory. What must be zero at first comes first.
struct StateLayout {
  struct Pass {
    uint64_t selections = 0, progress = 0, high_counts = 0, low_counts = 0, ties = 0, block_sums = 0;
  };
  StateLayout(const MergeJob& job, const PassList& passes, bool in_parts);
  std::vector<Pass> passes;
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

  // Sums of a pass that a kernel writes into pinned memory; read when their event has come.
  struct PendingSums {
    uint32_t pass;
    const double* from;
    uint64_t ticket;  // of the batch whose kernels write them
  };
  std::vector<PendingSums> pending;

  // Kept inputs, each whole, while the tensor is under way.
  std::vector<std::byte*> kept_inputs;

 private:
  std::optional<NonFinite> Found(size_t finding) const;
};

struct PartStep {
  uint32_t pass;
  DeviceStep step;
};
// What a part of a tensor goes through, in order.
std::vector<PartStep> StepsOf(const Work& work, const PassList& passes);
// True when the part is its tensor from the first reading to the last.
bool IsWhole(const Work& work, const PassList& passes);
// Blocks of threads that a step of a part takes.
uint32_t BlocksOf(DeviceStep step, const DevicePart& part);

}  // namespace gpumerge
