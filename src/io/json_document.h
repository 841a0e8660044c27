// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A JSON file kept as text: values can be read, and single values replaced, while every other byte (key order, number
// spelling such as 1e-05, unknown keys, Infinity) stays as it was. For config.json; not for safetensors headers.
// Distinct documents may be used from distinct threads.
#pragma once

#include "src/io/json_scan.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

class JsonDocument {
 public:
  // Throws Error(JSON-SYNTAX, JSON-DUP, ST-LIMIT). NaN, Infinity and -Infinity are accepted, as Python writes them.
  JsonDocument(std::string text, std::string file);

  const std::string& text() const { return text_; }
  const std::string& file() const { return file_; }

  // path: keys from the root, e.g. {"text_config", "vocab_size"}. nullopt: absent or of another type.
  std::optional<uint64_t> GetUint(const std::vector<std::string>& path) const;
  std::optional<bool> GetBool(const std::vector<std::string>& path) const;
  std::optional<std::string> GetString(const std::vector<std::string>& path) const;  // unescaped
  std::optional<size_t> GetArraySize(const std::vector<std::string>& path) const;
  // The elements' own texts.
  std::optional<std::vector<std::string>> GetArray(const std::vector<std::string>& path) const;
  bool Has(const std::vector<std::string>& path) const;
  // The value's own text, e.g. "1e-05"; nullopt: absent.
  std::optional<std::string> GetRaw(const std::vector<std::string>& path) const;
  // Keys of the object at path, in file order; empty if it is not an object.
  std::vector<std::string> Keys(const std::vector<std::string>& path) const;

  // Replaces the value at path, or appends the key to its (existing) parent object, in the file's own indentation.
  // raw_value is JSON text. Throws Error(CFG-JSON) when the parent is not an object.
  void SetRaw(const std::vector<std::string>& path, std::string_view raw_value);

 private:
  const JsonNode* Find(const std::vector<std::string>& path, size_t n_keys) const;
  std::string_view Text(const JsonNode& node) const;
  std::string KeyOf(const JsonNode& node) const;
  size_t IndexOf(const JsonNode& node) const;
  std::string EntryText(const JsonNode& object, std::string_view key, std::string_view raw_value) const;
  std::string EmptyObjectText(const JsonNode& object, std::string_view entry) const;
  void Splice(size_t begin, size_t end, std::string_view replacement);

  std::string text_;
  std::string file_;
  std::vector<JsonNode> nodes_;
};

// Text as a JSON string with its quotes. It must be UTF-8.
std::string QuoteJson(std::string_view text);

}  // namespace gpumerge
