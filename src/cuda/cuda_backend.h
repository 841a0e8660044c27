// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The backend of one GPU. Batches go through three streams: in (copies to the device), compute, out (copies back);
// events order them, and memory is used again only when the batch that had it has been waited for. All device memory is
// one allocation:
//   units   a ring: inputs, output and states of what is submitted whole or streamed, while the batch is under way
//   kept    two places, one a lane, growing towards each other: kept inputs, and states of tensors in parts
//   tables  what kernels are told
// NewState may be called from any thread, everything else from one thread at a time. This header needs CUDA's.
#pragma once

#include "src/cuda/handles.h"
#include "src/cuda/job_state.h"
#include "src/cuda/launch_list.h"
#include "src/cuda/part_steps.h"
#include "src/cuda/ring.h"

#include "gpumerge/backend.h"

#include <array>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gpumerge {

// Tensors in parts that may alternate: one on its way in while another is on its way out.
inline constexpr uint32_t kCudaLanes = 2;

class CudaBackend : public Backend {
 public:
  CudaBackend(uint32_t gpu, uint64_t vram_bytes);
  ~CudaBackend() override;

  BackendInfo Info() const override;
  uint64_t StateBytes(const MergeJob& job, const PassList& passes) const override;
  uint64_t FixedBytes(std::span<const MergeJob* const> jobs) const override;
  uint64_t DeviceStateBytes(const MergeJob& job, const PassList& passes, bool in_parts) const override {
    constexpr uint64_t kAlignment = 4 * 256;  // of inputs, outputs, findings and states
    const StateLayout layout(job, passes, in_parts);
    return layout.bytes + (in_parts ? 0 : layout.findings_bytes) + kAlignment;
  }
  uint64_t VramFor(uint64_t device_bytes) const override;
  void AllocateDevice(const DeviceMemory& memory) override;
  std::span<std::byte> AllocateStaging(uint64_t bytes) override;
  std::unique_ptr<JobState> NewState(const MergeJob& job, const PassList& passes) override {
    return std::make_unique<CudaJobState>(job, passes);
  }
  uint64_t Submit(std::span<const Work> batch) override;
  void Wait(uint64_t ticket) override;
  double ComputeSeconds() const override { return seconds_; }

 private:
  struct Part {
    Work work;
    CudaJobState* state;
    std::vector<DeviceInput> inputs{};
    std::byte* output = nullptr;  // in device memory
    std::vector<PartStep> steps{};
    size_t next_step = 0;
    double* mail = nullptr;  // of the last step that sends something
    bool whole = false;
    bool ends_tensor = false;  // its last part
  };
  // A run of bytes that one copy moves.
  struct Range {
    std::byte* host;
    uint64_t bytes;
    uint64_t offset;  // in the batch's piece of `units`
  };
  // Findings of a tensor's end, on their way to the host.
  struct Readback {
    CudaJobState* state;
    const std::byte* from;
  };
  struct Batch {
    uint64_t ticket = 0;
    std::vector<Part> parts;
    std::byte* memory = nullptr;  // its piece of `units`
    std::byte* zeroed = nullptr;  // findings and states of whole tensors
    uint64_t zeroed_bytes = 0;
    std::vector<Range> outputs;
    std::vector<Readback> readbacks;
    bool has_upload = false;
    bool started = false;   // its first kernels are launched
    bool computed = false;  // all of them are
    uint64_t units_mark = 0, tables_mark = 0, mailbox_mark = 0;
    // Of the mailbox: what the launches since the last wait take; where they and those before them end; what is done.
    uint64_t new_mail_bytes = 0, launched_mail = 0, done_mail = 0;
    Event uploaded, began, sums, ended, done;
  };

  void Use() const;
  void Settle() noexcept;
  std::unique_ptr<Batch> NewBatch(std::span<const Work> works);
  // Room in a ring, waiting for the oldest batches but `current` to make it.
  uint64_t TakeRoom(Ring* ring, uint64_t bytes, const Batch* current);
  void Retire(Batch* batch);
  void RetireOldest();
  void PlaceUnits(Batch* batch, std::vector<Range>* inputs);
  void PlaceInParts(Part* part, uint64_t ticket);
  uint64_t TakeKept(uint32_t lane, uint64_t bytes);
  void Upload(Batch* batch);
  void Advance(Batch* batch, bool may_defer);
  bool AddSteps(Batch* batch, Part* part);
  void AwaitLaunches(Batch* batch);
  bool MustWait(Batch* batch, const Part& part, const PartStep& step);
  void AddStep(Batch* batch, Part* part, const PartStep& step, uint32_t round);
  void FlushLaunches(Batch* batch);
  void Download(Batch* batch);

  const uint32_t gpu_;
  std::string name_;
  uint64_t vram_bytes_ = 0;
  uint64_t table_bytes_ = 0;
  std::vector<void (*)(const StepCall&, StepRequest*)> request_;  // by MergeJob::method

  Stream in_, compute_, out_;
  DeviceBuffer device_;
  PinnedBuffer staging_, tables_host_, mailbox_host_;
  std::byte *tables_device_ = nullptr, *units_device_ = nullptr, *kept_device_ = nullptr;
  uint64_t kept_bytes_ = 0;
  Ring units_, tables_, mailbox_;
  struct Kept {
    uint64_t bytes = 0;
    uint64_t last_ticket = 0;  // the batch that ends the tensor, once it is submitted
    bool open = false;
  };
  std::array<Kept, kCudaLanes> kept_lanes_;

  LaunchList launches_;
  std::deque<std::unique_ptr<Batch>> under_way_;  // in order of submission
  std::vector<std::unique_ptr<Batch>> spare_;     // whose events are used again
  uint64_t last_ticket_ = 0, last_retired_ = 0;
  double seconds_ = 0;
};

}  // namespace gpumerge
