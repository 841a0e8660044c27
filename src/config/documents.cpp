// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which document is the output's, and what is wrong between documents; see documents.h.
#include "src/config/documents.h"

#include "src/config/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace gpumerge {
namespace {

// Documents are planned one inside the other, so a chain of them has an end.
constexpr size_t kMaxDocuments = 100;

struct Document {
  MergeConfig config;
  Location at{};
  std::vector<std::pair<std::string, Location>> uses{};
};

std::string Place(Location at) { return fmt::format("line {}", at.line); }

std::set<std::string> NamesOf(const std::vector<YamlNode>& documents) {
  std::set<std::string> names;
  for (const YamlNode& document : documents) {
    const YamlNode* name = document.kind == YamlKind::kMap ? document.Find("name") : nullptr;
    if (name != nullptr && name->kind == YamlKind::kScalar) names.insert(name->text);
  }
  return names;
}

// With `--keep-stages DIR` a stage is written to DIR/name.
bool IsPlainPath(const std::string& name) {
  size_t begin = 0;
  while (true) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == name.size()) return true;
    begin = end + 1;
  }
}

class DocumentChecker {
 public:
  DocumentChecker(const std::vector<Document>& documents, Findings& findings)
      : documents_(documents), findings_(findings) {}

  // The index of the output's document; nullopt after an error.
  std::optional<size_t> Check() {
    CheckNames();
    for (size_t i = 0; i < documents_.size(); ++i) FindCycle(i);
    if (has_error_) return std::nullopt;
    const size_t output = FindOutput();
    if (has_error_) return std::nullopt;
    WarnOfOutputs(output);
    WarnOfUnused(output);
    return output;
  }

 private:
  void AddError(Location at, std::string message, std::string help) {
    has_error_ = true;
    findings_.AddError(at, {.code = ErrorCode::kYamlDocs, .message = std::move(message), .help = std::move(help)});
  }

  void CheckNames() {
    for (size_t i = 0; i < documents_.size(); ++i) {
      const MergeConfig& config = documents_[i].config;
      if (config.name.empty()) continue;
      if (!IsPlainPath(config.name))
        AddError(config.name_at, fmt::format("'{}' cannot be the name of a document", config.name),
                 "a name is also a folder's: no empty parts between slashes, no '.' and no '..'");
      const auto [first, is_new] = by_name_.emplace(config.name, i);
      if (is_new) continue;
      AddError(config.name_at,
               fmt::format("two documents are called '{}': {} and {}", config.name,
                           Place(documents_[first->second].config.name_at), Place(config.name_at)),
               "give each a name of its own");
    }
  }

  // Depth first; a document on the way to itself ends it.
  void FindCycle(size_t document) {
    if (has_error_ || done_.contains(document)) return;
    way_.push_back(document);
    for (const auto& [name, at] : documents_[document].uses) {
      const auto used = by_name_.find(name);
      if (used == by_name_.end()) continue;
      const auto begin = std::find(way_.begin(), way_.end(), used->second);
      if (begin != way_.end()) {
        std::string names;
        for (auto step = begin; step != way_.end(); ++step) names += fmt::format("'{}' needs ", NameOf(*step));
        AddError(at, fmt::format("the documents need each other: {}'{}'", names, name),
                 "one of them must be merged from models alone");
        break;
      }
      FindCycle(used->second);
      if (has_error_) break;
    }
    way_.pop_back();
    done_.insert(document);
  }

  const std::string& NameOf(size_t document) const { return documents_[document].config.name; }

  // The document without a name, else the last one.
  size_t FindOutput() {
    std::optional<size_t> unnamed;
    for (size_t i = 0; i < documents_.size(); ++i) {
      if (!NameOf(i).empty()) continue;
      if (unnamed) {
        AddError(documents_[i].at,
                 fmt::format("two documents have no name: {} and {}", Place(documents_[*unnamed].at),
                             Place(documents_[i].at)),
                 "only the one that is the output may have none; write 'name: ...' in the other");
        return i;
      }
      unnamed = i;
    }
    if (unnamed) return *unnamed;
    const size_t last = documents_.size() - 1;
    for (const Document& document : documents_)
      for (const auto& [name, at] : document.uses)
        if (name == NameOf(last)) {
          AddError(at, fmt::format("every document has a name, and the last one, '{}', is an input of another", name),
                   "leave out the name of the document that is the output, or put it last");
          return last;
        }
    return last;
  }

  void WarnOfOutputs(size_t output) {
    for (size_t i = 0; i < documents_.size(); ++i)
      if (i != output && documents_[i].config.output)
        findings_.AddWarning(documents_[i].config.name_at,
                             {.code = ErrorCode::kCfgNoEffect,
                              .message = fmt::format("'output' of the document '{}' changes nothing", NameOf(i)),
                              .help = "stages are written with --keep-stages DIR only, to DIR/NAME"});
  }

  void Reach(size_t document, std::set<size_t>* reached) const {
    if (!reached->insert(document).second) return;
    for (const auto& [name, at] : documents_[document].uses) Reach(by_name_.at(name), reached);
  }

  void WarnOfUnused(size_t output) {
    std::set<size_t> reached;
    Reach(output, &reached);
    for (size_t i = 0; i < documents_.size(); ++i)
      if (!reached.contains(i))
        findings_.AddWarning(documents_[i].config.name_at,
                             {.code = ErrorCode::kCfgNoEffect,
                              .message = fmt::format("the output does not need the document '{}'", NameOf(i)),
                              .help = "it is merged with --keep-stages only; remove it otherwise"});
  }

  const std::vector<Document>& documents_;
  Findings& findings_;
  std::map<std::string, size_t> by_name_;
  std::vector<size_t> way_;
  std::set<size_t> done_;
  bool has_error_ = false;
};

}  // namespace

MergeConfig ReadDocuments(std::vector<YamlNode>& roots, Findings& findings) {
  if (roots.size() > kMaxDocuments)
    findings.Fail(roots[kMaxDocuments].at, {.code = ErrorCode::kYamlDocs,
                                            .message = "the recipe has too many documents",
                                            .found = fmt::format("{}", roots.size()),
                                            .expected = fmt::format("at most {}", kMaxDocuments)});
  const std::set<std::string> names = NamesOf(roots);
  std::vector<Document> documents;
  for (YamlNode& root : roots) {
    RecipeContext context{.findings = findings, .stage_names = &names};
    Document document{.config = ReadRecipe(root, context), .at = root.at};
    if (root.kind == YamlKind::kMap) CheckRecipe(document.config, context);
    document.uses = std::move(context.stages_used);
    documents.push_back(std::move(document));
  }
  const std::optional<size_t> output = DocumentChecker(documents, findings).Check();
  if (!output) return {};
  MergeConfig config = std::move(documents[*output].config);
  for (size_t i = 0; i < documents.size(); ++i)
    if (i != *output) config.stages.push_back(std::move(documents[i].config));
  return config;
}

}  // namespace gpumerge
