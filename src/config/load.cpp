// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// LoadConfig and ParseConfig: a recipe's text in, a checked MergeConfig out, or every error that was found.
#include "src/base/file.h"
#include "src/config/documents.h"
#include "src/config/yaml_tree.h"

#include "gpumerge/merge.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <new>
#include <string>

namespace gpumerge {
namespace {

[[noreturn]] void FailToRead(const std::string& path, int error_number) {
  ThrowIfExhausted(error_number, path);
  throw Error({.code = ErrorCode::kConfigMissing,
               .message = fmt::format("the recipe '{}' cannot be read", path),
               .where = path,
               .found = ErrnoText(error_number),
               .expected = "a YAML file",
               .help = "check the path; relative paths start in the working directory"});
}

// Not only regular files: a recipe may come from a pipe. Reads one byte more than is allowed, for the check of the
// size.
std::string ReadRecipeFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) FailToRead(path, errno);
  std::string text(kMaxRecipeBytes + 1, '\0');
  errno = 0;
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) FailToRead(path, errno);
  return text;
}

}  // namespace

MergeConfig ParseConfig(std::string_view yaml, std::string_view name, std::vector<Diagnostic>* warnings) {
  Findings findings(name, warnings);
  std::vector<YamlNode> documents = ReadYaml(yaml, findings);
  MergeConfig config = ReadDocuments(documents, findings);
  findings.Finish();
  config.file = std::string(name);
  for (MergeConfig& stage : config.stages) stage.file = config.file;
  return config;
}

MergeConfig LoadConfig(const std::string& path, std::vector<Diagnostic>* warnings) {
  return ParseConfig(ReadRecipeFile(path), path, warnings);
}

}  // namespace gpumerge
