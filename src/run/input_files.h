// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What the items of a plan read: the open weight files, each known to be the file that was planned with, and the
// scratch file.
#pragma once

#include "src/base/file.h"
#include "src/run/scratch.h"

#include "gpumerge/plan.h"

#include <cstdint>
#include <vector>

namespace gpumerge {

// Many shards of many models, and of the output, may be open at once; the usual soft limit is 1024.
void AllowManyFiles();

class InputFiles {
 public:
  // Opens all files. Throws Error(IN-CHANGED, IN-EIO). scratch: what the plan's stages pass on; null without any.
  InputFiles(const Plan& plan, const Scratch* scratch);
  // Reads all of that part of an input; thread-safe. Throws Error(IN-TRUNCATED, IN-EIO).
  void Read(const PlanInput& input, uint64_t offset_bytes, void* to, uint64_t size_bytes) const;
  int fd(const PlanInput& input) const { return fds_[input.file].get(); }  // not of a stage's
  // Throws Error(IN-CHANGED) unless every file is still what it was when the plan was made.
  void CheckUnchanged() const;

 private:
  const Plan& plan_;
  const Scratch* const scratch_;
  std::vector<UniqueFd> fds_;  // (n_files)
};

}  // namespace gpumerge
