// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// XXH3-128 of what is in a file, as 32 hex digits. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace gpumerge {

// Bytes [begin_bytes, end_bytes), which the file must have. path is for messages. Throws Error(IN-EIO, IN-TRUNCATED).
std::string HashFile(int fd, uint64_t begin_bytes, uint64_t end_bytes, const std::string& path);
// All of it. Throws what RegularFileSize does as well.
std::string HashFile(int fd, const std::string& path);

}  // namespace gpumerge
