// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A directory takes the other's name, or swaps names with it. Where it cannot, files move one by one, after a list of
// them has been kept in staging: what is on the list, in the target and no longer in staging is new, whenever somebody
// looks.
#include "src/io/output_publish.h"

#include "src/base/system_calls.h"
#include "src/io/output_dir.h"
#include "src/io/output_files.h"

#include "gpumerge/error.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

using Moves = std::vector<std::pair<std::string, std::string>>;

void MakeDurable(const std::vector<std::string>& directories, Sync sync) {
  if (sync == Sync::kFull)
    for (const std::string& directory : directories) SyncDirectory(directory);
}

bool Contains(const std::vector<std::string>& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// What is in the target and not of the new output, config.json first. The report stays while anything else does:
// without it, what a kill leaves could not be overwritten. Throws Error(OUT-EXISTS) when something of it is not on the
// list: it came since, and nobody has said that it may go.
Moves MovesOfOld(const OutputPlaces& places, const PublishingList& list) {
  const std::vector<std::string> staged = EntryNames(places.staging), gone = EntryNames(places.old);
  std::vector<std::string> old;
  for (const std::string& name : OutputEntries(places)) {
    if (list.Find(name) != nullptr && !Contains(staged, name)) continue;  // it is new
    if (!Contains(list.old, name) || Contains(gone, name))
      throw Error({.code = ErrorCode::kOutExists,
                   .message = "while the output was put in place file by file, somebody else's came to be there",
                   .where = places.target,
                   .found = name,
                   .expected = "only files of this output, and of the one that it replaces",
                   .help = "move it away and run the same command again, which then puts the rest in place"});
    old.push_back(name);
  }
  std::stable_partition(old.begin(), old.end(), [](const std::string& name) { return name == kLastFile; });
  std::stable_partition(old.begin(), old.end(), [](const std::string& name) { return name != kMergeReportFile; });
  Moves moves;
  for (const std::string& name : old) moves.emplace_back(Join(places.target, name), Join(places.old, name));
  return moves;
}

// Of those on the list that are still in staging: config.json, or the others, the report first.
Moves MovesOfNew(const OutputPlaces& places, const PublishingList& list, bool is_last) {
  Moves moves;
  for (const std::string& name : EntryNames(places.staging)) {
    if (list.Find(name) == nullptr || (name == kLastFile) != is_last) continue;
    const auto at = name == kMergeReportFile ? moves.begin() : moves.end();
    moves.insert(at, {Join(places.staging, name), Join(places.target, name)});
  }
  return moves;
}

// Each step's names are durable before the next: whatever the power does, config.json is the first to go and the last
// to come. Nothing is taken back after an error: the next run goes on.
class MovingByList {
 public:
  MovingByList(const OutputPlaces& places, PublishingList list, Sync sync)
      : places_(places), list_(std::move(list)), sync_(sync) {}

  void Run() {
    const Moves old = MovesOfOld(places_, list_);
    if (!old.empty()) MakeOld();
    const auto others = old.begin() + (!old.empty() && old.front().first == Join(places_.target, kLastFile) ? 1 : 0);
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
  const PublishingList list_;
  const Sync sync_;
  bool has_moved_ = false;
};

// Its name is durable before anything is moved into it. What is filled in place has been there all along.
void MakeTarget(const OutputPlaces& places, Sync sync) {
  if (!IsThere(places.target)) MakeDirectory(places.target);
  if (!places.in_place) MakeDurable({places.parent}, sync);
}

void PublishInPlace(const OutputPlaces& places, const std::string& identity, bool overwrite, Sync sync) {
  std::vector<std::string> old = OutputEntries(places);
  if (!old.empty()) CheckOutputTarget(places.target, overwrite);
  MakeTarget(places, sync);
  MovingByList moving(places, WritePublishingList(places, identity, std::move(old), sync), sync);
  const std::string list = Join(places.staging, kPublishingFile);
  try {
    moving.Run();
  } catch (...) {
    // The first error is the one to tell; if the list stays, the next run moves the files.
    if (!moving.has_moved()) Sys().Unlink(list.c_str());
    throw;
  }
}

// For file systems that cannot exchange names: for a moment there is no target; the next run repairs a kill then.
bool ReplaceByRenames(const OutputPlaces& places) {
  if (RenameDirectory(places.target, places.old) != Renamed::kDone) return false;
  try {
    if (RenameDirectory(places.staging, places.target) == Renamed::kDone) return true;
  } catch (...) {
    // The first error is the one to tell; if this fails as well, the next run does it.
    Sys().Rename(places.old.c_str(), places.target.c_str(), 0);
    throw;
  }
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

void PublishStaging(const OutputPlaces& places, const std::string& identity, bool overwrite, Sync sync) {
  if (places.in_place || !PublishByRename(places, overwrite)) PublishInPlace(places, identity, overwrite, sync);
}

std::string MissingForPublishing(const OutputPlaces& places, const PublishingList& list) {
  for (const PublishingList::File& file : list.files) {
    const std::optional<uint64_t> staged = SizeOfFile(Join(places.staging, file.name));
    if ((staged ? staged : SizeOfFile(Join(places.target, file.name))) != file.size_bytes) return file.name;
  }
  return {};
}

void FinishPublishing(const OutputPlaces& places, const PublishingList& list, Sync sync) {
  MakeTarget(places, sync);
  MakeDurable({places.target}, sync);  // what the killed run had moved
  MovingByList(places, list, sync).Run();
}

}  // namespace gpumerge
