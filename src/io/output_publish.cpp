// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A directory takes the other's name, or swaps names with it. Where it cannot, files move one by one, after a list of
// them has been kept in staging: what is on the list and no longer in staging is new, whenever somebody looks.
#include "src/io/output_publish.h"

#include "src/base/file.h"
#include "src/io/output_dir.h"
#include "src/io/output_files.h"

#include "gpumerge/error.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

using Moves = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kLast = "config.json";  // no loader opens a directory without it
constexpr uint64_t kMaxListBytes = uint64_t{64} << 20;

std::string Join(const std::string& directory, const std::string& name) {
  return (std::filesystem::path(directory) / name).string();
}

void MakeDurable(const std::vector<std::string>& directories, Sync sync) {
  if (sync == Sync::kFull)
    for (const std::string& directory : directories) SyncDirectory(directory);
}

// Names separated by NUL, which no name has.
std::vector<std::string> WriteList(const OutputPlaces& places, Sync sync) {
  std::vector<std::string> names = EntryNames(places.staging);
  std::string list;
  for (const std::string& name : names) list += name + '\0';
  const std::string path = Join(places.staging, kPublishingFile);
  UniqueFd fd = CreateNewFile(path + ".part");
  WriteFully(fd.get(), 0, list.data(), list.size(), path);
  if (sync == Sync::kFull) SyncFile(fd.get(), path);
  CloseWritten(std::move(fd), path);
  RenameFile(path + ".part", path);
  MakeDurable({places.staging}, sync);
  return names;
}

std::vector<std::string> ReadList(const OutputPlaces& places) {
  std::string list;
  try {
    list = ReadSmallFile(Join(places.staging, kPublishingFile), kMaxListBytes);
  } catch (const Error& error) {
    Diagnostic diagnostic = error.diagnostics().front();
    diagnostic.code = ErrorCode::kOutIo;  // it is no input
    throw Error(std::move(diagnostic));
  }
  std::vector<std::string> names;
  for (size_t begin = 0, end = 0; (end = list.find('\0', begin)) != std::string::npos; begin = end + 1)
    names.push_back(list.substr(begin, end - begin));
  std::sort(names.begin(), names.end());
  return names;
}

bool Contains(const std::vector<std::string>& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// What is in the target and not of the new output, config.json first. The report stays while anything else does:
// without it, what a kill leaves could not be overwritten.
Moves MovesOfOld(const OutputPlaces& places, const std::vector<std::string>& list) {
  const std::vector<std::string> staged = EntryNames(places.staging);
  std::vector<std::string> old;
  for (const std::string& name : OutputEntries(places))
    if (!Contains(list, name) || Contains(staged, name)) old.push_back(name);
  std::stable_partition(old.begin(), old.end(), [](const std::string& name) { return name == kLast; });
  std::stable_partition(old.begin(), old.end(), [](const std::string& name) { return name != kMergeReportFile; });
  Moves moves;
  for (const std::string& name : old) moves.emplace_back(Join(places.target, name), Join(places.old, name));
  return moves;
}

// Of those on the list that are still in staging: config.json, or the others, the report first.
Moves MovesOfNew(const OutputPlaces& places, const std::vector<std::string>& list, bool is_last) {
  Moves moves;
  for (const std::string& name : EntryNames(places.staging)) {
    if (!Contains(list, name) || (name == kLast) != is_last) continue;
    const auto at = name == kMergeReportFile ? moves.begin() : moves.end();
    moves.insert(at, {Join(places.staging, name), Join(places.target, name)});
  }
  return moves;
}

// Each step's names are durable before the next: whatever the power does, config.json is the first to go and the last
// to come. Nothing is taken back after an error: the next run goes on.
class MovingByList {
 public:
  MovingByList(const OutputPlaces& places, std::vector<std::string> list, Sync sync)
      : places_(places), list_(std::move(list)), sync_(sync) {}

  void Run() {
    const Moves old = MovesOfOld(places_, list_);
    if (!old.empty()) MakeOld();
    const auto others = old.begin() + (!old.empty() && old.front().first == Join(places_.target, kLast) ? 1 : 0);
    Move(Moves(old.begin(), others));
    Move(Moves(others, old.end()));
    Move(MovesOfNew(places_, list_, false));
    Move(MovesOfNew(places_, list_, true));
  }
  bool has_moved() const { return has_moved_; }

 private:
  void MakeOld() {
    if (!IsThere(places_.old)) MakeDirectory(places_.old);
    MakeDurable({std::filesystem::path(places_.old).parent_path().string()}, sync_);
  }

  void Move(const Moves& moves) {
    for (const auto& [from, to] : moves) {
      RenameFile(from, to);
      has_moved_ = true;
    }
    if (!moves.empty()) MakeDurable({places_.target}, sync_);
  }

  const OutputPlaces& places_;
  const std::vector<std::string> list_;
  const Sync sync_;
  bool has_moved_ = false;
};

void PublishInPlace(const OutputPlaces& places, bool overwrite, Sync sync) {
  if (!OutputEntries(places).empty()) CheckOutputTarget(places.target, overwrite);
  if (!IsThere(places.target)) MakeDirectory(places.target);
  MovingByList moving(places, WriteList(places, sync), sync);
  try {
    moving.Run();
  } catch (const Error&) {
    if (!moving.has_moved()) RemoveFile(Join(places.staging, kPublishingFile));
    throw;
  }
}

// For file systems that cannot exchange names: for a moment there is no target; the next run repairs a kill then.
bool ReplaceByRenames(const OutputPlaces& places) {
  if (RenameDirectory(places.target, places.old) != Renamed::kDone) return false;
  if (RenameDirectory(places.staging, places.target) == Renamed::kDone) return true;
  MoveAll({{places.old, places.target}});
  return false;
}

bool PublishByRename(const OutputPlaces& places, bool overwrite) {
  const Renamed renamed = RenameDirectory(places.staging, places.target);
  if (renamed != Renamed::kExists) return renamed == Renamed::kDone;
  // Also when the target came to be while the merge ran.
  CheckOutputTarget(places.target, overwrite);
  return ExchangeNames(places.staging, places.target) == Renamed::kDone || ReplaceByRenames(places);
}

}  // namespace

void PublishStaging(const OutputPlaces& places, bool overwrite, Sync sync) {
  if (places.in_place || !PublishByRename(places, overwrite)) PublishInPlace(places, overwrite, sync);
}

bool FinishPublishing(const OutputPlaces& places, Sync sync) {
  if (!IsThere(Join(places.staging, kPublishingFile))) return false;
  MovingByList(places, ReadList(places), sync).Run();
  return true;
}

}  // namespace gpumerge
