// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The product as a library: load a recipe, plan, merge. Every function may throw Error. Functions are thread-safe; one
// RunMerge at a time an output directory.
#pragma once

#include "gpumerge/config.h"
#include "gpumerge/method.h"
#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

// Reads and checks a recipe. All errors found are thrown together. warnings collects what is legal but odd.
MergeConfig LoadConfig(const std::string& path, std::vector<Diagnostic>* warnings);
// The same for text; name is what messages call it.
MergeConfig ParseConfig(std::string_view yaml, std::string_view name, std::vector<Diagnostic>* warnings);

// The documents of a recipe as recipes of one document each, in an order in which they can run, the output's last. Each
// writes to directory/name, and what refers to a document refers to that place; the weights are the same bits.
std::vector<MergeConfig> SplitStages(const MergeConfig& config, const std::string& directory);

// Decides everything from the headers of the models' files; reads no tensor data and writes nothing.
Plan PlanMerge(const MergeConfig& config, const PlanOptions& options);

// What a run measured; unlike the output's gpumerge_report.json it may differ from run to run.
struct RunStats {
  Progress totals;
  std::string device;  // e.g. "cpu (x86-64-v4, 2 threads)"
  uint64_t memory_budget_bytes = 0;
  uint64_t peak_memory_bytes = 0;  // peak resident set, shared library pages included
  double sync_seconds = 0;         // waited for what was written to be durable; reading and computing went on
  double verify_seconds = 0;       // reading what was written, before it was published
  uint64_t slerp_lerp_tensors = 0, slerp_tensors = 0;
  uint64_t selfcheck_tensors = 0;  // compared with the reference executor, all equal
  // What rounding to the output type destroyed: the rms of its error over the rms of the change from the base, or from
  // the first model where there is none. nullopt where nothing was rounded or nothing changed.
  std::optional<double> rounding_loss;
  std::vector<Diagnostic> warnings;  // e.g. that a device had less memory than planned
  std::string output_dir;
};

// Merges into plan.output_dir: whole or not at all.
RunStats RunMerge(const Plan& plan, const RunOptions& options);

// The budget when none is given: min(half of the available memory, the cgroup's limit, 1 GB + the largest tensor
// group).
uint64_t DefaultMemoryBytes(const Plan& plan);

// What a run needs besides the plan's data, for `gpumerge plan`.
struct RunEstimate {
  std::string device, device_why;
  uint64_t memory_budget_bytes = 0;
  uint64_t memory_needed_bytes = 0;  // the smallest budget that works
  uint64_t n_streamed_tensors = 0;   // tensors that do not stay in memory between passes
  uint64_t bytes_read = 0;           // with repeated reads
  uint64_t bytes_read_again = 0;     // of those, reads after the first
  uint64_t disk_free_bytes = 0;
  // Of the first GPU; 0 without one. The least that works, and what the run would take.
  uint64_t device_memory_needed_bytes = 0, device_memory_bytes = 0;
  uint64_t n_kept_tensors = 0;  // tensors that come to the GPU in parts and stay there until they are merged
  // Over the link, if the GPUs do all of it: inputs, repeated ones too, and outputs. 0 without a GPU.
  uint64_t bytes_to_device = 0, bytes_from_device = 0;
  // Readings for `trim_scope: model` before the merge, at most, and what they read; part of bytes_read_again.
  uint32_t n_trim_passes = 0;
  uint64_t trim_bytes = 0;
  uint64_t scratch_bytes = 0;  // of disk, beside the output, for tensors between stages
  // Tensors are streamed on purpose, however much memory there is: they are read again from the page cache.
  bool streams_from_cache = false;
};
RunEstimate EstimateRun(const Plan& plan, const RunOptions& options);

// One tensor in memory, e.g. a fine-tuned weight. The caller owns the bytes.
struct ConstTensor {
  const void* data = nullptr;
  DType dtype = DType::kF32;
};

// Merges tensors of equal shape: inputs are the base (if the method has one), then the models; params are in the order
// of MethodInfo::params. Returns the bytes of the result, of type out_dtype.
std::vector<std::byte> MergeTensors(const MergeJob& job, std::span<const ConstTensor> inputs,
                                    const RunOptions& options);

}  // namespace gpumerge
