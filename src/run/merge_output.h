// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The output of one run: its directory, and the journal of tensors that are finished and durable, from which a later
// run goes on. Used by the thread that runs the merge, and by the pipeline's writer while that works.
#pragma once

#include "src/io/journal.h"
#include "src/io/output_dir.h"
#include "src/run/pipeline.h"

#include "gpumerge/error.h"
#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

namespace gpumerge {

class MergeOutput {
 public:
  // Takes the lock and makes the staging directory, or takes over an interrupted run's. Throws Error(OUT-*).
  MergeOutput(const Plan& plan, const RunOptions& options);

  // The output is in place: an earlier run had finished all but its publishing. Nothing is left to do.
  bool is_complete() const { return out_.is_published(); }
  // Finds out what the interrupted run finished, writes the new journal and makes the shards that are missing.
  // Throws Error(RES-MISMATCH) when it was another merge, Error(OUT-*, IN-*, CANCELLED).
  void Begin();
  // (n_items of the plan): what Begin found. Of stages: what nothing that is left to do reads.
  const std::vector<bool>& done() const { return done_; }
  const std::string& staging_path() const { return out_.staging_path(); }

  // For the pipeline. Write may be called by several threads at once, for disjoint ranges.
  void Write(uint32_t shard, uint64_t offset_bytes, const std::byte* data, uint64_t size_bytes);
  void ItemDone(uint64_t item, const ItemResult& result);

  // When all items are done: the other files, config.json last; what was written is looked at again; published.
  // Throws Error(OUT-*, IN-*, CANCELLED).
  void Finish(const Progress& totals);

  // The error as the user sees it, after it has ended the run: staging is kept when a further run may go on from it.
  Error After(const Error& error);
  void AfterUnknownError();

  const std::vector<ItemResult>& results() const { return results_; }
  double sync_seconds() const { return sync_seconds_; }
  double verify_seconds() const { return verify_seconds_; }
  // That the interrupted run's work was damaged, or could not be used.
  std::optional<Diagnostic> Warning() const;

 private:
  void GoOn();
  void CreateShards();
  bool HasShard(const PlanShard& shard) const;
  std::string JournalText() const;
  bool IsDue() const;
  void Flush();
  // Of what is pending: items in files that could not be made durable.
  void DropLost();
  bool KeepForResume();
  void KeepComplete();
  // The output's items that a further run finds finished.
  uint64_t BytesToRecord() const;
  uint64_t CountRecorded() const;
  void Report(Progress progress, Progress::Phase phase, uint64_t bytes, uint64_t bytes_to_check) const;

  const Plan& plan_;
  const RunOptions& options_;
  const JournalHeader header_;
  OutputDir out_;
  bool has_begun_ = false;
  uint64_t n_damaged_ = 0;
  std::vector<bool> done_;
  std::vector<ItemResult> results_;  // (n_items)
  std::vector<int> shards_;          // handles
  std::vector<bool> shard_is_there_;

  // Shared by those who write, alone for making it durable; guards what follows.
  std::shared_mutex writing_;
  std::string pending_;                    // journal lines of items that may not be durable yet
  std::vector<uint64_t> pending_items_;    // these items
  std::vector<bool> recorded_;             // (n_items): those that the journal on the disk has
  std::atomic<uint64_t> dirty_bytes_ = 0;  // written since the last flush
  double sync_seconds_ = 0, verify_seconds_ = 0;
  uint64_t batch_bytes_;  // after so many bytes a flush is due
  const std::chrono::steady_clock::time_point begun_at_;
  std::chrono::steady_clock::time_point flushed_at_;
  bool is_broken_ = false;  // the journal could not be appended to
  bool is_kept_ = false;    // publishing failed, and the journal is there again
};

}  // namespace gpumerge
