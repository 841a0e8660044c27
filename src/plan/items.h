// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Turns matched tensors into plan items: shapes and types checked, output type chosen, parameters resolved, copies told
// from merges, passes listed. Places in output files come later (shards.h).
#pragma once

#include "src/plan/groups.h"

#include "gpumerge/plan.h"

#include <vector>

namespace gpumerge {

// One item a group, in the same order; groups with errors are left out. PlanInput::file is the index in the model's own
// files, to be renumbered by the caller.
std::vector<PlanItem> MakeItems(const MergeConfig& config, const InputSet& inputs,
                                const std::vector<TensorGroup>& groups, const MethodRow& method,
                                PlanFindings* findings);

}  // namespace gpumerge
