// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The caller's thread reports; the workers take tasks from a list of tensors on their way. Parts are handed out in
// order, and whoever has one waits at most for those before it (InOrder), so the first of them never waits.
#include "src/run/direct.h"

#include "src/base/in_order.h"
#include "src/base/trace_range.h"
#include "src/run/item_check.h"
#include "src/run/item_queue.h"
#include "src/run/reporting.h"
#include "src/run/stages.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

using Clock = std::chrono::steady_clock;

// A part is no smaller for the sake of sharing a tensor among many threads.
constexpr uint64_t kFewestElems = 32 * 1024;

// Parts begin at multiples of this.
uint64_t CutOf(const PlanItem& item) {
  return item.action == PlanAction::kCopy ? kBlockElems : CutElems(item.job, item.passes);
}

// A tensor on its way.
struct Going {
  enum class State : uint8_t { kToBegin, kBeginning, kInParts };
  uint64_t item = 0;
  bool is_whole = false;
  State state = State::kToBegin;
  uint32_t reading = 0;
  bool writes = false;                                  // in this reading
  bool is_alone = false;                                // see PartWorkers
  uint64_t n_elems = 0, next_elem = 0, part_elems = 0;  // of a copy: bytes
  uint32_t parts_under_way = 0;
  std::optional<size_t> keeper;  // where its inputs stay from one reading to the next
  InOrder order;
  Work work;  // of the whole tensor, without memory
};

struct Task {
  Going* going = nullptr;  // null: there is nothing left to do
  bool begins = false;     // a reading; else a part or a whole tensor
  uint64_t first_elem = 0, n_elems = 0;
};

// A worker has memory for one part: whatever else was asked for, nothing larger goes in one.
UnitSizes SizesOf(UnitSizes sizes, const PartWorkers& workers) {
  sizes.workers = &workers;
  sizes.resident_bytes = std::min(sizes.resident_bytes, sizes.chunk_bytes);
  return sizes;
}

class DirectRun {
 public:
  DirectRun(const Plan& plan, PlanPart part, Backend* backend, const PipelineOptions& options, const OutputSink& sink)
      : plan_(plan),
        options_(options),
        workers_(*backend->part_workers()),
        sizes_(SizesOf(options.units[0], workers_)),
        backends_{backend},
        stages_(plan, part, backends_, options, sink),
        reporter_(options.on_progress),
        queue_(plan, part, false, options.done),
        totals_(TotalsToDo(plan, part, options, sizes_)),
        slot_bytes_(std::max<uint64_t>((sizes_.chunk_bytes + 63) / 64 * 64, 64)),
        n_slots_(std::min((options.staging.size() - kMostInParts * sizes_.keep_bytes) / slot_bytes_,
                          options.io == Io::kSync ? uint64_t{1} : uint64_t{workers_.n_workers()})) {}

  PipelineResult Run() {
    std::vector<std::thread> threads;
    Guard([&] {  // a thread that cannot be started stops those that were
      for (uint32_t worker = 0; worker < n_slots_; ++worker)
        threads.emplace_back([this, worker] { Guard([&] { WorkAs(worker); }); });
      ReportUntilDone();
    });
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    stages_.CheckFilesUnchanged();
    return {stages_.TakeResults(), Snapshot(), stages_.selfcheck_tensors()};
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
      // Output last to be made, first to be stopped: what a stopped part leaves behind is never written.
      for (Going& going : going_) {
        stages_.StopWaiting(going.item);
        going.order.Stop();
      }
      changed_.notify_all();
    }
  }

  void ReportUntilDone() {
    reporter_.Wait(
        &mutex_, &changed_, [&] { return Snapshot(); }, [&] { return failure_ || IsDone(); });
  }

  void WorkAs(uint32_t worker) {
    TraceLog::Get().NameThread("worker", worker);
    while (true) {
      const Task task = NextTask();
      if (task.going == nullptr) return;
      if (task.begins) {
        BeginReading(*task.going, worker);
      } else {
        RunPart(*task.going, task, worker);
      }
    }
  }

  // Under the mutex.
  bool IsDone() const { return queue_.empty() && going_.empty(); }

  Task NextTask() {
    std::unique_lock lock(mutex_);
    while (!failure_ && !IsDone()) {
      if (const std::optional<Task> task = TaskOfGoing()) return *task;
      if (Going* next = Take()) {
        if (next->is_whole) return {next, false, 0, next->n_elems};
      } else {
        changed_.wait(lock);
      }
    }
    return {};
  }

  std::optional<Task> TaskOfGoing() {
    for (Going& going : going_) {
      if (going.state == Going::State::kToBegin && MayBegin(&going)) {
        going.state = Going::State::kBeginning;
        return Task{&going, true};
      }
      if (going.state != Going::State::kInParts || going.next_elem >= going.n_elems) continue;
      const Task task{&going, false, going.next_elem, std::min(going.part_elems, going.n_elems - going.next_elem)};
      going.next_elem += task.n_elems;
      ++going.parts_under_way;
      return task;
    }
    return std::nullopt;
  }

  bool MayBegin(Going* going) {
    going->is_alone = going->work.state != nullptr && workers_.IsAlone(going->work);
    return !going->is_alone || std::none_of(going_.begin(), going_.end(), [&](const Going& other) {
      return &other != going && other.is_alone && other.state != Going::State::kToBegin;
    });
  }

  // The next item, if there may be another one on its way. A whole one is the caller's.
  Going* Take() {
    const std::optional<uint64_t> next = queue_.Front();
    if (!next) return nullptr;
    const PlanItem& item = plan_.items[*next];
    const bool is_whole = WayOf(item, sizes_) == Way::kWhole;
    const auto in_parts = std::count_if(going_.begin(), going_.end(), [](const Going& g) { return !g.is_whole; });
    if (!is_whole && static_cast<size_t>(in_parts) >= kMostInParts) return nullptr;
    // First what may fail: other workers take what stands in the list.
    stages_.Begin(*next, 0);
    queue_.Take(*next);
    Going& going = going_.emplace_back();
    going.item = *next;
    going.is_whole = is_whole;
    going.n_elems = item.action == PlanAction::kCopy ? item.size_bytes : item.job.n_elems;
    going.work.job = &item.job;
    going.work.state = stages_.StateOf(*next);
    going.work.n_elems = going.n_elems;
    if (!is_whole && KeepsInputs(item, sizes_)) {
      const auto free = std::find(keeper_is_free_.begin(), keeper_is_free_.end(), true);
      *free = false;
      going.keeper = static_cast<size_t>(free - keeper_is_free_.begin());
    }
    if (!is_whole) return &going;
    going.writes = true;
    going.state = Going::State::kBeginning;
    going.parts_under_way = 1;
    return &going;
  }

  void BeginReading(Going& going, uint32_t worker) {
    const PlanItem& item = plan_.items[going.item];
    const TraceRange trace("begin", {.tensor = item.name, .reading = going.reading + 1});
    if (going.work.state == nullptr) {
      going.writes = true;
    } else {
      const auto read = [&](std::span<const uint64_t> places, const PartWorkers::Visit& visit) {
        stages_.ReadSample(item, places, options_.staging.data() + worker * slot_bytes_, visit);
      };
      workers_.BeginReading(going.work, worker, read);
      going.writes = workers_.Writes(*going.work.state);
    }
    going.order.Restart();
    going.part_elems = PartElems(item, sizes_, true, going.writes);
    const uint64_t share = going.n_elems / (4 * n_slots_);  // so that no thread has much left to do at the end
    while (going.part_elems > std::max(share, kFewestElems) && going.part_elems / 2 % CutOf(item) == 0)
      going.part_elems /= 2;
    const std::lock_guard lock(mutex_);
    going.next_elem = 0;
    going.state = Going::State::kInParts;
    if (!going.keeper && going.reading >= FileReadings(item, sizes_)) totals_.bytes_to_read += item.InputBytes();
    changed_.notify_all();
  }

  void RunPart(Going& going, const Task& task, uint32_t worker) {
    std::byte* memory = options_.staging.data();
    const UnitPart part = PartOf(going, task, worker);
    const Clock::time_point start = Clock::now();
    uint64_t bytes_read = 0;
    for (size_t i = 0; i < part.input_offsets.size() && !(going.keeper && going.reading > 0); ++i)
      bytes_read += stages_.ReadInput(part, i, memory);
    const Clock::time_point read = Clock::now();
    Compute(going, part, worker, memory);
    const Clock::time_point computed = Clock::now();
    uint64_t bytes_written = 0;
    if (part.writes) bytes_written = stages_.WriteOutput(part, memory, 0);
    const Clock::time_point written = Clock::now();
    const bool is_last = [&] {
      const std::lock_guard lock(mutex_);
      const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
      totals_.read_seconds += seconds(read - start);
      totals_.compute_seconds += seconds(computed - read);
      totals_.write_seconds += seconds(written - computed);
      totals_.bytes_read += bytes_read;
      if (going.writes && going.work.state != nullptr) totals_.elems_computed += task.n_elems;
      if (!plan_.items[going.item].stage) totals_.bytes_written += bytes_written;
      const bool all_handed_out = going.is_whole || going.next_elem >= going.n_elems;
      if (--going.parts_under_way > 0 || !all_handed_out) return false;
      going.state = Going::State::kBeginning;
      return true;
    }();
    if (is_last) EndReading(going, worker);
  }

  // With its memory, as places in staging.
  UnitPart PartOf(const Going& going, const Task& task, uint32_t worker) const {
    UnitPart part;
    part.item = going.item;
    part.first_elem = task.first_elem;
    part.n_elems = task.n_elems;
    part.first_read = going.reading;
    part.writes = going.writes;
    part = std::move(PlacedUnit(plan_, std::move(part)).parts[0]);
    part.output_offset += worker * slot_bytes_;
    for (uint64_t& offset : part.input_offsets) offset += worker * slot_bytes_;
    if (!going.keeper) return part;
    const PlanItem& item = plan_.items[going.item];
    uint64_t offset = n_slots_ * slot_bytes_ + *going.keeper * sizes_.keep_bytes;
    for (size_t i = 0; i < item.inputs.size(); ++i) {
      const uint64_t elem_bytes = ElementBytes(item.job.inputs[i].dtype);
      part.input_offsets[i] = offset + part.first_elem * elem_bytes;
      offset += (going.n_elems * elem_bytes + 63) / 64 * 64;
    }
    return part;
  }

  void Compute(Going& going, const UnitPart& part, uint32_t worker, std::byte* memory) {
    const PlanItem& item = plan_.items[going.item];
    const TraceRange trace("compute", {.tensor = item.name, .reading = going.is_whole ? 0 : going.reading + 1});
    std::vector<const std::byte*> inputs;
    for (const uint64_t offset : part.input_offsets) inputs.push_back(memory + offset);
    if (item.action == PlanAction::kCopy) return CheckEqual(plan_, item, part.first_elem, inputs.data(), part.n_elems);
    Work work{.job = &item.job,
              .state = going.work.state,
              .first_elem = part.first_elem,
              .n_elems = part.n_elems,
              .inputs = std::move(inputs),
              .output = part.writes ? memory + part.output_offset : nullptr,
              .last_read = TotalReads(item.passes)};
    if (going.is_whole) return workers_.RunWhole(work, worker);
    workers_.RunPart(work, worker, going.order);
  }

  void EndReading(Going& going, uint32_t worker) {
    ++going.reading;
    const bool goes_on = !going.is_whole && going.work.state != nullptr && workers_.EndReading(going.work, worker);
    if (!goes_on) {
      stages_.CheckItem(going.item);
      stages_.EndItem(going.item);
    }
    const std::lock_guard lock(mutex_);
    if (goes_on) {
      going.state = Going::State::kToBegin;
    } else {
      // What keeps all or nothing takes fewer readings than were foretold.
      const PlanItem& item = plan_.items[going.item];
      const uint64_t foretold = FileReadings(item, sizes_);
      if (going.reading < foretold) totals_.bytes_to_read -= (foretold - going.reading) * item.InputBytes();
      if (!plan_.items[going.item].stage) ++totals_.tensors_done;
      queue_.Done(going.item);
      if (going.keeper) keeper_is_free_[*going.keeper] = true;
      going_.remove_if([&](const Going& each) { return &each == &going; });
    }
    changed_.notify_all();
  }

  Progress Snapshot() {
    Progress now;
    {
      const std::lock_guard lock(mutex_);
      now = totals_;
    }
    return reporter_.Now(now);
  }

  const Plan& plan_;
  const PipelineOptions& options_;
  PartWorkers& workers_;
  const UnitSizes sizes_;
  const std::vector<Backend*> backends_;
  Stages stages_;
  Reporter reporter_;

  std::mutex mutex_;  // guards what follows, and Going but for what the worker that has claimed it sets
  std::condition_variable changed_;
  ItemQueue queue_;
  std::list<Going> going_;
  std::exception_ptr failure_;
  Progress totals_;
  const uint64_t slot_bytes_;
  const uint64_t n_slots_;
  std::vector<bool> keeper_is_free_ = std::vector<bool>(kMostInParts, true);
};

}  // namespace

PipelineResult RunDirect(const Plan& plan, PlanPart part, Backend* backend, const PipelineOptions& options,
                         const OutputSink& sink) {
  return DirectRun(plan, part, backend, options, sink).Run();
}

}  // namespace gpumerge
