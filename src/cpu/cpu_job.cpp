// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/cpu/cpu_job.h"

#include "src/cpu/bracket.h"

#include <algorithm>

namespace gpumerge {
namespace {

// The sample may have been wrong, and then bins may hold several keys. What needs more counts is not the same each
// time.
constexpr uint32_t kMostCounts = 4;

constexpr uint32_t kNoKey = 0xffffffffu;  // above every key: nothing is kept

}  // namespace

CpuJobState::CpuJobState(const MergeJob& job, const PassList& passes)
    : passes_(passes),
      n_elems_(job.n_elems),
      views_(passes.size()),
      selects_(passes.size()),
      block_sums_(passes.size()),
      column_sums_(passes.size()),
      sums_(passes.size()),
      findings_(job.inputs.size() + 1) {
  const uint64_t n_blocks = (job.n_elems + kBlockElems - 1) / kBlockElems;
  block_losses_.resize(n_blocks);
  for (size_t p = 0; p < passes.size(); ++p) {
    const uint32_t n = passes[p].n_values;
    if (passes[p].kind == PassKind::kSelect) {
      selects_[p] = {std::vector<Selection>(n),
                     std::vector<uint64_t>(n),
                     std::vector<Bracket>(n),
                     std::vector<uint64_t>(n),
                     0,
                     false,
                     0};
      views_[p].selections = selects_[p].selections.data();
      views_[p].wanted = selects_[p].wanted.data();
    } else if (passes[p].kind == PassKind::kReduce) {
      block_sums_[p].resize(n_blocks * n);
      sums_[p].resize(n);
      views_[p].sums = sums_[p].data();
    } else if (passes[p].kind == PassKind::kReduceGroups) {
      group_values_.resize(job.n_groups(passes[p].axis) * passes[p].n_group_values);
      if (passes[p].axis == GroupAxis::kColumns) column_sums_[p].resize(job.n_groups(GroupAxis::kColumns) * n);
    }
  }
}

bool SelectProgress::HasTiesLeft() const {
  return std::any_of(ties_left.begin(), ties_left.end(), [](uint64_t n) { return n > 0; });
}

void CpuJobState::BeginCount(uint32_t pass, const std::vector<Bracket>& brackets) {
  SelectProgress& select = selects_[pass];
  for (size_t m = 0; m < select.wanted.size(); ++m) {
    const bool keeps_all = select.wanted[m] >= n_elems_ && n_elems_ > kTileElems;
    const bool counts = select.wanted[m] > 0 && n_elems_ > 0 && !keeps_all;
    select.brackets[m] = counts ? brackets[m] : Bracket{};
    if (!counts) select.selections[m] = select.wanted[m] == 0 ? Selection{kNoKey, 0} : Selection{0, ~uint64_t{0}};
  }
}

bool CpuJobState::EndCount(uint32_t pass, std::span<const uint64_t> n_above,
                           std::span<const std::vector<KeyBin<uint64_t>>> bins, uint32_t max_bins) {
  SelectProgress& select = selects_[pass];
  bool all_known = true;
  ++select.n_counts;
  for (size_t m = 0; m < select.wanted.size(); ++m) {
    if (select.brackets[m].n_bins() == 0) continue;
    const Narrowed narrowed = Narrow(select.brackets[m], n_above[m], bins[m], select.wanted[m], max_bins);
    select.brackets[m] = narrowed.next;
    if (!narrowed.threshold && (select.n_counts >= kMostCounts || narrowed.next.n_bins() == 0))
      throw Error({.code = ErrorCode::kInChanged, .message = "a tensor had other values when it was read again"});
    if (narrowed.threshold) {
      select.selections[m] = {*narrowed.threshold, ~uint64_t{0}};
      select.ties_left[m] = narrowed.keeps_all_ties ? 0 : narrowed.tie_rank;  // else there is no last one to find
    } else {
      all_known = false;
    }
  }
  return all_known;
}

void CpuJobState::EndReduce(uint32_t pass) {
  const uint32_t n_values = passes_[pass].n_values;
  const bool is_sum = passes_[pass].op == ReduceOp::kSum;
  std::vector<double>& level = block_sums_[pass];
  size_t n = level.size() / n_values;
  if (n == 0) return;  // an empty tensor: sums stay 0
  const auto value = [&](size_t block, uint32_t v) -> double& { return level[block * n_values + v]; };
  while (n > 1) {
    for (uint32_t v = 0; v < n_values; ++v) {
      for (size_t pair = 0; pair < n / 2; ++pair) {
        const double a = value(2 * pair, v), b = value(2 * pair + 1, v);
        value(pair, v) = is_sum ? a + b : std::max(a, b);
      }
      if (n % 2 == 1) value(n / 2, v) = value(n - 1, v);
    }
    n = (n + 1) / 2;
  }
  std::copy_n(level.begin(), n_values, sums_[pass].begin());
}

RoundingLoss CpuJobState::Loss() const {
  RoundingLoss total;
  for (const RoundingLoss& block : block_losses_) {
    total.error_squares += block.error_squares;
    total.change_squares += block.change_squares;
  }
  return total;
}

void CpuJobState::AddFindings(std::span<const RangeFinding> range) {
  for (size_t i = 0; i < findings_.size(); ++i) {
    findings_[i].first_index = std::min(findings_[i].first_index, range[i].first_index);
    findings_[i].count += range[i].count;
    findings_[i].largest_finite = std::max(findings_[i].largest_finite, range[i].largest_finite);
  }
}

std::optional<NonFinite> CpuJobState::Merged(size_t finding) const {
  const RangeFinding& found = findings_[finding];
  if (found.count == 0) return std::nullopt;
  return NonFinite{found.first_index, found.count, found.largest_finite};
}

}  // namespace gpumerge
