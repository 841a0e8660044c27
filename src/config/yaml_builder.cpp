// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From yaml-cpp's events to a tree; see yaml_builder.h. Events are used rather than yaml-cpp's own nodes because those
// hide duplicate keys, lose the place of aliases and can form cycles.
#include "src/config/yaml_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace gpumerge {
namespace {

constexpr std::string_view kCoreTag = "tag:yaml.org,2002:";

bool IsNullText(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

// Whether a null is written out at the front of text, as opposed to a value left empty.
bool BeginsWithNull(std::string_view text) {
  for (std::string_view word : {"~", "null", "Null", "NULL"}) {
    if (!text.starts_with(word)) continue;
    const std::string_view rest = text.substr(word.size());
    return rest.empty() || std::string_view(" \t\r\n,]}").find(rest[0]) != std::string_view::npos;
  }
  return false;
}

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }

}  // namespace

MarkReader::MarkReader(std::string_view text) : text_(text), line_begins_{0} {
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') line_begins_.push_back(i + 1);
}

size_t MarkReader::Offset(const YAML::Mark& mark) const {
  if (mark.is_null()) return 0;
  const size_t line = std::min(static_cast<size_t>(std::max(mark.line, 0)), line_begins_.size() - 1);
  return std::min(line_begins_[line] + static_cast<size_t>(std::max(mark.column, 0)), text_.size());
}

Location MarkReader::At(const YAML::Mark& mark) {
  const size_t end = Offset(mark);
  const auto next_line = std::upper_bound(line_begins_.begin(), line_begins_.end(), end);
  const size_t line = static_cast<size_t>(next_line - line_begins_.begin()) - 1;
  if (line != last_line_ || end < last_bytes_) {
    last_line_ = line;
    last_bytes_ = line_begins_[line];
    last_characters_ = 0;
  }
  for (; last_bytes_ < end; ++last_bytes_)
    if (!IsContinuationByte(text_[last_bytes_])) ++last_characters_;
  return {static_cast<uint32_t>(line) + 1, last_characters_ + 1};
}

std::string_view MarkReader::TextAt(const YAML::Mark& mark) const { return text_.substr(Offset(mark)); }

std::string_view MarkReader::Line(size_t line) const {
  if (line >= line_begins_.size()) return {};
  const std::string_view from_here = text_.substr(line_begins_[line]);
  return from_here.substr(0, from_here.find('\n'));
}

void TreeBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  Place({.kind = YamlKind::kNull, .at = PlaceOfNull(mark)}, {}, anchor);
}

// The parser's mark of an empty value is whatever comes next, often on another line.
Location TreeBuilder::PlaceOfNull(const YAML::Mark& mark) {
  if (open_.empty() || BeginsWithNull(marks_.TextAt(mark))) return marks_.At(mark);
  return open_.back().has_key ? open_.back().key.at : open_.back().node.at;
}

void TreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  const Location at = marks_.At(mark);
  const auto found = anchored_.find(anchor);
  if (found == anchored_.end()) {
    findings_.Fail(at, {.code = ErrorCode::kYamlAlias,
                        .message = "an alias stands inside the list or mapping that it refers to",
                        .help = "an alias can only repeat something that is complete"});
  }
  YamlNode copy = found->second.node;
  copy.at = at;
  const Extent extent = found->second.extent;
  if (open_.size() + extent.height > kMaxYamlDepth) {
    findings_.Fail(at, {.code = ErrorCode::kYamlDepth,
                        .message = fmt::format("an alias nests the recipe more than {} levels deep", kMaxYamlDepth)});
  }
  Count(extent.n_nodes - 1, at, ErrorCode::kYamlAlias, "the aliases expand to too many values");
  Place(std::move(copy), extent, YAML::NullAnchor);
}

void TreeBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           const std::string& value) {
  const Location at = marks_.At(mark);
  CheckTag(at, tag, YamlKind::kScalar);
  if (value.find('\0') != std::string::npos) {
    findings_.AddError(at, {.code = ErrorCode::kYamlUtf8, .message = "text with a NUL character", .help = "remove it"});
  }
  const bool is_null = tag == std::string(kCoreTag) + "null" && IsNullText(value);
  const bool is_quoted = tag == "!" || tag == std::string(kCoreTag) + "str";
  Place({.kind = is_null ? YamlKind::kNull : YamlKind::kScalar, .at = at, .text = value, .is_quoted = is_quoted}, {},
        anchor);
}

void TreeBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                                  YAML::EmitterStyle::value) {
  Begin(YamlKind::kSequence, mark, tag, anchor);
}

void TreeBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                             YAML::EmitterStyle::value) {
  Begin(YamlKind::kMap, mark, tag, anchor);
}

void TreeBuilder::Begin(YamlKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
  Open open;
  open.node.kind = kind;
  open.node.at = marks_.At(mark);
  open.anchor = anchor;
  CheckTag(open.node.at, tag, kind);
  open_.push_back(std::move(open));
  if (open_.size() > kMaxYamlDepth) {
    findings_.Fail(open_.back().node.at,
                   {.code = ErrorCode::kYamlDepth,
                    .message = fmt::format("the recipe is nested more than {} levels deep", kMaxYamlDepth)});
  }
}

void TreeBuilder::Close() {
  Open open = std::move(open_.back());
  open_.pop_back();
  Place(std::move(open.node), open.extent, open.anchor);
}

void TreeBuilder::Place(YamlNode node, Extent extent, YAML::anchor_t anchor) {
  Count(1, node.at, ErrorCode::kYamlSize, "the recipe has too many values");
  if (anchor != YAML::NullAnchor) anchored_[anchor] = {node, extent};
  if (open_.empty()) {
    roots_.push_back(std::move(node));
    return;
  }
  Open& parent = open_.back();
  parent.extent.n_nodes += extent.n_nodes;
  parent.extent.height = std::max(parent.extent.height, extent.height + 1);
  if (parent.node.kind == YamlKind::kMap && !parent.has_key) {
    TakeKey(node);
    return;
  }
  parent.has_key = false;
  if (parent.drop_value) {
    parent.drop_value = false;
    return;
  }
  if (parent.node.kind == YamlKind::kMap) parent.node.keys.push_back(std::move(parent.key));
  parent.node.items.push_back(std::move(node));
}

void TreeBuilder::TakeKey(const YamlNode& node) {
  Open& map = open_.back();
  map.has_key = true;
  map.drop_value = true;
  map.key = {node.text, node.at};
  if (node.kind != YamlKind::kScalar) {
    findings_.AddError(node.at, {.code = ErrorCode::kYamlSyntax,
                                 .message = fmt::format("a key of a mapping is {}", Describe(node)),
                                 .expected = "text"});
    return;
  }
  if (node.text == "<<" && !node.is_quoted) {
    findings_.AddError(node.at, {.code = ErrorCode::kYamlMergeKey,
                                 .message = "the merge key '<<' is not supported",
                                 .help = "write the keys out, or repeat single values with an alias"});
    return;
  }
  const auto [place, is_new] = map.key_places.emplace(node.text, node.at);
  if (!is_new) {
    findings_.AddError(node.at, {.code = ErrorCode::kYamlDuplicate,
                                 .message = fmt::format("key '{}' is given twice: lines {} and {}", node.text,
                                                        place->second.line, node.at.line),
                                 .help = "keep one of them; YAML readers differ in which one counts"});
    return;
  }
  map.drop_value = false;
}

void TreeBuilder::CheckTag(Location at, const std::string& tag, YamlKind kind) {
  if (tag.empty() || tag == "?" || tag == "!") return;
  static constexpr std::array<std::string_view, 5> kScalarTags{"str", "int", "float", "bool", "null"};
  std::string_view name = tag;
  if (name.starts_with(kCoreTag)) {
    name.remove_prefix(kCoreTag.size());
    if (kind == YamlKind::kMap && name == "map") return;
    if (kind == YamlKind::kSequence && name == "seq") return;
    if (kind == YamlKind::kScalar && std::find(kScalarTags.begin(), kScalarTags.end(), name) != kScalarTags.end()) {
      return;
    }
  }
  findings_.AddError(at, {.code = ErrorCode::kYamlTag,
                          .message = fmt::format("the YAML tag '{}' is not supported here", tag),
                          .help = "remove the tag"});
}

void TreeBuilder::Count(size_t n_nodes, Location at, ErrorCode code, const char* message) {
  n_nodes_ += n_nodes;
  if (n_nodes_ > kMaxYamlNodes)
    findings_.Fail(at, {.code = code, .message = message, .expected = fmt::format("at most {}", kMaxYamlNodes)});
}

}  // namespace gpumerge
