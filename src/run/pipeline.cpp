// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/pipeline.h"

#include "src/base/hash.h"
#include "src/run/input_files.h"
#include "src/run/item_check.h"
#include "src/run/memory.h"
#include "src/run/staging.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace gpumerge {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kMaxUnitsInFlight = 16;
// A unit of empty tensors takes a piece as well, and the next piece must be aligned as Work promises.
constexpr uint64_t kAlignmentBytes = 64;
// Read, then hashed while still in the cache.
constexpr uint64_t kReadPieceBytes = 1 << 20;
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A unit on its way.
struct UnitRun {
  Unit unit;
  std::byte* memory = nullptr;
  uint64_t staging_offset = 0;
  uint32_t reads_left = 0;  // reader threads that have not finished; guarded by Pipeline::mutex_
};

// A unit that the backend works on.
struct Submitted {
  std::unique_ptr<UnitRun> unit;
  uint64_t ticket = 0;
  bool has_work = false;  // false: copies only
};

// An item between its first and its last part.
struct ItemRun {
  std::unique_ptr<JobState> state;        // null for a copy
  std::vector<ContentHash> input_hashes;  // each used by one reader thread only
  ContentHash output_hash;
};

class Pipeline {
 public:
  Pipeline(const Plan& plan, PlanPart part, Backend& backend, const PipelineOptions& options, const OutputSink& sink)
      : plan_(plan),
        part_(part),
        backend_(backend),
        options_(options),
        sink_(sink),
        max_in_flight_(std::max(1u, backend.Info().max_in_flight)),
        files_(plan),
        memory_(backend.AllocateStaging(options.staging_bytes)),
        staging_(options.staging_bytes),
        runs_(part.last - part.first),
        to_read_(options.reader_threads) {
    result_.items.resize(part.last - part.first);
    Progress& totals = result_.totals;
    totals.tensors_total = part.last - part.first;
    for (uint64_t i = part.first; i < part.last; ++i) {
      const PlanItem& item = plan.items[i];
      const uint64_t reads = IsStreamed(item, options.units) ? ReadingsOf(item) : 1;
      for (const PlanInput& input : item.inputs) totals.bytes_to_read += reads * input.size_bytes;
      totals.bytes_to_write += item.size_bytes;
    }
  }

  PipelineResult Run() {
    std::vector<std::thread> threads;
    Guard([&] {  // a thread that cannot be started stops those that were
      for (uint32_t r = 0; r < options_.reader_threads; ++r)
        threads.emplace_back([this, r] { Guard([&] { Read(r); }); });
      threads.emplace_back([this] { Guard([&] { Compute(); }); });
      threads.emplace_back([this] { Guard([&] { Write(); }); });
      Schedule();
    });
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    files_.CheckUnchanged();
    result_.totals = Snapshot();
    return std::move(result_);
  }

 private:
  // The first exception of any thread stops all of them.
  template <class Function>
  void Guard(const Function& f) {
    try {
      f();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      finished_ = true;
      changed_.notify_all();
    }
  }

  // Cuts the plan into units and starts them as memory becomes free; reports progress meanwhile.
  void Schedule() {
    UnitSource source(plan_, part_, options_.units);
    auto unit = std::make_unique<UnitRun>();
    while (source.Next(&unit->unit)) {
      std::optional<uint64_t> offset;
      WaitReporting([&] {
        if (in_flight_ < kMaxUnitsInFlight)
          offset = staging_.Take(std::max<uint64_t>(unit->unit.bytes, kAlignmentBytes));
        return offset.has_value();
      });
      if (!offset) return;
      unit->staging_offset = *offset;
      unit->memory = memory_.data() + *offset;
      for (const UnitPart& part : unit->unit.parts)
        if (part.first_elem == 0 && part.first_read == 0) BeginItem(part.item);
      const std::lock_guard lock(mutex_);
      unit->reads_left = options_.reader_threads;
      ++in_flight_;
      UnitRun* started = unit.get();
      for (std::deque<UnitRun*>& queue : to_read_) queue.push_back(started);
      to_compute_.push_back(std::move(unit));
      changed_.notify_all();
      unit = std::make_unique<UnitRun>();
    }
    WaitReporting([&] { return in_flight_ == 0; });
  }

  // Waits until done() or a failure, calling the user's progress function now and then. done() runs under the mutex.
  template <class Done>
  void WaitReporting(const Done& done) {
    std::unique_lock lock(mutex_);
    while (!finished_ && !done()) {
      changed_.wait_for(lock, kProgressInterval);
      if (!options_.on_progress || Clock::now() < next_report_) continue;
      next_report_ = Clock::now() + kProgressInterval;
      lock.unlock();
      if (!options_.on_progress(Snapshot()))
        throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge was complete"});
      lock.lock();
    }
  }

  void BeginItem(uint64_t item_index) {
    const PlanItem& item = plan_.items[item_index];
    auto run = std::make_unique<ItemRun>();
    run->input_hashes.resize(item.inputs.size());
    if (item.action == PlanAction::kMerge) run->state = backend_.NewState(item.job, item.passes);
    runs_[item_index - part_.first] = std::move(run);
  }

  // Each input of a tensor is read by one thread, in order, so that its hash can go along.
  void Read(uint32_t reader) {
    while (true) {
      UnitRun* unit = nullptr;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return finished_ || !to_read_[reader].empty(); });
        if (to_read_[reader].empty() || failure_) return;
        unit = to_read_[reader].front();
        to_read_[reader].pop_front();
      }
      const Clock::time_point start = Clock::now();
      uint64_t bytes = 0;
      for (const UnitPart& part : unit->unit.parts)
        for (size_t i = 0; i < part.input_offsets.size(); ++i)
          if ((part.item + i) % options_.reader_threads == reader) bytes += ReadInput(part, i, unit->memory);
      const std::lock_guard lock(mutex_);
      result_.totals.read_seconds += Since(start);
      result_.totals.bytes_read += bytes;
      if (--unit->reads_left == 0) changed_.notify_all();
    }
  }

  uint64_t ReadInput(const UnitPart& part, size_t i, std::byte* memory) {
    const PlanItem& item = plan_.items[part.item];
    const PlanInput& input = item.inputs[i];
    const uint64_t elem_bytes = item.action == PlanAction::kCopy ? 1 : ElementBytes(item.job.inputs[i].dtype);
    const uint64_t size_bytes = part.n_elems * elem_bytes;
    const uint64_t begin = input.offset_bytes + part.first_elem * elem_bytes;
    std::byte* to = memory + part.input_offsets[i];
    for (uint64_t done = 0; done < size_bytes; done += kReadPieceBytes) {
      const uint64_t piece = std::min(kReadPieceBytes, size_bytes - done);
      files_.Read(input.file, begin + done, to + done, piece);
      if (part.first_read == 0) runs_[part.item - part_.first]->input_hashes[i].Update(to + done, piece);
    }
    return size_bytes;
  }

  // Submits units in plan order, a few at a time where the device works on its own, and hands on what is done.
  void Compute() {
    std::deque<Submitted> submitted;
    while (true) {
      std::unique_ptr<UnitRun> unit;
      {
        std::unique_lock lock(mutex_);
        const auto ready = [&] { return !to_compute_.empty() && to_compute_.front()->reads_left == 0; };
        // With work under way there is something better to do than to wait for more.
        if (submitted.empty()) changed_.wait(lock, [&] { return finished_ || ready(); });
        if (failure_ || (submitted.empty() && to_compute_.empty())) return;
        if (ready() && submitted.size() < max_in_flight_) {
          unit = std::move(to_compute_.front());
          to_compute_.pop_front();
        }
      }
      if (unit) {
        submitted.push_back(Submit(std::move(unit)));
        if (submitted.size() < max_in_flight_) continue;
      }
      Finish(std::move(submitted.front()));
      submitted.pop_front();
    }
  }

  Submitted Submit(std::unique_ptr<UnitRun> unit) {
    std::vector<Work> batch;
    for (const UnitPart& part : unit->unit.parts) AddWork(part, unit->memory, &batch);
    const uint64_t ticket = batch.empty() ? 0 : backend_.Submit(batch);
    return {std::move(unit), ticket, !batch.empty()};
  }

  void Finish(Submitted done) {
    if (done.has_work) backend_.Wait(done.ticket);
    uint64_t elems = 0;
    bool writes = false;
    for (const UnitPart& part : done.unit->unit.parts) {
      const PlanItem& item = plan_.items[part.item];
      const ItemRun& run = *runs_[part.item - part_.first];
      if (part.ends_item && run.state) CheckValues(plan_, item, *run.state);
      if (part.writes && run.state) elems += part.n_elems;
      writes = writes || part.writes;
    }
    const std::lock_guard lock(mutex_);
    result_.totals.elems_computed += elems;
    result_.totals.compute_seconds = backend_.ComputeSeconds();
    if (writes) {
      to_write_.push_back(std::move(done.unit));
      changed_.notify_all();
    } else {
      Release(*done.unit);
    }
  }

  void AddWork(const UnitPart& part, std::byte* memory, std::vector<Work>* batch) const {
    const PlanItem& item = plan_.items[part.item];
    std::vector<const std::byte*> inputs;
    for (const uint64_t offset : part.input_offsets) inputs.push_back(memory + offset);
    if (item.action == PlanAction::kCopy) {
      CheckEqual(plan_, item, part.first_elem, inputs.data(), part.n_elems);
      return;
    }
    batch->push_back({&item.job, runs_[part.item - part_.first]->state.get(), part.first_elem, part.n_elems,
                      std::move(inputs), memory + part.output_offset, part.first_read, part.last_read});
  }

  void Write() {
    while (true) {
      std::unique_ptr<UnitRun> unit;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return finished_ || !to_write_.empty(); });
        if (to_write_.empty() || failure_) return;
        unit = std::move(to_write_.front());
        to_write_.pop_front();
      }
      const Clock::time_point start = Clock::now();
      uint64_t bytes = 0, tensors = 0;
      for (const UnitPart& part : unit->unit.parts) {
        bytes += WriteOutput(part, unit->memory);
        if (part.ends_item) {
          EndItem(part.item);
          ++tensors;
        }
      }
      const std::lock_guard lock(mutex_);
      result_.totals.write_seconds += Since(start);
      result_.totals.bytes_written += bytes;
      result_.totals.tensors_done += tensors;
      Release(*unit);
    }
  }

  uint64_t WriteOutput(const UnitPart& part, const std::byte* memory) {
    const PlanItem& item = plan_.items[part.item];
    const uint64_t elem_bytes = item.action == PlanAction::kCopy ? 1 : ElementBytes(item.job.out_dtype);
    const uint64_t size_bytes = part.n_elems * elem_bytes;
    const std::byte* data = memory + part.output_offset;
    runs_[part.item - part_.first]->output_hash.Update(data, size_bytes);
    if (size_bytes > 0) sink_(item.shard, item.offset_bytes + part.first_elem * elem_bytes, data, size_bytes);
    return size_bytes;
  }

  void EndItem(uint64_t item_index) {
    std::unique_ptr<ItemRun> run = std::move(runs_[item_index - part_.first]);
    ItemResult& result = result_.items[item_index - part_.first];
    for (const ContentHash& hash : run->input_hashes) result.input_hashes.push_back(hash.Hex());
    result.output_hash = run->output_hash.Hex();
    result.used_lerp = run->state && run->state->UsedLerp();
  }

  // Under the mutex.
  void Release(const UnitRun& unit) {
    staging_.Give(unit.staging_offset);
    --in_flight_;
    changed_.notify_all();
  }

  Progress Snapshot() {
    Progress now;
    {
      const std::lock_guard lock(mutex_);
      now = result_.totals;
    }
    now.elapsed_seconds = Since(start_);
    now.memory_bytes = ResidentBytes(true);
    return now;
  }

  const Plan& plan_;
  const PlanPart part_;
  Backend& backend_;
  const PipelineOptions& options_;
  const OutputSink& sink_;
  const uint32_t max_in_flight_;
  const InputFiles files_;
  const std::span<std::byte> memory_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point next_report_ = start_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Staging staging_;                                  // guarded
  std::vector<std::unique_ptr<ItemRun>> runs_;       // slots: one stage at a time has an item
  std::vector<std::deque<UnitRun*>> to_read_;        // guarded; owned by to_compute_
  std::deque<std::unique_ptr<UnitRun>> to_compute_;  // guarded; in plan order
  std::deque<std::unique_ptr<UnitRun>> to_write_;    // guarded; in plan order
  uint64_t in_flight_ = 0;                           // guarded
  bool finished_ = false;                            // guarded: no more units come, or a stage failed
  std::exception_ptr failure_;                       // guarded
  PipelineResult result_;                            // totals guarded
};

}  // namespace

PipelineResult RunPipeline(const Plan& plan, PlanPart part, Backend& backend, const PipelineOptions& options,
                           const OutputSink& sink) {
  return Pipeline(plan, part, backend, options, sink).Run();
}

}  // namespace gpumerge
