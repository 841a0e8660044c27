// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The file through which tensors go from one stage of a recipe to the next: without a name, so that nothing of it is
// left whatever happens. Each tensor has its place; what no stage reads any more gives its space back. Thread-safe for
// disjoint ranges.
#pragma once

#include "src/base/file.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace gpumerge {

class Scratch {
 public:
  // Throws Error(OUT-IO), and Error(OUT-SPACE) where space cannot be given back and all_bytes are not free.
  Scratch(const std::string& directory, uint64_t all_bytes);

  void Write(uint64_t offset_bytes, const void* data, uint64_t size_bytes);
  void Read(uint64_t offset_bytes, void* to, uint64_t size_bytes) const;
  // Gives the pages back that lie wholly in the range.
  void Free(uint64_t offset_bytes, uint64_t size_bytes);

 private:
  std::string path_;  // for messages
  UniqueFd fd_;
  bool gives_back_ = true;
};

}  // namespace gpumerge
