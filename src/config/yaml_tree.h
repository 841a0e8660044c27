// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A YAML document as plain data: what a recipe is read from. Knows nothing of yaml-cpp, nor of what keys mean. Aliases
// are already copied in, keys are unique, and its size and depth are bounded, so that plain recursion is safe.
#pragma once

#include "src/config/findings.h"

#include "gpumerge/config.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

enum class YamlKind : uint8_t { kNull, kScalar, kSequence, kMap };

struct YamlKey {
  std::string text;
  Location at{};
};

struct YamlNode {
  YamlKind kind = YamlKind::kNull;
  // Of the value; of its key when there is no value to point at. What came from an alias is located at the alias.
  Location at{};
  std::string text{};           // kScalar
  bool is_quoted = false;       // kScalar: quoted, a block scalar or tagged as a string, thus no YAML number or boolean
  std::vector<YamlKey> keys{};  // kMap, in file order
  std::vector<YamlNode> items{};  // kSequence; kMap: the values, parallel to keys

  // The value of a key of a kMap; nullptr: no such key.
  const YamlNode* Find(std::string_view key) const;
  YamlNode* Find(std::string_view key);
};

// What a message calls a node: "a list", "the text 'abc'", ...
std::string Describe(const YamlNode& node);

inline constexpr size_t kMaxRecipeBytes = 1 << 20;
inline constexpr size_t kMaxYamlNodes = 100'000;
inline constexpr size_t kMaxYamlDepth = 16;

// The documents in `text`, those that are not empty if there is one. Duplicate keys, tags and merge keys are added to
// findings (and left out of the tree); what cannot be read at all ends in findings.Fail.
std::vector<YamlNode> ReadYaml(std::string_view text, Findings& findings);

// The part of ReadYaml before any YAML is parsed: size, encoding, control characters. Returns text without its BOM.
std::string_view CheckRecipeText(std::string_view text, Findings& findings);

}  // namespace gpumerge
