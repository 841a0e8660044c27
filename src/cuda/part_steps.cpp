// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/part_steps.h"

#include <algorithm>

namespace gpumerge {
namespace {

// About so many keys are sorted at once, of all models together: enough for every multiprocessor.
constexpr uint64_t kRankedKeys = 1 << 20;
// A step over ranked elements is this many rows at least, because the rows at its ends may be sorted twice.
constexpr uint64_t kRankedRows = 4;
// Two losses a block of elements in kStepMailBytes.
constexpr uint64_t kMapElems = kStepMailBytes / (2 * sizeof(double)) * kBlockElems;

// Of a step over ranked elements. Kernels cut elements in segments, reductions in longer ones.
uint64_t RankedElems(const MergeJob& job) {
  const uint64_t elems = std::max(kRankedKeys / std::max(1u, job.n_models()), kRankedRows * job.row_elems());
  return DivideUp(elems, kReduceSegmentElems) * kReduceSegmentElems;
}

// How many groups one step sends.
uint64_t GroupsAtOnce(const PassInfo& pass) {
  const uint64_t group_bytes = (pass.n_values + pass.n_group_values) * sizeof(double);
  return std::max<uint64_t>(1, kStepMailBytes / group_bytes);
}
// How many rows one step sums.
uint64_t RowsAtOnce(const MergeJob& job, const PassInfo& pass) {
  const uint64_t rows = GroupsAtOnce(pass);
  return pass.ranks ? std::max<uint64_t>(1, std::min(rows, RankedElems(job) / job.row_elems())) : rows;
}

class StepList {
 public:
  StepList(const Work& work, const PassList& passes)
      : work_(work), job_(*work.job), passes_(passes), ends_tensor_(work.first_elem + work.n_elems == job_.n_elems) {}

  std::vector<PartStep> Take() {
    if (work_.n_elems == 0) return {};
    const bool selects_whole = IsWhole(work_, passes_) && work_.n_elems <= kSelectWholeElems;
    for (uint32_t read = work_.first_read; read < work_.last_read; ++read) {
      const auto [pass, nth] = ReadingOf(passes_, read);
      // The pass after a selection finds its last ties as it goes along.
      if (nth == 0 && pass > 0 && passes_[pass - 1].kind == PassKind::kSelect && !selects_whole) {
        Add(pass - 1, DeviceStep::kCountTies);
        Add(pass - 1, DeviceStep::kFindTie);
      }
      if (passes_[pass].kind != PassKind::kSelect) {
        AddPass(pass);
      } else if (!selects_whole) {
        Add(pass, nth == 0 ? DeviceStep::kCountHigh : DeviceStep::kCountLow);
        if (ends_tensor_) Add(pass, nth == 0 ? DeviceStep::kEndHigh : DeviceStep::kEndLow);
      } else if (nth == 0) {
        Add(pass, DeviceStep::kSelectWhole);
      }
    }
    return std::move(steps_);
  }

 private:
  void Add(uint32_t pass, DeviceStep step) { steps_.push_back({pass, step, {work_.first_elem, work_.n_elems}}); }

  // The step over all of the part, at most that many elements at once where something limits it.
  void AddOverElems(uint32_t pass, DeviceStep step) {
    const bool ranks = passes_[pass].ranks;
    const uint64_t most = ranks ? RankedElems(job_) : step == DeviceStep::kMap ? kMapElems : work_.n_elems;
    for (uint64_t done = 0; done < work_.n_elems; done += most) {
      const ElemRange elems{work_.first_elem + done, std::min(most, work_.n_elems - done)};
      if (ranks) steps_.push_back({pass, DeviceStep::kRank, RowsAround(job_, elems)});
      steps_.push_back({pass, step, elems});
    }
  }

  void AddPass(uint32_t pass) {
    const PassInfo& info = passes_[pass];
    if (info.kind == PassKind::kMap) return AddOverElems(pass, DeviceStep::kMap);
    if (info.kind == PassKind::kReduce) {
      AddOverElems(pass, DeviceStep::kReduce);
      if (ends_tensor_) Add(pass, DeviceStep::kEndReduce);
    } else if (info.axis == GroupAxis::kRows) {
      const uint64_t row = job_.row_elems(), most = RowsAtOnce(job_, info);
      const uint64_t end = (work_.first_elem + work_.n_elems) / row;
      for (uint64_t first = work_.first_elem / row; first < end; first += most) {
        const ElemRange rows{first, std::min(most, end - first)}, elems{rows.first * row, rows.n * row};
        if (info.ranks) steps_.push_back({pass, DeviceStep::kRank, elems});
        steps_.push_back({pass, DeviceStep::kSumGroups, elems, rows});
        AddFinish(pass, elems, rows);
      }
    } else {
      AddOverElems(pass, DeviceStep::kSumGroups);
      const uint64_t n_columns = job_.n_groups(GroupAxis::kColumns), most = GroupsAtOnce(info);
      for (uint64_t first = 0; ends_tensor_ && first < n_columns; first += most)
        AddFinish(pass, {work_.first_elem, work_.n_elems}, {first, std::min(most, n_columns - first)});
    }
  }

  void AddFinish(uint32_t pass, ElemRange elems, ElemRange groups) {
    steps_.push_back({pass, DeviceStep::kSendGroups, elems, groups});
    steps_.push_back({pass, DeviceStep::kStoreGroups, elems, groups});
  }

  const Work& work_;
  const MergeJob& job_;
  const PassList& passes_;
  const bool ends_tensor_;
  std::vector<PartStep> steps_;
};

}  // namespace

bool IsWhole(const Work& work, const PassList& passes) {
  return !work.in_parts && work.first_elem == 0 && work.n_elems == work.job->n_elems && work.first_read == 0 &&
         work.last_read == TotalReads(passes);
}

std::vector<PartStep> StepsOf(const Work& work, const PassList& passes) { return StepList(work, passes).Take(); }

uint32_t BlocksOf(DeviceStep step, const DevicePart& part) {
  constexpr uint64_t kThreads = 256, kRowBlocks = kReduceSegmentElems / kBlockElems;
  const auto blocks = [&]() -> uint64_t {
    switch (step) {
      case DeviceStep::kSelectWhole:
      case DeviceStep::kEndHigh:
      case DeviceStep::kEndLow:
      case DeviceStep::kFindTie:
      case DeviceStep::kEndReduce:
        return part.n_values;
      case DeviceStep::kReduce:
        return DivideUp(part.n_elems, kReduceSegmentElems);
      case DeviceStep::kRank:
        return part.row_elems <= kShortRowElems ? DivideUp(part.n_elems * part.n_models, kThreads)
                                                : part.n_elems / part.row_elems * part.n_models;
      case DeviceStep::kSumGroups:
        return part.axis == GroupAxis::kRows ? DivideUp(uint64_t{part.n_groups} * part.blocks_per_group, kRowBlocks)
                                             : DivideUp(part.n_columns, kThreads);
      case DeviceStep::kSendGroups:
        return DivideUp(uint64_t{part.n_groups} * (part.n_values + part.n_group_values), kThreads);
      case DeviceStep::kStoreGroups:
        return DivideUp(uint64_t{part.n_groups} * part.n_group_values, kThreads);
      default:
        return DivideUp(part.n_elems, kSegmentElems);
    }
  };
  return static_cast<uint32_t>(blocks());
}

uint64_t MailBytes(const PartStep& step, const PassInfo& pass) {
  switch (step.step) {
    case DeviceStep::kEndReduce:
      return pass.n_values * sizeof(double);
    case DeviceStep::kSendGroups:
      return step.groups.n * (pass.n_values + pass.n_group_values) * sizeof(double);
    case DeviceStep::kMap:
      return DivideUp(step.elems.n, kBlockElems) * 2 * sizeof(double);
    default:
      return 0;
  }
}

uint32_t BlocksPerGroup(const MergeJob& job, GroupAxis axis) {
  return axis == GroupAxis::kRows ? static_cast<uint32_t>(DivideUp(job.row_elems(), kBlockElems)) : 1;
}

uint64_t GroupBlocks(const MergeJob& job, const PassInfo& pass) {
  const uint64_t n_groups = job.n_groups(pass.axis);
  if (pass.axis == GroupAxis::kColumns || n_groups == 0) return n_groups;
  return std::min(n_groups, RowsAtOnce(job, pass)) * BlocksPerGroup(job, pass.axis);
}

ElemRange RowsAround(const MergeJob& job, ElemRange elems) {
  const uint64_t row = job.row_elems(), first = elems.first / row * row;
  return {first, DivideUp(elems.first + elems.n, row) * row - first};
}

uint64_t MostRankedElems(const MergeJob& job) {
  if (job.n_elems == 0) return 0;
  return std::min(job.n_elems, RankedElems(job) + 2 * job.row_elems());
}

}  // namespace gpumerge
