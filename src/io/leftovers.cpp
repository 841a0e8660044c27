// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/io/leftovers.h"

#include "src/base/file.h"
#include "src/base/system_calls.h"
#include "src/io/journal.h"
#include "src/io/output_files.h"
#include "src/io/output_publish.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

[[noreturn]] void Throw(ErrorCode code, std::string message, const std::string& path, std::string found,
                        std::string help) {
  throw Error({.code = code,
               .message = std::move(message),
               .where = path,
               .found = std::move(found),
               .expected = {},
               .help = std::move(help)});
}

// nullopt: there is nothing. Throws Error(OUT-IO) when the disk does not say.
std::optional<struct stat> Look(const std::string& path) {
  struct stat status {};
  if (Sys().Lstat(path.c_str(), &status) == 0) return status;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  Throw(ErrorCode::kOutIo, fmt::format("cannot look at what an earlier run left: {}", ErrnoText(errno)), path, {}, {});
}

bool IsDirectoryItself(const std::string& path) {
  const auto status = Look(path);
  return status && S_ISDIR(status->st_mode);
}

// Nothing that somebody else has put there becomes part of an output, and no other user's work is thrown away unasked.
void CheckIsOwn(const std::string& path) {
  const auto status = Look(path);
  if (!status || status->st_uid == ::geteuid()) return;
  Throw(ErrorCode::kResMismatch, "another user's interrupted run left its work here", path,
        fmt::format("of user {}", status->st_uid),
        fmt::format("run it as that user, not as user {}; --restart throws that work away and begins anew; or give "
                    "another --out",
                    ::geteuid()));
}

// Of an output that was to be replaced file by file: it comes back, config.json last, where nothing stands.
void BringOldBack(const OutputPlaces& places, Sync sync) {
  if (!OutputEntries(places).empty() || !IsThere(places.old)) return;
  if (!IsThere(places.target)) MakeDirectory(places.target);
  std::vector<std::string> names = EntryNames(places.old);
  std::stable_partition(names.begin(), names.end(), [](const std::string& name) { return name != kLastFile; });
  for (const std::string& name : names) RenameFile(places.old + "/" + name, places.target + "/" + name);
  if (sync == Sync::kFull) SyncDirectory(places.target);
}

// What it has put into the target is treated like any other output there.
void GiveUpPublishing(const OutputPlaces& places, bool overwrite, Sync sync, std::string_view help) {
  BringOldBack(places, sync);
  const std::vector<std::string> entries = OutputEntries(places);
  if (!overwrite && !entries.empty())
    Throw(ErrorCode::kOutExists, "an earlier run was interrupted while it put its output in place", places.target,
          fmt::format("{} of its files or others, e.g. {}", entries.size(), entries.front()), std::string(help));
  CheckTargetContents(places, overwrite);
  RemoveFile(places.staging + "/" + kPublishingFile);
  if (sync == Sync::kFull) SyncDirectory(places.staging);
}

// Whose output is in place then; nullopt: it cannot be finished, `missing` is not there any more.
std::optional<std::string> TryToFinish(const OutputPlaces& places, Sync sync, std::string* missing) {
  const std::optional<PublishingList> list = ReadPublishingList(places);
  *missing = list ? MissingForPublishing(places, *list) : kPublishingFile;
  if (!missing->empty()) return std::nullopt;
  FinishPublishing(places, *list, sync);
  if (sync == Sync::kFull) SyncDirectory(places.parent);
  return list->identity;
}

}  // namespace

void RemoveLeftovers(const OutputPlaces& places) {
  RemoveTree(places.staging);
  RemoveTree(places.old);
}

TakenLeftovers TakeLeftovers(const OutputPlaces& places, const std::string& identity, bool overwrite, Sync sync,
                             Leftover leftover) {
  TakenLeftovers taken;
  const std::string list = places.staging + "/" + kPublishingFile, journal = places.staging + "/" + kJournalFile;
  const bool is_directory = IsDirectoryItself(places.staging), keeps = leftover != Leftover::kDiscard;
  const bool has_list = is_directory && IsThere(list), has_journal = is_directory && SizeOfFile(journal).has_value();
  if (keeps && (has_list || has_journal))
    for (const std::string& path : {places.staging, list, journal}) CheckIsOwn(path);
  if (has_list && keeps) {
    std::string missing;
    if (const std::optional<std::string> finished = TryToFinish(places, sync, &missing)) {
      RemoveLeftovers(places);
      taken.is_complete = !identity.empty() && *finished == identity;
      if (overwrite || taken.is_complete) return taken;
      Throw(ErrorCode::kOutExists, "an earlier run's output was complete and is in place now", places.target, {},
            "use it; or --overwrite replaces it");
    }
    taken.warning = Diagnostic{.code = ErrorCode::kResMismatch,
                               .message =
                                   "an earlier run was interrupted while it put its output in place, and that "
                                   "could not be finished: a file of it has gone",
                               .where = places.staging,
                               .found = "no " + missing,
                               .help = "this run made the output anew"};
    GiveUpPublishing(
        places, overwrite, sync,
        "a file of its output has gone, so that it cannot be finished; move what is there away, or --overwrite "
        "replaces it if it is the output of a merge");
  } else if (has_list) {
    GiveUpPublishing(places, overwrite, sync,
                     "the same command without --restart puts the rest in place; or move what is there away, or "
                     "--overwrite replaces it");
  }
  // A kill between the two renames of a replacement.
  if (!places.in_place && IsThere(places.old) && !IsThere(places.target)) MoveAll({{places.old, places.target}});
  // Without a list, also of files that were moved one by one nothing is needed any more.
  RemoveTree(places.old);
  taken.is_to_go_on = keeps && has_journal;
  if (!taken.is_to_go_on) RemoveTree(places.staging);
  return taken;
}

}  // namespace gpumerge
