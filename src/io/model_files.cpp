// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Decides which files of a place are the model, and reads their headers.
#include "src/io/model_files.h"

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/io/contained_open.h"
#include "src/io/hub_cache.h"
#include "src/io/journal.h"
#include "src/io/model_directory.h"
#include "src/io/output_target.h"
#include "src/io/safetensors_index.h"
#include "src/io/sharded_model.h"
#include "src/io/weight_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <system_error>

namespace gpumerge {
namespace {

constexpr uint64_t kMaxIndexBytes = kMaxHeaderBytes;
constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;

bool IsIndexName(std::string_view path) {
  constexpr std::string_view kEnding = ".json";
  return path.size() >= kEnding.size() &&
         std::equal(kEnding.begin(), kEnding.end(), path.end() - static_cast<std::ptrdiff_t>(kEnding.size()),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

[[noreturn]] void FailIncomplete(const ModelLocation& location, std::string message, std::string found,
                                 std::string help) {
  if (const size_t n = CountUnfinishedDownloads(location.containment_root); n != 0)
    found += fmt::format("{}{} unfinished downloads (*.incomplete)", found.empty() ? "" : "; ", n);
  throw Error({.code = ErrorCode::kInIncomplete,
               .message = std::move(message),
               .where = location.directory,
               .found = std::move(found),
               .expected = "model.safetensors, or model.safetensors.index.json and its shards",
               .help = std::move(help)});
}

std::string ListNames(const std::vector<std::string>& names) {
  constexpr size_t kShownNames = 10;
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), kShownNames); ++i) shown.push_back(EscapeForTerminal(names[i]));
  return fmt::format("{}{}", fmt::join(shown, ", "), names.size() > kShownNames ? ", ..." : "");
}

// A directory without the files that make a model: says what it has instead.
[[noreturn]] void FailWithoutWeights(const ModelLocation& location, const ModelDirectory& listing) {
  const std::vector<std::string>& others = listing.other_weights;
  const auto is_of = [](const std::string& name) { return name.find("-of-") != std::string::npos; };
  if (std::any_of(others.begin(), others.end(), is_of))
    FailIncomplete(location, "the model has shards but no index", ListNames(others),
                   "get model.safetensors.index.json of the same model");
  if (!others.empty())
    FailIncomplete(location, "the directory has no model.safetensors", ListNames(others),
                   "name the file that you mean, e.g. DIRECTORY/" + EscapeForTerminal(others.front()));
  if (!listing.pickles.empty()) {
    throw Error({.code = ErrorCode::kInPickle,
                 .message = "the model is stored only as pickle files, which can run code when they are loaded",
                 .where = location.directory,
                 .found = ListNames(listing.pickles),
                 .expected = "safetensors files",
                 .help = kConvertPickles});
  }
  FailIncomplete(location, "the directory holds no model weights", {}, "finish the download, or check the path");
}

std::string ReadContained(const ModelLocation& location, const std::string& path, uint64_t max_bytes) {
  const UniqueFd fd = OpenContained(location.LinkRoot(), path);
  if (!fd) FailIncomplete(location, fmt::format("\"{}\" is a link to a file that does not exist", path), {}, {});
  return ReadSmallFile(fd.get(), path, max_bytes);
}

void OpenSingle(const UniqueFd& fd, const std::string& path, ModelFiles* model) {
  AppendWeights(ReadWeightHeader(fd, path), model);
  std::sort(model->tensors.begin(), model->tensors.end(),
            [](const ModelTensor& a, const ModelTensor& b) { return a.name < b.name; });
}

// The user named a file: it is followed wherever it leads. What an index names is not.
void OpenNamedFile(ModelFiles* model) {
  const std::string& path = model->location.weights_path;
  const UniqueFd fd = OpenRegular(path);
  if (IsIndexName(path))
    OpenShards(ReadSmallFile(fd.get(), path, kMaxIndexBytes), path, model);
  else
    OpenSingle(fd, path, model);
}

std::string Describe(const ModelTensor& tensor) {
  return fmt::format("\"{}\" {} [{}]", EscapeForTerminal(tensor.name), Info(tensor.dtype).name,
                     fmt::join(tensor.shape, ", "));
}

// Other tools prefer one or the other, so both must mean the same model. Values are not compared: headers only.
void CompareWithIndex(const std::string& single_path, const std::string& index_path, const ModelFiles& sharded,
                      ModelFiles* single) {
  const bool is_same_file = sharded.files.size() == 1 && sharded.files[0].identity == single->files[0].identity;
  if (is_same_file) return;
  const auto differs = [](const ModelTensor& a, const ModelTensor& b) {
    return a.name != b.name || a.dtype != b.dtype || a.shape != b.shape;
  };
  const auto [a, b] = std::mismatch(single->tensors.begin(), single->tensors.end(), sharded.tensors.begin(),
                                    sharded.tensors.end(), std::not_fn(differs));
  const std::string end = "no further tensor";
  if (a != single->tensors.end() || b != sharded.tensors.end()) {
    throw Error({.code = ErrorCode::kIndexAmbiguous,
                 .message = "the directory has a single file and an index, and they describe different tensors",
                 .where = index_path,
                 .found = b == sharded.tensors.end() ? end : Describe(*b),
                 .expected = fmt::format("{} as in {}", a == single->tensors.end() ? end : Describe(*a), single_path),
                 .help = "name the file that you mean instead of the directory: " + single_path + " or " + index_path});
  }
  single->warnings.push_back(
      {.code = ErrorCode::kIndexAmbiguous,
       .message = "the directory has a single file and an index with the same tensors; the single file is used",
       .where = single_path,
       .found = "beside " + index_path,
       .expected = {},
       .help = "their values were not compared; name the file that you mean, or remove the other"});
}

// The only weights of a directory without config.json, whatever their name: a raw checkpoint. Not an adapter's.
std::optional<std::string> FindRawFile(const ModelLocation& location, const ModelDirectory& listing) {
  if (listing.single_file || listing.index || listing.other_weights.size() != 1) return std::nullopt;
  const std::string& name = listing.other_weights.front();
  const bool has_config = PathExists(location.directory + "/config.json");
  const bool is_shard = name.find("-of-") != std::string::npos;
  return has_config || is_shard || name.starts_with("adapter") ? std::nullopt : std::optional(name);
}

// Its shards have their full size and valid headers from the beginning.
void CheckNotInterrupted(const ModelLocation& location) {
  for (const char* name : {kJournalFile, kPublishingFile})
    if (!location.is_staging && PathExists(location.directory + "/" + name))
      FailIncomplete(location, "the directory is the work of an interrupted merge, not a model", name,
                     "run that merge's command again: it goes on from there");
}

void OpenDirectory(ModelFiles* model) {
  const ModelLocation& location = model->location;
  ModelDirectory listing = ListModelDirectory(location.directory, location.LinkRoot());
  if (std::optional<std::string> raw = FindRawFile(location, listing)) listing.single_file = std::move(raw);
  if (!listing.single_file && !listing.index) FailWithoutWeights(location, listing);
  const std::string index_path = location.directory + "/" + listing.index.value_or("");
  if (!listing.single_file) return OpenShards(ReadContained(location, index_path, kMaxIndexBytes), index_path, model);
  const std::string single_path = location.directory + "/" + *listing.single_file;
  const UniqueFd fd = OpenContained(location.LinkRoot(), single_path);
  if (!fd) FailIncomplete(location, fmt::format("\"{}\" is a link to a file that does not exist", single_path), {}, {});
  OpenSingle(fd, single_path, model);
  if (!listing.index) return;
  ModelFiles sharded;
  sharded.location = location;
  OpenShards(ReadContained(location, index_path, kMaxIndexBytes), index_path, &sharded);
  model->index_path = index_path;
  CompareWithIndex(single_path, index_path, sharded, model);
}

// config.json and the files that may be copied are those of the directory, also when the reference names a file.
void AddSurroundings(ModelFiles* model) {
  const ModelLocation& location = model->location;
  ModelDirectory listing = ListModelDirectory(location.directory, location.LinkRoot());
  model->side_files = std::move(listing.side_files);
  model->unusable = std::move(listing.unusable);
  model->warnings.insert(model->warnings.end(), listing.warnings.begin(), listing.warnings.end());
  const std::string config_path = location.directory + "/config.json";
  const UniqueFd fd = OpenContained(location.LinkRoot(), config_path);
  if (fd)
    model->config_json = ReadSmallFile(fd.get(), config_path, kMaxConfigBytes);
  else if (IsSymlink(config_path))
    FailIncomplete(location, "config.json is a link to a file that does not exist", {}, "finish the download");
}

}  // namespace

ModelFiles OpenModel(const ModelLocation& location) {
  ModelFiles model;
  model.location = location;
  CheckNotInterrupted(location);
  if (location.weights_path.empty())
    OpenDirectory(&model);
  else
    OpenNamedFile(&model);
  AddSurroundings(&model);
  return model;
}

std::string ModelFiles::SidePath(std::string_view file_name) const {
  const auto elsewhere = side_paths.find(file_name);
  return elsewhere != side_paths.end() ? elsewhere->second : location.directory + "/" + std::string(file_name);
}

std::set<std::string> ModelFiles::LinkedPlaces() const {
  std::set<std::string> places;
  const auto add = [&](const std::string& path) {
    const std::string target = ResolvePath(path);
    if (!target.empty() && !LiesBelow(target, location.containment_root))
      places.insert(std::filesystem::path(target).parent_path());
  };
  for (const WeightFile& file : files) add(file.path);
  if (!index_path.empty()) add(index_path);
  if (config_json) add(location.directory + "/config.json");
  for (const std::string& name : side_files) add(SidePath(name));
  return places;
}

std::string ModelFiles::ReadSide(std::string_view file_name, uint64_t max_bytes) const {
  const auto text = side_texts.find(file_name);
  return text != side_texts.end() ? text->second : ReadSmallFile(SidePath(file_name), max_bytes);
}

const ModelTensor* ModelFiles::Find(std::string_view tensor_name) const {
  const auto at = std::lower_bound(tensors.begin(), tensors.end(), tensor_name,
                                   [](const ModelTensor& tensor, std::string_view name) { return tensor.name < name; });
  return at != tensors.end() && at->name == tensor_name ? &*at : nullptr;
}

}  // namespace gpumerge
