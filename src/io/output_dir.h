// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The output directory: everything is written to a staging directory beside the target, and the target appears by one
// rename when all of it is there. On any error the staging directory is removed and the target is as it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gpumerge/options.h"

namespace gpumerge {

// Throws Error(OUT-EXISTS) unless `target` does not exist, is an empty directory, or overwrite is set.
void CheckOutputTarget(const std::string& target, bool overwrite);
// Throws Error(OUT-IN-INPUT) when target equals, contains or lies in one of the input directories, links resolved.
void CheckOutputApart(const std::string& target, const std::vector<std::string>& input_dirs);
// Free bytes (for this user) of the file system that target will be on; looks at the nearest existing parent.
uint64_t FreeDiskBytes(const std::string& target);

class OutputDir {
 public:
  // Takes the lock beside the target and makes the staging directory. Throws Error(OUT-LOCKED, OUT-EXISTS, OUT-IO).
  OutputDir(std::string target, bool overwrite, Sync sync);
  // Removes the staging directory unless Publish() returned. Releases the lock.
  ~OutputDir();
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

  const std::string& staging_path() const { return staging_; }

  // Creates a file of that size with its space reserved. Returns its handle for WriteAt. Not thread-safe.
  int CreateSized(const std::string& file_name, uint64_t size_bytes);
  // Writes all of it; thread-safe for disjoint ranges. Throws Error(OUT-IO).
  void WriteAt(int handle, uint64_t offset_bytes, const void* data, size_t size_bytes);
  void WriteFile(const std::string& file_name, std::string_view contents);
  void CopyFile(const std::string& file_name, const std::string& source_path);

  // Syncs (if asked), closes, renames to the target (exchanging and then deleting an old one if overwrite). config.json
  // becomes visible last where a directory cannot be renamed. Throws Error(OUT-IO, OUT-EXISTS).
  void Publish();

 private:
  std::string target_, staging_, lock_path_;
  bool overwrite_ = false;
  Sync sync_ = Sync::kFull;
  bool published_ = false;
  int lock_ = -1;
  std::vector<int> handles_;
};

}  // namespace gpumerge
