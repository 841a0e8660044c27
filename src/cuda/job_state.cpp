// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/job_state.h"

#include "src/cuda/part_steps.h"

#include <algorithm>
#include <bit>

namespace gpumerge {

StateLayout::StateLayout(const MergeJob& job, const PassList& job_passes, bool in_parts) : passes(job_passes.size()) {
  const auto place = [this](uint64_t* offset, uint64_t size_bytes) {
    *offset = bytes;
    bytes += AlignDevice(size_bytes);
  };
  const bool counts = in_parts || job.n_elems > kSelectWholeElems;
  findings_bytes = (job.inputs.size() + 1) * sizeof(DeviceFinding);
  uint64_t findings = 0;
  if (in_parts) place(&findings, findings_bytes);  // first, at offset 0
  for (size_t p = 0; p < passes.size(); ++p) {
    if (job_passes[p].kind != PassKind::kSelect) continue;
    const uint64_t n = job_passes[p].n_values;
    place(&passes[p].progress, n * sizeof(DeviceSelectProgress));
    place(&passes[p].selections, n * sizeof(Selection));  // zeroed for its padding, which copies read
    if (!counts) continue;
    place(&passes[p].high_counts, n * kDeviceHighBins * sizeof(uint32_t));
    place(&passes[p].low_counts, n * kDeviceLowBins * sizeof(uint32_t));
  }
  uint64_t group_bytes = 0;
  for (const PassInfo& pass : job_passes)
    group_bytes = std::max(group_bytes, job.n_groups(pass.axis) * pass.n_group_values * sizeof(double));
  place(&group_values, group_bytes);
  zeroed_bytes = bytes;
  for (size_t p = 0; p < passes.size(); ++p) {
    const uint64_t n = job_passes[p].n_values;
    if (job_passes[p].kind == PassKind::kSelect) {
      if (counts) place(&passes[p].ties, n * DivideUp(job.n_elems, kSegmentElems) * sizeof(uint32_t));
    } else if (job_passes[p].kind == PassKind::kReduce) {
      place(&passes[p].block_sums, n * DivideUp(job.n_elems, kBlockElems) * sizeof(double));
    } else if (job_passes[p].kind == PassKind::kReduceGroups) {
      place(&passes[p].block_sums, n * GroupBlocks(job, job_passes[p]) * sizeof(double));
    }
  }
  if (std::any_of(job_passes.begin(), job_passes.end(), [](const PassInfo& pass) { return pass.ranks; })) {
    const uint64_t words = 2 * job.n_models() * MostRankedElems(job);
    place(&rank_keys, words * sizeof(uint32_t));
    place(&rank_elems, words * sizeof(uint32_t));
  }
}

CudaJobState::CudaJobState(const MergeJob& job, const PassList& job_passes)
    : passes(job_passes), sums(job_passes.size()), findings(job.inputs.size() + 1) {
  for (size_t p = 0; p < passes.size(); ++p)
    if (passes[p].kind == PassKind::kReduce) sums[p].resize(passes[p].n_values);
}

std::vector<PassResult> CudaJobState::Results() const {
  std::vector<PassResult> results(passes.size());
  for (size_t p = 0; p < passes.size(); ++p) {
    results[p].sums = sums[p].data();
    if (passes[p].kind == PassKind::kSelect)
      results[p].selections = reinterpret_cast<const Selection*>(device + layout->passes[p].selections);
  }
  return results;
}

void CudaJobState::TakeIn(uint64_t ticket) {
  std::erase_if(arriving, [&](const Arrival& arrival) {
    if (arrival.ticket > ticket) return false;
    if (arrival.step == DeviceStep::kEndReduce) {
      std::copy_n(arrival.from, sums[arrival.pass].size(), sums[arrival.pass].begin());
    } else if (arrival.step == DeviceStep::kMap) {
      for (uint64_t block = 0; block < arrival.n_blocks; ++block) {
        loss.error_squares += arrival.from[2 * block];
        loss.change_squares += arrival.from[2 * block + 1];
      }
    }
    return true;
  });
}

std::optional<NonFinite> CudaJobState::Found(size_t finding) const {
  const DeviceFinding& found = findings[finding];
  if (found.count == 0) return std::nullopt;
  return NonFinite{~found.last_index_complement, found.count, std::bit_cast<float>(found.largest_finite_bits)};
}

}  // namespace gpumerge
