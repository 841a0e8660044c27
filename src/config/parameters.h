// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads the mapping under `parameters:`: scalars, gradients, filters. Every value is checked against what the method
// says about the parameter.
#pragma once

#include "src/config/recipe_context.h"
#include "src/config/recipe_keys.h"

#include "gpumerge/config.h"

#include <span>
#include <string_view>
#include <vector>

namespace gpumerge {

// The `parameters:` of a mapping on that level; empty when there are none. A setting whose value was refused is there
// all the same, so that it does not count as missing.
Settings ReadParameters(YamlNode& owner, RecipeLevel level, RecipeContext& context);

// A key of the recipe itself with one of the choices for each tensor: one value, or a list of {filter, value}. Empty
// when the key is not there or was refused.
std::vector<ConditionalValue> ReadTensorPolicy(YamlNode& root, std::string_view key,
                                               std::span<const std::string_view> choices, RecipeContext& context);

}  // namespace gpumerge
