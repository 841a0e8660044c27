// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/staging.h"

#include <algorithm>

namespace gpumerge {

std::optional<uint64_t> Staging::Take(uint64_t bytes) {
  uint64_t offset = 0;
  auto next = taken_.begin();
  while (next != taken_.end() && next->offset - offset < bytes) {
    offset = next->offset + next->bytes;
    ++next;
  }
  if (next == taken_.end() && bytes_ - offset < bytes) return std::nullopt;
  taken_.insert(next, {offset, bytes});
  return offset;
}

void Staging::Give(uint64_t offset) {
  taken_.erase(std::find_if(taken_.begin(), taken_.end(), [&](const Piece& piece) { return piece.offset == offset; }));
}

}  // namespace gpumerge
