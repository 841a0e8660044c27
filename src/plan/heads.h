// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Output heads: a model's own tensor, or its embedding when the two are tied. Decides whether the output has a head and
// what its config.json says about tying. Thread-safe (no state).
#pragma once

#include "src/plan/input_set.h"

#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

struct HeadPlan {
  std::string filled_head;            // the output's head tensor; "" = none of its own
  std::vector<uint32_t> tied_models;  // models without a head tensor whose embedding stands in for it
  // What tie_word_embeddings must be; nullopt: as the donor has it.
  std::optional<bool> tied;
};

// Looks at the models of the slice that the head comes from.
HeadPlan PlanHead(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings);

// tie_word_embeddings, also in a nested text_config; nullopt: not stated.
std::optional<bool> TiedFlag(const JsonDocument& config);

}  // namespace gpumerge
