// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/units.h"

#include "gpumerge/backend.h"

#include <algorithm>
#include <bit>

namespace gpumerge {
namespace {

constexpr uint64_t Align(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

// A copied tensor is bytes, whatever its type.
uint64_t Elems(const PlanItem& item) { return item.action == PlanAction::kCopy ? item.size_bytes : item.job.n_elems; }

uint64_t InputElemBytes(const PlanItem& item, size_t input) {
  return item.action == PlanAction::kCopy ? 1 : ElementBytes(item.job.inputs[input].dtype);
}

// A copy is written from where it was read.
uint64_t OutputElemBytes(const PlanItem& item) {
  return item.action == PlanAction::kCopy ? 0 : ElementBytes(item.job.out_dtype);
}

uint64_t PartBytes(const PlanItem& item, uint64_t n_elems) {
  uint64_t bytes = Align(n_elems * OutputElemBytes(item));
  for (size_t i = 0; i < item.inputs.size(); ++i) bytes += Align(n_elems * InputElemBytes(item, i));
  return bytes;
}

// The largest power of two of blocks whose part fits.
uint64_t ChunkElems(const PlanItem& item, const UnitSizes& sizes) {
  const uint64_t most_blocks = sizes.chunk_bytes / PartBytes(item, kBlockElems);
  uint64_t elems = std::bit_floor(std::max<uint64_t>(1, most_blocks)) * kBlockElems;
  if (sizes.max_chunk_elems > 0)
    elems = std::min(elems, (sizes.max_chunk_elems + kBlockElems - 1) / kBlockElems * kBlockElems);
  return elems;
}

// Sums of counters in 32 bits hold for at most this many elements at once.
constexpr uint64_t kMaxResidentElems = uint64_t{1} << 31;

// Every item on its way has a state and hashes, so the number of tiny ones is bounded as well as their bytes.
constexpr size_t kMaxBatchItems = 128;

void Place(const PlanItem& item, uint64_t n_elems, Unit* unit, UnitPart* part) {
  for (size_t i = 0; i < item.inputs.size(); ++i) {
    part->input_offsets.push_back(unit->bytes);
    unit->bytes += Align(n_elems * InputElemBytes(item, i));
  }
  part->n_elems = n_elems;
  part->output_offset = item.action == PlanAction::kCopy ? part->input_offsets[0] : unit->bytes;
  if (part->writes) unit->bytes += Align(n_elems * OutputElemBytes(item));
}

}  // namespace

uint64_t GroupBytes(const PlanItem& item) { return PartBytes(item, Elems(item)); }
uint64_t SmallestChunkBytes(const PlanItem& item) { return PartBytes(item, std::min(Elems(item), kBlockElems)); }

uint32_t ReadingsOf(const PlanItem& item) { return item.action == PlanAction::kCopy ? 1 : TotalReads(item.passes); }

bool IsStreamed(const PlanItem& item, const UnitSizes& sizes) {
  if (!sizes.can_stream && item.action != PlanAction::kCopy) return false;
  if (sizes.max_chunk_elems > 0 && Elems(item) > ChunkElems(item, sizes)) return true;
  if (Elems(item) > kMaxResidentElems) return true;
  // One reading needs nothing in memory but the chunk at hand.
  return GroupBytes(item) > (ReadingsOf(item) == 1 ? sizes.chunk_bytes : sizes.resident_bytes);
}

UnitSource::UnitSource(const Plan& plan, PlanPart part, const UnitSizes& sizes)
    : plan_(plan), sizes_(sizes), item_(part.first), end_(part.last) {}

bool UnitSource::Next(Unit* unit) {
  *unit = {};
  while (item_ < end_) {
    const PlanItem& item = plan_.items[item_];
    if (IsStreamed(item, sizes_)) {
      if (!unit->parts.empty()) return true;
      AddChunk(unit, item);
      return true;
    }
    if (!FitsBatch(*unit, item)) return true;
    AddWhole(unit, item);
  }
  return !unit->parts.empty();
}

bool UnitSource::FitsBatch(const Unit& unit, const PlanItem& item) const {
  return unit.parts.empty() ||
         (unit.parts.size() < kMaxBatchItems && unit.bytes + GroupBytes(item) <= sizes_.chunk_bytes);
}

void UnitSource::AddWhole(Unit* unit, const PlanItem& item) {
  UnitPart part;
  part.item = item_++;
  part.last_read = ReadingsOf(item);
  part.writes = part.ends_item = true;
  Place(item, Elems(item), unit, &part);
  unit->parts.push_back(std::move(part));
}

void UnitSource::AddChunk(Unit* unit, const PlanItem& item) {
  UnitPart part;
  part.item = item_;
  part.first_elem = first_elem_;
  part.first_read = read_;
  part.last_read = read_ + 1;
  part.writes = part.last_read == ReadingsOf(item);
  const uint64_t n_elems = std::min(ChunkElems(item, sizes_), Elems(item) - first_elem_);
  first_elem_ += n_elems;
  if (first_elem_ == Elems(item)) {
    first_elem_ = 0;
    if (++read_ == ReadingsOf(item)) {
      part.ends_item = true;
      read_ = 0;
      ++item_;
    }
  }
  Place(item, n_elems, unit, &part);
  unit->parts.push_back(std::move(part));
}

}  // namespace gpumerge
