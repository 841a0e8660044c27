// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What is to be done next in a direct run: the tensors on their way, and their parts. Parts are handed out in order,
// and whoever has one waits at most for those before it (InOrder), so the first of them never waits. Thread-safe.
#pragma once

#include "src/base/in_order.h"
#include "src/run/item_queue.h"
#include "src/run/stages.h"
#include "src/run/units.h"

#include "gpumerge/backend.h"

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

namespace gpumerge {

// Tensors that come in parts, on their way at once: when the last parts of one are under way the next one begins.
// Beside them every worker may have a whole one.
inline constexpr uint32_t kMostInParts = 2;

// A tensor on its way. What a task says of it is its worker's, the rest is guarded.
struct ItemUnderWay {
  enum class State : uint8_t { kToBegin, kBeginning, kInParts };
  uint64_t item = 0;
  bool is_whole = false;
  State state = State::kToBegin;
  uint32_t reading = 0;
  bool writes = false;                                  // in this reading
  bool is_alone = false;                                // see PartWorkers
  uint64_t n_elems = 0, next_elem = 0, part_elems = 0;  // of a copy: bytes
  uint32_t parts_under_way = 0;
  InOrder order;
  Work work;  // of the whole tensor, without memory
};

struct PartTask {
  ItemUnderWay* of = nullptr;
  bool begins = false;  // a reading; else a part or a whole tensor
  uint64_t first_elem = 0, n_elems = 0;
};

class PartTasks {
 public:
  // done: see ItemQueue.
  PartTasks(const Plan& plan, PlanPart part, const std::vector<bool>* done, const UnitSizes& sizes, Stages* stages);

  // nullopt: there is nothing left to do.
  std::optional<PartTask> WaitForNext();

  // After the tasks of BeginReading, a part, and all parts of a reading.
  void Begun(ItemUnderWay* item);
  bool PartDone(ItemUnderWay* item);  // true: of all parts of this reading, which is the caller's now
  void ReadingDone(ItemUnderWay* item, bool goes_on);

  // Inside a handler: the first exception stops all workers, those that wait as well.
  void Fail();
  bool IsOver() const { return failure_ || IsDone(); }  // under the mutex
  void RethrowFailure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

  // For who waits until all is over.
  std::mutex* mutex() { return &mutex_; }
  std::condition_variable* changed() { return &changed_; }

 private:
  std::optional<PartTask> TaskUnderWay();
  bool MayBegin(ItemUnderWay* item);
  ItemUnderWay* Begin();
  bool IsDone() const { return queue_.empty() && items_.empty(); }

  const Plan& plan_;
  const UnitSizes& sizes_;
  Stages& stages_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  ItemQueue queue_;
  std::list<ItemUnderWay> items_;
  std::exception_ptr failure_;
};

}  // namespace gpumerge
