// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Where an output directory, its staging directory and its lock are, all links resolved. Looks only, changes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

// In the staging directory while its files are moved to the target one by one: their names.
inline constexpr const char* kPublishingFile = "publishing.list";
// Written and published after all else, and the first of an old output to go: no loader opens a directory without it.
inline constexpr const char* kLastFile = "config.json";

struct OutputPlaces {
  std::string target;   // absolute, links resolved; need not exist
  std::string parent;   // of staging and lock: what has to be durable after publishing
  std::string staging;  // where the output grows
  std::string old;      // where an old output goes while it is replaced
  std::string lock;
  // The target is a mount point, which cannot be renamed, or the working directory, which would be lost to its shell:
  // staging lies inside it and files are moved one by one.
  bool in_place = false;
};

// Whether there is something of that name, links not followed. Throws Error(OUT-IO) when the disk does not say.
bool IsThere(const std::string& path);
// nullopt when there is no regular file of that name. Throws Error(OUT-IO) when the disk does not say.
std::optional<uint64_t> SizeOfFile(const std::string& path);

// Throws Error(OUT-IO, OUT-EXISTS) when the target cannot be a directory of its own.
OutputPlaces FindOutputPlaces(const std::string& target);

// Names in a directory, sorted; empty if it does not exist. Throws Error(OUT-IO).
std::vector<std::string> EntryNames(const std::string& directory);
// Those in the target, without what belongs to gpumerge or the file system itself.
std::vector<std::string> OutputEntries(const OutputPlaces& places);
// Throws Error(OUT-EXISTS) unless it holds nothing, or what overwrite may replace.
void CheckTargetContents(const OutputPlaces& places, bool overwrite);

}  // namespace gpumerge
