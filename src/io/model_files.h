// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds a model (local directory, single .safetensors file, index, or hub cache reference) and reads every header of
// it. Opens no tensor data. Nothing is trusted: see the errors of each function.
#pragma once

#include "gpumerge/config.h"
#include "gpumerge/dtype.h"
#include "gpumerge/error.h"
#include "gpumerge/file_identity.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

struct WeightFile {
  std::string path;  // absolute
  FileIdentity identity;
  uint64_t data_begin_bytes = 0;
  std::vector<std::pair<std::string, std::string>> metadata;  // __metadata__
};

struct ModelTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  uint32_t file = 0;          // index in ModelFiles::files
  uint64_t offset_bytes = 0;  // from the beginning of the file
  uint64_t size_bytes = 0;
};

struct ModelLocation {
  std::string directory;     // absolute, links resolved; where config.json and tokenizer files are looked for
  std::string weights_path;  // absolute; "" = look in the directory. Set when the reference names a file
  std::string name;          // last path component, or org/name
  bool is_hub = false;
  // Absolute, links resolved. The directory, or in the hub cache the repository, whose blobs the links lead to.
  std::string containment_root;
  bool follow_symlinks = false;  // links may leave containment_root
  // What links may not leave; "/": they may go anywhere.
  std::string LinkRoot() const { return follow_symlinks ? "/" : containment_root; }
  bool is_staging = false;       // of this run; another one's is no model
  bool ignore_unlisted = false;  // tensors that the index does not list are left out, with a warning
  std::string how;               // how the reference was resolved, one line for the plan
};

struct ModelFiles {
  ModelLocation location;
  std::string index_path;  // of the index that was read; "": none was
  std::vector<WeightFile> files;
  std::vector<ModelTensor> tensors;        // sorted by name, names unique
  std::vector<std::string> unlisted;       // names of tensors that ignore_unlisted has left out, sorted
  std::optional<std::string> config_json;  // contents; nullopt: there is none
  // Names, sorted, of the other regular files in the directory, which a merge may copy: no weights, no config.json, no
  // hidden files, nothing that a link takes from elsewhere (a warning says so).
  std::vector<std::string> side_files;
  // By name, what the directory has in place of such a file: links that lead nowhere or outside, FIFOs, directories.
  std::map<std::string, Diagnostic> unusable;
  // Of a model that a merge has not written: where those lie that it would copy, and the contents of the others.
  std::map<std::string, std::string, std::less<>> side_paths, side_texts;
  std::vector<Diagnostic> warnings;
  std::string SidePath(std::string_view file_name) const;
  // The directories outside of containment_root, links resolved, in which files of the model really lie.
  std::set<std::string> LinkedPlaces() const;
  // The contents of a side file. Throws Error(IN-EIO).
  std::string ReadSide(std::string_view file_name, uint64_t max_bytes) const;
  const ModelTensor* Find(std::string_view tensor_name) const;  // nullptr: no such tensor
};

// How models are found and opened; as in PlanOptions.
struct ModelOptions {
  std::string hub_cache;
  bool follow_symlinks = false;
  bool ignore_unlisted = false;
};

// Local first, else the hub cache (cache_dir overrides the environment). where: "recipe.yaml:7:5" or "". What the place
// holds is not looked at. Throws Error(IN-MISSING, HUB-MISS, REF-SYNTAX, REF-REV-LOCAL, IN-EIO), and
// Error(CFG-UNSUPPORTED) for a LoRA (model+adapter).
ModelLocation LocateModel(const ModelRef& reference, const std::string& cache_dir, const std::string& where);
// The same, with what the options say of links and unlisted tensors.
ModelLocation LocateModel(const ModelRef& reference, const ModelOptions& options, const std::string& where);

// Reads index and headers, and checks them against each other and against the files' sizes. Every shard is looked at
// before anything is thrown, so that one Error names all defects. Where a single file and an index exist, the single
// file counts, as in transformers, and the two must describe the same tensors. Throws Error(IN-*, IX-*, ST-*, PKL-OFF).
ModelFiles OpenModel(const ModelLocation& location);

}  // namespace gpumerge
