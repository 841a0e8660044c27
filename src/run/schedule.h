// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which unit goes next, and to which backend: one queue of items for all of them, and for every backend some lanes. A
// lane that is free takes the next item, or a batch of small ones, and goes through its units in order. The oldest item
// of a backend goes on first; while its output comes back the next one's inputs go in. Whatever the order, the output
// is the same. Not thread-safe, no threads, no I/O.
#pragma once

#include "src/run/item_queue.h"
#include "src/run/units.h"

#include "gpumerge/plan.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace gpumerge {

// What a backend takes of the work.
struct BackendShare {
  UnitSizes sizes;
  uint32_t lanes = 1;
  uint32_t most_units = 16;  // of it on their way at once, so that it does not hoard staging memory
};

struct ScheduledUnit {
  Unit unit;
  uint32_t backend = 0, lane = 0;
};

class Schedule {
 public:
  // done: see ItemQueue.
  Schedule(const Plan& plan, PlanPart part, std::vector<BackendShare> shares, const std::vector<bool>* done = nullptr);

  // The next unit, on its way from now on. nullopt: none may go before another is done, or none is left.
  std::optional<ScheduledUnit> Next();
  // The unit has gone through all stages.
  void Done(const ScheduledUnit& unit);
  bool AllHandedOut() const;
  uint64_t units_on_their_way() const;

  const UnitSizes& sizes(uint32_t backend) const { return backends_[backend].share.sizes; }

 private:
  struct Lane {
    std::optional<PartCutter> item;  // in parts, not all of them handed out
    uint64_t age = 0;                // the smaller, the older
    bool alone = false;              // needs more than its share of the device's memory
    uint64_t outputs_on_their_way = 0;
  };
  struct BackendRun {
    BackendShare share;
    std::vector<Lane> lanes;
    uint64_t units_on_their_way = 0;
    uint64_t bytes_outstanding = 0;  // of items taken and not done
  };

  // From the backend with the least to do on; patient: an item that would only fetch output waits for what is fetched.
  std::optional<ScheduledUnit> NextOf(bool patient);
  std::optional<ScheduledUnit> GoOn(uint32_t backend, bool patient);
  ScheduledUnit NextOfLane(uint32_t backend, uint32_t lane);
  std::optional<ScheduledUnit> TakeNew(uint32_t backend);
  // Whether the item's memory on the device is free, as far as it comes in parts.
  bool MayStart(const BackendRun& backend, const PlanItem& item, Way way, bool alone) const;
  bool MustBeAlone(const BackendRun& backend, const PlanItem& item, Way way) const;
  uint64_t Cost(uint64_t item, const UnitSizes& sizes) const;

  const Plan& plan_;
  ItemQueue queue_;
  uint64_t next_age_ = 0;
  std::vector<BackendRun> backends_;
};

}  // namespace gpumerge
