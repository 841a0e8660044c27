// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How tensors are cut: ways, parts, places in memory, limits.
#include "src/run/units.h"

#include "src/run/device_layout.h"
#include "tests/run/fake_device.h"
#include "tests/run/synthetic_plan.h"
#include "tests/support/errors.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace gpumerge::test {
namespace {

constexpr uint64_t kChunk = 8 * kBlockElems * kBytesAnElem;

UnitSizes DeviceSizes(const Backend& device, uint64_t kept_bytes) {
  return {.chunk_bytes = kChunk,
          .resident_bytes = kChunk,
          .device = &device,
          .device_memory = {.unit_bytes = 2 * kChunk, .n_units = 4, .kept_bytes = kept_bytes}};
}

std::vector<Unit> AllParts(const Plan& plan, const UnitSizes& sizes) {
  std::vector<Unit> units;
  for (PartCutter cutter(plan, 0, sizes); !cutter.AtEnd();) units.push_back(cutter.Next());
  return units;
}

TEST(UnitsTest, KeptTensorComesOnceAndGoesOnce) {
  const FakeDevice device;
  const UnitSizes sizes = DeviceSizes(device, 100 << 20);
  const uint64_t n_elems = 20 * kBlockElems + 5;
  const Plan plan = MakePlanOf({MakeItem(n_elems, kTiesPasses)});
  ASSERT_EQ(WayOf(plan.items[0], sizes), Way::kKept);
  EXPECT_EQ(FileReadings(plan.items[0], sizes), 1u);
  uint64_t in = 0, out = 0;
  int stage = 0;  // inputs, between, outputs
  for (const Unit& unit : AllParts(plan, sizes)) {
    ASSERT_EQ(unit.parts.size(), 1u);
    const UnitPart& part = unit.parts[0];
    EXPECT_TRUE(part.kept);
    EXPECT_LE(unit.bytes, kChunk);
    EXPECT_EQ(part.begins_item(), in == 0);
    if (part.brings_inputs) {
      EXPECT_EQ(stage, 0);
      EXPECT_EQ(part.first_elem, in);
      EXPECT_EQ(part.last_read, 1u);
      EXPECT_EQ(part.input_offsets.size(), 4u);
      EXPECT_FALSE(part.writes);
      in += part.n_elems;
    } else if (!part.writes) {
      EXPECT_EQ(stage++, 0);
      EXPECT_EQ(in, n_elems);
      EXPECT_EQ(part.n_elems, n_elems);
      EXPECT_EQ(part.first_read, 1u);
      EXPECT_EQ(part.last_read, 2u);
      EXPECT_EQ(unit.bytes, 0u);
    } else {
      EXPECT_EQ(stage, 1);
      EXPECT_EQ(part.first_elem, out);
      EXPECT_EQ(part.first_read, 2u);
      EXPECT_TRUE(part.input_offsets.empty());
      EXPECT_EQ(unit.bytes, (2 * part.n_elems + 63) / 64 * 64);
      out += part.n_elems;
    }
    EXPECT_EQ(part.ends_item, out == n_elems);
  }
  EXPECT_EQ(in, n_elems);
  EXPECT_EQ(out, n_elems);
}

// A tensor whose rows are ranked or summed.
PlanItem RowItem(uint64_t n_rows, uint64_t row_elems) {
  PlanItem item = MakeItem(n_rows * row_elems, {{PassKind::kReduceGroups, 2, ReduceOp::kSum, GroupAxis::kRows, 1},
                                                {PassKind::kMap, 0, ReduceOp::kSum, GroupAxis::kRows, 1, true}});
  item.job.shape = {n_rows, row_elems};
  return item;
}

TEST(UnitsTest, PartsOfATensorWithRowPassesAreWholeRowsAndWholeBlocks) {
  const FakeDevice device;
  const UnitSizes streamed{.chunk_bytes = 40 * kBlockElems * kBytesAnElem, .resident_bytes = 0};
  UnitSizes kept = DeviceSizes(device, 1 << 30);
  kept.chunk_bytes = kept.resident_bytes = streamed.chunk_bytes;
  for (const uint64_t row : {64u, 3072u, 20u, 5000u, 4096u, 8192u}) {
    const Plan plan = MakePlanOf({RowItem(5'000'000 / row + 3, row)});
    for (const UnitSizes& sizes : {streamed, kept}) {
      uint64_t n_parts = 0;
      for (const Unit& unit : AllParts(plan, sizes)) {
        EXPECT_EQ(unit.parts[0].first_elem % row, 0u) << row;
        EXPECT_EQ(unit.parts[0].first_elem % kBlockElems, 0u) << row;
        EXPECT_EQ(unit.parts[0].n_elems % row, 0u) << row;
        ++n_parts;
      }
      EXPECT_GT(n_parts, 3u) << row;
    }
  }
}

TEST(UnitsTest, RowsThatNeverEndWithABlockGoWhole) {
  const uint64_t row = 4097;
  const Plan plan = MakePlanOf({RowItem(100, row)});
  const UnitSizes sizes{.chunk_bytes = kChunk, .resident_bytes = 0, .max_chunk_elems = kBlockElems};
  EXPECT_EQ(SmallestChunkBytes(plan.items[0]), GroupBytes(plan.items[0]));
  for (const Unit& unit : AllParts(plan, sizes)) EXPECT_EQ(unit.parts[0].n_elems, 100 * row);
  // The same tensor with passes that do not care about rows.
  EXPECT_LT(SmallestChunkBytes(MakeItem(100 * row, kTiesPasses)), kChunk);
  EXPECT_EQ(SmallestChunkBytes(RowItem(100, 3072)), 3 * kBlockElems * kBytesAnElem);
}

TEST(UnitsTest, KeptTensorOfTwoReadingsHasNothingBetween) {
  const FakeDevice device;
  const UnitSizes sizes = DeviceSizes(device, 100 << 20);
  const Plan plan = MakePlanOf({MakeItem(20 * kBlockElems, kSlerpPasses)});
  for (const Unit& unit : AllParts(plan, sizes)) EXPECT_NE(unit.parts[0].brings_inputs, unit.parts[0].writes);
}

TEST(UnitsTest, WaysFollowSizesAndMemory) {
  const FakeDevice device({.state_bytes = 1000, .state_bytes_in_parts = 3000});
  const uint64_t fits = kChunk / kBytesAnElem, larger = fits + 100;
  const uint64_t need = HeldDeviceBytes(MakeItem(larger, kTiesPasses), Way::kKept, &device);
  EXPECT_GE(need, larger * 8 + 3000);
  EXPECT_LT(need, larger * 8 + 3000 + 5 * 256);
  EXPECT_EQ(WayOf(MakeItem(fits, kTiesPasses), DeviceSizes(device, 0)), Way::kWhole);
  EXPECT_EQ(WayOf(MakeItem(larger, kTiesPasses), DeviceSizes(device, need)), Way::kKept);
  EXPECT_EQ(WayOf(MakeItem(larger, kTiesPasses), DeviceSizes(device, need - 1)), Way::kStreamed);
  EXPECT_EQ(WayOf(MakeItem(larger, kLinearPasses), DeviceSizes(device, need)), Way::kStreamed) << "one reading";
  EXPECT_EQ(WayOf(MakeCopy(10 * larger), DeviceSizes(device, need)), Way::kStreamed);
  const FakeDevice much_state({.state_bytes = 3 * kChunk});
  EXPECT_NE(WayOf(MakeItem(fits, kTiesPasses), DeviceSizes(much_state, 100 << 20)), Way::kWhole);
  UnitSizes host = DeviceSizes(device, need);
  host.device = nullptr;
  EXPECT_EQ(WayOf(MakeItem(larger, kTiesPasses), host), Way::kStreamed);
  UnitSizes small_chunks = DeviceSizes(device, need);
  small_chunks.max_chunk_elems = kBlockElems;
  EXPECT_EQ(WayOf(MakeItem(kBlockElems + 1, kTiesPasses), small_chunks), Way::kKept);
  for (const Unit& unit : AllParts(MakePlanOf({MakeItem(3 * kBlockElems, kTiesPasses)}), small_chunks))
    EXPECT_TRUE(unit.parts[0].n_elems == kBlockElems || unit.bytes == 0);
}

// Its statistics are too large for a unit's memory, so they must not be taken for a whole tensor's.
TEST(UnitsTest, TheOnlyPartOfATensorIsAPart) {
  const FakeDevice device({.state_bytes = 3 * kChunk});
  const UnitSizes sizes = DeviceSizes(device, 100 << 20);
  const Plan plan = MakePlanOf({MakeItem(kChunk / kBytesAnElem, kLinearPasses)});
  ASSERT_EQ(WayOf(plan.items[0], sizes), Way::kStreamed);
  const std::vector<Unit> units = AllParts(plan, sizes);
  ASSERT_EQ(units.size(), 1u);
  EXPECT_TRUE(units[0].parts[0].in_parts);
  EXPECT_TRUE(units[0].parts[0].begins_item() && units[0].parts[0].ends_item);
}

TEST(UnitsTest, BatchHasAllInputsFirstAndCopiesLast) {
  const FakeDevice device;
  const UnitSizes sizes = DeviceSizes(device, 0);
  const Plan plan = MakePlanOf({MakeItem(100, kTiesPasses), MakeCopy(33), MakeItem(7, kLinearPasses)});
  Batch batch(plan, sizes);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(batch.Add(i));
  const Unit unit = batch.Take();
  std::vector<uint64_t> offsets = unit.parts[0].input_offsets;
  const std::vector<uint64_t>& second = unit.parts[2].input_offsets;
  offsets.insert(offsets.end(), second.begin(), second.end());
  for (const uint64_t output : {unit.parts[0].output_offset, unit.parts[2].output_offset}) offsets.push_back(output);
  offsets.insert(offsets.end(), unit.parts[1].input_offsets.begin(), unit.parts[1].input_offsets.end());
  EXPECT_TRUE(std::is_sorted(offsets.begin(), offsets.end()));
  EXPECT_EQ(std::set<uint64_t>(offsets.begin(), offsets.end()).size(), offsets.size());
  for (const uint64_t offset : offsets) EXPECT_EQ(offset % 64, 0u);
  EXPECT_EQ(unit.parts[1].output_offset, unit.parts[1].input_offsets[0]) << "written from where it was read";
  EXPECT_EQ(unit.bytes, 4 * 256 + 4 * 64 + 256 + 64 + 4 * 128u);
}

TEST(UnitsTest, BatchKeepsToChunkDeviceMemoryAndNumber) {
  const std::vector<PlanItem> items(400, MakeItem(10, kTiesPasses));  // 320 bytes each
  const Plan plan = MakePlanOf(items);
  const auto fill = [&](const UnitSizes& sizes) {
    Batch batch(plan, sizes);
    uint64_t n = 0;
    while (n < 400 && batch.Add(n)) ++n;
    return n;
  };
  const FakeDevice small_state({.state_bytes = 10}), large_state({.state_bytes = 100'000});
  EXPECT_EQ(fill(DeviceSizes(small_state, 0)), 256u);
  EXPECT_EQ(fill(DeviceSizes(large_state, 0)), 2 * kChunk / (100'096 + 320));
  UnitSizes narrow = DeviceSizes(small_state, 0);
  narrow.chunk_bytes = 3200;
  EXPECT_EQ(fill(narrow), 10u);
}

TEST(UnitsTest, EveryMemoryGivesUnitsThatFitOrAnError) {
  std::mt19937_64 random(1);
  const FakeDevice device({.state_bytes = 5000, .state_bytes_in_parts = 20'000});
  for (int round = 0; round < 200; ++round) {
    std::vector<PlanItem> items;
    for (int i = 0; i < 6; ++i) {
      const uint64_t n_elems = random() % (uint64_t{1} << (random() % 22));
      items.push_back(i == 5 ? MakeCopy(n_elems)
                             : MakeItem(n_elems, i % 3 == 0   ? kTiesPasses
                                                 : i % 3 == 1 ? kSlerpPasses
                                                              : kLinearPasses));
    }
    const Plan plan = MakePlanOf(items);
    const uint64_t least = SmallestDeviceBytes(plan, device);
    const uint64_t staging = 2 * LargestSmallestChunk(plan) + random() % (64 << 20);
    EXPECT_EQ(CodeOf([&] { LayOutDevice(plan, {}, device, staging, 2 * LargestSmallestChunk(plan) - 1); }),
              "DEV-MEMORY");
    for (const uint64_t more : {uint64_t{0}, random() % 100'000, random() % 10'000'000, uint64_t{1} << 36}) {
      const UnitSizes sizes = LayOutDevice(plan, {}, device, staging, least + more);
      EXPECT_LE(sizes.device_memory.total_bytes(), least + more);
      EXPECT_LE(sizes.chunk_bytes, std::max(LargestSmallestChunk(plan), staging / 6));
      EXPECT_LE(sizes.chunk_bytes, sizes.device_memory.unit_bytes);
      for (uint64_t i = 0; i < items.size(); ++i) {
        const Way way = WayOf(items[i], sizes);
        EXPECT_LE(HeldDeviceBytes(items[i], way, &device), sizes.device_memory.kept_bytes);
        if (way == Way::kWhole && items[i].action == PlanAction::kMerge) {
          EXPECT_LE(WholeDeviceBytes(items[i], device), sizes.device_memory.unit_bytes);
        }
        if (way == Way::kWhole) continue;
        for (PartCutter cutter(plan, i, sizes); !cutter.AtEnd();) EXPECT_LE(cutter.Next().bytes, sizes.chunk_bytes);
      }
    }
  }
}

}  // namespace
}  // namespace gpumerge::test
