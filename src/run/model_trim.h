// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What `trim_scope: model` needs before the merge: for every model the threshold that keeps exactly k elements of all
// its tensors together, ties by the tensors' names and then by index, and the model's majority. Found on the CPU in
// passes over the files: histograms of the upper and the lower bits of all magnitudes, then of ties where not all are
// kept.
#pragma once

#include "src/plan/model_trim.h"

#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <cstdint>

namespace gpumerge {

// Fills MergeJob::model_selections and model_majority of the plan's items that ask for them. Uses at most budget_bytes
// of memory, what the process has now included. Throws Error(RES-MEM, IN-*, CANCELLED).
void FillModelTrims(const RunOptions& options, uint64_t budget_bytes, Plan* plan);

}  // namespace gpumerge
