// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The index is a claim, the shards are the truth: the two lists are sorted and compared.
#include "src/io/sharded_model.h"

#include "src/base/text.h"
#include "src/io/contained_open.h"
#include "src/io/hub_cache.h"
#include "src/io/safetensors_index.h"
#include "src/io/weight_file.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace gpumerge {
namespace {

// Diagnostics of one kind that are reported one by one; the rest are counted.
constexpr size_t kMaxReports = 10;
constexpr size_t kMaxDefects = 100;  // of shards

Diagnostic MissingShards(const std::vector<std::string>& missing, size_t n_shards, const ModelLocation& location) {
  constexpr size_t kMaxNames = 100;
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(missing.size(), kMaxNames); ++i) names.push_back(EscapeForTerminal(missing[i]));
  std::string found = fmt::format("missing: {}", fmt::join(names, ", "));
  if (missing.size() > kMaxNames) found += fmt::format(" and {} more", missing.size() - kMaxNames);
  if (const size_t n = CountUnfinishedDownloads(location.containment_root); n != 0)
    found += fmt::format("; {} unfinished downloads (*.incomplete)", n);
  return {.code = ErrorCode::kInIncomplete,
          .message = fmt::format("{} of the {} files that the index names do not exist", missing.size(), n_shards),
          .where = location.directory,
          .found = found,
          .expected = {},
          .help = "finish the download; if the model is one file, name that file instead of the directory"};
}

void OpenFiles(const SafetensorsIndex& index, ModelFiles* model) {
  std::vector<std::string> missing;
  std::vector<Diagnostic> diagnostics;
  for (const std::string& shard : index.shards) {
    const std::string path = model->location.directory + "/" + shard;
    try {
      const UniqueFd fd = OpenContained(model->location.LinkRoot(), path);
      if (fd)
        AppendWeights(ReadWeightHeader(fd, path), model);
      else
        missing.push_back(shard);
    } catch (const Error& error) {
      diagnostics.insert(diagnostics.end(), error.diagnostics().begin(), error.diagnostics().end());
    }
  }
  if (!missing.empty())
    diagnostics.insert(diagnostics.begin(), MissingShards(missing, index.shards.size(), model->location));
  if (diagnostics.size() > kMaxDefects) {
    const size_t n_more = diagnostics.size() - kMaxDefects;
    diagnostics.resize(kMaxDefects);
    diagnostics.back().help +=
        fmt::format("{}{} more defects are not shown", diagnostics.back().help.empty() ? "" : "; ", n_more);
  }
  if (!diagnostics.empty()) throw Error(std::move(diagnostics));
}

class Comparison {
 public:
  Comparison(const SafetensorsIndex& index, const std::string& index_path, const ModelFiles& model)
      : index_(index), index_path_(index_path), model_(model) {}

  // Both lists are sorted by name; files have the numbers of the index's shards.
  std::vector<Diagnostic> Run() {
    const std::vector<ModelTensor>& tensors = model_.tensors;
    size_t t = 0;
    for (const IndexEntry& entry : index_.entries) {
      for (; t < tensors.size() && tensors[t].name < entry.tensor; ++t) Unlisted(tensors[t]);
      const size_t first = t;
      while (t < tensors.size() && tensors[t].name == entry.tensor) ++t;
      if (t - first > 1)
        Twice(tensors[first], tensors[first + 1]);
      else if (t == first)
        Missing(entry, "it is in no shard");
      else if (tensors[first].file != entry.shard)
        Missing(entry, "it is in " + Quote(index_.shards[tensors[first].file]));
    }
    for (; t < tensors.size(); ++t) Unlisted(tensors[t]);
    AddOmitted();
    return std::move(diagnostics_);
  }

 private:
  enum Kind : size_t { kTwice, kMissing, kUnlisted, kKinds };

  void Add(Kind kind, ErrorCode code, std::string message, std::string found, std::string help) {
    if (++counts_[kind] > kMaxReports) return;
    diagnostics_.push_back({.code = code,
                            .message = std::move(message),
                            .where = index_path_,
                            .found = std::move(found),
                            .expected = {},
                            .help = std::move(help)});
  }

  void Twice(const ModelTensor& a, const ModelTensor& b) {
    Add(kTwice, ErrorCode::kIndexTwice, fmt::format("tensor {} lies in two shards", Quote(a.name)),
        fmt::format("in {} and {}", Quote(index_.shards[a.file]), Quote(index_.shards[b.file])),
        "shards of two different exports may be mixed; get the model again");
  }
  void Missing(const IndexEntry& entry, std::string found) {
    Add(kMissing, ErrorCode::kIndexMissing,
        fmt::format("tensor {} is not in {}, where the index says it is", Quote(entry.tensor),
                    Quote(index_.shards[entry.shard])),
        std::move(found), "index and shards are of different exports; get the model again");
  }
  void Unlisted(const ModelTensor& tensor) {
    Add(kUnlisted, ErrorCode::kIndexUnlisted,
        fmt::format("tensor {} in {} is not in the index", Quote(tensor.name), Quote(index_.shards[tensor.file])), {},
        "other tools would load it, or not; rewrite the index, get the model again, or leave it out: "
        "--ignore-unlisted");
  }

  void AddOmitted() {
    constexpr std::array kCodes{ErrorCode::kIndexTwice, ErrorCode::kIndexMissing, ErrorCode::kIndexUnlisted};
    for (size_t kind = 0; kind < kKinds; ++kind) {
      if (counts_[kind] <= kMaxReports) continue;
      const size_t n_more = counts_[kind] - kMaxReports;
      diagnostics_.push_back({.code = kCodes[kind],
                              .message = fmt::format("{} more: {}", n_more, Info(kCodes[kind]).meaning),
                              .where = index_path_,
                              .found = {},
                              .expected = {},
                              .help = {}});
    }
  }

  const SafetensorsIndex& index_;
  const std::string& index_path_;
  const ModelFiles& model_;
  std::vector<Diagnostic> diagnostics_;
  std::array<size_t, kKinds> counts_{};
};

// Only because the user says so, and never silently.
void LeaveOutUnlisted(const SafetensorsIndex& index, const std::string& index_path, ModelFiles* model) {
  std::vector<std::string>& left_out = model->unlisted;
  const auto is_unlisted = [&](const ModelTensor& tensor) {
    const auto at =
        std::lower_bound(index.entries.begin(), index.entries.end(), tensor.name,
                         [](const IndexEntry& entry, const std::string& name) { return entry.tensor < name; });
    const bool is_listed = at != index.entries.end() && at->tensor == tensor.name;
    if (!is_listed) left_out.push_back(tensor.name);
    return !is_listed;
  };
  std::erase_if(model->tensors, is_unlisted);
  if (left_out.empty()) return;
  std::vector<std::string> named;
  for (size_t i = 0; i < std::min(left_out.size(), kMaxReports); ++i) named.push_back(Quote(left_out[i]));
  model->warnings.push_back(
      {.code = ErrorCode::kIndexUnlisted,
       .message = fmt::format("{} left out, which the index does not list: {}{}",
                              left_out.size() == 1 ? "1 tensor is" : fmt::format("{} tensors are", left_out.size()),
                              fmt::join(named, ", "), left_out.size() > named.size() ? ", ..." : ""),
       .where = index_path,
       .found = {},
       .expected = {},
       .help = "--ignore-unlisted asks for that; the report lists them all"});
}

void WarnOfTotalSize(const SafetensorsIndex& index, const std::string& index_path, ModelFiles* model) {
  if (!index.total_size) return;
  uint64_t total_bytes = 0;
  for (const ModelTensor& tensor : model->tensors) total_bytes += tensor.size_bytes;
  if (*index.total_size == static_cast<double>(total_bytes)) return;
  model->warnings.push_back({.code = ErrorCode::kIndexSize,
                             .message = "the index's total_size is not the size of its tensors",
                             .where = index_path,
                             .found = fmt::format("{:.0f}", *index.total_size),
                             .expected = fmt::format("{}", total_bytes),
                             .help = "harmless by itself; the shards' own sizes are right"});
}

}  // namespace

void OpenShards(const std::string& index_json, const std::string& index_path, ModelFiles* model) {
  const SafetensorsIndex index = ParseSafetensorsIndex(index_json, index_path);
  model->index_path = index_path;
  model->tensors.reserve(index.entries.size());
  OpenFiles(index, model);
  // By name; a tensor that is there twice stays in the order of the shards.
  std::stable_sort(model->tensors.begin(), model->tensors.end(),
                   [](const ModelTensor& a, const ModelTensor& b) { return a.name < b.name; });
  if (model->location.ignore_unlisted) LeaveOutUnlisted(index, index_path, model);
  std::vector<Diagnostic> diagnostics = Comparison(index, index_path, *model).Run();
  if (!diagnostics.empty()) throw Error(std::move(diagnostics));
  WarnOfTotalSize(index, index_path, model);
}

}  // namespace gpumerge
