// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How much memory there is, and how a run divides its budget.
#pragma once

#include "src/run/units.h"

#include "gpumerge/backend.h"
#include "gpumerge/merge.h"

#include <cstdint>

namespace gpumerge {

// Resident memory of this process now; anonymous_only leaves out pages of files (program, libraries).
uint64_t ResidentBytes(bool anonymous_only);
// The largest resident set so far, pages of the program and its libraries included.
uint64_t PeakResidentBytes();

struct MemoryLayout {
  uint64_t budget_bytes = 0;
  uint64_t overhead_bytes = 0;  // everything but staging: process, plan, backend, per-tensor state, threads
  uint64_t staging_bytes = 0;
  UnitSizes units;
  uint64_t smallest_budget_bytes = 0;  // that works
};

// Divides the budget (options.memory_bytes, else DefaultMemoryBytes). Never throws for a small budget: staging_bytes is
// then 0 and smallest_budget_bytes says what is needed.
MemoryLayout LayOutMemory(const Plan& plan, const RunOptions& options, const Backend& backend);

}  // namespace gpumerge
