// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads what a recipe merges: models, layer ranges of models, or both for each module.
#pragma once

#include "src/config/recipe_context.h"

#include "gpumerge/config.h"

namespace gpumerge {

// Also reports when there is none of them, or more than one.
void ReadInputs(YamlNode& root, MergeConfig& config, RecipeContext& context);

}  // namespace gpumerge
