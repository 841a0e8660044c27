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
#include <functional>
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

// What rounding to the output type cost, on the sampled elements (see SampleStride): sums over the elements of
// (rounded - exact)^2 and (exact - first input)^2, exact being the fp32 result. Elements with a result that is not
// finite count as 0. The sums of each block of kBlockElems are made one element after the other, then added block after
// block.
struct RoundingLoss {
  double error_squares = 0, change_squares = 0;
};
// Every how many elements (flat index mod stride == 0) RoundingLoss looks at one.
constexpr uint64_t SampleStride(uint64_t n_elems) { return n_elems <= kBlockElems ? 1 : 64; }

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
  // nullptr: the method has a result for the values of this tensor.
  virtual const DataProblem* Problem() const { return nullptr; }
  // When the last part is done.
  virtual RoundingLoss Loss() const { return {}; }
};

// Inputs and outputs of work begin at multiples of this.
inline constexpr uint64_t kWorkAlignmentBytes = 64;
constexpr uint64_t AlignBytes(uint64_t bytes) {
  return (bytes + kWorkAlignmentBytes - 1) / kWorkAlignmentBytes * kWorkAlignmentBytes;
}

// A part of one tensor: elements [first_elem, first_elem + n_elems) of every input lie in staging memory.
struct Work {
  const MergeJob* job = nullptr;
  JobState* state = nullptr;
  uint64_t first_elem = 0;  // multiple of CutElems
  uint64_t n_elems = 0;
  // (n_inputs), each at first_elem; aligned. Empty in the later parts of a kept tensor.
  std::vector<const std::byte*> inputs;
  std::byte* output = nullptr;  // at first_elem; aligned; written by the last pass only
  // Which readings to do: [first_read, last_read) of the tensor's readings (TotalReads of them). The whole tensor in
  // one part does all of them at once; a streamed tensor does one a part, all parts of one reading before the next.
  uint32_t first_read = 0, last_read = 0;
  // The backend keeps the tensor's inputs in its own memory (BackendInfo::keeps): the parts of the first reading bring
  // them, each once; then one part of the whole tensor does the readings between first and last, if there are any;
  // then parts of any size do the last reading and bring back the output.
  bool kept = false;
  // One of the parts that a tensor comes in, be it the only one: its statistics lie in kept_bytes (DeviceMemory).
  bool in_parts = false;
  // Which of the groups that are under way at once (BackendInfo::lanes) this tensor belongs to. A lane has one tensor
  // that comes in parts at a time.
  uint32_t lane = 0;
};

struct BackendInfo {
  std::string name{};      // "cpu", "reference", "cuda:0"
  std::string detail{};    // "x86-64-v4, 2 threads"
  bool can_stream = true;  // false: a tensor must be submitted whole
  // Batches that may be submitted before the oldest is waited for. 1: Submit does the work itself.
  uint32_t max_in_flight = 1;
  // Tensors that may come in parts alternately, e.g. one on its way in while another is on its way out.
  uint32_t lanes = 1;
  // The memory of the backend's own device that it may use; 0: it works in staging memory.
  uint64_t device_bytes = 0;
  bool keeps() const { return device_bytes > 0; }
};

// How a run divides a device's memory. All of it is allocated at once, before the first Submit.
struct DeviceMemory {
  uint64_t unit_bytes = 0;  // the most that one batch needs there: inputs, output and states of what is not kept
  uint32_t n_units = 0;     // batches of that size at once
  // For what outlives a batch: kept inputs, each rounded up to 256 bytes, and the states of tensors that come in parts.
  // One lane uses at most half of it, or all while no other lane has a tensor in parts.
  uint64_t kept_bytes = 0;
  uint64_t total_bytes() const { return unit_bytes * n_units + kept_bytes; }
};

class InOrder;

// What a backend offers that can work on the caller's threads: on several parts of a tensor, and several tensors, at
// once. Each thread is a worker, from 0 to n_workers() - 1, and works in its own memory. A tensor is read once or more
// often (its readings); all parts of a reading come before the next, begun in order.
class PartWorkers {
 public:
  // Reads kSampleElems elements of every input of the tensor, from each of some places one after the other: calls
  // visit(first element, where each input is).
  using Visit = std::function<void(uint64_t first, const std::byte* const* inputs)>;
  using Reader = std::function<void(std::span<const uint64_t> places, const Visit& visit)>;
  static constexpr uint64_t kSampleElems = 256;

  virtual ~PartWorkers() = default;
  virtual uint32_t n_workers() const = 0;
  // All readings of a whole tensor, of at most kWholeElems elements.
  static constexpr uint64_t kWholeElems = 64 * 1024;
  virtual void RunWhole(const Work& work, uint32_t worker) = 0;

  // How many readings it takes when all goes well.
  virtual uint32_t LikelyReadings(const PassList& passes) const = 0;
  // Whether only one tensor that says so may be in a reading at a time.
  virtual bool IsAlone(const Work& work) const = 0;
  // Before the first part of a reading, without an output; may read a sample.
  virtual void BeginReading(const Work& work, uint32_t worker, const Reader& read) = 0;
  // Whether the parts of this reading write the output.
  virtual bool Writes(const JobState& state) const = 0;
  // order: of this reading's parts, for what must be done in order; restarted before the first part.
  virtual void RunPart(const Work& part, uint32_t worker, InOrder& order) = 0;
  // After the last part: whether another reading follows.
  virtual bool EndReading(const Work& work, uint32_t worker) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual BackendInfo Info() const = 0;
  // Memory that one call holds for the statistics of this job, besides staging memory.
  virtual uint64_t StateBytes(const MergeJob& job, const PassList& passes) const = 0;
  // Memory that the backend itself holds for jobs like these while it runs (scratch of all its threads).
  virtual uint64_t FixedBytes(std::span<const MergeJob* const> jobs) const = 0;
  // Device memory for the statistics of this job when it is submitted whole, or in parts. 0 without a device.
  virtual uint64_t DeviceStateBytes(const MergeJob& job, const PassList& passes, bool in_parts) const {
    (void)job, (void)passes, (void)in_parts;
    return 0;
  }
  // The vram_bytes to give so that at least device_bytes may be divided: the backend holds some itself.
  virtual uint64_t VramFor(uint64_t device_bytes) const { return device_bytes; }
  // Called once before Submit where Info().keeps(). Throws Error(DEV-MEMORY) when the device has less than that now.
  virtual void AllocateDevice(const DeviceMemory& memory) { (void)memory; }
  // 64-byte aligned staging memory, freed when the backend is destroyed. Throws Error(kResMemory). Called once.
  virtual std::span<std::byte> AllocateStaging(uint64_t bytes) = 0;
  virtual std::unique_ptr<JobState> NewState(const MergeJob& job, const PassList& passes) = 0;
  // Runs a batch of work, in order with earlier calls; copies what it keeps of it. The parts of a tensor come in order,
  // mixed at most with those of other lanes. Returns a ticket for Wait.
  virtual uint64_t Submit(std::span<const Work> batch) = 0;
  // Returns when the work of that ticket is done and its output is in staging memory. Rethrows what went wrong.
  virtual void Wait(uint64_t ticket) = 0;
  // Busy seconds so far, for the progress line.
  virtual double ComputeSeconds() const = 0;
  // Null: work is submitted. Else threads of the caller do it, and there is no Submit at the same time.
  virtual PartWorkers* part_workers() { return nullptr; }
};

// threads = 0: one for each usable core. isa: see RunOptions::cpu_isa.
std::unique_ptr<Backend> MakeCpuBackend(uint32_t threads, const std::string& isa);
std::unique_ptr<Backend> MakeReferenceBackend();
// gpu: index as in SurveyGpus (gpumerge/gpu.h). vram_bytes: the most device memory to use; 0 = nine tenths of what is
// free. Staging memory is pinned, usable by all GPUs. Throws Error(DEV-*).
std::unique_ptr<Backend> MakeCudaBackend(uint32_t gpu, uint64_t vram_bytes);

}  // namespace gpumerge
