// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A Plan for readers: all that a merge will do, as text or as JSON. Names from files are escaped. Thread-safe (no
// state).
#pragma once

#include "src/plan/rates.h"

#include "gpumerge/merge.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <optional>
#include <string>

namespace gpumerge {

// For people: models, output, device, memory, disk, bytes, time if it is known; every output tensor; warnings and
// notes.
std::string ExplainPlan(const Plan& plan, const RunEstimate& estimate, const std::optional<PlanCost>& cost = {});

// The same for machines; keys are stable. Indented, with a final line feed.
std::string PlanToJson(const Plan& plan, const RunEstimate& estimate, const std::optional<PlanCost>& cost = {});

// What the passes and readings of a plan add up to, for scripts that check it.
struct PassTotals {
  uint64_t n_passes = 0;                           // of all merged tensors
  uint64_t n_select = 0, n_reduce = 0, n_map = 0;  // of those
  uint64_t bytes_read_once = 0;                    // when every tensor stays in memory between its passes
  uint64_t bytes_read_streamed = 0;                // when none does
};
PassTotals CountPasses(const Plan& plan);

// The value of a parameter as a recipe would write it: 0.5, true, l1.
std::string ParamText(const ParamSpec& spec, double value);

}  // namespace gpumerge
