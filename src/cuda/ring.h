// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Pieces of a buffer handed out in order and given back in the same order, as batches are begun and finished. Knows
// only positions. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>

namespace gpumerge {

class Ring {
 public:
  explicit Ring(uint64_t capacity = 0) : capacity_(capacity) {}

  // The offset of a piece in one run of bytes, 256-byte aligned; nullopt when there is no room now.
  std::optional<uint64_t> Take(uint64_t bytes) {
    bytes = (bytes + 255) / 256 * 256;
    if (bytes > capacity_) return std::nullopt;
    if (bytes == 0) return 0;
    if (head_ == tail_) head_ = tail_ = NextRound(head_);  // empty: all of it is one run
    // Pieces do not wrap round.
    const uint64_t begin = head_ % capacity_ + bytes > capacity_ ? NextRound(head_) : head_;
    if (begin + bytes - tail_ > capacity_) return std::nullopt;
    head_ = begin + bytes;
    return begin % capacity_;
  }
  // A mark of everything handed out so far; giving it back frees all of that.
  uint64_t Mark() const { return head_; }
  // False when all of that was free before.
  bool GiveBack(uint64_t mark) {
    if (mark <= tail_) return false;
    tail_ = mark;
    return true;
  }
  uint64_t capacity() const { return capacity_; }

 private:
  uint64_t NextRound(uint64_t position) const { return (position + capacity_ - 1) / capacity_ * capacity_; }

  uint64_t capacity_;
  uint64_t head_ = 0, tail_ = 0;  // positions that only grow; an offset is a position modulo capacity
};

}  // namespace gpumerge
