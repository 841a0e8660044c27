// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From a model reference to a place on disk. What exists is local; else only org/name[@revision] can be a hub model,
// and anything else is a missing path. Nothing is guessed, and nothing is downloaded.
#include "src/base/file.h"
#include "src/base/system_calls.h"
#include "src/base/text.h"
#include "src/io/contained_open.h"
#include "src/io/hub_cache.h"
#include "src/io/model_files.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <sys/stat.h>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Fail(ErrorCode code, std::string message, const std::string& where, std::string found,
                       std::string expected, std::string help) {
  throw Error({.code = code,
               .message = std::move(message),
               .where = where,
               .found = std::move(found),
               .expected = std::move(expected),
               .help = std::move(help)});
}

// What the reference's text says before the disk is asked.
struct Parts {
  std::string path;                     // or org/name
  std::optional<std::string> revision;  // after '@', or of the mapping form
};

Parts SplitReference(const ModelRef& reference, const std::string& where) {
  Parts parts{.path = reference.text, .revision = reference.revision};
  if (reference.literal_path) return parts;
  const size_t at = parts.path.find('@');
  if (at == std::string::npos) return parts;
  if (parts.path.find('@', at + 1) != std::string::npos)
    Fail(ErrorCode::kRefSyntax, fmt::format("\"{}\" has more than one '@'", EscapeForTerminal(reference.text)), where,
         {}, "path, org/name or org/name@revision", "use the form {model: {path: ..., revision: ...}}");
  parts.revision = parts.path.substr(at + 1);
  parts.path.resize(at);
  return parts;
}

// Whether the path exists (following links). Throws when the disk does not say.
bool Exists(const std::string& path, const std::string& where) {
  struct stat status {};
  if (Sys().Stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return false;
  ThrowIfExhausted(errno, path);
  Fail(ErrorCode::kInIo, fmt::format("cannot look at the model: {}", ErrnoText(errno)), where, EscapeForTerminal(path),
       {}, {});
}

// The last component of the directory as the user gave it; of the resolved one where that is empty, "." or "..".
std::string NameOf(const std::string& given, const std::string& resolved) {
  std::string name = fs::path(given).lexically_normal().filename();
  if (name.empty()) name = fs::path(given).lexically_normal().parent_path().filename();
  if (name.empty() || name == "." || name == "..") name = fs::path(resolved).filename();
  return name.empty() ? "model" : name;
}

ModelLocation LocateLocal(const std::string& path) {
  ModelLocation location;
  const bool is_directory = IsDirectory(path);
  // Only the directory is resolved: a file that is a link keeps its name, and its neighbours are beside the link.
  fs::path parent = fs::path(path).parent_path();
  if (parent.empty()) parent = ".";
  location.directory = ResolvePath(is_directory ? path : parent.string());
  if (!is_directory) location.weights_path = (fs::path(location.directory) / fs::path(path).filename()).string();
  // Every model has a model.safetensors; such a file is called after its directory.
  const std::string file_name = fs::path(path).filename();
  const bool names_directory = is_directory || file_name.starts_with("model.safetensors");
  location.name = names_directory ? NameOf(is_directory ? path : parent.string(), location.directory) : file_name;
  const std::optional<std::string> hub_repo = HubRepoOf(location.directory);
  location.containment_root = hub_repo.value_or(location.directory);
  location.how = fmt::format("local {} {}", is_directory ? "directory" : "file",
                             is_directory ? location.directory : location.weights_path);
  return location;
}

ModelLocation LocateInHub(const Parts& parts, const std::string& cache_dir, const std::string& where) {
  const HubSnapshot snapshot = FindInHubCache(HubCacheRoot(cache_dir), parts.path, parts.revision, where);
  ModelLocation location;
  location.directory = ResolvePath(snapshot.directory);
  location.containment_root = ResolvePath(snapshot.repo);
  location.name = parts.path;
  location.is_hub = true;
  location.how = fmt::format("hub cache {}, revision {} = {}", location.containment_root,
                             parts.revision.value_or("main"), snapshot.commit);
  return location;
}

// org/name+adapter or path+adapter: mergekit's spelling of a LoRA on top of a model.
bool LooksLikeLora(const std::string& path) {
  const size_t plus = path.find('+');
  if (plus == std::string::npos || plus == 0) return false;
  const std::string model = ExpandHome(path.substr(0, plus));
  return IsHubId(model) || IsDirectory(model);
}

}  // namespace

ModelLocation LocateModel(const ModelRef& reference, const std::string& cache_dir, const std::string& where) {
  const std::string shown = EscapeForTerminal(reference.text);
  if (reference.text.empty() || reference.text.find('\0') != std::string::npos)
    Fail(ErrorCode::kRefSyntax, "a model reference is empty or has a NUL character", where, "\"" + shown + "\"",
         "a path, or org/name", {});
  if (const std::string whole = ExpandHome(reference.text); Exists(whole, where)) {
    if (reference.revision)
      Fail(ErrorCode::kRefRevLocal, fmt::format("\"{}\" is a local path and has no revisions", shown), where,
           "revision: " + EscapeForTerminal(*reference.revision), {}, "remove the revision");
    return LocateLocal(whole);
  }
  const Parts parts = SplitReference(reference, where);
  const std::string path = ExpandHome(parts.path);
  if (path.empty())
    Fail(ErrorCode::kRefSyntax, "a model reference has nothing before its revision", where, "\"" + shown + "\"",
         "a path, or org/name[@revision]", {});
  if (parts.revision && !path.empty() && Exists(path, where))
    Fail(ErrorCode::kRefRevLocal, fmt::format("\"{}\" is a local path and has no revisions", EscapeForTerminal(path)),
         where, "@" + EscapeForTerminal(*parts.revision), {}, "remove the revision");
  if (IsHubId(parts.path)) return LocateInHub(parts, cache_dir, where);
  if (!reference.literal_path && LooksLikeLora(reference.text))
    Fail(ErrorCode::kCfgUnsupported, fmt::format("\"{}\" asks for a LoRA adapter, which is not supported yet", shown),
         where, {}, "a path, or org/name[@revision]", "merge the adapter into its model first, e.g. with peft");
  Fail(ErrorCode::kInMissing, fmt::format("model \"{}\" does not exist", shown), where,
       "looked for " + EscapeForTerminal(fs::absolute(path).lexically_normal().string(), 1024),
       "a directory, a .safetensors file, an index, or org/name in the hub cache",
       "relative paths are relative to the working directory");
}

ModelLocation LocateModel(const ModelRef& reference, const ModelOptions& options, const std::string& where) {
  ModelLocation location = LocateModel(reference, options.hub_cache, where);
  location.follow_symlinks = options.follow_symlinks && !location.is_hub;
  location.ignore_unlisted = options.ignore_unlisted;
  return location;
}

}  // namespace gpumerge
