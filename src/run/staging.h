// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Hands out pieces of the staging memory: first fit from the front, so that memory that is already warm is used again
// and the rest is never touched. Not thread-safe; allocates nothing but its short list of pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace gpumerge {

class Staging {
 public:
  explicit Staging(uint64_t bytes) : bytes_(bytes) {}

  // The offset of a free piece, or nullopt when there is none now.
  std::optional<uint64_t> Take(uint64_t bytes);
  void Give(uint64_t offset);

 private:
  struct Piece {
    uint64_t offset, bytes;
  };
  uint64_t bytes_;
  std::vector<Piece> taken_;  // by offset
};

}  // namespace gpumerge
