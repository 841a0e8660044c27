// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Builds a YAML tree from the parser's events, top down, and keeps its bounds: depth, number of nodes, copies made for
// aliases. Included by yaml_*.cpp only, because it sees yaml-cpp. Not thread-safe.
#pragma once

#include "src/config/findings.h"
#include "src/config/yaml_tree.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gpumerge {

// Turns yaml-cpp's marks (0-based, columns in bytes) into locations (1-based, columns in characters).
class MarkReader {
 public:
  explicit MarkReader(std::string_view text);
  Location At(const YAML::Mark& mark);
  std::string_view TextAt(const YAML::Mark& mark) const;
  std::string_view Line(size_t line) const;  // 0-based, without its line break

 private:
  size_t Offset(const YAML::Mark& mark) const;

  std::string_view text_;
  std::vector<size_t> line_begins_;
  // The last answer: marks mostly move forward, so that counting goes on from there.
  size_t last_line_ = 0, last_bytes_ = 0;
  uint32_t last_characters_ = 0;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(MarkReader& marks, Findings& findings) : marks_(marks), findings_(findings) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    document_at_ = marks_.At(mark);
    anchored_.clear();  // the parser numbers them anew in every document
  }
  void OnDocumentEnd() override { ++n_documents_; }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { Close(); }

  size_t n_documents() const { return n_documents_; }
  Location document_at() const { return document_at_; }  // of the last one
  std::vector<YamlNode> TakeRoots() { return std::move(roots_); }

 private:
  struct Extent {
    size_t n_nodes = 1;
    size_t height = 1;
  };
  // A list or mapping whose end has not been seen.
  struct Open {
    YamlNode node;
    Extent extent;
    YAML::anchor_t anchor = YAML::NullAnchor;
    std::unordered_map<std::string, Location> key_places;
    bool has_key = false;     // of a mapping: the next node is the value of `key`
    bool drop_value = false;  // its key was refused
    YamlKey key;
  };
  struct Anchored {
    YamlNode node;
    Extent extent;
  };

  void Begin(YamlKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor);
  void Close();
  // A finished node takes its place in the list or mapping that is open.
  void Place(YamlNode node, Extent extent, YAML::anchor_t anchor);
  void TakeKey(const YamlNode& node);
  void CheckTag(Location at, const std::string& tag, YamlKind kind);
  void Count(size_t n_nodes, Location at, ErrorCode code, const char* message);
  Location PlaceOfNull(const YAML::Mark& mark);

  MarkReader& marks_;
  Findings& findings_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Anchored> anchored_;
  std::vector<YamlNode> roots_;
  size_t n_nodes_ = 0;
  size_t n_documents_ = 0;
  Location document_at_;
};

}  // namespace gpumerge
