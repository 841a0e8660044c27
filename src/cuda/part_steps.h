// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which steps a part of a tensor goes through, over which of its elements or groups, and what each of them takes:
// blocks of threads, scratch, pinned memory for what goes to the host. What a step has to hold at once is limited, so
// that the memory for it is small whatever the tensor: a longer step is cut. No CUDA calls.
#pragma once

#include "src/cuda/entry.h"

#include "gpumerge/backend.h"

#include <cstdint>
#include <vector>

namespace gpumerge {

// A tensor up to this size, submitted whole, is selected from by one block of threads a selection, in one launch.
inline constexpr uint64_t kSelectWholeElems = 1 << 18;

// The most pinned memory that one step fills, unless one group needs more.
inline constexpr uint64_t kStepMailBytes = 256 << 10;

constexpr uint64_t DivideUp(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

struct ElemRange {
  uint64_t first, n;
};
struct PartStep {
  uint32_t pass;
  DeviceStep step;
  ElemRange elems{};   // of the tensor, inside the part
  ElemRange groups{};  // kSumGroups (of rows), kSendGroups, kStoreGroups
};
// What a part of a tensor goes through, in order.
std::vector<PartStep> StepsOf(const Work& work, const PassList& passes);
// True when the part is its tensor from the first reading to the last, and was planned as that.
bool IsWhole(const Work& work, const PassList& passes);
// Blocks of threads that a step of a part takes.
uint32_t BlocksOf(DeviceStep step, const DevicePart& part);
// Pinned memory that a step fills; 0 for most.
uint64_t MailBytes(const PartStep& step, const PassInfo& pass);

// Of one row, or one column.
uint32_t BlocksPerGroup(const MergeJob& job, GroupAxis axis);
// The most block sums that a pass over groups holds at once.
uint64_t GroupBlocks(const MergeJob& job, const PassInfo& pass);
// Whole rows around elements.
ElemRange RowsAround(const MergeJob& job, ElemRange elems);
// The most elements that have ranks at once.
uint64_t MostRankedElems(const MergeJob& job);

}  // namespace gpumerge
