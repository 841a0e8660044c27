// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What only the values show and the recipe allows: one warning of a kind, with the number of tensors. The report has
// every tensor. Thread-safe (no state).
#pragma once

#include "src/run/pipeline.h"

#include "gpumerge/error.h"
#include "gpumerge/plan.h"

#include <vector>

namespace gpumerge {

// results: of every item of the plan. Rounding is apart (rounding.h).
std::vector<Diagnostic> ValueWarnings(const Plan& plan, const std::vector<ItemResult>& results);

}  // namespace gpumerge
