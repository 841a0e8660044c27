// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which unit goes next: order, lanes, limits, several backends. No threads.
#include "src/run/schedule.h"

#include "tests/run/fake_device.h"
#include "tests/run/synthetic_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace gpumerge::test {
namespace {

constexpr uint64_t kChunk = 8 * kBlockElems * kBytesAnElem;
constexpr uint64_t kLargeElems = 256 * kBlockElems;  // no tiny group

BackendShare DeviceShare(const Backend& device, uint64_t kept_bytes = uint64_t{1} << 30, uint32_t most_units = 12) {
  return {{.chunk_bytes = kChunk,
           .resident_bytes = kChunk,
           .device = &device,
           .device_memory = {.unit_bytes = 3 * kChunk, .n_units = 4, .kept_bytes = kept_bytes}},
          device.Info().lanes,
          most_units};
}

BackendShare HostShare() { return {{.chunk_bytes = kChunk, .resident_bytes = 1 << 30}, 1, 6}; }

bool OnlyWrites(const ScheduledUnit& unit) { return unit.unit.parts[0].writes && !unit.unit.parts[0].brings_inputs; }

TEST(ScheduleTest, InputsOfTheNextGoInWhileOutputsComeBack) {
  const FakeDevice device;
  const Plan plan = MakePlanOf({MakeItem(kLargeElems, kTiesPasses), MakeItem(kLargeElems, kTiesPasses)});
  Schedule schedule(plan, {0, 2}, {DeviceShare(device)});
  std::deque<ScheduledUnit> on_their_way;
  bool overlapped = false, second_began = false;
  uint64_t first_outputs = 0;
  while (!schedule.AllHandedOut()) {
    if (std::optional<ScheduledUnit> next = schedule.Next()) {
      const uint64_t item = next->unit.parts[0].item;
      EXPECT_EQ(next->lane, item);
      EXPECT_TRUE(item == 1 || !second_began || OnlyWrites(*next)) << "the older one first";
      second_began = second_began || item == 1;
      overlapped = overlapped || (item == 1 && first_outputs > 0 && first_outputs < 32);
      if (item == 0 && OnlyWrites(*next)) ++first_outputs;
      on_their_way.push_back(std::move(*next));
      continue;
    }
    schedule.Done(on_their_way.front());
    on_their_way.pop_front();
  }
  EXPECT_TRUE(overlapped);
}

TEST(ScheduleTest, WhoNeedsMoreThanItsShareIsAlone) {
  const FakeDevice device;
  const uint64_t need = HeldDeviceBytes(MakeItem(kLargeElems, kTiesPasses), Way::kKept, &device);
  for (const bool enough : {true, false}) {
    const Plan plan = MakePlanOf({MakeItem(kLargeElems, kTiesPasses), MakeItem(kLargeElems, kTiesPasses)});
    Schedule schedule(plan, {0, 2}, {DeviceShare(device, enough ? 2 * need : 2 * need - 2)});
    bool first_ended = false, mixed = false;
    std::deque<ScheduledUnit> on_their_way;
    while (!schedule.AllHandedOut()) {
      if (std::optional<ScheduledUnit> next = schedule.Next()) {
        const UnitPart& part = next->unit.parts[0];
        mixed = mixed || (part.item == 1 && !first_ended);
        first_ended = first_ended || (part.item == 0 && part.ends_item);
        on_their_way.push_back(std::move(*next));
        continue;
      }
      schedule.Done(on_their_way.front());
      on_their_way.pop_front();
    }
    EXPECT_EQ(mixed, enough);
  }
}

TEST(ScheduleTest, BatchesGoOnBesideATensorThatIsAlone) {
  const FakeDevice device;
  const uint64_t need = HeldDeviceBytes(MakeItem(kLargeElems, kTiesPasses), Way::kKept, &device);
  const uint64_t whole = kChunk / kBytesAnElem - kBlockElems;
  const Plan plan =
      MakePlanOf({MakeItem(kLargeElems, kTiesPasses), MakeItem(whole, kTiesPasses), MakeItem(whole, kTiesPasses)});
  BackendShare share = DeviceShare(device, need);
  share.most_units = 200;
  Schedule schedule(plan, {0, 3}, {share});
  uint32_t in_between = 0;
  bool first_ended = false;
  while (std::optional<ScheduledUnit> next = schedule.Next()) {
    const UnitPart& part = next->unit.parts[0];
    in_between += part.item > 0 && !first_ended ? 1 : 0;
    first_ended = first_ended || (part.item == 0 && part.ends_item);
  }
  EXPECT_EQ(in_between, 2u);
  EXPECT_TRUE(schedule.AllHandedOut());
}

TEST(ScheduleTest, TinyTensorsGoTogetherOnADevice) {
  const FakeDevice device;
  std::vector<PlanItem> items;
  for (int i = 0; i < 40; ++i) {
    items.push_back(MakeItem(100, kTiesPasses));
    items.push_back(MakeItem(kLargeElems, kTiesPasses));
  }
  const Plan plan = MakePlanOf(items);
  Schedule on_device(plan, {0, 80}, {DeviceShare(device)});
  EXPECT_EQ(on_device.Next()->unit.parts.size(), 40u);
  Schedule on_host(plan, {0, 80}, {HostShare()});
  EXPECT_EQ(on_host.Next()->unit.parts.size(), 1u) << "in the order of the files";
}

TEST(ScheduleTest, NewItemsGoToWhoHasLeastToDo) {
  const FakeDevice first, second;
  const std::vector<PlanItem> items(6, MakeItem(kLargeElems, kTiesPasses));
  const Plan plan = MakePlanOf(items);
  Schedule schedule(plan, {0, 6}, {DeviceShare(first), DeviceShare(second), HostShare()});
  std::map<uint64_t, uint32_t> backend_of;
  while (const std::optional<ScheduledUnit> next = schedule.Next())
    backend_of.emplace(next->unit.parts[0].item, next->backend);
  EXPECT_EQ(backend_of[0], 0u);
  EXPECT_EQ(backend_of[1], 1u);
  EXPECT_EQ(backend_of[2], 2u);
}

TEST(ScheduleTest, LimitsOfUnitsOnTheirWay) {
  const FakeDevice device;
  const std::vector<PlanItem> items(6, MakeItem(kLargeElems, kTiesPasses));
  const Plan plan = MakePlanOf(items);
  Schedule schedule(plan, {0, 6}, {DeviceShare(device), HostShare()});
  std::vector<ScheduledUnit> units;
  while (std::optional<ScheduledUnit> next = schedule.Next()) units.push_back(std::move(*next));
  EXPECT_LE(std::count_if(units.begin(), units.end(), [](const ScheduledUnit& u) { return u.backend == 0; }), 12);
  EXPECT_LE(std::count_if(units.begin(), units.end(), [](const ScheduledUnit& u) { return u.backend == 1; }), 6);
  EXPECT_EQ(schedule.units_on_their_way(), units.size());
  const uint32_t freed = units[0].backend;
  schedule.Done(units[0]);
  const std::optional<ScheduledUnit> next = schedule.Next();
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->backend, freed);
}

// Units end in any order that backends may end them in; all items come through whole, once, on one backend and lane.
TEST(ScheduleTest, AnyCompletionOrderEnds) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const FakeDevice first({.lanes = 1 + static_cast<uint32_t>(random() % 3)}), second;
    std::vector<PlanItem> items;
    const uint64_t n_items = random() % 20;
    for (uint64_t i = 0; i < n_items; ++i) {
      const uint64_t n_elems = random() % (uint64_t{1} << (random() % 21));
      items.push_back(random() % 5 == 0 ? MakeCopy(n_elems)
                                        : MakeItem(n_elems, random() % 2 == 0 ? kTiesPasses : kSlerpPasses));
    }
    const Plan plan = MakePlanOf(items);
    std::vector<BackendShare> shares = {
        DeviceShare(first, random() % (64 << 20), 1 + static_cast<uint32_t>(random() % 9))};
    if (random() % 2 == 0) shares.push_back(DeviceShare(second, random() % (16 << 20)));
    if (random() % 2 == 0) shares.push_back(HostShare());
    Schedule schedule(plan, {0, n_items}, shares);
    std::vector<std::deque<ScheduledUnit>> on_their_way(shares.size());
    std::map<uint64_t, uint64_t> written;
    std::map<uint64_t, std::pair<uint32_t, uint32_t>> place;
    uint64_t steps = 0;
    while (!schedule.AllHandedOut() || schedule.units_on_their_way() > 0) {
      ASSERT_LT(++steps, 100'000u);
      std::optional<ScheduledUnit> next;
      if (random() % 3 != 0 || schedule.units_on_their_way() == 0) next = schedule.Next();
      if (next) {
        for (const UnitPart& part : next->unit.parts) {
          const auto here = std::pair(next->backend, next->lane);
          EXPECT_EQ(place.emplace(part.item, here).first->second, here);
          if (part.writes) written[part.item] += part.n_elems;
        }
        on_their_way[next->backend].push_back(std::move(*next));
        continue;
      }
      std::deque<ScheduledUnit>& done = on_their_way[random() % shares.size()];
      if (done.empty()) continue;
      schedule.Done(done.front());
      done.pop_front();
    }
    EXPECT_EQ(place.size(), n_items);
    for (uint64_t i = 0; i < n_items; ++i)
      EXPECT_EQ(written[i], items[i].action == PlanAction::kCopy ? items[i].size_bytes : items[i].job.n_elems);
  }
}

}  // namespace
}  // namespace gpumerge::test
