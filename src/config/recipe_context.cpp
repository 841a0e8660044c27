// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Helpers for reading a recipe; see recipe_context.h.
#include "src/config/recipe_context.h"

#include "src/config/scalar.h"

#include <fmt/format.h>

namespace gpumerge {

YamlNode* FindOptional(YamlNode& map, std::string_view key, RecipeContext& context) {
  for (size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text != key) continue;
    if (map.items[i].kind != YamlKind::kNull) return &map.items[i];
    WarnOfNoValue(map.keys[i], context);
  }
  return nullptr;
}

void WarnOfNoValue(const YamlKey& key, RecipeContext& context) {
  context.findings.AddWarning(key.at,
                              {.code = ErrorCode::kCfgNoEffect,
                               .message = fmt::format("key '{}' has no value and counts as not given", key.text),
                               .help = "give it a value, or remove the key"});
}

Location KeyLocation(const YamlNode& map, std::string_view key) {
  for (const YamlKey& candidate : map.keys)
    if (candidate.text == key) return candidate.at;
  return map.at;
}

bool ExpectSequence(const YamlNode& node, std::string_view what, RecipeContext& context) {
  if (node.kind == YamlKind::kSequence) return true;
  AddTypeError(node, what, "a list", "each entry begins with '- '", context.findings);
  return false;
}

bool ExpectMap(const YamlNode& node, std::string_view what, RecipeContext& context) {
  if (node.kind == YamlKind::kMap) return true;
  AddTypeError(node, what, "a mapping of keys to values", "", context.findings);
  return false;
}

std::string JoinNames(const std::vector<std::string_view>& names) {
  std::string joined;
  for (size_t i = 0; i < names.size(); ++i) {
    const char* separator = i == 0 ? "" : i + 1 == names.size() ? " and " : ", ";
    joined += fmt::format("{}'{}'", separator, names[i]);
  }
  return joined;
}

}  // namespace gpumerge
