// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/device_layout.h"

#include "src/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace gpumerge {
namespace {

constexpr uint64_t kChunkBytes = 32 << 20;
// Chunks that fit into staging and into device memory, at least.
constexpr uint64_t kChunksOfStaging = 6, kChunksOfDevice = 16;
// A unit's device memory in chunks: inputs and output are one, the rest is for the statistics of small tensors.
constexpr uint64_t kUnitChunks = 3;
// One on its way in, one worked on, one on its way out, one that waits; the least that overlaps anything.
constexpr uint32_t kUnits = 4, kFewestUnits = 2;

UnitSizes Sizes(const RunOptions& options, const Backend& device, uint64_t chunk_bytes) {
  return {.chunk_bytes = chunk_bytes,
          .resident_bytes = chunk_bytes,
          .can_stream = true,
          .max_chunk_elems = options.max_chunk_elems,
          .device = &device};
}

// Gives the rest of device_bytes to what stays on the device; nullopt when that is too little.
std::optional<UnitSizes> Divide(const Plan& plan, UnitSizes sizes, DeviceMemory memory, uint64_t device_bytes) {
  if (memory.total_bytes() > device_bytes) return std::nullopt;
  memory.kept_bytes = device_bytes - memory.total_bytes();
  sizes.device_memory = memory;
  uint64_t largest = 0;
  for (const PlanItem& item : plan.items)
    largest = std::max(largest, HeldDeviceBytes(item, WayOf(item, sizes), sizes.device));
  if (largest > memory.kept_bytes) return std::nullopt;
  const uint64_t lanes = std::max(2u, sizes.device->Info().lanes);
  sizes.device_memory.kept_bytes = std::min(memory.kept_bytes, lanes * largest);
  return sizes;
}

// What the largest tensor that might go whole needs.
uint64_t LargestWhole(const Plan& plan, const Backend& device, uint64_t chunk_bytes) {
  uint64_t largest = 0;
  for (const PlanItem& item : plan.items)
    if (GroupBytes(item) <= chunk_bytes) largest = std::max(largest, WholeDeviceBytes(item, device));
  return largest;
}

}  // namespace

uint64_t LargestSmallestChunk(const Plan& plan) {
  uint64_t largest = 64;
  for (const PlanItem& item : plan.items) largest = std::max(largest, SmallestChunkBytes(item));
  return largest;
}

uint64_t DeviceChunkBytes(const Plan& plan, uint64_t staging_bytes, uint64_t device_bytes) {
  uint64_t all = 0;  // a small model has no more
  for (const PlanItem& item : plan.items) all += GroupBytes(item);
  return std::max(LargestSmallestChunk(plan),
                  std::min({kChunkBytes, staging_bytes / kChunksOfStaging, device_bytes / kChunksOfDevice, all}));
}

UnitSizes LayOutDevice(const Plan& plan, const RunOptions& options, const Backend& device, uint64_t staging_bytes,
                       uint64_t device_bytes) {
  const uint64_t smallest = LargestSmallestChunk(plan);
  for (uint64_t chunk = DeviceChunkBytes(plan, staging_bytes, device_bytes);; chunk = std::max(smallest, chunk / 2)) {
    const UnitSizes sizes = Sizes(options, device, chunk);
    const uint64_t roomy = std::max(kUnitChunks * chunk, LargestWhole(plan, device, chunk));
    if (roomy * kUnits <= device_bytes / 4 * 3)
      if (const auto divided = Divide(plan, sizes, {roomy, kUnits, 0}, device_bytes)) return *divided;
    if (const auto divided = Divide(plan, sizes, {kUnitChunks * chunk, kUnits, 0}, device_bytes)) return *divided;
    if (chunk == smallest) break;
  }
  if (const auto divided = Divide(plan, Sizes(options, device, smallest), {smallest, kFewestUnits, 0}, device_bytes))
    return *divided;
  const uint64_t least = device.VramFor(SmallestDeviceBytes(plan, device));
  throw Error({.code = ErrorCode::kDeviceMemory,
               .message = fmt::format("{} has too little memory for this merge", device.Info().name),
               .found = FormatBytes(device.VramFor(device_bytes)) + " that may be used",
               .expected = fmt::format("at least {} bytes ({})", least, FormatBytes(least)),
               .help = "give more with --vram, end other programs on the GPU, or use --device cpu"});
}

uint64_t SmallestDeviceBytes(const Plan& plan, const Backend& device) {
  uint64_t held = 0;
  for (const PlanItem& item : plan.items) held = std::max(held, HeldDeviceBytes(item, Way::kStreamed, &device));
  return kFewestUnits * LargestSmallestChunk(plan) + held;
}

}  // namespace gpumerge
