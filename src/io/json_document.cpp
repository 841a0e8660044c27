// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Edits splice the text and scan it again: files are small and edits few, so nothing has to be kept in step.
#include "src/io/json_document.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace gpumerge {
namespace {

std::string PathText(const std::vector<std::string>& path, size_t n_keys) {
  std::string text;
  for (size_t i = 0; i < n_keys; ++i) text += (i == 0 ? "" : ".") + path[i];
  return text;
}

// The white space that `at` stands behind.
std::string_view SpaceBefore(std::string_view text, size_t at) {
  const size_t last = at == 0 ? std::string_view::npos : text.find_last_not_of(" \t\r\n", at - 1);
  const size_t begin = last == std::string_view::npos ? 0 : last + 1;
  return text.substr(begin, at - begin);
}

bool HasLineBreak(std::string_view text) { return text.find('\n') != text.npos; }

// What follows the last line break: the indentation of the line.
std::string_view AfterLineBreak(std::string_view space) { return space.substr(space.find_last_of('\n') + 1); }

}  // namespace

JsonDocument::JsonDocument(std::string text, std::string file)
    : text_(std::move(text)), file_(std::move(file)), nodes_(ScanJson(text_, file_)) {}

std::optional<uint64_t> JsonDocument::GetUint(const std::vector<std::string>& path) const {
  const JsonNode* node = Find(path, path.size());
  if (node == nullptr || node->kind != JsonKind::kNumber) return std::nullopt;
  const std::string_view text = Text(*node);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> JsonDocument::GetBool(const std::vector<std::string>& path) const {
  const JsonNode* node = Find(path, path.size());
  if (node == nullptr || (node->kind != JsonKind::kTrue && node->kind != JsonKind::kFalse)) return std::nullopt;
  return node->kind == JsonKind::kTrue;
}

std::optional<std::string> JsonDocument::GetString(const std::vector<std::string>& path) const {
  const JsonNode* node = Find(path, path.size());
  if (node == nullptr || node->kind != JsonKind::kString) return std::nullopt;
  return UnescapeJson(Text(*node));
}

std::optional<size_t> JsonDocument::GetArraySize(const std::vector<std::string>& path) const {
  const JsonNode* node = Find(path, path.size());
  if (node == nullptr || node->kind != JsonKind::kArray) return std::nullopt;
  size_t size = 0;
  for (size_t i = IndexOf(*node) + 1; i < node->next; i = nodes_[i].next) ++size;
  return size;
}

std::optional<std::vector<std::string>> JsonDocument::GetArray(const std::vector<std::string>& path) const {
  const JsonNode* node = Find(path, path.size());
  if (node == nullptr || node->kind != JsonKind::kArray) return std::nullopt;
  std::vector<std::string> elements;
  for (size_t i = IndexOf(*node) + 1; i < node->next; i = nodes_[i].next) elements.emplace_back(Text(nodes_[i]));
  return elements;
}

bool JsonDocument::Has(const std::vector<std::string>& path) const { return Find(path, path.size()) != nullptr; }

std::optional<std::string> JsonDocument::GetRaw(const std::vector<std::string>& path) const {
  const JsonNode* node = Find(path, path.size());
  if (node == nullptr) return std::nullopt;
  return std::string(Text(*node));
}

std::vector<std::string> JsonDocument::Keys(const std::vector<std::string>& path) const {
  std::vector<std::string> keys;
  const JsonNode* node = Find(path, path.size());
  if (node == nullptr || node->kind != JsonKind::kObject) return keys;
  for (size_t i = IndexOf(*node) + 1; i < node->next; i = nodes_[i].next) keys.push_back(KeyOf(nodes_[i]));
  return keys;
}

void JsonDocument::SetRaw(const std::vector<std::string>& path, std::string_view raw_value) {
  ScanJson(raw_value, "new value of " + PathText(path, path.size()));
  if (const JsonNode* node = Find(path, path.size())) return Splice(node->begin, node->end, raw_value);

  const JsonNode* parent = Find(path, path.size() - 1);
  if (parent == nullptr || parent->kind != JsonKind::kObject) {
    throw Error({.code = ErrorCode::kConfigField,
                 .message = fmt::format("cannot set \"{}\": \"{}\" is not an object", PathText(path, path.size()),
                                        PathText(path, path.size() - 1)),
                 .where = file_,
                 .found = parent == nullptr ? "no such key" : std::string(Text(*parent)),
                 .expected = "an object",
                 .help = {}});
  }
  const std::string entry = EntryText(*parent, path.back(), raw_value);
  const size_t first = IndexOf(*parent) + 1;
  if (first == parent->next) return Splice(parent->begin, parent->end, EmptyObjectText(*parent, entry));
  size_t last = first, before_last = first;
  for (size_t i = first; i < parent->next; i = nodes_[i].next) before_last = std::exchange(last, i);
  // The separator that the last two entries have; one entry alone shows it by what is before it.
  std::string separator = "," + std::string(SpaceBefore(text_, nodes_[last].key_begin));
  if (last == first && separator == "," && entry.find("\": ") != entry.npos) separator = ", ";
  if (last != first)
    separator = text_.substr(nodes_[before_last].end, nodes_[last].key_begin - nodes_[before_last].end);
  Splice(nodes_[last].end, nodes_[last].end, separator + entry);
}

const JsonNode* JsonDocument::Find(const std::vector<std::string>& path, size_t n_keys) const {
  size_t at = 0;
  for (size_t depth = 0; depth < n_keys; ++depth) {
    const JsonNode& object = nodes_[at];
    if (object.kind != JsonKind::kObject) return nullptr;
    size_t child = at + 1;
    while (child < object.next && KeyOf(nodes_[child]) != path[depth]) child = nodes_[child].next;
    if (child >= object.next) return nullptr;
    at = child;
  }
  return &nodes_[at];
}

std::string_view JsonDocument::Text(const JsonNode& node) const {
  return std::string_view(text_).substr(node.begin, node.end - node.begin);
}

std::string JsonDocument::KeyOf(const JsonNode& node) const {
  return UnescapeJson(std::string_view(text_).substr(node.key_begin, node.key_end - node.key_begin));
}

size_t JsonDocument::IndexOf(const JsonNode& node) const { return static_cast<size_t>(&node - nodes_.data()); }

// "key": value, with the colon spelled as the object (or, when it is empty, the root) does.
std::string JsonDocument::EntryText(const JsonNode& object, std::string_view key, std::string_view raw_value) const {
  const size_t in_object = IndexOf(object) + 1;
  const size_t model = in_object < object.next ? in_object : 1;
  std::string colon = ": ";
  if (model < nodes_.size() && nodes_[model].key_end != 0)
    colon = text_.substr(nodes_[model].key_end, nodes_[model].begin - nodes_[model].key_end);
  return QuoteJson(key) + colon + std::string(raw_value);
}

// An empty object with its first entry: on a line of its own if the root's entries are, or if the root is the one.
std::string JsonDocument::EmptyObjectText(const JsonNode& object, std::string_view entry) const {
  const bool is_root = &object == nodes_.data();
  const std::string_view root_space = is_root ? "\n  " : SpaceBefore(text_, nodes_[1].key_begin);
  if (!HasLineBreak(root_space)) return fmt::format("{{{}}}", entry);
  const std::string_view unit = AfterLineBreak(root_space);
  const std::string_view line_break = root_space.substr(0, root_space.size() - unit.size());
  const std::string_view indent = is_root ? "" : AfterLineBreak(SpaceBefore(text_, object.key_begin));
  return fmt::format("{{{0}{1}{2}{3}{0}{1}}}", line_break, indent, unit, entry);
}

void JsonDocument::Splice(size_t begin, size_t end, std::string_view replacement) {
  std::string text = text_.substr(0, begin);
  text.append(replacement).append(text_, end);
  nodes_ = ScanJson(text, file_);
  text_ = std::move(text);
}

std::string QuoteJson(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      quoted += {'\\', c};
    else if (byte < 0x20)
      quoted += fmt::format("\\u{:04x}", byte);
    else
      quoted += c;
  }
  return quoted + '"';
}

}  // namespace gpumerge
