// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Cuts tensors into units, the pieces that move through the pipeline: a batch of whole tensors, or one part of a tensor
// that comes in parts. Which it is never changes a byte of the output. No threads, no I/O.
#pragma once

#include "gpumerge/backend.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <vector>

namespace gpumerge {

// How an item goes through the pipeline.
enum class Way : uint8_t {
  kWhole,     // in one unit, perhaps with others
  kKept,      // in parts, read once: the backend keeps the inputs in its own memory
  kStreamed,  // in parts, read once a reading
};

// One tensor's part of a unit: elements [first_elem, first_elem + n_elems). A copied tensor counts bytes as elements.
struct UnitPart {
  uint64_t item = 0;  // index in Plan::items
  uint64_t first_elem = 0, n_elems = 0;
  uint32_t first_read = 0, last_read = 0;  // see Work
  bool kept = false;                       // see Work
  bool in_parts = false;                   // see Work
  bool brings_inputs = true;               // false: they are kept
  bool writes = false;                     // its output is complete after this part
  bool ends_item = false;                  // nothing of the item follows
  std::vector<uint64_t> input_offsets{};   // in the unit's memory, (n_inputs), or none
  uint64_t output_offset = 0;

  bool begins_item() const { return first_elem == 0 && first_read == 0; }
};

struct Unit {
  std::vector<UnitPart> parts;
  uint64_t bytes = 0;  // of staging memory
};

// How one backend likes its units.
struct UnitSizes {
  uint64_t chunk_bytes = 0;     // aim of a batch or chunk
  uint64_t resident_bytes = 0;  // the largest tensor group that stays in memory
  bool can_stream = true;       // false: every tensor is a unit of its own or in a batch
  // Where parts are worked on by the threads that read them: who says how often. Resident is what goes in one part.
  const PartWorkers* workers = nullptr;
  uint64_t max_chunk_elems = 0;  // 0 = no limit; for tests
  // Where Backend::Info().keeps(): whom to ask for the size of statistics, and what was allocated.
  const Backend* device = nullptr;
  DeviceMemory device_memory{};
};

// Memory of the whole group of an item: inputs and output.
uint64_t GroupBytes(const PlanItem& item);
// Memory of the smallest chunk of an item.
uint64_t SmallestChunkBytes(const PlanItem& item);
// Readings that a streamed item needs; 1 for a copy.
uint32_t ReadingsOf(const PlanItem& item);
// How often the item's inputs are read from their files.
uint32_t FileReadings(const PlanItem& item, const UnitSizes& sizes);

Way WayOf(const PlanItem& item, const UnitSizes& sizes);
// Of the device's memory, what an item that goes this way needs beside its unit from its first part to its last: kept
// inputs and statistics. 0 without a device, for whole items and for copies.
uint64_t HeldDeviceBytes(const PlanItem& item, Way way, const Backend* device);
// Of the device's memory, what a whole item adds to its unit.
uint64_t WholeDeviceBytes(const PlanItem& item, const Backend& device);

// The largest part, in elements, that fits in a chunk.
uint64_t PartElems(const PlanItem& item, const UnitSizes& sizes, bool with_inputs, bool with_output);
// A unit of one part, which has its memory.
Unit PlacedUnit(const Plan& plan, UnitPart part);

// Collects whole items. The first one always fits.
class Batch {
 public:
  Batch(const Plan& plan, const UnitSizes& sizes) : plan_(plan), sizes_(sizes) {}
  // False when the batch has no room for the item, which must go whole.
  bool Add(uint64_t item);
  // The batch so far; no use after that.
  Unit Take();

 private:
  const Plan& plan_;
  const UnitSizes& sizes_;
  Unit unit_;
  uint64_t device_bytes_ = 0;
};

// The parts of one item that does not go whole, in order.
class PartCutter {
 public:
  PartCutter(const Plan& plan, uint64_t item, const UnitSizes& sizes);
  bool AtEnd() const { return read_ == readings_; }
  // Whether the next unit reads nothing and only brings back output.
  bool NextOnlyWrites() const { return way_ == Way::kKept && read_ + 1 == readings_; }
  Unit Next();

  uint64_t item() const { return item_; }
  Way way() const { return way_; }

 private:
  const Plan& plan_;
  const UnitSizes& sizes_;
  uint64_t item_;
  Way way_;
  uint32_t readings_;
  uint32_t read_ = 0;
  uint64_t first_elem_ = 0;
};

}  // namespace gpumerge
