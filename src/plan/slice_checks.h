// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether the slices of a recipe, or of a module of it, fit the method and the models' layers. Thread-safe (no state).
#pragma once

#include "src/plan/input_set.h"

namespace gpumerge {

// The first source of that model.
std::optional<uint32_t> FindSource(const Slice& slice, uint32_t model);

// As many models as the method takes.
void CheckCounts(const MergeConfig& config, const InputSet& inputs, const MethodInfo& method, PlanFindings* findings);
// Layer ranges, names of layers, models listed twice. The layouts are known.
void CheckSlices(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings);

}  // namespace gpumerge
