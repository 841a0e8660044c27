// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The caller's thread reports; the workers take tasks (PartTasks).
#include "src/run/direct.h"

#include "src/base/trace_range.h"
#include "src/run/item_check.h"
#include "src/run/part_tasks.h"
#include "src/run/reporting.h"
#include "src/run/stages.h"

#include <algorithm>
#include <chrono>
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

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

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
        tasks_(plan, part, options.done, sizes_, &stages_),
        slot_bytes_(AlignBytes(std::max<uint64_t>(sizes_.chunk_bytes, 1))),
        n_slots_(std::min(options.staging.size() / slot_bytes_,
                          options.io == Io::kSync ? uint64_t{1} : uint64_t{workers_.n_workers()})),
        totals_(TotalsToDo(plan, part, options, sizes_)) {}

  PipelineResult Run() {
    std::vector<std::thread> threads;
    Guard([&] {  // a thread that cannot be started stops those that were
      for (uint32_t worker = 0; worker < n_slots_; ++worker)
        threads.emplace_back([this, worker] { Guard([&] { WorkAs(worker); }); });
      reporter_.Wait(
          tasks_.mutex(), tasks_.changed(), [&] { return Snapshot(); }, [&] { return tasks_.IsOver(); });
    });
    for (std::thread& thread : threads) thread.join();
    tasks_.RethrowFailure();
    stages_.CheckFilesUnchanged();
    return {stages_.TakeResults(), Snapshot(), stages_.selfcheck_tensors()};
  }

 private:
  template <class Function>
  void Guard(const Function& f) {
    try {
      f();
    } catch (...) {
      tasks_.Fail();
    }
  }

  void WorkAs(uint32_t worker) {
    TraceLog::Get().NameThread("worker", worker);
    while (const std::optional<PartTask> task = tasks_.WaitForNext()) {
      if (task->begins) {
        BeginReading(task->of, worker);
      } else {
        RunPart(*task, worker);
      }
    }
  }

  void BeginReading(ItemUnderWay* of, uint32_t worker) {
    const PlanItem& item = plan_.items[of->item];
    const TraceRange trace("begin", {.tensor = item.name, .reading = of->reading + 1});
    if (of->work.state == nullptr) {
      of->writes = true;
    } else {
      const auto read = [&](std::span<const uint64_t> places, const PartWorkers::Visit& visit) {
        stages_.ReadSample(item, places, options_.staging.data() + worker * slot_bytes_, visit);
      };
      workers_.BeginReading(of->work, worker, read);
      of->writes = workers_.Writes(*of->work.state);
    }
    of->order.Restart();
    of->part_elems = PartElems(item, sizes_, true, of->writes);
    const uint64_t share = of->n_elems / (4 * n_slots_);  // so that no thread has much left to do at the end
    while (of->part_elems > std::max(share, kFewestElems) && of->part_elems / 2 % CutOf(item) == 0) of->part_elems /= 2;
    if (of->reading >= FileReadings(item, sizes_)) {
      const std::lock_guard lock(totals_mutex_);
      totals_.bytes_to_read += item.InputBytes();
    }
    tasks_.Begun(of);
  }

  void RunPart(const PartTask& task, uint32_t worker) {
    ItemUnderWay& of = *task.of;
    const PlanItem& item = plan_.items[of.item];
    std::byte* memory = options_.staging.data();
    const UnitPart part = PartOf(task, worker);
    const Clock::time_point start = Clock::now();
    uint64_t bytes_read = 0;
    for (size_t i = 0; i < part.input_offsets.size(); ++i) bytes_read += stages_.ReadInput(part, i, memory);
    const Clock::time_point read = Clock::now();
    Compute(&of, part, worker);
    const Clock::time_point computed = Clock::now();
    uint64_t bytes_written = 0;
    if (part.writes) bytes_written = stages_.WriteOutput(part, memory, 0);
    const Clock::time_point written = Clock::now();
    {
      const std::lock_guard lock(totals_mutex_);
      totals_.read_seconds += Seconds(read - start);
      totals_.compute_seconds += Seconds(computed - read);
      totals_.write_seconds += Seconds(written - computed);
      totals_.bytes_read += bytes_read;
      if (part.writes && of.work.state != nullptr) totals_.elems_computed += part.n_elems;
      if (!item.stage) totals_.bytes_written += bytes_written;
    }
    if (tasks_.PartDone(&of)) EndReading(&of, worker);
  }

  // With its memory, as places in staging.
  UnitPart PartOf(const PartTask& task, uint32_t worker) const {
    UnitPart part;
    part.item = task.of->item;
    part.first_elem = task.first_elem;
    part.n_elems = task.n_elems;
    part.first_read = task.of->reading;
    part.writes = task.of->writes;
    part = std::move(PlacedUnit(plan_, std::move(part)).parts[0]);
    part.output_offset += worker * slot_bytes_;
    for (uint64_t& offset : part.input_offsets) offset += worker * slot_bytes_;
    return part;
  }

  void Compute(ItemUnderWay* of, const UnitPart& part, uint32_t worker) {
    const PlanItem& item = plan_.items[part.item];
    const TraceRange trace("compute", {.tensor = item.name, .reading = of->is_whole ? 0 : of->reading + 1});
    std::byte* memory = options_.staging.data();
    std::vector<const std::byte*> inputs;
    for (const uint64_t offset : part.input_offsets) inputs.push_back(memory + offset);
    if (item.action == PlanAction::kCopy) return CheckEqual(plan_, item, part.first_elem, inputs.data(), part.n_elems);
    Work work{.job = &item.job,
              .state = of->work.state,
              .first_elem = part.first_elem,
              .n_elems = part.n_elems,
              .inputs = std::move(inputs),
              .output = part.writes ? memory + part.output_offset : nullptr,
              .last_read = TotalReads(item.passes)};
    if (of->is_whole) return workers_.RunWhole(work, worker);
    workers_.RunPart(work, worker, of->order);
  }

  void EndReading(ItemUnderWay* of, uint32_t worker) {
    ++of->reading;
    const bool goes_on = !of->is_whole && of->work.state != nullptr && workers_.EndReading(of->work, worker);
    if (!goes_on) {
      stages_.CheckItem(of->item);
      stages_.EndItem(of->item);
      // What keeps all or nothing takes fewer readings than were foretold.
      const PlanItem& item = plan_.items[of->item];
      const uint64_t foretold = FileReadings(item, sizes_);
      const std::lock_guard lock(totals_mutex_);
      if (of->reading < foretold) totals_.bytes_to_read -= (foretold - of->reading) * item.InputBytes();
      if (!item.stage) ++totals_.tensors_done;
    }
    tasks_.ReadingDone(of, goes_on);
  }

  Progress Snapshot() {
    Progress now;
    {
      const std::lock_guard lock(totals_mutex_);
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
  PartTasks tasks_;
  const uint64_t slot_bytes_;  // of a worker: inputs and output of a part
  const uint64_t n_slots_;
  std::mutex totals_mutex_;
  Progress totals_;
};

}  // namespace

PipelineResult RunDirect(const Plan& plan, PlanPart part, Backend* backend, const PipelineOptions& options,
                         const OutputSink& sink) {
  return DirectRun(plan, part, backend, options, sink).Run();
}

}  // namespace gpumerge
