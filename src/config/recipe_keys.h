// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of recipes: which keys stand where, which of mergekit's are known but not supported, and what to say
// about a key that is neither.
#pragma once

#include "src/config/recipe_context.h"
#include "src/config/yaml_tree.h"

#include "gpumerge/method.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace gpumerge {

enum class RecipeLevel : uint8_t { kTop, kModel, kSlice, kSource, kModule, kReference, kModelPath, kCondition };

// Reports every key of `map` that does not belong on this level, and mends the map so that the values are checked all
// the same: a misspelt key becomes the one it resembles, a parameter outside `parameters:` moves there, others go.
void MendKeys(YamlNode& map, RecipeLevel level, RecipeContext& context);

// nullptr: the method has no such parameter.
const ParamSpec* FindParam(const MethodInfo& method, std::string_view name);
// Names of parameters of any method, of mergekit's too.
std::vector<std::string_view> AllParameterNames();
// mergekit's methods, whether supported here or not.
std::span<const std::string_view> PeerMethods();

}  // namespace gpumerge
