// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What every way to run a plan tells the user: how much there is to do, and now and then how far it has come.
#pragma once

#include "src/run/memory.h"
#include "src/run/pipeline.h"

#include "gpumerge/error.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace gpumerge {

// How much the part is, and what of it an earlier run has done.
inline Progress TotalsToDo(const Plan& plan, PlanPart part, const PipelineOptions& options, const UnitSizes& sizes) {
  Progress totals;
  for (uint64_t i = part.first; i < part.last; ++i) {
    const PlanItem& item = plan.items[i];
    const bool is_output = !item.stage;
    if (is_output) ++totals.tensors_total;
    if (!options.IsDone(i)) {
      totals.bytes_to_read += FileReadings(item, sizes) * item.InputBytes();
      if (is_output) totals.bytes_to_write += item.size_bytes;
    } else if (is_output) {
      ++totals.tensors_done;
      ++totals.tensors_resumed;
      totals.bytes_resumed += item.size_bytes;
    }
  }
  return totals;
}

class Reporter {
 public:
  // on_progress: see RunOptions; may be empty.
  explicit Reporter(const std::function<bool(const Progress&)>& on_progress) : on_progress_(on_progress) {}

  // Waits until done(), which runs under the mutex, calling the user's function now and then with snapshot(), which
  // does not. Throws Error(CANCELLED).
  template <class Snapshot, class Done>
  void Wait(std::mutex* mutex, std::condition_variable* changed, const Snapshot& snapshot, const Done& done) {
    std::unique_lock lock(*mutex);
    while (!done()) {
      changed->wait_for(lock, kInterval);
      if (!on_progress_ || Clock::now() < next_report_) continue;
      next_report_ = Clock::now() + kInterval;
      lock.unlock();
      if (!on_progress_(snapshot()))
        throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge was complete"});
      lock.lock();
    }
  }

  // The totals with the time and the memory of now.
  Progress Now(Progress totals) const {
    totals.elapsed_seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    totals.memory_bytes = ResidentBytes(true);
    return totals;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kInterval = std::chrono::milliseconds(100);

  const std::function<bool(const Progress&)>& on_progress_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point next_report_ = start_;
};

}  // namespace gpumerge
