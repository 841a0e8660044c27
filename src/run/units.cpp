// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/units.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace gpumerge {
namespace {

// Sums of counters in 32 bits hold for at most this many elements at once.
constexpr uint64_t kMaxResidentElems = uint64_t{1} << 31;

// Every item on its way has a state and hashes, so the number of tiny ones is bounded as well as their bytes. A launch
// on a device costs more than a call.
constexpr size_t kMaxBatchItems = 128, kMaxDeviceBatchItems = 256;

// See DeviceMemory::kept_bytes.
constexpr uint64_t AlignKept(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

bool IsCopy(const PlanItem& item) { return item.action == PlanAction::kCopy; }

// A copied tensor is bytes, whatever its type.
uint64_t Elems(const PlanItem& item) { return IsCopy(item) ? item.size_bytes : item.job.n_elems; }

uint64_t InputElemBytes(const PlanItem& item, size_t input) {
  return IsCopy(item) ? 1 : ElementBytes(item.job.inputs[input].dtype);
}

// A copy is written from where it was read.
uint64_t OutputElemBytes(const PlanItem& item) { return IsCopy(item) ? 0 : ElementBytes(item.job.out_dtype); }

uint64_t PartBytes(const PlanItem& item, uint64_t n_elems, bool with_inputs, bool with_output) {
  uint64_t bytes = with_output ? AlignBytes(n_elems * OutputElemBytes(item)) : 0;
  for (size_t i = 0; with_inputs && i < item.inputs.size(); ++i) bytes += AlignBytes(n_elems * InputElemBytes(item, i));
  return bytes;
}

// Parts begin at multiples of this, and it is the smallest of them. A tensor that cannot be cut is one.
uint64_t SmallestPart(const PlanItem& item) {
  return IsCopy(item) ? kBlockElems : std::min(CutElems(item.job, item.passes), std::max(Elems(item), kBlockElems));
}

// 0 = no limit.
uint64_t MostElems(const PlanItem& item, const UnitSizes& sizes) {
  const uint64_t part = SmallestPart(item);
  return (sizes.max_chunk_elems + part - 1) / part * part;
}

bool GoesWhole(const PlanItem& item, const UnitSizes& sizes) {
  const bool on_device = sizes.device != nullptr && !IsCopy(item);
  if (!sizes.can_stream && !IsCopy(item)) return true;
  if (sizes.max_chunk_elems > 0 && Elems(item) > MostElems(item, sizes)) return false;
  if (Elems(item) > kMaxResidentElems) return false;
  if (sizes.workers != nullptr && !IsCopy(item) && Elems(item) > PartWorkers::kWholeElems) return false;
  // One reading needs nothing in memory but the chunk at hand.
  if (GroupBytes(item) > (ReadingsOf(item) == 1 ? sizes.chunk_bytes : sizes.resident_bytes)) return false;
  return !on_device || WholeDeviceBytes(item, *sizes.device) <= sizes.device_memory.unit_bytes;
}

// All inputs, then all outputs, so that one copy to a device and one back do for the whole unit. What is only copied
// stays out of their way.
void Place(const Plan& plan, Unit* unit) {
  const auto place_inputs = [&](bool of_copies) {
    for (UnitPart& part : unit->parts) {
      const PlanItem& item = plan.items[part.item];
      if (!part.brings_inputs || IsCopy(item) != of_copies) continue;
      for (size_t i = 0; i < item.inputs.size(); ++i) {
        part.input_offsets.push_back(unit->bytes);
        unit->bytes += AlignBytes(part.n_elems * InputElemBytes(item, i));
      }
      if (of_copies) part.output_offset = part.input_offsets[0];
    }
  };
  place_inputs(false);
  for (UnitPart& part : unit->parts) {
    const PlanItem& item = plan.items[part.item];
    if (!part.writes || IsCopy(item)) continue;
    part.output_offset = unit->bytes;
    unit->bytes += AlignBytes(part.n_elems * OutputElemBytes(item));
  }
  place_inputs(true);
}

}  // namespace

uint64_t GroupBytes(const PlanItem& item) { return PartBytes(item, Elems(item), true, true); }
uint64_t SmallestChunkBytes(const PlanItem& item) {
  return PartBytes(item, std::min(Elems(item), SmallestPart(item)), true, true);
}

uint32_t ReadingsOf(const PlanItem& item) { return IsCopy(item) ? 1 : TotalReads(item.passes); }

uint32_t FileReadings(const PlanItem& item, const UnitSizes& sizes) {
  if (WayOf(item, sizes) != Way::kStreamed || IsCopy(item)) return 1;
  return sizes.workers != nullptr ? sizes.workers->LikelyReadings(item.passes) : ReadingsOf(item);
}

Way WayOf(const PlanItem& item, const UnitSizes& sizes) {
  if (GoesWhole(item, sizes)) return Way::kWhole;
  if (sizes.device == nullptr || ReadingsOf(item) == 1 || Elems(item) > kMaxResidentElems) return Way::kStreamed;
  const bool fits = HeldDeviceBytes(item, Way::kKept, sizes.device) <= sizes.device_memory.kept_bytes;
  return fits ? Way::kKept : Way::kStreamed;
}

uint64_t HeldDeviceBytes(const PlanItem& item, Way way, const Backend* device) {
  if (device == nullptr || way == Way::kWhole || IsCopy(item)) return 0;
  uint64_t bytes = AlignKept(device->DeviceStateBytes(item.job, item.passes, true));
  for (size_t i = 0; way == Way::kKept && i < item.inputs.size(); ++i)
    bytes += AlignKept(item.job.n_elems * InputElemBytes(item, i));
  return bytes;
}

uint64_t WholeDeviceBytes(const PlanItem& item, const Backend& device) {
  if (IsCopy(item)) return 0;
  return GroupBytes(item) + AlignKept(device.DeviceStateBytes(item.job, item.passes, false));
}

bool Batch::Add(uint64_t index) {
  const PlanItem& item = plan_.items[index];
  const uint64_t device_bytes = sizes_.device != nullptr ? WholeDeviceBytes(item, *sizes_.device) : 0;
  if (!unit_.parts.empty()) {
    const size_t most_items = sizes_.device != nullptr ? kMaxDeviceBatchItems : kMaxBatchItems;
    if (unit_.parts.size() == most_items || unit_.bytes + GroupBytes(item) > sizes_.chunk_bytes) return false;
    if (device_bytes_ + device_bytes > sizes_.device_memory.unit_bytes) return false;
  }
  UnitPart part;
  part.item = index;
  part.n_elems = Elems(item);
  part.last_read = ReadingsOf(item);
  part.writes = part.ends_item = true;
  unit_.parts.push_back(std::move(part));
  unit_.bytes += GroupBytes(item);
  device_bytes_ += device_bytes;
  return true;
}

Unit Batch::Take() {
  unit_.bytes = 0;
  Place(plan_, &unit_);
  return std::move(unit_);
}

PartCutter::PartCutter(const Plan& plan, uint64_t item, const UnitSizes& sizes)
    : plan_(plan),
      sizes_(sizes),
      item_(item),
      way_(WayOf(plan.items[item], sizes)),
      readings_(ReadingsOf(plan.items[item])) {}

// The largest power of two of smallest parts that fits.
uint64_t PartElems(const PlanItem& item, const UnitSizes& sizes, bool with_inputs, bool with_output) {
  const uint64_t smallest = SmallestPart(item);
  const uint64_t most = sizes.chunk_bytes / PartBytes(item, smallest, with_inputs, with_output);
  const uint64_t elems = std::bit_floor(std::max<uint64_t>(1, most)) * smallest;
  return sizes.max_chunk_elems > 0 ? std::min(elems, MostElems(item, sizes)) : elems;
}

Unit PlacedUnit(const Plan& plan, UnitPart part) {
  Unit unit;
  unit.parts.push_back(std::move(part));
  Place(plan, &unit);
  return unit;
}

Unit PartCutter::Next() {
  const bool kept = way_ == Way::kKept;
  const uint64_t n_elems = Elems(plan_.items[item_]);
  UnitPart part;
  part.item = item_;
  part.kept = kept;
  part.in_parts = true;
  part.first_elem = first_elem_;
  part.first_read = read_;
  part.last_read = read_ + 1;
  part.writes = part.last_read == readings_;
  part.brings_inputs = !kept || read_ == 0;
  const bool between = kept && read_ > 0 && !part.writes;  // of a kept tensor: all of it at once
  if (between) part.last_read = readings_ - 1;
  const uint64_t most =
      between ? n_elems : PartElems(plan_.items[item_], sizes_, part.brings_inputs, part.writes || !kept);
  part.n_elems = std::min(most, n_elems - first_elem_);
  first_elem_ += part.n_elems;
  if (first_elem_ == n_elems) {
    first_elem_ = 0;
    read_ = part.last_read;
    part.ends_item = AtEnd();
  }
  return PlacedUnit(plan_, std::move(part));
}

}  // namespace gpumerge
