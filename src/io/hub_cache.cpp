// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// models--org--name/{refs,snapshots,blobs}: a revision is a full commit, or a file below refs/ that holds one.
#include "src/io/hub_cache.h"

#include "src/base/file.h"
#include "src/base/text.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <pwd.h>
#include <unistd.h>
#include <vector>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCommitDigits = 40;
constexpr uint64_t kMaxRefBytes = 1024;

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The value of an environment variable; "" when it is unset.
std::string Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// $NAME and ${NAME}, as Python's os.path.expandvars: unknown names stay as they are.
std::string ExpandVariables(std::string_view text) {
  std::string expanded;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest[0] == '$' && rest.size() > 1) {
      const bool is_braced = rest[1] == '{';
      const size_t begin = is_braced ? 2 : 1;
      const auto* end = is_braced ? std::find(rest.begin() + begin, rest.end(), '}')
                                  : std::find_if_not(rest.begin() + begin, rest.end(), IsWord);
      const std::string name(rest.begin() + begin, end);
      const char* value = name.empty() || (is_braced && end == rest.end()) ? nullptr : std::getenv(name.c_str());
      if (value != nullptr) {
        expanded += value;
        at += static_cast<size_t>(end - rest.begin()) + (is_braced ? 1 : 0);
        continue;
      }
    }
    expanded += rest[0];
    ++at;
  }
  return expanded;
}

std::string Expand(std::string_view path) { return ExpandVariables(ExpandHome(path)); }

bool IsCommit(std::string_view text) {
  return text.size() == kCommitDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return std::isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

// One component that cannot name another directory.
bool IsPlainComponent(std::string_view text) {
  return !text.empty() && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsWord(c) || c == '-' || c == '.'; });
}

void CheckRevision(const std::string& revision, const std::string& where) {
  bool is_ok = true;
  for (size_t begin = 0; begin <= revision.size();) {
    const size_t end = std::min(revision.find('/', begin), revision.size());
    is_ok = is_ok && IsPlainComponent(std::string_view(revision).substr(begin, end - begin));
    begin = end + 1;
  }
  if (is_ok && revision.find("..") == std::string::npos) return;
  throw Error({.code = ErrorCode::kRefSyntax,
               .message = fmt::format("\"{}\" cannot be a revision", EscapeForTerminal(revision)),
               .where = where,
               .found = {},
               .expected = "a branch, a tag, refs/pr/N or a commit of 40 hexadecimal digits",
               .help = {}});
}

// Paths of the files or directories below `directory`, relative to it, sorted.
std::vector<std::string> NamesBelow(const fs::path& directory, bool wants_directories) {
  std::vector<std::string> found;
  for (const std::string& name : SortedNames(directory.string()).value_or(std::vector<std::string>{})) {
    const std::string path = (directory / name).string();
    if (IsDirectory(path) && wants_directories) found.push_back(name);
    if (wants_directories) continue;
    if (IsRegularFile(path)) found.push_back(name);
    if (IsSymlink(path) || !IsDirectory(path)) continue;
    for (const std::string& below : NamesBelow(directory / name, false)) found.push_back(name + "/" + below);
  }
  std::sort(found.begin(), found.end());
  return found;
}

// The commit that refs/<revision> holds; "" when there is none.
std::string ReadRef(const fs::path& repo, const std::string& revision) {
  const fs::path path = repo / "refs" / revision;
  std::string commit;
  try {
    commit = ReadSmallFile(path, kMaxRefBytes);
  } catch (const Error& error) {
    // Larger than any that the hub's tools write, or a directory: refs/pr is a part of the name of refs/pr/1.
    const bool is_none = error.code() == ErrorCode::kInMissing || error.code() == ErrorCode::kResLimit;
    if (!is_none && !IsDirectory(path.string())) throw;
    return "";
  }
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back()))) commit.pop_back();
  return IsPlainComponent(commit) ? commit : "";
}

std::string ListCached(const fs::path& repo) {
  constexpr size_t kShownNames = 20;
  std::vector<std::string> cached;
  for (const std::string& ref : NamesBelow(repo / "refs", false))
    cached.push_back(fmt::format("{} -> {}", EscapeForTerminal(ref, 100), ReadRef(repo, ref)));
  for (const std::string& commit : NamesBelow(repo / "snapshots", true))
    cached.push_back("snapshot " + EscapeForTerminal(commit, 100));
  if (cached.empty()) return "no revision is cached";
  const size_t n_more = cached.size() - std::min(cached.size(), kShownNames);
  cached.resize(cached.size() - n_more);
  return fmt::format("cached: {}{}", fmt::join(cached, ", "), n_more == 0 ? "" : fmt::format(" and {} more", n_more));
}

[[noreturn]] void ThrowMiss(const fs::path& repo, std::string_view id, const std::string& revision, std::string reason,
                            const std::string& where) {
  const size_t n_unfinished = CountUnfinishedDownloads(repo);
  std::string found = IsDirectory(repo.string()) ? ListCached(repo) : "this model is not in the cache";
  if (n_unfinished != 0) found += fmt::format("; {} unfinished downloads (*.incomplete)", n_unfinished);
  throw Error(
      {.code = ErrorCode::kHubMiss,
       .message = fmt::format("\"{}\" at revision \"{}\": {}", id, revision, reason),
       .where = where,
       .found = found,
       .expected = repo.string(),
       .help = fmt::format("gpumerge does not download; run `hf download {} --revision {}`, or give a local path", id,
                           revision)});
}

}  // namespace

std::string ExpandHome(std::string_view path) {
  if (path != "~" && !path.starts_with("~/")) return std::string(path);
  std::string home = Env("HOME");
  if (home.empty()) {
    const passwd* user = ::getpwuid(::getuid());
    home = user == nullptr ? "/" : user->pw_dir;
  }
  return home + std::string(path.substr(1));
}

std::string HubCacheRoot(const std::string& cache_dir) {
  if (!cache_dir.empty()) return ExpandHome(cache_dir);
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (const std::string value = Env(name); !value.empty()) return Expand(value);
  if (const std::string value = Env("HF_HOME"); !value.empty()) return Expand(value) + "/hub";
  if (const std::string value = Env("XDG_CACHE_HOME"); !value.empty()) return Expand(value) + "/huggingface/hub";
  return ExpandHome("~/.cache/huggingface/hub");
}

bool IsHubId(std::string_view text) {
  constexpr size_t kMaxPart = 96;
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view owner = text.substr(0, slash), name = text.substr(slash + 1);
  const auto is_part = [](std::string_view part) {
    // Neither end may be '-' or '.', so that no part is a directory of its own or a flag.
    return IsPlainComponent(part) && part.size() <= kMaxPart && IsWord(part.front()) && IsWord(part.back());
  };
  return is_part(owner) && is_part(name) && text.find("--") == std::string_view::npos &&
         text.find("..") == std::string_view::npos && !name.ends_with(".git");
}

HubSnapshot FindInHubCache(const std::string& root, std::string_view id, const std::optional<std::string>& revision,
                           const std::string& where) {
  const std::string wanted = revision.value_or("main");
  CheckRevision(wanted, where);
  const size_t slash = id.find('/');
  const fs::path repo = fs::path(root) / fmt::format("models--{}--{}", id.substr(0, slash), id.substr(slash + 1));
  if (!IsDirectory(repo.string())) ThrowMiss(repo, id, wanted, "not in the Hugging Face cache", where);
  const std::string commit = IsCommit(wanted) ? wanted : ReadRef(repo, wanted);
  if (commit.empty()) ThrowMiss(repo, id, wanted, "the cache has no such revision", where);
  const fs::path snapshot = repo / "snapshots" / commit;
  if (!IsDirectory(snapshot.string()))
    ThrowMiss(repo, id, wanted, fmt::format("the cache has no snapshot {}", commit), where);
  return {.directory = snapshot, .repo = repo, .commit = commit};
}

std::optional<std::string> HubRepoOf(std::string_view directory) {
  constexpr std::string_view kSnapshots = "/snapshots/";
  for (size_t at = directory.find(kSnapshots); at != std::string_view::npos; at = directory.find(kSnapshots, at + 1)) {
    const std::string_view repo = directory.substr(0, at);
    if (repo.substr(repo.rfind('/') + 1).starts_with("models--")) return std::string(repo);
  }
  return std::nullopt;
}

size_t CountUnfinishedDownloads(const std::string& directory) {
  size_t n_unfinished = 0;
  for (const char* place : {"blobs", ".cache/huggingface/download"})
    for (const std::string& name : NamesBelow(fs::path(directory) / place, false))
      n_unfinished += name.ends_with(".incomplete") ? 1u : 0u;
  return n_unfinished;
}

}  // namespace gpumerge
