// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The state of one tensor on the CPU backend between its passes, and how a pass ends: thresholds from histograms, sums
// from block sums. No threads, no data access.
#pragma once

#include "src/cpu/range.h"

#include "gpumerge/backend.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace gpumerge {

// What a selection knows until its last tie is found.
struct SelectProgress {
  std::vector<Selection> selections;    // (n_values)
  std::vector<uint64_t> wanted;         // (n_values) keys to keep
  std::vector<uint32_t> high_bins;      // (n_values)
  std::vector<uint64_t> wanted_in_bin;  // (n_values) after the high count: keys of the bin to keep
  std::vector<uint64_t> ties_left;      // (n_values) ties to keep at or after resolved_elems; 0: tie_end is final
  uint64_t resolved_elems = 0;          // ties before this index are counted off
};

class CpuJobState : public JobState {
 public:
  CpuJobState(const MergeJob& job, const PassList& passes);

  std::optional<NonFinite> InputNonFinite(uint32_t input) const override { return Merged(input); }
  std::optional<NonFinite> OutputOverflow() const override { return Merged(findings_.size() - 1); }
  bool UsedLerp() const override { return used_lerp; }
  RoundingLoss Loss() const override;
  const DataProblem* Problem() const override { return problem; }

  // Histograms are summed over threads: (n_values, bins).
  void EndHighCount(uint32_t pass, std::span<const uint64_t> histogram);
  void EndLowCount(uint32_t pass, std::span<const uint64_t> histogram);
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
  bool used_lerp = false;
  const DataProblem* problem = nullptr;

 private:
  std::optional<NonFinite> Merged(size_t finding) const;

  const PassList passes_;
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
