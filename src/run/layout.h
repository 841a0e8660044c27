// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a run divides its memory, the host's and that of its devices. Decided before the first byte of data; then all of
// it is allocated at once.
#pragma once

#include "src/run/units.h"

#include "gpumerge/backend.h"
#include "gpumerge/error.h"
#include "gpumerge/options.h"

#include <cstdint>
#include <span>
#include <vector>

namespace gpumerge {

struct MemoryLayout {
  uint64_t budget_bytes = 0;
  uint64_t overhead_bytes = 0;  // everything but staging: process, plan, backends, per-tensor state, threads
  uint64_t staging_bytes = 0;
  uint64_t smallest_staging_bytes = 0;  // that works
  uint64_t smallest_budget_bytes = 0;   // that works
  std::vector<UnitSizes> units;         // (n_backends); empty when the budget is too small
};

// Divides the budget (options.memory_bytes, else DefaultMemoryBytes). Never throws for a small budget: staging_bytes is
// then 0 and smallest_budget_bytes says what is needed. Throws Error(DEV-MEMORY) when a device has too little.
// most_staging_bytes: what could be had before.
MemoryLayout LayOutMemory(const Plan& plan, const RunOptions& options, std::span<Backend* const> backends,
                          uint64_t most_staging_bytes = ~uint64_t{0});

// A layout with its memory allocated: staging by the first backend, device memory by each that has some.
struct RunMemory {
  MemoryLayout layout;
  std::span<std::byte> staging;
  std::vector<Diagnostic> warnings;
};
// When a device gives less than it said, or memory cannot be pinned, the run takes half as much and warns. Throws
// Error(RES-MEM, DEV-MEMORY).
RunMemory AllocateMemory(const Plan& plan, const RunOptions& options, std::span<Backend* const> backends);

}  // namespace gpumerge
