// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The one seam between the pipeline and a device. The pipeline hands over Work: parts of tensors whose inputs lie in a
// slot's staging memory. A backend runs Work in the order of Submit, so that state carried from one part of a tensor to
// the next (JobState) needs no lock. The staging memory belongs to the backend, because a GPU wants it pinned.
#pragma once

#include "gpumerge/error.h"
#include "gpumerge/job.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gpumerge {

// NaN and infinity found. Deterministic: the first flat index and the count do not depend on the order of work.
struct NonFinite {
  uint64_t first_index = 0;
  uint64_t count = 0;
  float largest_finite = 0;  // |value| before the cast, for an overflow
};

// Statistics of one tensor between its passes; owned by the pipeline, filled by the backend that made it.
class JobState {
 public:
  virtual ~JobState() = default;
  // Of inputs[i]; nullopt when all values seen so far are finite.
  virtual std::optional<NonFinite> InputNonFinite(uint32_t input) const = 0;
  // Of the output where all inputs were finite.
  virtual std::optional<NonFinite> OutputOverflow() const = 0;
  // True when a slerp took the plain lerp branch.
  virtual bool UsedLerp() const = 0;
};

// A part of one tensor: elements [first_elem, first_elem + n_elems) of every input lie in staging memory.
struct Work {
  const MergeJob* job = nullptr;
  JobState* state = nullptr;
  uint64_t first_elem = 0;  // multiple of kBlockElems
  uint64_t n_elems = 0;
  std::vector<const std::byte*> inputs;  // each at first_elem; 64-byte aligned
  std::byte* output = nullptr;           // at first_elem; 64-byte aligned; written by the last pass only
  // Which readings to do: [first_read, last_read) of the tensor's readings (TotalReads of them). The whole tensor in
  // one part does all of them at once; a streamed tensor does one a part, all parts of one reading before the next.
  uint32_t first_read = 0, last_read = 0;
};

struct BackendInfo {
  std::string name{};      // "cpu", "reference"
  std::string detail{};    // "x86-64-v4, 2 threads"
  bool can_stream = true;  // false: a tensor must be submitted whole
  // Batches that may be submitted before the oldest is waited for. 1: Submit does the work itself.
  uint32_t max_in_flight = 1;
  // The most staging memory that one batch may use, e.g. what the device's own memory can mirror.
  uint64_t max_batch_bytes = ~uint64_t{0};
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual BackendInfo Info() const = 0;
  // Memory that one call holds for the statistics of this job, besides staging memory.
  virtual uint64_t StateBytes(const MergeJob& job, const PassList& passes) const = 0;
  // Memory that the backend itself holds for jobs like these while it runs (scratch of all its threads).
  virtual uint64_t FixedBytes(std::span<const MergeJob* const> jobs) const = 0;
  // 64-byte aligned staging memory, freed when the backend is destroyed. Throws Error(kResMemory). Called once.
  virtual std::span<std::byte> AllocateStaging(uint64_t bytes) = 0;
  virtual std::unique_ptr<JobState> NewState(const MergeJob& job, const PassList& passes) = 0;
  // Runs a batch of work, in order with earlier calls; copies what it keeps of it. The parts of a streamed tensor come
  // one after another, never mixed with those of another tensor. Returns a ticket for Wait.
  virtual uint64_t Submit(std::span<const Work> batch) = 0;
  // Returns when the work of that ticket is done and its output is in staging memory. Rethrows what went wrong.
  virtual void Wait(uint64_t ticket) = 0;
  // Busy seconds so far, for the progress line.
  virtual double ComputeSeconds() const = 0;
};

// threads = 0: one for each usable core. max_isa: see RunOptions.
std::unique_ptr<Backend> MakeCpuBackend(uint32_t threads, const std::string& max_isa);
std::unique_ptr<Backend> MakeReferenceBackend();

}  // namespace gpumerge
