// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `chat_template:` of a recipe: which text it means, and the output's files that hold it. Thread-safe (no state).
#pragma once

#include "src/plan/input_set.h"

#include "gpumerge/plan.h"

#include <optional>
#include <string>

namespace gpumerge {

// The text; nullopt: the recipe has no such key, or an error was found. `auto` is the template that most input models
// have, of several the one that is listed first.
std::optional<std::string> ChooseChatTemplate(const MergeConfig& config, const InputSet& inputs,
                                              PlanFindings* findings);

// Into chat_template.jinja, which transformers reads first, and into tokenizer_config.json for what reads only that.
void AddChatTemplate(const std::string& text, const InputSet& inputs, Plan* plan);

}  // namespace gpumerge
