// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The open weight files of a plan, each known to be the file that was planned with.
#pragma once

#include "src/base/file.h"

#include "gpumerge/plan.h"

#include <cstdint>
#include <vector>

namespace gpumerge {

class InputFiles {
 public:
  // Opens all files. Throws Error(IN-CHANGED, IN-EIO).
  explicit InputFiles(const Plan& plan);
  // Reads all of it; thread-safe. Throws Error(IN-TRUNCATED, IN-EIO).
  void Read(uint32_t file, uint64_t offset_bytes, void* to, uint64_t size_bytes) const;
  // Throws Error(IN-CHANGED) unless every file is still what it was when the plan was made.
  void CheckUnchanged() const;

 private:
  const Plan& plan_;
  std::vector<UniqueFd> fds_;  // (n_files)
};

}  // namespace gpumerge
