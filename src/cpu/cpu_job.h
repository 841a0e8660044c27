// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The state of one tensor on the CPU backend between its passes, and how a pass ends: thresholds from counts in
// brackets, sums from block sums. No threads, no data access.
#pragma once

#include "src/cpu/range.h"

#include "gpumerge/backend.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace gpumerge {

// What a selection knows until its last tie is found.
struct SelectProgress {
  std::vector<Selection> selections;  // (n_values)
  std::vector<uint64_t> wanted;       // (n_values) keys to keep
  std::vector<Bracket> brackets;      // (n_values) to count next; none where the threshold is known
  std::vector<uint64_t> ties_left;    // (n_values) ties to keep at or after resolved_elems; 0: tie_end is final
  uint64_t resolved_elems = 0;        // ties before this index are counted off
  bool is_begun = false;              // wanted is set
  uint32_t n_counts = 0;              // how often all of it was counted

  bool HasTiesLeft() const;
};

class CpuJobState : public JobState {
 public:
  CpuJobState(const MergeJob& job, const PassList& passes);

  std::optional<NonFinite> InputNonFinite(uint32_t input) const override { return Merged(input); }
  std::optional<NonFinite> OutputOverflow() const override { return Merged(findings_.size() - 1); }
  bool UsedLerp() const override { return used_lerp; }
  RoundingLoss Loss() const override;
  const DataProblem* Problem() const override { return problem; }

  // wanted is set: what keeps none or all needs no count, the rest is counted in these brackets. Up to kTileElems what
  // keeps all is counted as well: a method may read a threshold as a value, as arcee_fusion does its quartiles, the
  // lowest of which is the smallest key where there are four or fewer.
  void BeginCount(uint32_t pass, const std::vector<Bracket>& brackets);
  // The brackets of the whole tensor are counted: n_above (n_values), bins (n_values) arrays of n_bins(). Returns
  // whether all thresholds are known; else there are new brackets, each of at most max_bins.
  bool EndCount(uint32_t pass, std::span<const uint64_t> n_above, std::span<const std::vector<KeyBin<uint64_t>>> bins,
                uint32_t max_bins);
  // All block sums are there: pairs neighbours until one is left, an odd last one moves up unchanged.
  void EndReduce(uint32_t pass);
  void AddFindings(std::span<const RangeFinding> range);

  const PassView* views() const { return views_.data(); }
  SelectProgress& select(uint32_t pass) { return selects_[pass]; }
  // (n_blocks, n_values) of the whole tensor
  std::vector<double>& block_sums(uint32_t pass) { return block_sums_[pass]; }

  // (n_columns, n_values)
  std::vector<double>& column_sums(uint32_t pass) { return column_sums_[pass]; }
  // (n_groups, n_group_values), zeros at first
  std::vector<double>& group_values() { return group_values_; }
  // (n_blocks)
  std::vector<RoundingLoss>& block_losses() { return block_losses_; }

  const PassList& passes() const { return passes_; }
  uint64_t n_elems() const { return n_elems_; }
  bool used_lerp = false;
  const DataProblem* problem = nullptr;

  // For parts that several threads work on at once (PartWorkers).
  uint32_t current_pass = 0;               // whose reading it is
  std::mutex mutex;                        // guards what parts add to: findings, problems, ties
  GroupProblem group_problem;              // of this reading
  std::atomic<bool> has_ties_left{false};  // of earlier passes, to be counted off in this reading

 private:
  std::optional<NonFinite> Merged(size_t finding) const;

  const PassList passes_;
  const uint64_t n_elems_;
  std::vector<PassView> views_;                   // (n_passes)
  std::vector<SelectProgress> selects_;           // (n_passes)
  std::vector<std::vector<double>> block_sums_;   // (n_passes)
  std::vector<std::vector<double>> column_sums_;  // (n_passes)
  std::vector<std::vector<double>> sums_;         // (n_passes)
  std::vector<double> group_values_;
  std::vector<RoundingLoss> block_losses_;
  std::vector<RangeFinding> findings_;  // (n_inputs + 1)
};

}  // namespace gpumerge
