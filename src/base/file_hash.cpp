// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/base/file_hash.h"

#include "src/base/file.h"
#include "src/base/hash.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace gpumerge {

std::string HashFile(int fd, uint64_t begin_bytes, uint64_t end_bytes, const std::string& path) {
  constexpr uint64_t kMostPieceBytes = uint64_t{1} << 18;
  ContentHash hash;
  std::vector<std::byte> piece(std::min(kMostPieceBytes, end_bytes - begin_bytes));
  for (uint64_t at = begin_bytes; at < end_bytes; at += piece.size()) {
    const uint64_t bytes = std::min<uint64_t>(piece.size(), end_bytes - at);
    ReadFully(fd, at, piece.data(), bytes, path);
    hash.Update(piece.data(), bytes);
  }
  return hash.Hex();
}

std::string HashFile(int fd, const std::string& path) { return HashFile(fd, 0, RegularFileSize(fd, path), path); }

}  // namespace gpumerge
