// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The last look before an output is published: it is read again as an input would be, and compared with the plan and
// with the hashes of what was computed.
#pragma once

#include "src/run/pipeline.h"

#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gpumerge {

// A complete staging directory.
struct StagedFiles {
  const Plan& plan;
  const std::string& directory;
  const std::vector<ItemResult>& results;    // (n_items)
  std::vector<PlanTextFile> text_files{};    // the plan's and the report
  std::vector<std::string> copied_hashes{};  // XXH3-128 of what the plan's copied files were when they were copied
};

// Names, types, shapes and places with the strict reader of inputs; for Verify::kFull every byte as well. report: see
// HashStaged, with the bytes to read. Throws Error(OUT-VERIFY) and what report throws.
void CheckStagedOutput(const StagedFiles& files, Verify verify, uint32_t n_threads,
                       const std::function<void(uint64_t bytes, uint64_t bytes_to_read)>& report);

}  // namespace gpumerge
