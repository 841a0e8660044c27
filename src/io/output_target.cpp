// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What may be an output directory. Directories are compared by device and inode, so that links and bind mounts cannot
// hide an overlap.
#include "src/io/output_target.h"

#include "src/base/file.h"
#include "src/base/system_calls.h"
#include "src/io/merge_report.h"
#include "src/io/output_dir.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;

using DirectoryId = std::pair<dev_t, ino_t>;

[[noreturn]] void Throw(ErrorCode code, std::string message, std::string where, std::string help) {
  throw Error({.code = code,
               .message = std::move(message),
               .where = std::move(where),
               .found = {},
               .expected = {},
               .help = std::move(help)});
}

[[noreturn]] void ThrowLook(const std::string& path, int error_number) {
  Throw(ErrorCode::kOutIo, fmt::format("cannot look at the output's place: {}", ErrnoText(error_number)), path, {});
}

bool IsMissing(int error_number) {
  return error_number == ENOENT || error_number == ENOTDIR || error_number == EACCES || error_number == ELOOP;
}

std::optional<DirectoryId> Identify(const fs::path& path) {
  struct stat status {};
  if (Sys().Stat(path.c_str(), &status) != 0) {
    if (!IsMissing(errno)) ThrowLook(path, errno);
    return std::nullopt;
  }
  return DirectoryId{status.st_dev, status.st_ino};
}

// Of a resolved path and all its parents, as far as they exist.
std::vector<DirectoryId> IdentifyWithParents(const fs::path& path) {
  std::vector<DirectoryId> ids;
  for (fs::path at = path;; at = at.parent_path()) {
    if (const auto id = Identify(at)) ids.push_back(*id);
    if (at == at.parent_path()) return ids;
  }
}

bool Contains(const std::vector<DirectoryId>& ids, const std::optional<DirectoryId>& id) {
  return id && std::find(ids.begin(), ids.end(), *id) != ids.end();
}

bool IsMountPoint(const std::string& path) {
  if (!Identify(path)) return false;
  if (const int is_root = Sys().IsMountRoot(path.c_str()); is_root >= 0) return is_root == 1;
  const auto own = Identify(path), parent = Identify(fs::path(path).parent_path());
  return own && parent && own->first != parent->first;
}

bool IsWorkingDirectory(const std::string& path) {
  const auto id = Identify(path);
  return id && id == Identify(".");
}

fs::path NearestExisting(fs::path path) {
  while (!Identify(path) && path != path.parent_path()) path = path.parent_path();
  return path;
}

std::string ListEntries(const std::vector<std::string>& entries) {
  constexpr size_t kMaxNamed = 3;
  const size_t n_named = std::min(entries.size(), kMaxNamed);
  const auto named_end = entries.begin() + static_cast<std::ptrdiff_t>(n_named);
  std::string text = fmt::format("{}", fmt::join(entries.begin(), named_end, ", "));
  if (entries.size() > n_named) text += fmt::format(" and {} more", entries.size() - n_named);
  return text;
}

// Entries that the merge did not write; none where its report does not say what it wrote.
std::vector<std::string> FindStrangers(const OutputPlaces& places, std::vector<std::string> entries) {
  const std::string path = places.target + "/" + kMergeReportFile;
  MergeReport report;
  try {
    report = ParseMergeReport(ReadSmallFile(path, kMaxMergeReportBytes), path);
  } catch (const Error&) {
    return {};
  }
  if (report.files.empty()) return {};
  std::erase_if(entries, [&](const std::string& name) {
    return name == kMergeReportFile || std::any_of(report.files.begin(), report.files.end(),
                                                   [&](const ReportFile& file) { return file.name == name; });
  });
  return entries;
}

void CheckIsMergeOutput(const OutputPlaces& places, const std::vector<std::string>& entries) {
  if (std::binary_search(entries.begin(), entries.end(), kMergeReportFile)) {
    const std::vector<std::string> strangers = FindStrangers(places, entries);
    if (strangers.empty()) return;
    Throw(ErrorCode::kOutExists,
          fmt::format("--overwrite would delete what the earlier merge did not write: {}", ListEntries(strangers)),
          places.target, "move it away, or remove the directory by hand");
  }
  std::string found = ListEntries(entries);
  throw Error({.code = ErrorCode::kOutExists,
               .message = "--overwrite would delete a directory that is not the output of a merge",
               .where = places.target,
               .found = std::move(found),
               .expected = fmt::format("a directory with a {}, or an empty one", kMergeReportFile),
               .help = "remove the directory by hand if it is not needed, or choose another --out"});
}

// --overwrite deletes a whole directory: only an earlier output, and never one that the user lives in, or a repository
// with its history.
void CheckMayReplace(const OutputPlaces& places, const std::vector<std::string>& entries) {
  const auto target = Identify(places.target);
  const char* home = std::getenv("HOME");
  std::error_code error;
  const fs::path working = fs::current_path(error);
  const bool has_working = !error && Contains(IdentifyWithParents(working), target);
  const std::string home_path = home == nullptr ? std::string() : ResolvePath(home);
  const bool has_home = !home_path.empty() && Contains(IdentifyWithParents(home_path), target);
  const bool has_git = std::binary_search(entries.begin(), entries.end(), ".git");
  if (!has_working && !has_home && !has_git) return CheckIsMergeOutput(places, entries);
  Throw(ErrorCode::kOutExists,
        fmt::format("--overwrite would delete {}", has_working ? "the working directory"
                                                   : has_home  ? "the home directory"
                                                               : "a git repository"),
        places.target, "choose another --out, or remove the directory yourself");
}

}  // namespace

bool IsThere(const std::string& path) {
  struct stat status {};
  if (Sys().Lstat(path.c_str(), &status) == 0) return true;
  if (!IsMissing(errno)) ThrowLook(path, errno);
  return false;
}

std::optional<uint64_t> SizeOfFile(const std::string& path) {
  struct stat status {};
  if (Sys().Lstat(path.c_str(), &status) == 0)
    return S_ISREG(status.st_mode) ? std::optional(static_cast<uint64_t>(status.st_size)) : std::nullopt;
  if (errno != ENOENT && errno != ENOTDIR) ThrowLook(path, errno);
  return std::nullopt;
}

OutputPlaces FindOutputPlaces(const std::string& target) {
  std::error_code error;
  const fs::path absolute = fs::absolute(target, error);
  if (error || target.empty()) ThrowLook(target, target.empty() ? ENOENT : error.value());
  fs::path resolved = ResolveExistingPart(absolute.string());
  if (resolved.empty()) ThrowLook(target, errno);
  if (!resolved.has_filename()) resolved = resolved.parent_path();
  if (!resolved.has_filename()) Throw(ErrorCode::kOutExists, "the root directory cannot be an output", target, {});

  OutputPlaces places;
  places.target = resolved.string();
  places.in_place = IsMountPoint(places.target) || IsWorkingDirectory(places.target);
  places.parent = places.in_place ? places.target : resolved.parent_path().string();
  const std::string name = places.in_place ? std::string() : "." + resolved.filename().string();
  const std::string stem = (fs::path(places.parent) / (name + ".gpumerge")).string();
  places.staging = stem + "-tmp";
  places.old = stem + "-old";
  places.lock = stem + ".lock";
  return places;
}

std::vector<std::string> EntryNames(const std::string& directory) {
  std::optional<std::vector<std::string>> names = SortedNames(directory);
  if (names) return std::move(*names);
  if (errno != ENOENT) ThrowLook(directory, errno);
  return {};
}

std::vector<std::string> OutputEntries(const OutputPlaces& places) {
  std::vector<std::string> names = EntryNames(places.target);
  if (places.in_place)
    std::erase_if(names, [](const std::string& name) { return name.starts_with(".gpumerge") || name == "lost+found"; });
  return names;
}

void CheckOutputTarget(const std::string& target, bool overwrite) {
  const OutputPlaces places = FindOutputPlaces(target);
  const fs::path nearest = NearestExisting(places.target);
  struct stat status {};
  if (Sys().Lstat(places.target.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
    Throw(ErrorCode::kOutExists, "the output exists and is not a directory", places.target, "choose another --out");
  if (!IsDirectory(nearest.string())) ThrowLook(nearest.string(), ENOTDIR);
  const fs::path written = nearest == places.target ? fs::path(places.parent) : nearest;
  if (Sys().Access(written.c_str(), W_OK | X_OK) != 0)
    Throw(ErrorCode::kOutIo, fmt::format("cannot write the output here: {}", ErrnoText(errno)), written.string(),
          "choose another --out");

  // A run that was killed while it published is finished first; then what is there is looked at again.
  if (!IsThere(places.staging + "/" + kPublishingFile)) CheckTargetContents(places, overwrite);
}

void CheckTargetContents(const OutputPlaces& places, bool overwrite) {
  const std::vector<std::string> entries = OutputEntries(places);
  if (entries.empty()) return;
  if (overwrite) return CheckMayReplace(places, entries);
  throw Error(
      {.code = ErrorCode::kOutExists,
       .message = "the output directory is not empty",
       .where = places.target,
       .found = fmt::format("{} entr{}, e.g. {}", entries.size(), entries.size() == 1 ? "y" : "ies", entries[0]),
       .expected = "no such directory, or an empty one",
       .help = "--overwrite replaces the output of an earlier merge as a whole; or choose another --out"});
}

void CheckOutputApart(const std::string& target, const std::vector<std::string>& input_dirs,
                      const std::vector<std::string>& linked_dirs) {
  const OutputPlaces places = FindOutputPlaces(target);
  const std::vector<DirectoryId> output_chain = IdentifyWithParents(places.target);
  const auto output = Identify(places.target);
  std::vector<Diagnostic> problems;
  const auto check = [&](const std::string& dir, bool may_hold_output) {
    const fs::path input_path = ResolvePath(dir);
    if (input_path.empty())
      Throw(ErrorCode::kInMissing, fmt::format("cannot look at the input: {}", ErrnoText(errno)), dir, {});
    const auto input = Identify(input_path);
    const bool is_inside = Contains(output_chain, input);
    const bool contains = Contains(IdentifyWithParents(input_path), output);
    if (!contains && (!is_inside || may_hold_output)) return;
    const char* relation = is_inside && contains ? "is" : is_inside ? "lies inside" : "contains";
    problems.push_back({.code = ErrorCode::kOutInInput,
                        .message = fmt::format("the output directory {} an input", relation),
                        .where = places.target,
                        .found = fmt::format("input {}", dir),
                        .expected = "an output apart from every input",
                        .help = "choose another --out"});
  };
  for (const std::string& dir : input_dirs) check(dir, false);
  for (const std::string& dir : linked_dirs) check(dir, true);
  if (!problems.empty()) throw Error(std::move(problems));
}

uint64_t StagedBytes(const std::string& target) {
  const OutputPlaces places = FindOutputPlaces(target);
  constexpr uint64_t kBlockBytes = 512;
  uint64_t bytes = 0;
  for (const std::string& name : SortedNames(places.staging).value_or(std::vector<std::string>{})) {
    struct stat status {};
    if (Sys().Lstat((places.staging + "/" + name).c_str(), &status) == 0 && S_ISREG(status.st_mode))
      bytes += static_cast<uint64_t>(status.st_blocks) * kBlockBytes;
  }
  return bytes;
}

uint64_t FreeDiskBytes(const std::string& target) {
  const OutputPlaces places = FindOutputPlaces(target);
  const std::string nearest = NearestExisting(places.parent).string();
  struct statvfs status {};
  if (Sys().Statvfs(nearest.c_str(), &status) != 0) ThrowLook(nearest, errno);
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace gpumerge
