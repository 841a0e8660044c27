// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#pragma once

#include <cstdint>

namespace gpumerge {

// What a file was when it was looked at, to notice a change later. Of the file that a link leads to.
struct FileIdentity {
  uint64_t device = 0, inode = 0, size_bytes = 0;
  int64_t mtime_ns = 0, ctime_ns = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

}  // namespace gpumerge
