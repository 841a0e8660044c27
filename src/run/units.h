// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Cuts a plan into units, the pieces that move through the pipeline: a batch of small tensors, a whole tensor that
// stays in memory for all of its passes, or one chunk of a streamed tensor for one reading of it. Which it is never
// changes a byte of the output. No threads, no I/O.
#pragma once

#include "gpumerge/plan.h"

#include <cstdint>
#include <vector>

namespace gpumerge {

// One tensor's part of a unit: elements [first_elem, first_elem + n_elems). A copied tensor counts bytes as elements.
struct UnitPart {
  uint64_t item = 0;  // index in Plan::items
  uint64_t first_elem = 0, n_elems = 0;
  uint32_t first_read = 0, last_read = 0;  // see Work
  bool writes = false;                     // its output is complete after this part
  bool ends_item = false;                  // nothing of the item follows
  std::vector<uint64_t> input_offsets;     // in the unit's memory, (n_inputs)
  uint64_t output_offset = 0;
};

struct Unit {
  std::vector<UnitPart> parts;
  uint64_t bytes = 0;  // of staging memory
};

struct UnitSizes {
  uint64_t chunk_bytes = 0;      // aim of a batch or chunk
  uint64_t resident_bytes = 0;   // the largest tensor group that stays in memory
  bool can_stream = true;        // false: every tensor is a unit of its own or in a batch
  uint64_t max_chunk_elems = 0;  // 0 = no limit; for tests
};

// Memory of the whole group of an item: inputs and output.
uint64_t GroupBytes(const PlanItem& item);
// Memory of the smallest chunk of an item.
uint64_t SmallestChunkBytes(const PlanItem& item);
// Readings that a streamed item needs; 1 for a copy.
uint32_t ReadingsOf(const PlanItem& item);
// Whether the item is cut into chunks that are read once a reading.
bool IsStreamed(const PlanItem& item, const UnitSizes& sizes);

class UnitSource {
 public:
  UnitSource(const Plan& plan, PlanPart part, const UnitSizes& sizes);
  // The next unit, or false at the end.
  bool Next(Unit* unit);

 private:
  void AddWhole(Unit* unit, const PlanItem& item);
  bool FitsBatch(const Unit& unit, const PlanItem& item) const;
  void AddChunk(Unit* unit, const PlanItem& item);

  const Plan& plan_;
  UnitSizes sizes_;
  uint64_t item_, end_;
  uint32_t read_ = 0;        // of the current streamed item
  uint64_t first_elem_ = 0;  // of the current streamed item
};

}  // namespace gpumerge
