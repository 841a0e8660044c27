// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Plans without files, for what only cuts and schedules. Header-only.
#pragma once

#include "gpumerge/plan.h"

#include <initializer_list>
#include <string>

namespace gpumerge::test {

inline const PassList kTiesPasses = {{PassKind::kSelect, 3}, {PassKind::kMap}};   // three readings
inline const PassList kSlerpPasses = {{PassKind::kReduce, 3}, {PassKind::kMap}};  // two
inline const PassList kLinearPasses = {{PassKind::kMap}};                         // one
inline constexpr uint64_t kBytesAnElem = 4 * 2 + 2;                               // four bf16 inputs and the output

inline PlanItem MakeItem(uint64_t n_elems, const PassList& passes) {
  PlanItem item;
  item.name = "t";
  item.job.inputs.assign(4, {DType::kBF16, 0});
  item.job.out_dtype = DType::kBF16;
  item.job.shape = {n_elems};
  item.job.n_elems = n_elems;
  item.inputs.resize(4);
  for (PlanInput& input : item.inputs) input.size_bytes = 2 * n_elems;
  item.size_bytes = 2 * n_elems;
  item.passes = passes;
  return item;
}

inline PlanItem MakeCopy(uint64_t n_elems) {
  PlanItem item = MakeItem(n_elems, {});
  item.action = PlanAction::kCopy;
  return item;
}

inline Plan MakePlanOf(std::vector<PlanItem> items) {
  Plan plan;
  plan.items = std::move(items);
  return plan;
}

}  // namespace gpumerge::test
