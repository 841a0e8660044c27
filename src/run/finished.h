// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What an interrupted run has finished of a plan, as far as its journal says it and the files beside it bear it out.
#pragma once

#include "src/io/journal.h"
#include "src/run/pipeline.h"

#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gpumerge {

struct FinishedItems {
  std::vector<bool> done;           // (n_items). Of stages: what nothing that is left to do reads
  std::vector<ItemResult> results;  // (n_items), of those done
  uint64_t n_damaged = 0;           // tensors whose bytes are not those that were computed; they are not done
};

struct StagedRun {
  std::string directory;
  std::vector<bool> shard_is_there;  // (n_shards)
  std::string journal;               // its text
};

// header: of the run that wants to go on. Reads and hashes what is finished for Resume::kCheck; report: see HashStaged,
// with the bytes to read. Throws Error(RES-MISMATCH) and what report throws.
FinishedItems FindFinished(const Plan& plan, const JournalHeader& header, const StagedRun& run, Resume resume,
                           uint32_t n_threads,
                           const std::function<void(uint64_t bytes, uint64_t bytes_to_read)>& report);

// The line of a finished item.
std::string RecordLine(const Plan& plan, uint64_t item, const ItemResult& result);

}  // namespace gpumerge
