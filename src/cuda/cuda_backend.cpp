// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/cuda_backend.h"

#include "src/base/trace_range.h"

#include "gpumerge/method.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>

namespace gpumerge {
namespace {

// Batches that may be submitted before the oldest is waited for: enough that the copy engines never wait for the host.
constexpr uint32_t kMaxInFlight = 8;
// Findings and sums on their way to the host.
constexpr uint64_t kMailboxBytes = 4 << 20;
// Of all device memory, what kernels are told takes a sixteenth within these bounds.
constexpr uint64_t kTablesShare = 16, kSmallestTables = 256 << 10, kLargestTables = 8 << 20;
constexpr uint64_t kPage = 4096;

uint64_t TableBytes(uint64_t vram_bytes) {
  return std::clamp<uint64_t>(vram_bytes / kTablesShare / kPage * kPage, kSmallestTables, kLargestTables);
}

[[noreturn]] void Internal(const std::string& message) {
  throw Error({.code = ErrorCode::kInternal, .message = message});
}

}  // namespace

CudaBackend::CudaBackend(uint32_t gpu, uint64_t vram_bytes) : gpu_(gpu) {
  Use();
  cudaDeviceProp properties{};
  GM_CUDA_TRY(cudaGetDeviceProperties(&properties, static_cast<int>(gpu)));
  name_ = properties.name;
  size_t free_bytes = 0, all_bytes = 0;
  GM_CUDA_TRY(cudaMemGetInfo(&free_bytes, &all_bytes));
  vram_bytes_ = vram_bytes > 0 ? vram_bytes : free_bytes / 10 * 9;
  table_bytes_ = TableBytes(vram_bytes_);
  if (vram_bytes_ <= 2 * table_bytes_)
    throw Error({.code = ErrorCode::kDeviceMemory,
                 .message = "too little device memory for any merge",
                 .found = std::to_string(vram_bytes_) + " bytes",
                 .expected = "more than " + std::to_string(2 * table_bytes_) + " bytes",
                 .help = "give more with --vram, or use --device cpu"});
  in_ = MakeStream();
  compute_ = MakeStream();
  out_ = MakeStream();
  std::map<std::string_view, void (*)(const StepCall&, StepRequest*)> by_name;
  for (CudaMethodsOfFile file : CudaMethodFiles())
    for (const CudaMethod& method : file()) by_name[method.name] = method.request;
  for (const MethodRow& row : Methods()) request_.push_back(by_name.at(row.info->name));
}

CudaBackend::~CudaBackend() { Settle(); }

// What is still under way after an error must not touch memory that is given back.
void CudaBackend::Settle() noexcept {
  IgnoreCudaError(cudaSetDevice(static_cast<int>(gpu_)));
  for (CUstream_st* stream : {in_.get(), compute_.get(), out_.get()})
    if (stream != nullptr) IgnoreCudaError(cudaStreamSynchronize(stream));
}

void CudaBackend::Use() const { GM_CUDA_TRY(cudaSetDevice(static_cast<int>(gpu_))); }

BackendInfo CudaBackend::Info() const {
  BackendInfo info;
  info.name = "cuda:" + std::to_string(gpu_);
  info.detail = name_;
  info.max_in_flight = kMaxInFlight;
  info.lanes = kCudaLanes;
  info.device_bytes = vram_bytes_ - table_bytes_;
  return info;
}

uint64_t CudaBackend::StateBytes(const MergeJob& job, const PassList& passes) const {
  uint64_t bytes = sizeof(CudaJobState) + (job.inputs.size() + 1) * (sizeof(DeviceFinding) + sizeof(DeviceInput) + 64);
  for (const PassInfo& pass : passes) bytes += 256 + pass.n_values * sizeof(double);
  return bytes;
}

uint64_t CudaBackend::FixedBytes(std::span<const MergeJob* const>) const { return table_bytes_ + kMailboxBytes; }

uint64_t CudaBackend::VramFor(uint64_t device_bytes) const {
  // The tables of device_bytes + tables are at most this.
  const uint64_t tables =
      std::clamp<uint64_t>(device_bytes / (kTablesShare - 1) + kPage, kSmallestTables, kLargestTables);
  return std::max(device_bytes + tables, 2 * kSmallestTables + kPage);
}

void CudaBackend::AllocateDevice(const DeviceMemory& memory) {
  Use();
  device_.reset();
  const uint64_t units_bytes = AlignDevice(memory.unit_bytes) * memory.n_units;
  kept_bytes_ = memory.kept_bytes / 256 * 256;
  device_ = MakeDeviceBuffer(table_bytes_ + units_bytes + kept_bytes_);
  tables_device_ = device_.get();
  units_device_ = tables_device_ + table_bytes_;
  kept_device_ = units_device_ + units_bytes;
  if (!tables_host_) tables_host_ = MakePinnedBuffer(table_bytes_);
  if (!mailbox_host_) mailbox_host_ = MakePinnedBuffer(kMailboxBytes);
  tables_ = Ring(table_bytes_);
  units_ = Ring(units_bytes);
  mailbox_ = Ring(kMailboxBytes);
}

std::span<std::byte> CudaBackend::AllocateStaging(uint64_t bytes) {
  Use();
  try {
    staging_ = MakePinnedBuffer(bytes);
  } catch (Error& error) {
    if (error.code() != ErrorCode::kDeviceMemory) throw;
    throw Error({.code = ErrorCode::kResMemory,
                 .message = "the host memory for staging cannot be pinned",
                 .expected = std::to_string(bytes) + " bytes",
                 .help = "give less with --pinned or --memory (ulimit -l may limit it)"});
  }
  return {staging_.get(), bytes};
}

uint64_t CudaBackend::Submit(std::span<const Work> works) try {
  Use();
  std::unique_ptr<Batch> batch = NewBatch(works);
  Upload(batch.get());
  // An earlier batch may wait for its sums. While it waited, this one's copies have begun; its kernels come first.
  if (!under_way_.empty() && !under_way_.back()->computed) Advance(under_way_.back().get(), false);
  under_way_.push_back(std::move(batch));
  Advance(under_way_.back().get(), true);
  return last_ticket_;
} catch (...) {
  Settle();  // no ticket says to the caller that copies are under way; the staging memory may be another backend's
  throw;
}

void CudaBackend::Wait(uint64_t ticket) {
  const TraceRange trace("wait");
  Use();
  while (last_retired_ < ticket && !under_way_.empty()) RetireOldest();
}

std::unique_ptr<CudaBackend::Batch> CudaBackend::NewBatch(std::span<const Work> works) {
  std::unique_ptr<Batch> batch;
  if (spare_.empty()) {
    batch = std::make_unique<Batch>();
    for (Event* event : {&batch->uploaded, &batch->began, &batch->sums, &batch->ended, &batch->done})
      *event = MakeEvent();
  } else {
    batch = std::move(spare_.back());
    spare_.pop_back();
  }
  batch->ticket = ++last_ticket_;
  for (const Work& work : works) {
    CudaJobState* state = static_cast<CudaJobState*>(work.state);
    if (work.job->n_elems > 0xffffffffu)
      throw Error({.code = ErrorCode::kDeviceUnavailable,
                   .message = "a tensor of more than 2^32 - 1 elements cannot be merged on a GPU",
                   .found = std::to_string(work.job->n_elems) + " elements",
                   .help = "use --device cpu"});
    Part part{.work = work, .state = state, .steps = StepsOf(work, state->passes)};
    part.whole = IsWhole(work, state->passes);
    part.ends_tensor =
        work.last_read == TotalReads(state->passes) && work.first_elem + work.n_elems == work.job->n_elems;
    batch->parts.push_back(std::move(part));
  }
  return batch;
}

uint64_t CudaBackend::TakeRoom(Ring* ring, uint64_t bytes, const Batch* current) {
  std::optional<uint64_t> offset;
  while (!(offset = ring->Take(bytes))) {
    if (under_way_.empty() || under_way_.front().get() == current) {
      // The batch's own earlier tables or mail fill the ring.
      if (ring == &tables_ && bytes <= ring->capacity()) {
        GM_CUDA_TRY(cudaStreamSynchronize(compute_.get()));
        ring->GiveBack(ring->Mark());
      } else if (ring != &mailbox_ || !ring->GiveBack(current->done_mail)) {
        Internal("a batch does not fit the GPU's memory as planned");
      }
    } else {
      RetireOldest();
    }
  }
  return *offset;
}

void CudaBackend::RetireOldest() {
  std::unique_ptr<Batch> batch = std::move(under_way_.front());
  under_way_.pop_front();
  Retire(batch.get());
  batch->parts.clear();
  batch->outputs.clear();
  batch->readbacks.clear();
  batch->has_upload = batch->started = batch->computed = false;
  batch->new_mail_bytes = batch->launched_mail = batch->done_mail = 0;
  spare_.push_back(std::move(batch));
}

void CudaBackend::Retire(Batch* batch) {
  if (!batch->computed) Advance(batch, false);
  GM_CUDA_TRY(cudaEventSynchronize(batch->done.get()));
  for (const Part& part : batch->parts) part.state->TakeIn(batch->ticket);
  for (const Readback& readback : batch->readbacks)
    std::memcpy(readback.state->findings.data(), readback.from,
                readback.state->findings.size() * sizeof(DeviceFinding));
  float milliseconds = 0;
  GM_CUDA_TRY(cudaEventElapsedTime(&milliseconds, batch->began.get(), batch->ended.get()));
  seconds_ += milliseconds / 1000;
  units_.GiveBack(batch->units_mark);
  tables_.GiveBack(batch->tables_mark);
  mailbox_.GiveBack(batch->mailbox_mark);
  last_retired_ = batch->ticket;
}

}  // namespace gpumerge
