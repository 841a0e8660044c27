// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/job_state.h"

#include <bit>

namespace gpumerge {
namespace {

uint32_t DivideUp(uint64_t a, uint64_t b) { return static_cast<uint32_t>((a + b - 1) / b); }

}  // namespace

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
  zeroed_bytes = bytes;
  for (size_t p = 0; p < passes.size(); ++p) {
    const uint64_t n = job_passes[p].n_values;
    if (job_passes[p].kind == PassKind::kSelect) {
      if (counts) place(&passes[p].ties, n * DivideUp(job.n_elems, kSegmentElems) * sizeof(uint32_t));
    } else if (job_passes[p].kind == PassKind::kReduce) {
      place(&passes[p].block_sums, n * DivideUp(job.n_elems, kBlockElems) * sizeof(double));
    }
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

std::optional<NonFinite> CudaJobState::Found(size_t finding) const {
  const DeviceFinding& found = findings[finding];
  if (found.count == 0) return std::nullopt;
  return NonFinite{~found.last_index_complement, found.count, std::bit_cast<float>(found.largest_finite_bits)};
}

bool IsWhole(const Work& work, const PassList& passes) {
  return work.first_elem == 0 && work.n_elems == work.job->n_elems && work.first_read == 0 &&
         work.last_read == TotalReads(passes);
}

std::vector<PartStep> StepsOf(const Work& work, const PassList& passes) {
  std::vector<PartStep> steps;
  if (work.n_elems == 0) return steps;
  const bool ends_tensor = work.first_elem + work.n_elems == work.job->n_elems;
  const bool selects_whole = IsWhole(work, passes) && work.n_elems <= kSelectWholeElems;
  for (uint32_t read = work.first_read; read < work.last_read; ++read) {
    const auto [pass, nth] = ReadingOf(passes, read);
    // The pass after a selection finds its last ties as it goes along.
    if (nth == 0 && pass > 0 && passes[pass - 1].kind == PassKind::kSelect && !selects_whole) {
      steps.push_back({pass - 1, DeviceStep::kCountTies});
      steps.push_back({pass - 1, DeviceStep::kFindTie});
    }
    switch (passes[pass].kind) {
      case PassKind::kSelect:
        if (selects_whole) {
          if (nth == 0) steps.push_back({pass, DeviceStep::kSelectWhole});
          break;
        }
        steps.push_back({pass, nth == 0 ? DeviceStep::kCountHigh : DeviceStep::kCountLow});
        if (ends_tensor) steps.push_back({pass, nth == 0 ? DeviceStep::kEndHigh : DeviceStep::kEndLow});
        break;
      case PassKind::kReduceGroups:
      case PassKind::kReduce:
        steps.push_back({pass, DeviceStep::kReduce});
        if (ends_tensor) steps.push_back({pass, DeviceStep::kEndReduce});
        break;
      case PassKind::kMap:
        steps.push_back({pass, DeviceStep::kMap});
        break;
    }
  }
  return steps;
}

uint32_t BlocksOf(DeviceStep step, const DevicePart& part) {
  switch (step) {
    case DeviceStep::kSelectWhole:
    case DeviceStep::kEndHigh:
    case DeviceStep::kEndLow:
    case DeviceStep::kFindTie:
      return part.n_models;
    case DeviceStep::kEndReduce:
      return part.n_values;
    case DeviceStep::kReduce:
      return DivideUp(part.n_elems, kReduceSegmentElems);
    default:
      return DivideUp(part.n_elems, kSegmentElems);
  }
}

}  // namespace gpumerge
