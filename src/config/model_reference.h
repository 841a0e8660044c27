// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Model references as recipes write them, and when two of them are the same model. Looks at the file system only to see
// whether a path exists; finding the model's files is the reader's business.
#pragma once

#include "src/config/recipe_context.h"

#include "gpumerge/config.h"

#include <string>
#include <string_view>

namespace gpumerge {

// Reads a reference: text, or the mapping {model: {path:, revision:}}. After an error its text may be empty.
ModelRef ReadModelRef(YamlNode& node, std::string_view what, RecipeContext& context);

// Equal for two references to the same model: an existing path is made canonical, so that `m` and `./m/` are equal.
std::string ModelIdentity(const ModelRef& reference);

// What messages call a model.
std::string DescribeModel(const ModelRef& reference);

}  // namespace gpumerge
