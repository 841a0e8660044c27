// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `modules:` of a recipe: which tensors belong to which. By the beginnings of their names; where the recipe states none
// they are guessed from the module's name. Thread-safe (no state).
#pragma once

#include "src/plan/input_set.h"

#include <optional>
#include <string_view>

namespace gpumerge {

// Gives every module of the set (inputs->modules, with slices and nothing else) its share of the models. A tensor
// that belongs to no module is an error; what was guessed and what is dropped becomes a note.
void SplitModules(const MergeConfig& config, InputSet* inputs, PlanFindings* findings);

// Where config.json states the layers of a module of that name.
std::optional<ConfigDepth> FindModuleDepth(const JsonDocument& config, std::string_view module);

}  // namespace gpumerge
