// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Asks the kernel for what comes next in files that turn out not to be in the page cache: its own readahead is made for
// one reader (often 128 KiB), and a fast disk wants many megabytes under way. Tensors follow each other in a file about
// as they do in the plan, so what comes next is what lies behind. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gpumerge {

class ReadAhead {
 public:
  explicit ReadAhead(size_t n_files) : asked_until_(n_files) {}

  // Bytes [offset_bytes, offset_bytes + size_bytes) of the file were read for the first time and took so long.
  void Note(uint32_t file, int fd, uint64_t offset_bytes, uint64_t size_bytes, double seconds);

  // Only advice: where it cannot be followed, nothing is lost.
  static void Ask(int fd, uint64_t offset_bytes, uint64_t size_bytes);

 private:
  std::vector<std::atomic<uint64_t>> asked_until_;  // (n_files); 0: the file seems to be in the page cache
};

}  // namespace gpumerge
