// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The allocations of layout.h, which take less where there is less.
#include "src/base/text.h"
#include "src/run/device_layout.h"
#include "src/run/layout.h"

#include <fmt/format.h>

#include <algorithm>

namespace gpumerge {
namespace {

Error TooSmall(const MemoryLayout& layout, const RunOptions& options) {
  const bool pinned = layout.overhead_bytes + layout.smallest_staging_bytes <= layout.budget_bytes;
  const uint64_t least = pinned ? layout.smallest_staging_bytes : layout.smallest_budget_bytes;
  const uint64_t given = pinned ? options.pinned_bytes.value_or(0) : layout.budget_bytes;
  return Error({.code = ErrorCode::kResMemory,
                .message = pinned ? "the pinned memory is too little for this merge"
                                  : "the memory budget is too small for this merge",
                .found = FormatBytes(given),
                .expected = fmt::format("at least {} bytes ({})", least, FormatBytes(least)),
                .help = pinned ? "give more with --pinned" : "give more with --memory, or use fewer threads"});
}

void AllocateStaging(const Plan& plan, const RunOptions& options, std::span<Backend* const> backends,
                     RunMemory* memory) {
  MemoryLayout& layout = memory->layout;
  while (memory->staging.empty()) {
    if (layout.staging_bytes == 0) throw TooSmall(layout, options);
    const uint64_t bytes = layout.staging_bytes;
    try {
      memory->staging = backends[0]->AllocateStaging(bytes);
    } catch (const Error& error) {
      const bool may_halve = backends[0]->Info().keeps() && bytes / 2 >= layout.smallest_staging_bytes;
      if (error.code() != ErrorCode::kResMemory || !may_halve) throw;
      memory->warnings.push_back({.code = error.code(),
                                  .message = fmt::format("{} of staging memory could not be pinned; the merge does "
                                                         "with {}",
                                                         FormatBytes(bytes), FormatBytes(bytes / 2)),
                                  .found = error.what(),
                                  .help = "give less with --pinned"});
      layout = LayOutMemory(plan, options, backends, bytes / 2);
    }
  }
}

void AllocateDevice(const Plan& plan, const RunOptions& options, Backend* device, uint64_t staging_bytes,
                    UnitSizes* sizes, std::vector<Diagnostic>* warnings) {
  while (true) {
    const uint64_t bytes = sizes->device_memory.total_bytes();
    try {
      return device->AllocateDevice(sizes->device_memory);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kDeviceMemory || bytes / 2 < SmallestDeviceBytes(plan, *device)) throw;
      *sizes = LayOutDevice(plan, options, *device, staging_bytes, bytes / 2);
      warnings->push_back({.code = error.code(),
                           .message = fmt::format("{} has less memory than it said: {} could not be had; the merge "
                                                  "does with {}",
                                                  device->Info().name, FormatBytes(bytes),
                                                  FormatBytes(sizes->device_memory.total_bytes())),
                           .found = error.what(),
                           .help = "end other programs on the GPU, or give less with --vram"});
    }
  }
}

}  // namespace

RunMemory AllocateMemory(const Plan& plan, const RunOptions& options, std::span<Backend* const> backends) {
  RunMemory memory;
  memory.layout = LayOutMemory(plan, options, backends);
  AllocateStaging(plan, options, backends, &memory);
  for (size_t b = 0; b < backends.size(); ++b)
    if (backends[b]->Info().keeps())
      AllocateDevice(plan, options, backends[b], memory.layout.staging_bytes, &memory.layout.units[b],
                     &memory.warnings);
  return memory;
}

}  // namespace gpumerge
