// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Recipes of several documents: each is planned like a recipe of its own, as if what it reads had been written; then
// their plans become one, whose items read each other's results. Thread-safe (no state).
#pragma once

#include "src/io/model_files.h"

#include "gpumerge/plan.h"

#include <string>
#include <vector>

namespace gpumerge {

// Models of a stage are known by PlanModel::stage, the number of their document; PlanInput::item is not set yet.
struct PlannedDocument {
  std::string name;
  Plan plan;
  std::vector<std::string> identities;  // (n_models): equal for equal places
};

// What the document would write, as a model of another: its tensors lie in no file.
ModelFiles AsModel(const PlannedDocument& document);

// Puts the stages' items that the output needs into the output's plan, whose shards are laid out. stages: each after
// those that it reads.
void JoinStages(std::vector<PlannedDocument> stages, PlannedDocument* output);

}  // namespace gpumerge
