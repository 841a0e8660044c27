// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What is known of a file's contents without reading it: the Hugging Face hub names its files by their checksums, and a
// user may have a list in sha256sum's form. Thread-safe.
#pragma once

#include "src/base/digest.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

struct KnownChecksum {
  DigestKind kind = DigestKind::kSha256;
  std::string hex;
  std::string from;  // who says so, for messages
};

// path is absolute. Of a file in the hub's cache by the name of its blob; of one that `hf download --local-dir` brought
// by the metadata beside it. nullopt: neither says anything.
std::optional<KnownChecksum> HubChecksum(const std::string& path);

// Names count from the manifest's directory.
class ChecksumManifest {
 public:
  // Throws Error(IN-HASH) for a line that is not of sha256sum's form or contradicts another.
  ChecksumManifest(std::string_view text, const std::string& file);
  // By the path as it is written or with its links resolved.
  std::optional<KnownChecksum> Find(const std::string& path);
  // Paths that Find was not asked for.
  std::vector<std::string> Unused() const;

 private:
  struct Entry {
    std::string hex;
    size_t line = 0;
    bool is_used = false;
  };
  void AddLine(std::string_view line, size_t number);

  std::string file_, directory_;
  std::map<std::string, Entry, std::less<>> entries_;  // by absolute path, links resolved as far as it exists
};

}  // namespace gpumerge
