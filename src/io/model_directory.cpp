// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Lists a directory once and sorts the names by their endings.
#include "src/io/model_directory.h"

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/io/contained_open.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <string_view>

namespace gpumerge {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";
constexpr std::array<std::string_view, 4> kPickleEndings{".bin", ".pt", ".pth", ".ckpt"};
// Weights in forms that gpumerge neither reads nor copies, and the index files of such.
constexpr std::array<std::string_view, 6> kForeignEndings{".gguf", ".h5",         ".msgpack",
                                                          ".onnx", ".index.json", ".tflite"};

std::string LowerCase(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

template <size_t N>
bool EndsWithAny(std::string_view name, const std::array<std::string_view, N>& endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

std::vector<std::string> NamesIn(const std::string& directory) {
  std::optional<std::vector<std::string>> names = SortedNames(directory);
  if (names) return std::move(*names);
  ThrowIfExhausted(errno, directory);
  throw Error({.code = ErrorCode::kInIo,
               .message = fmt::format("cannot list the model's directory: {}", ErrnoText(errno)),
               .where = directory,
               .found = {},
               .expected = {},
               .help = {}});
}

// The exact spelling wins over others.
void Choose(const std::string& name, std::string_view exact, std::optional<std::string>* chosen) {
  if (!*chosen || name == exact) *chosen = name;
}

Diagnostic Unusable(const std::string& path, const std::string& name, const std::string& root) {
  const std::string target = ResolvePath(path);
  const bool is_outside = !target.empty() && !LiesBelow(target, root);
  const bool is_dead = target.empty();
  return {.code = is_dead      ? ErrorCode::kInIncomplete
                  : is_outside ? ErrorCode::kInSymlink
                               : ErrorCode::kInNotRegular,
          .message = fmt::format("\"{}\" cannot be used: it is {}", EscapeForTerminal(name),
                                 is_dead      ? "a link to a file that does not exist"
                                 : is_outside ? "a link that leaves the model's directory"
                                              : "not a regular file"),
          .where = path,
          .found = target,
          .expected = "a regular file below " + root,
          .help = is_dead      ? "finish the download, or remove the link"
                  : is_outside ? "replace the link by the file, or say --follow-symlinks"
                               : "remove it, or get the model again"};
}

void AddSideFile(const std::string& directory, const std::string& root, const std::string& name, ModelDirectory* to) {
  const std::string path = directory + "/" + name;
  const std::string target = ResolvePath(path);
  if (IsRegularFile(path) && !target.empty() && LiesBelow(target, root)) {
    to->side_files.push_back(name);
    return;
  }
  to->unusable.emplace(name, Unusable(path, name, root));
  // Directories beside the model are usual.
  if (!IsDirectory(path)) to->warnings.push_back(to->unusable.at(name));
}

}  // namespace

ModelDirectory ListModelDirectory(const std::string& directory, const std::string& link_root) {
  ModelDirectory listing;
  for (const std::string& name : NamesIn(directory)) {
    const std::string lower = LowerCase(name);
    if (lower == kSingleFile)
      Choose(name, kSingleFile, &listing.single_file);
    else if (lower == kIndex)
      Choose(name, kIndex, &listing.index);
    else if (lower.ends_with(".safetensors"))
      listing.other_weights.push_back(name);
    else if (EndsWithAny(lower, kPickleEndings))
      listing.pickles.push_back(name);
    else if (!name.starts_with('.') && name != "config.json" && !EndsWithAny(lower, kForeignEndings))
      AddSideFile(directory, link_root, name, &listing);
  }
  return listing;
}

}  // namespace gpumerge
