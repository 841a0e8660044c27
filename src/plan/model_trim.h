// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `trim_scope: model`: which tensors are trimmed together, as one model, and whether they can be. Thread-safe (no
// state).
#pragma once

#include "src/plan/input_set.h"

#include "gpumerge/plan.h"

#include <cstdint>
#include <vector>

namespace gpumerge {

// The items of one document that are trimmed together. Their thresholds are found before the merge begins.
struct ModelTrim {
  std::vector<uint64_t> items;    // indices in Plan::items, by the tensors' names in byte order
  std::vector<double> densities;  // by JobInput::model_index
  bool keeps_all_ties = false;
  bool votes = false;  // for `zero_sign: majority`

  // Some elements are kept and some are not, so that a threshold is needed.
  bool HasThreshold() const;
  // Readings of all their inputs, at most.
  uint32_t MostPasses() const;
};
std::vector<ModelTrim> FindModelTrims(const Plan& plan);

// One density a model, and no inputs that the same run makes (stages_are_kept: it makes none).
void CheckModelTrims(const std::vector<PlanItem>& items, const InputSet& inputs, bool stages_are_kept,
                     PlanFindings* findings);

}  // namespace gpumerge
