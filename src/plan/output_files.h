// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The files of the output besides its shards: texts that the plan holds, and files copied from a model.
// gpumerge_report.json is not among them: only a run can write it. Thread-safe (no state).
#pragma once

#include "src/plan/input_set.h"

#include "gpumerge/config.h"
#include "gpumerge/method.h"
#include "gpumerge/plan.h"

#include <string>
#include <string_view>

namespace gpumerge {

// The recipe as run, in the output.
inline constexpr std::string_view kRecipeFile = "gpumerge_config.yaml";
inline constexpr std::string_view kModelCardFile = "README.md";

// Python files beside a model's config.json.
std::vector<std::string> CodeFiles(const ModelFiles& files);
// Errors for what stands in place of files that AddModelFiles would copy, or that tokens are compared by.
void CheckSideFiles(const InputSet& inputs, bool copies_code, PlanFindings* findings);
// Notes what was read of the models besides headers, to plan the merge.
void AddReadFiles(const InputSet& inputs, bool has_chat_template, Plan* plan);
// What another merge would read as well: config.json, tokenizer and settings; and code, if asked for.
void AddModelFiles(const InputSet& inputs, std::string config_json, bool copies_code, Plan* plan);
// Index, card and recipe; the rest of the plan is complete.
void AddDocuments(const MergeConfig& config, const MethodInfo& method, Plan* plan);

}  // namespace gpumerge
