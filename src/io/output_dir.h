// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The output directory: everything is written to a staging directory beside the target, and the target appears by one
// rename when all of it is there. On any error the staging directory is removed and the target is as it was. Staging
// that a killed run left behind is removed by the next run.
#pragma once

#include "gpumerge/options.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

// Every merge writes it, and what lacks it is not taken for an earlier output.
inline constexpr const char* kMergeReportFile = "gpumerge_report.json";

// Throws Error(OUT-EXISTS) unless `target` does not exist, is an empty directory, or overwrite is set and it is an
// earlier output, that is, holds kMergeReportFile (even then not a git repository, or what holds the home or working
// directory); Error(OUT-IO) when it cannot be written there.
void CheckOutputTarget(const std::string& target, bool overwrite);
// Throws Error(OUT-IN-INPUT) when target equals, contains or lies in one of the input directories, links resolved.
void CheckOutputApart(const std::string& target, const std::vector<std::string>& input_dirs);
// Free bytes (for this user) of the file system that target will be on; looks at the nearest existing parent.
uint64_t FreeDiskBytes(const std::string& target);

class OutputDir {
 public:
  // Takes the lock beside the target and makes the staging directory (and missing parents).
  // Throws Error(OUT-LOCKED, OUT-EXISTS, OUT-IO).
  OutputDir(const std::string& target, bool overwrite, Sync sync);
  // Removes the staging directory unless Publish() returned. Releases the lock.
  ~OutputDir();
  OutputDir(const OutputDir&) = delete;
  OutputDir& operator=(const OutputDir&) = delete;

  const std::string& staging_path() const;

  // Creates a file of that size with its space reserved. Returns its handle for WriteAt. Throws Error(OUT-SPACE,
  // OUT-IO).
  int CreateSized(const std::string& file_name, uint64_t size_bytes);
  // Writes all of it; thread-safe for disjoint ranges. Each byte of the file must be written once: with the last one
  // the file is synced (if asked) and closed. Throws Error(OUT-IO).
  void WriteAt(int handle, uint64_t offset_bytes, const void* data, size_t size_bytes);
  void WriteFile(const std::string& file_name, std::string_view contents);
  // Throws Error(IN-*) when the source cannot be read.
  void CopyFile(const std::string& file_name, const std::string& source_path);

  // Renames staging to the target, exchanging it with an old one if overwrite, which is then deleted. Where a directory
  // cannot be renamed (a mount point), its files are moved and config.json becomes visible last. Every sized file must
  // be complete. Throws Error(OUT-IO, OUT-EXISTS).
  void Publish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gpumerge
