// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a run divides the memory of one device: batches on their way, and what stays there from one batch to the next.
#pragma once

#include "src/run/units.h"

#include "gpumerge/backend.h"
#include "gpumerge/options.h"

#include <cstdint>

namespace gpumerge {

// The size of chunks and batches that one aims at: worth the launches, and several fit into either memory.
uint64_t DeviceChunkBytes(const Plan& plan, uint64_t staging_bytes, uint64_t device_bytes);

// Units and memory of one device, with that much staging memory and at most device_bytes of its own. Throws
// Error(DEV-MEMORY) when no way of dividing it works.
UnitSizes LayOutDevice(const Plan& plan, const RunOptions& options, const Backend& device, uint64_t staging_bytes,
                       uint64_t device_bytes);

// The least device memory that surely works.
uint64_t SmallestDeviceBytes(const Plan& plan, const Backend& device);

// The memory of the largest of the smallest chunks: no chunk is smaller.
uint64_t LargestSmallestChunk(const Plan& plan);

}  // namespace gpumerge
