// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The two halves of loading a recipe, after its YAML was read: from the tree to a MergeConfig, and whether that config
// makes sense as a whole. Both add to the context's findings and go on.
#pragma once

#include "src/config/recipe_context.h"
#include "src/config/yaml_tree.h"

#include "gpumerge/config.h"

namespace gpumerge {

// Mends `root` on the way (see MendKeys). Sets context.method.
MergeConfig ReadRecipe(YamlNode& root, RecipeContext& context);

// Method against models, base and parameters; ranges of slices; the base listed twice.
void CheckRecipe(const MergeConfig& config, RecipeContext& context);

}  // namespace gpumerge
