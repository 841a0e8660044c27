// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/layout.h"

#include "src/run/device_layout.h"
#include "src/run/memory.h"
#include "src/run/part_tasks.h"
#include "src/run/selfcheck.h"

#include "gpumerge/merge.h"

#include <algorithm>
#include <set>

namespace gpumerge {
namespace {

// A batch or chunk of about this size keeps several units in the last-level cache on their way through the pipeline.
constexpr uint64_t kChunkBytes = 4 << 20;
// A part that a thread reads, works on and writes stays in its second-level cache.
constexpr uint64_t kPartBytes = 1280 << 10;
constexpr uint64_t kRoomBesideBytes = 64 << 20;
// Units on their way at once: one is read, one computed, one written, and a few wait. More of them for a device, which
// works on several.
constexpr uint64_t kUnitsAtOnce = 6, kDeviceUnitsAtOnce = 16;
// Stacks, hash states, queues, the allocator's own.
constexpr uint64_t kSlackBytes = 5 << 20;
// What is kept of every item until the report is written, and its part of the report.
constexpr uint64_t kItemBytes = 1200, kInputBytes = 500;

// All that a backend's scratch depends on: the number of inputs, the passes, whether it is large, and the rows that are
// ranked.
std::vector<uint64_t> ScratchOf(const PlanItem& item) {
  std::vector<uint64_t> key = {item.inputs.size(), item.job.n_elems > PartWorkers::kWholeElems ? 1u : 0u};
  for (const PassInfo& pass : item.passes) {
    key.insert(key.end(), {static_cast<uint64_t>(pass.kind), pass.n_values, pass.n_group_values});
    if (pass.ranks) key.insert(key.end(), {item.job.row_elems(), item.job.n_elems});
  }
  return key;
}

// Of a backend whose caller's threads work on whole tensors side by side.
uint64_t WholeAtOnce(Backend& backend) {
  const PartWorkers* workers = backend.part_workers();
  return workers != nullptr ? workers->n_workers() : 0;
}

// Scratch and states of one backend.
uint64_t BackendBytes(const Plan& plan, Backend& backend) {
  // One job stands for all with the same scratch.
  std::vector<const MergeJob*> jobs;
  std::set<std::vector<uint64_t>> seen;
  uint64_t state = 0, whole_state = 0;
  for (const PlanItem& item : plan.items) {
    if (item.action != PlanAction::kMerge) continue;
    const uint64_t bytes = backend.StateBytes(item.job, item.passes);
    state = std::max(state, bytes);
    if (item.job.n_elems <= PartWorkers::kWholeElems) whole_state = std::max(whole_state, bytes);
    if (seen.insert(ScratchOf(item)).second) jobs.push_back(&item.job);
  }
  // One tensor more than lanes: the next one's state is made while the last one's is still needed.
  return backend.FixedBytes(jobs) + (backend.Info().lanes + 1) * state + WholeAtOnce(backend) * whole_state;
}

uint64_t OverheadBytes(const Plan& plan, const RunOptions& options, std::span<Backend* const> backends) {
  uint64_t bytes = ResidentBytes(false) + kSlackBytes, lanes = 0, whole_at_once = 0;
  for (const PlanItem& item : plan.items) bytes += kItemBytes + item.inputs.size() * kInputBytes;
  for (Backend* backend : backends) {
    bytes += BackendBytes(plan, *backend);
    lanes += WholeAtOnce(*backend) > 0 ? kMostInParts : backend->Info().lanes;
    whole_at_once += WholeAtOnce(*backend);
  }
  const std::vector<uint64_t> checked = SelfcheckItems(plan, {0, plan.items.size()}, options.selfcheck_percent);
  return checked.empty() ? bytes : bytes + SelfcheckBytes(plan, checked, lanes, whole_at_once);
}

// What backends that work in staging memory like, beside devices or alone.
UnitSizes HostUnits(const RunOptions& options, const Backend& backend, uint64_t staging_bytes, uint64_t largest_chunk,
                    bool has_device) {
  UnitSizes sizes;
  sizes.can_stream = backend.Info().can_stream;
  sizes.max_chunk_elems = options.max_chunk_elems;
  sizes.resident_bytes = has_device ? staging_bytes / 2 : staging_bytes;
  sizes.chunk_bytes = std::max(largest_chunk, std::min(kChunkBytes, staging_bytes / kUnitsAtOnce));
  return sizes;
}

// Threads that read for themselves: one part each. As many of them as there is room for.
void LayOutParts(const RunOptions& options, const PartWorkers& workers, uint64_t available, uint64_t largest_chunk,
                 uint64_t largest_group, MemoryLayout* layout) {
  const uint64_t aim = std::min(kPartBytes, std::max<uint64_t>(largest_group, 64));
  const uint64_t part_bytes = std::max(largest_chunk, std::min(aim, available / workers.n_workers() / 64 * 64));
  layout->staging_bytes = std::min(available / part_bytes, uint64_t{workers.n_workers()}) * part_bytes;
  UnitSizes sizes;
  sizes.workers = &workers;
  sizes.max_chunk_elems = options.max_chunk_elems;
  sizes.resident_bytes = sizes.chunk_bytes = part_bytes;
  layout->units.push_back(sizes);
}

// The staging memory that does well, when there is as much as one likes.
uint64_t StagingAim(const Plan& plan, std::span<Backend* const> backends, uint64_t available, uint64_t largest_chunk,
                    uint64_t largest_group) {
  uint64_t aim = 0;
  for (const Backend* backend : backends) {
    const BackendInfo info = backend->Info();
    if (info.keeps()) {
      aim = std::max(aim, kDeviceUnitsAtOnce * DeviceChunkBytes(plan, available, info.device_bytes));
    } else {
      // The largest group and some room beside it: more would be touched for the first time, which costs more than it
      // gains.
      const uint64_t chunk = std::max(largest_chunk, std::min(kChunkBytes, available / kUnitsAtOnce));
      aim += largest_group + std::max(kRoomBesideBytes, kUnitsAtOnce * chunk);
    }
  }
  return aim;
}

}  // namespace

MemoryLayout LayOutMemory(const Plan& plan, const RunOptions& options, std::span<Backend* const> backends,
                          uint64_t most_staging_bytes) {
  MemoryLayout layout;
  layout.budget_bytes = options.memory_bytes.value_or(DefaultMemoryBytes(plan));
  layout.overhead_bytes = OverheadBytes(plan, options, backends);

  const uint64_t largest_chunk = LargestSmallestChunk(plan);
  uint64_t largest_group = 0;
  for (const PlanItem& item : plan.items) largest_group = std::max(largest_group, GroupBytes(item));
  bool has_device = false, can_stream = true;
  for (const Backend* backend : backends) {
    has_device = has_device || backend->Info().keeps();
    can_stream = can_stream && backend->Info().can_stream;
  }
  // Two chunks, so that reading and merging overlap; a backend that cannot stream holds its largest tensor.
  const PartWorkers* workers = backends.size() == 1 ? backends[0]->part_workers() : nullptr;
  const uint64_t smallest = workers != nullptr ? std::max<uint64_t>(largest_chunk, 64)
                            : can_stream       ? 2 * largest_chunk
                                               : largest_group;
  layout.smallest_staging_bytes = smallest;
  // Some megabytes more, because the process is not the same size in every run: one that merges has touched more of the
  // program than one that plans.
  constexpr uint64_t kRound = 1 << 20;
  layout.smallest_budget_bytes = (layout.overhead_bytes + smallest) / kRound * kRound + 4 * kRound;
  if (layout.budget_bytes < layout.overhead_bytes + smallest) return layout;

  uint64_t available = std::min(most_staging_bytes, layout.budget_bytes - layout.overhead_bytes);
  if (has_device) available = std::min(available, options.pinned_bytes.value_or(available));
  if (available < smallest) return layout;
  if (workers != nullptr) {
    LayOutParts(options, *workers, available, smallest, largest_group, &layout);
    return layout;
  }
  uint64_t all = 0;
  for (const PlanItem& item : plan.items) all += GroupBytes(item);
  // A small model goes in one batch, and needs no more than that takes.
  const uint64_t aim =
      std::min(kUnitsAtOnce * all, StagingAim(plan, backends, available, largest_chunk, largest_group));
  layout.staging_bytes = std::min(available, std::max(smallest, aim)) / 64 * 64;
  for (const Backend* backend : backends) {
    const BackendInfo info = backend->Info();
    layout.units.push_back(info.keeps()
                               ? LayOutDevice(plan, options, *backend, layout.staging_bytes, info.device_bytes)
                               : HostUnits(options, *backend, layout.staging_bytes, largest_chunk, has_device));
  }
  return layout;
}

}  // namespace gpumerge
