// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Looking into a YAML tree; see yaml_tree.h.
#include "src/config/yaml_tree.h"

#include <fmt/format.h>

namespace gpumerge {

const YamlNode* YamlNode::Find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i)
    if (keys[i].text == key) return &items[i];
  return nullptr;
}

YamlNode* YamlNode::Find(std::string_view key) {
  for (size_t i = 0; i < keys.size(); ++i)
    if (keys[i].text == key) return &items[i];
  return nullptr;
}

std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlKind::kNull:
      return "no value";
    case YamlKind::kSequence:
      return node.items.empty() ? "an empty list" : "a list";
    case YamlKind::kMap:
      return "a mapping";
    case YamlKind::kScalar:
      break;
  }
  return node.text.empty() ? "empty text" : fmt::format("'{}'", node.text);
}

}  // namespace gpumerge
