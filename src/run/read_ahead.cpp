// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/run/read_ahead.h"

#include "src/base/system_calls.h"

#include <algorithm>
#include <fcntl.h>

namespace gpumerge {
namespace {

// What the page cache surpasses on any machine, and a disk seldom does.
constexpr double kCachedBytesPerSecond = 1e9;
// So much of each file is asked for, a step at a time: enough for a disk to be busy, little beside the page cache.
constexpr uint64_t kAheadBytes = 32 << 20, kStepBytes = 8 << 20;

}  // namespace

void ReadAhead::Ask(int fd, uint64_t offset_bytes, uint64_t size_bytes) {
  Sys().Fadvise(fd, static_cast<off_t>(offset_bytes), static_cast<off_t>(size_bytes), POSIX_FADV_WILLNEED);
}

void ReadAhead::Note(uint32_t file, int fd, uint64_t offset_bytes, uint64_t size_bytes, double seconds) {
  const uint64_t end = offset_bytes + size_bytes;
  uint64_t asked = asked_until_[file];
  // A file that was asked for is read fast, which does not mean that the rest of it is there.
  if (asked == 0 && seconds * kCachedBytesPerSecond < static_cast<double>(size_bytes)) return;
  while (asked < end + kAheadBytes - kStepBytes) {
    const uint64_t from = std::max(asked, end);
    if (!asked_until_[file].compare_exchange_weak(asked, from + kStepBytes)) continue;  // another thread asks
    Ask(fd, from, kStepBytes);
    asked = from + kStepBytes;
  }
}

}  // namespace gpumerge
