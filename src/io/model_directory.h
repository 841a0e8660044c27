// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What lies in a model's directory, sorted into what a merge reads, may copy, or must explain. Names only; which format
// a weight file really has is decided by its content. Thread-safe.
#pragma once

#include "gpumerge/error.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

// Names of entries, sorted.
struct ModelDirectory {
  std::optional<std::string> single_file;      // model.safetensors, in any case
  std::optional<std::string> index;            // model.safetensors.index.json
  std::vector<std::string> other_weights;      // further .safetensors files: shards, adapters, other exports
  std::vector<std::string> pickles;            // .bin, .pt, .pth, .ckpt
  std::vector<std::string> side_files;         // the rest, hidden files and config.json left out
  std::map<std::string, Diagnostic> unusable;  // by name, what is no regular file and might be meant to be one
  std::vector<Diagnostic> warnings;            // those that are no directories
};

// link_root: see ModelLocation::LinkRoot. Throws Error(IN-EIO).
ModelDirectory ListModelDirectory(const std::string& directory, const std::string& link_root);

}  // namespace gpumerge
