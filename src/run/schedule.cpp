// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/schedule.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace gpumerge {
namespace {

// One on its way back, one in the making, one that waits: more would keep the next item's inputs out.
constexpr uint64_t kOutputsOnTheirWay = 3;

bool HasDevice(const std::vector<BackendShare>& shares) {
  return std::any_of(shares.begin(), shares.end(),
                     [](const BackendShare& share) { return share.sizes.device != nullptr; });
}

}  // namespace

Schedule::Schedule(const Plan& plan, PlanPart part, std::vector<BackendShare> shares, const std::vector<bool>* done)
    : plan_(plan), queue_(plan, part, HasDevice(shares), done) {
  for (BackendShare& share : shares) {
    BackendRun backend;
    backend.lanes.resize(std::max(1u, share.lanes));
    backend.share = std::move(share);
    backends_.push_back(std::move(backend));
  }
}

std::optional<ScheduledUnit> Schedule::Next() {
  std::optional<ScheduledUnit> next = NextOf(true);
  return next ? std::move(next) : NextOf(false);
}

std::optional<ScheduledUnit> Schedule::NextOf(bool patient) {
  std::vector<uint32_t> order(backends_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return backends_[a].bytes_outstanding < backends_[b].bytes_outstanding;
  });
  for (const uint32_t b : order) {
    if (backends_[b].units_on_their_way >= backends_[b].share.most_units) continue;
    std::optional<ScheduledUnit> next = GoOn(b, patient);
    if (!next) next = TakeNew(b);
    if (!next) continue;
    ++backends_[b].units_on_their_way;
    return next;
  }
  return std::nullopt;
}

std::optional<ScheduledUnit> Schedule::GoOn(uint32_t b, bool patient) {
  std::vector<Lane>& lanes = backends_[b].lanes;
  Lane* oldest = nullptr;
  for (Lane& lane : lanes) {
    if (!lane.item || (oldest != nullptr && oldest->age < lane.age)) continue;
    if (patient && lane.item->NextOnlyWrites() && lane.outputs_on_their_way >= kOutputsOnTheirWay) continue;
    oldest = &lane;
  }
  if (oldest == nullptr) return std::nullopt;
  return NextOfLane(b, static_cast<uint32_t>(oldest - lanes.data()));
}

ScheduledUnit Schedule::NextOfLane(uint32_t b, uint32_t lane_number) {
  Lane& lane = backends_[b].lanes[lane_number];
  if (lane.item->NextOnlyWrites()) ++lane.outputs_on_their_way;
  ScheduledUnit next{lane.item->Next(), b, lane_number};
  if (lane.item->AtEnd()) lane.item.reset();
  return next;
}

std::optional<ScheduledUnit> Schedule::TakeNew(uint32_t b) {
  BackendRun& backend = backends_[b];
  const UnitSizes& sizes = backend.share.sizes;
  const auto free_lane =
      std::find_if(backend.lanes.begin(), backend.lanes.end(), [](const Lane& lane) { return !lane.item; });
  if (free_lane == backend.lanes.end()) return std::nullopt;
  std::optional<uint64_t> front = queue_.Front();
  if (!front) return std::nullopt;
  const auto lane_number = static_cast<uint32_t>(free_lane - backend.lanes.begin());

  const PlanItem& item = plan_.items[*front];
  const Way way = WayOf(item, sizes);
  if (way != Way::kWhole) {
    const bool alone = MustBeAlone(backend, item, way);
    if (!MayStart(backend, item, way, alone)) return std::nullopt;
    backend.bytes_outstanding += Cost(*front, sizes);
    free_lane->item.emplace(plan_, *front, sizes);
    queue_.Take(*front);
    free_lane->age = next_age_++;
    free_lane->alone = alone;
    return NextOfLane(b, lane_number);
  }
  Batch batch(plan_, sizes);
  for (; front && WayOf(plan_.items[*front], sizes) == Way::kWhole && batch.Add(*front); front = queue_.Front()) {
    backend.bytes_outstanding += Cost(*front, sizes);
    queue_.Take(*front);
  }
  return ScheduledUnit{batch.Take(), b, lane_number};
}

bool Schedule::MustBeAlone(const BackendRun& backend, const PlanItem& item, Way way) const {
  const UnitSizes& sizes = backend.share.sizes;
  const uint64_t share = sizes.device_memory.kept_bytes / std::max<uint64_t>(2, backend.lanes.size());
  return HeldDeviceBytes(item, way, sizes.device) > share;
}

bool Schedule::MayStart(const BackendRun& backend, const PlanItem& item, Way way, bool alone) const {
  if (backend.share.sizes.device == nullptr || item.action == PlanAction::kCopy || way == Way::kWhole) return true;
  return std::none_of(backend.lanes.begin(), backend.lanes.end(), [&](const Lane& lane) {
    if (!lane.item || plan_.items[lane.item->item()].action == PlanAction::kCopy) return false;
    return alone || lane.alone;
  });
}

uint64_t Schedule::Cost(uint64_t item, const UnitSizes& sizes) const {
  return GroupBytes(plan_.items[item]) * FileReadings(plan_.items[item], sizes);
}

void Schedule::Done(const ScheduledUnit& done) {
  BackendRun& backend = backends_[done.backend];
  --backend.units_on_their_way;
  for (const UnitPart& part : done.unit.parts) {
    if (part.ends_item) {
      backend.bytes_outstanding -= Cost(part.item, backend.share.sizes);
      queue_.Done(part.item);
    }
    if (part.kept && part.writes) --backend.lanes[done.lane].outputs_on_their_way;
  }
}

bool Schedule::AllHandedOut() const {
  return queue_.empty() && std::all_of(backends_.begin(), backends_.end(), [](const BackendRun& backend) {
           return std::none_of(backend.lanes.begin(), backend.lanes.end(),
                               [](const Lane& lane) { return lane.item.has_value(); });
         });
}

uint64_t Schedule::units_on_their_way() const {
  uint64_t units = 0;
  for (const BackendRun& backend : backends_) units += backend.units_on_their_way;
  return units;
}

}  // namespace gpumerge
