// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What the functions that read a recipe share while they do, and the small helpers they all use. Lives for one recipe.
#pragma once

#include "src/config/findings.h"
#include "src/config/yaml_tree.h"

#include "gpumerge/config.h"
#include "gpumerge/method.h"

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

struct RecipeContext {
  Findings& findings;
  // The recipe's method, or the one that a misspelt name resembles; nullptr: unknown, parameters cannot be checked.
  const MethodInfo* method = nullptr;
  // Shared parameters that were refused at a level where they do not belong: not also missing elsewhere.
  std::vector<std::string> misplaced{};
  Location inputs_at{};            // of the key `models` or `slices`
  Location tokenizer_source_at{};  // of its value
  // Names of all documents of the recipe, and which of them this one refers to; see documents.h.
  const std::set<std::string>* stage_names = nullptr;
  std::vector<std::pair<std::string, Location>> stages_used{};
};

// A key with a value, nullptr without. A key left empty counts as not given, as in mergekit, and a warning says so.
YamlNode* FindOptional(YamlNode& map, std::string_view key, RecipeContext& context);
// The warning of FindOptional.
void WarnOfNoValue(const YamlKey& key, RecipeContext& context);
// The place of a key that is there.
Location KeyLocation(const YamlNode& map, std::string_view key);
// False and an error unless node is a list (a mapping); `what` names it in the message.
bool ExpectSequence(const YamlNode& node, std::string_view what, RecipeContext& context);
bool ExpectMap(const YamlNode& node, std::string_view what, RecipeContext& context);

// "'a', 'b' and 'c'"
std::string JoinNames(const std::vector<std::string_view>& names);

}  // namespace gpumerge
