// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A device with memory of its own, as far as the pipeline can tell: keeps tensors, works late or on a thread of its
// own, and holds every Submit to the contract of gpumerge/backend.h. The arithmetic is the CPU backend's. Failures are
// made on demand. Header-only.
#pragma once

#include "gpumerge/backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace gpumerge::test {

inline constexpr uint64_t kNever = ~uint64_t{0};

struct FakeOptions {
  std::string name = "fake:0";
  uint64_t device_bytes = 64 << 20;
  uint32_t lanes = 2, max_in_flight = 4;
  uint64_t state_bytes = 1000, state_bytes_in_parts = 3000;  // of every tensor
  bool has_thread = false;                                   // false: works when it is waited for, never before
  // Numbers of the calls that fail, counted from 0.
  uint64_t fail_submit = kNever, fail_wait = kNever, fail_new_state = kNever;
  uint64_t most_device_bytes = kNever, most_staging_bytes = kNever;  // more than that cannot be allocated
  uint64_t spoil_elem = kNever;                                      // of every tensor: one bit of the output is wrong
  std::function<void(uint64_t call)> on_new_state{};
};

class FakeDevice : public Backend {
 public:
  explicit FakeDevice(FakeOptions options = {}) : options_(std::move(options)), cpu_(MakeCpuBackend(1, "")) {
    tensors_.resize(options_.lanes);
    if (options_.has_thread) thread_ = std::thread([this] { Work_(); });
  }
  ~FakeDevice() override {
    if (thread_.joinable()) {
      {
        const std::lock_guard lock(mutex_);
        ends_ = true;
      }
      changed_.notify_all();
      thread_.join();
    }
    EXPECT_EQ(n_waited, n_submitted) << options_.name << ": work was left when the run ended";
  }

  BackendInfo Info() const override {
    return {.name = options_.name,
            .detail = "host memory",
            .max_in_flight = options_.max_in_flight,
            .lanes = options_.lanes,
            .device_bytes = options_.device_bytes};
  }
  uint64_t StateBytes(const MergeJob& job, const PassList& passes) const override {
    return cpu_->StateBytes(job, passes);
  }
  uint64_t FixedBytes(std::span<const MergeJob* const> jobs) const override { return cpu_->FixedBytes(jobs); }
  uint64_t DeviceStateBytes(const MergeJob&, const PassList&, bool in_parts) const override {
    return in_parts ? options_.state_bytes_in_parts : options_.state_bytes;
  }
  void AllocateDevice(const DeviceMemory& memory) override {
    EXPECT_EQ(memory_.total_bytes(), 0u) << "allocated twice";
    EXPECT_LE(memory.total_bytes(), options_.device_bytes);
    ++n_allocations;
    if (memory.total_bytes() > options_.most_device_bytes)
      throw Error({.code = ErrorCode::kDeviceMemory, .message = options_.name + " is full"});
    memory_ = memory;
  }
  std::span<std::byte> AllocateStaging(uint64_t bytes) override {
    if (bytes > options_.most_staging_bytes)
      throw Error({.code = ErrorCode::kResMemory, .message = "that much cannot be pinned"});
    return cpu_->AllocateStaging(bytes);
  }
  std::unique_ptr<JobState> NewState(const MergeJob& job, const PassList& passes) override {
    const uint64_t call = n_states++;
    if (options_.on_new_state) options_.on_new_state(call);
    if (call == options_.fail_new_state) throw Failure("NewState");
    return std::make_unique<State>(this, passes, cpu_->NewState(job, passes));
  }
  double ComputeSeconds() const override { return 0.001 * static_cast<double>(n_submitted); }

  uint64_t Submit(std::span<const Work> batch) override {
    EXPECT_GT(memory_.n_units, 0u) << "no memory was allocated";
    EXPECT_LE(n_submitted - n_waited + 1, options_.max_in_flight);
    CheckBatch(batch);
    if (n_submits++ == options_.fail_submit) throw Failure("Submit");
    {
      const std::lock_guard lock(mutex_);
      queue_.emplace_back(batch.begin(), batch.end());
    }
    changed_.notify_all();
    return ++n_submitted;
  }
  void Wait(uint64_t ticket) override {
    EXPECT_EQ(ticket, ++n_waited) << "in order, each once";
    {
      std::unique_lock lock(mutex_);
      if (options_.has_thread) changed_.wait(lock, [&] { return n_done_ >= ticket; });
      while (n_done_ < ticket) RunOldest(&lock);
    }
    if (ticket - 1 >= options_.fail_wait) throw Failure("Wait");  // and all that follow, like a lost device
  }

  Error Failure(const std::string& where) const {
    return Error({.code = ErrorCode::kDeviceFailed, .message = options_.name + " failed in " + where});
  }

  const DeviceMemory& memory() const { return memory_; }
  uint64_t n_submits = 0, n_submitted = 0, n_waited = 0, n_states = 0, n_allocations = 0;
  uint64_t n_kept = 0, n_streamed = 0, n_whole = 0, n_alone = 0;  // tensors
  uint64_t bytes_in = 0, most_items = 0, most_tensors_in_parts = 0;

 private:
  struct State : public JobState {
    State(const FakeDevice* device, PassList pass_list, std::unique_ptr<JobState> of_cpu)
        : owner(device), passes(std::move(pass_list)), cpu(std::move(of_cpu)) {}
    std::optional<NonFinite> InputNonFinite(uint32_t input) const override { return cpu->InputNonFinite(input); }
    std::optional<NonFinite> OutputOverflow() const override { return cpu->OutputOverflow(); }
    bool UsedLerp() const override { return cpu->UsedLerp(); }
    RoundingLoss Loss() const override { return cpu->Loss(); }
    const DataProblem* Problem() const override { return cpu->Problem(); }
    const FakeDevice* owner;
    PassList passes;
    std::unique_ptr<JobState> cpu;
    std::vector<std::vector<std::byte>> kept;  // (n_inputs)
    std::vector<std::byte> output;             // of a kept tensor, once it is merged
  };

  // A tensor that a lane has in parts.
  struct InParts {
    const MergeJob* job = nullptr;
    bool kept = false, alone = false;
    uint32_t read = 0;  // due
    uint64_t elem = 0;  // due
    uint64_t bytes = 0;
  };

  static uint64_t Up(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }
  static bool IsWhole(const Work& work) {
    return !work.in_parts && work.first_elem == 0 && work.n_elems == work.job->n_elems && work.first_read == 0 &&
           work.last_read == TotalReads(dynamic_cast<State&>(*work.state).passes);
  }

  void CheckBatch(std::span<const Work> batch) {
    ASSERT_FALSE(batch.empty());
    most_items = std::max<uint64_t>(most_items, batch.size());
    uint64_t bytes = CheckPlaces(batch);
    for (const Work& work : batch) {
      ASSERT_LT(work.lane, options_.lanes);
      EXPECT_EQ(work.lane, batch[0].lane);
      EXPECT_EQ(dynamic_cast<State&>(*work.state).owner, this) << "a state of another backend";
      if (IsWhole(work)) {
        ++n_whole;
        bytes += options_.state_bytes;
      } else {
        EXPECT_EQ(batch.size(), 1u);
        CheckPart(work);
      }
    }
    EXPECT_LE(bytes, memory_.unit_bytes);
  }

  // Inputs one after the other, then the outputs. Returns their bytes.
  uint64_t CheckPlaces(std::span<const Work> batch) {
    const std::byte *first = nullptr, *next = nullptr;
    const auto place = [&](const std::byte* at, uint64_t bytes) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(at) % 64, 0u);
      if (first == nullptr) first = next = at;
      EXPECT_EQ(at, next);
      next = at + Up(bytes, 64);
    };
    for (const Work& work : batch)
      for (size_t i = 0; i < work.inputs.size(); ++i) {
        place(work.inputs[i], work.n_elems * ElementBytes(work.job->inputs[i].dtype));
        bytes_in += work.n_elems * ElementBytes(work.job->inputs[i].dtype);
      }
    for (const Work& work : batch)
      if (work.output != nullptr) place(work.output, work.n_elems * ElementBytes(work.job->out_dtype));
    return static_cast<uint64_t>(next - first);
  }

  void CheckPart(const Work& work) {
    const uint32_t readings = TotalReads(dynamic_cast<State&>(*work.state).passes);
    InParts& tensor = tensors_[work.lane];
    if (tensor.job == nullptr) Start(work, readings, &tensor);
    ASSERT_EQ(tensor.job, work.job) << "two tensors in parts on one lane";
    EXPECT_EQ(work.kept, tensor.kept);
    EXPECT_EQ(work.first_read, tensor.read);
    EXPECT_EQ(work.first_elem, tensor.elem);
    EXPECT_EQ(work.first_elem % kBlockElems, 0u);
    const bool between = work.kept && work.first_read > 0 && work.last_read < readings;
    EXPECT_EQ(work.last_read, between ? readings - 1 : work.first_read + 1);
    if (between) {
      EXPECT_EQ(work.n_elems, work.job->n_elems);
    }
    EXPECT_EQ(work.inputs.size(), work.kept && work.first_read > 0 ? 0 : work.job->inputs.size());
    EXPECT_EQ(work.output != nullptr, work.last_read == readings);
    tensor.elem += work.n_elems;
    if (tensor.elem < work.job->n_elems) return;
    EXPECT_EQ(tensor.elem, work.job->n_elems);
    tensor.elem = 0;
    tensor.read = work.last_read;
    if (tensor.read == readings) tensor = {};
  }

  void Start(const Work& work, uint32_t readings, InParts* tensor) {
    tensor->job = work.job;
    tensor->kept = work.kept;
    tensor->bytes = Up(options_.state_bytes_in_parts, 256);
    for (size_t i = 0; work.kept && i < work.job->inputs.size(); ++i)
      tensor->bytes += Up(work.job->n_elems * ElementBytes(work.job->inputs[i].dtype), 256);
    tensor->alone = tensor->bytes > memory_.kept_bytes / std::max(2u, options_.lanes);
    ++(work.kept ? n_kept : n_streamed);
    n_alone += tensor->alone ? 1 : 0;
    if (work.kept) {
      EXPECT_GT(readings, 1u);
    }
    uint64_t held = 0, others = 0;
    for (const InParts& other : tensors_) {
      held += other.bytes;
      if (other.job == nullptr || &other == tensor) continue;
      ++others;
      EXPECT_FALSE(other.alone || tensor->alone) << "it should have been alone";
    }
    EXPECT_LE(held, memory_.kept_bytes);
    most_tensors_in_parts = std::max(most_tensors_in_parts, others + 1);
  }

  // Under the lock, which it gives up meanwhile.
  void RunOldest(std::unique_lock<std::mutex>* lock) {
    const std::vector<Work> batch = std::move(queue_.front());
    queue_.pop_front();
    lock->unlock();
    for (const Work& work : batch) RunWork(work);
    lock->lock();
    ++n_done_;
    changed_.notify_all();
  }

  void Work_() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return ends_ || !queue_.empty(); });
      if (queue_.empty()) return;
      RunOldest(&lock);
    }
  }

  void RunWork(const Work& work) {
    State& state = dynamic_cast<State&>(*work.state);
    Work on_cpu = work;
    on_cpu.state = state.cpu.get();
    if (!work.kept) {
      cpu_->Submit({&on_cpu, 1});
    } else if (work.first_read == 0) {
      Keep(work, &state);
    } else if (work.output != nullptr) {
      if (state.output.empty()) MergeKept(work, &state);
      const uint64_t elem_bytes = ElementBytes(work.job->out_dtype);
      std::memcpy(work.output, state.output.data() + work.first_elem * elem_bytes, work.n_elems * elem_bytes);
    }
    const uint64_t spoiled = options_.spoil_elem - work.first_elem;
    if (work.output != nullptr && options_.spoil_elem >= work.first_elem && spoiled < work.n_elems)
      work.output[spoiled * ElementBytes(work.job->out_dtype)] ^= std::byte{1};
  }

  void Keep(const Work& work, State* state) {
    state->kept.resize(work.inputs.size());
    for (size_t i = 0; i < work.inputs.size(); ++i) {
      const uint64_t bytes = work.n_elems * ElementBytes(work.job->inputs[i].dtype);
      state->kept[i].insert(state->kept[i].end(), work.inputs[i], work.inputs[i] + bytes);
    }
  }

  void MergeKept(const Work& work, State* state) {
    state->output.resize(work.job->n_elems * ElementBytes(work.job->out_dtype));
    Work whole;
    whole.job = work.job;
    whole.state = state->cpu.get();
    whole.n_elems = work.job->n_elems;
    whole.last_read = TotalReads(state->passes);
    for (const std::vector<std::byte>& input : state->kept) whole.inputs.push_back(input.data());
    whole.output = state->output.data();
    cpu_->Submit({&whole, 1});
  }

  const FakeOptions options_;
  const std::unique_ptr<Backend> cpu_;
  DeviceMemory memory_;
  std::vector<InParts> tensors_;  // (n_lanes)

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::vector<Work>> queue_;
  uint64_t n_done_ = 0;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace gpumerge::test
