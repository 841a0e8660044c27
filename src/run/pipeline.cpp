// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The threads: the caller's schedules, and there are some readers, one for each backend and a writer.
#include "src/run/pipeline.h"

#include "src/base/trace_range.h"
#include "src/run/direct.h"
#include "src/run/reporting.h"
#include "src/run/schedule.h"
#include "src/run/stages.h"
#include "src/run/staging.h"
#include "src/run/under_way.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

namespace gpumerge {
namespace {

using Clock = std::chrono::steady_clock;

// Units on their way through all stages: of a backend alone, and beyond what it works on when there are others.
constexpr uint32_t kMostUnits = 16, kUnitsBesides = 4;
// With so many batches the device has work while the older one is waited for.
constexpr size_t kEnoughSubmitted = 2;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<BackendShare> Shares(std::span<Backend* const> backends, const PipelineOptions& options) {
  std::vector<BackendShare> shares;
  for (size_t b = 0; b < backends.size(); ++b) {
    const BackendInfo info = backends[b]->Info();
    const uint32_t most_units =
        backends.size() == 1 ? std::max(kMostUnits, 2 * info.max_in_flight) : info.max_in_flight + kUnitsBesides;
    shares.push_back({options.units[b], info.lanes, most_units});
  }
  return shares;
}

class Pipeline {
 public:
  Pipeline(const Plan& plan, PlanPart part, std::span<Backend* const> backends, const PipelineOptions& options,
           const OutputSink& sink)
      : plan_(plan),
        backends_(backends),
        options_(options),
        stages_(plan, part, backends, options, sink),
        reporter_(options.on_progress),
        schedule_(plan, part, Shares(backends, options), options.done),
        staging_(options.staging.size()),
        to_read_(options.reader_threads),
        to_compute_(backends.size()),
        totals_(TotalsToDo(plan, part, options, options.units[0])),
        compute_seconds_(backends.size()) {}

  PipelineResult Run() {
    std::vector<std::thread> threads;
    Guard([&] {  // a thread that cannot be started stops those that were
      for (uint32_t r = 0; r < options_.reader_threads; ++r)
        threads.emplace_back([this, r] { Guard([&] { Read(r); }); });
      for (uint32_t b = 0; b < backends_.size(); ++b) threads.emplace_back([this, b] { Guard([&] { Compute(b); }); });
      threads.emplace_back([this] { Guard([&] { Write(); }); });
      ScheduleAll();
    });
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
      changed_.notify_all();
    }
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
      finished_ = true;
      changed_.notify_all();
    }
  }

  // Starts units as their backends and staging memory become free; reports progress meanwhile.
  void ScheduleAll() {
    while (true) {
      std::optional<ScheduledUnit> next;
      WaitReporting([&] { return (next = schedule_.Next()).has_value() || schedule_.AllHandedOut(); });
      if (!next) break;
      std::optional<uint64_t> offset;
      // Of empty tensors as well: every unit has a piece.
      const uint64_t bytes = std::max<uint64_t>(next->unit.bytes, kWorkAlignmentBytes);
      WaitReporting([&] { return (offset = staging_.Take(bytes)).has_value(); });
      if (!offset) return;
      auto unit = std::make_unique<UnitRun>();
      unit->scheduled = std::move(*next);
      unit->staging_offset = *offset;
      unit->memory = options_.staging.data() + *offset;
      Start(std::move(unit));
    }
    WaitReporting([&] { return schedule_.units_on_their_way() == 0; });
  }

  void Start(std::unique_ptr<UnitRun> unit) {
    stages_.Begin(*unit);
    const uint32_t backend = unit->scheduled.backend;
    const bool reads = std::any_of(unit->parts().begin(), unit->parts().end(),
                                   [](const UnitPart& part) { return part.brings_inputs; });
    const std::lock_guard lock(mutex_);
    for (const UnitPart& part : unit->parts()) {
      if (!part.begins_item() || backend == 0) continue;
      const PlanItem& item = plan_.items[part.item];  // its way may be another than the first backend's
      totals_.bytes_to_read += FileReadings(item, options_.units[backend]) * item.InputBytes();
      totals_.bytes_to_read -= FileReadings(item, options_.units[0]) * item.InputBytes();
    }
    if (reads) {
      unit->reads_left = options_.reader_threads;
      for (std::deque<UnitRun*>& queue : to_read_) queue.push_back(unit.get());
    }
    to_compute_[backend].push_back(std::move(unit));
    changed_.notify_all();
  }

  // Waits until done() or a failure, calling the user's progress function now and then. done() runs under the mutex.
  template <class Done>
  void WaitReporting(const Done& done) {
    reporter_.Wait(
        &mutex_, &changed_, [&] { return Snapshot(); }, [&] { return finished_ || done(); });
  }

  void Read(uint32_t reader) {
    TraceLog::Get().NameThread("reader", reader);
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
      const uint64_t bytes = stages_.Read(*unit, reader);
      const std::lock_guard lock(mutex_);
      totals_.read_seconds += Since(start);
      totals_.bytes_read += bytes;
      if (--unit->reads_left == 0) changed_.notify_all();
    }
  }

  // Submits units as they were scheduled, a few at a time where the device works on its own, and hands on what is done.
  void Compute(uint32_t b) {
    TraceLog::Get().NameThread("compute", b);
    std::deque<std::unique_ptr<UnitRun>>& queue = to_compute_[b];
    const uint32_t most = std::max(1u, backends_[b]->Info().max_in_flight);
    UnderWay under_way(*backends_[b]);
    while (true) {
      std::unique_ptr<UnitRun> unit;
      {
        std::unique_lock lock(mutex_);
        const auto ready = [&] { return !queue.empty() && queue.front()->reads_left == 0; };
        // The device must not run dry while the oldest of its work is waited for.
        const auto better_wait = [&] {
          return under_way.size() >= std::min<size_t>(most, kEnoughSubmitted) ||
                 (under_way.size() > 0 && queue.empty());
        };
        changed_.wait(lock, [&] { return finished_ || ready() || better_wait(); });
        if (failure_ || (finished_ && under_way.size() == 0 && queue.empty())) return;
        if (ready() && under_way.size() < most) {
          unit = std::move(queue.front());
          queue.pop_front();
        }
      }
      if (unit) {
        // A device that works on its own is only told what to do.
        const TraceRange trace(most == 1 ? "compute" : "submit", stages_.SubjectOf(*unit));
        const std::vector<Work> batch = stages_.MakeWork(*unit);
        under_way.Submit(std::move(unit), batch);
      } else {
        HandOn(b, under_way.Wait());
      }
    }
  }

  void HandOn(uint32_t b, std::unique_ptr<UnitRun> unit) {
    const uint64_t elems = stages_.CheckDone(*unit);
    const bool writes =
        std::any_of(unit->parts().begin(), unit->parts().end(), [](const UnitPart& part) { return part.writes; });
    const double seconds = backends_[b]->ComputeSeconds();
    const std::lock_guard lock(mutex_);
    totals_.elems_computed += elems;
    compute_seconds_[b] = seconds;
    if (!writes) return Release(*unit);
    to_write_.push_back(std::move(unit));
    changed_.notify_all();
  }

  void Write() {
    TraceLog::Get().NameThread("writer", 0);
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
      const Stages::Written written = stages_.Write(*unit);
      const std::lock_guard lock(mutex_);
      totals_.write_seconds += Since(start);
      totals_.bytes_written += written.bytes;
      totals_.tensors_done += written.tensors;
      Release(*unit);
    }
  }

  // Under the mutex.
  void Release(const UnitRun& unit) {
    staging_.Give(unit.staging_offset);
    schedule_.Done(unit.scheduled);
    changed_.notify_all();
  }

  Progress Snapshot() {
    Progress now;
    {
      const std::lock_guard lock(mutex_);
      now = totals_;
      now.compute_seconds = std::accumulate(compute_seconds_.begin(), compute_seconds_.end(), 0.0);
    }
    return reporter_.Now(now);
  }

  const Plan& plan_;
  const std::span<Backend* const> backends_;
  const PipelineOptions& options_;
  Stages stages_;
  Reporter reporter_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Schedule schedule_;
  Staging staging_;
  std::vector<std::deque<UnitRun*>> to_read_;                     // (n_readers); owned by to_compute_
  std::vector<std::deque<std::unique_ptr<UnitRun>>> to_compute_;  // (n_backends), as scheduled
  std::deque<std::unique_ptr<UnitRun>> to_write_;                 // as they are done
  bool finished_ = false;                                         // no more units come, or a stage failed
  std::exception_ptr failure_;
  Progress totals_;
  std::vector<double> compute_seconds_;  // (n_backends)
};

}  // namespace

PipelineResult RunPipeline(const Plan& plan, PlanPart part, std::span<Backend* const> backends,
                           const PipelineOptions& options, const OutputSink& sink) {
  if (backends.size() == 1 && backends[0]->part_workers() != nullptr)
    return RunDirect(plan, part, backends[0], options, sink);
  return Pipeline(plan, part, backends, options, sink).Run();
}

}  // namespace gpumerge
