// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The output's config.json: the donor's, with only what the merge changed edited in place. And the comparison of the
// models' config.json files. Thread-safe (no state).
#pragma once

#include "src/plan/heads.h"
#include "src/plan/input_set.h"

#include "gpumerge/plan.h"

#include <string>
#include <vector>

namespace gpumerge {

// config.json of the output; empty where the donor has none. items: in any order.
std::string MakeConfigJson(const MergeConfig& config, const InputSet& inputs, const HeadPlan& head,
                           const std::vector<PlanItem>& items, PlanFindings* findings);

// A config.json that states more layers than its model's weights hold is an error, unless the recipe says which the
// layers are.
void CheckStatedDepths(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings);

// Warns of keys that change the forward pass and differ from the donor's, and of Python code that the output would need
// and not have; another model_type is an error.
void CompareConfigs(const InputSet& inputs, bool copies_code, PlanFindings* findings);

}  // namespace gpumerge
