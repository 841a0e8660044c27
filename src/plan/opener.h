// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds and opens the models of a recipe, each once however it is written. Not thread-safe.
#pragma once

#include "src/plan/input_set.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace gpumerge {

// As the recipe has it.
std::string ReferenceText(const ModelRef& reference);

class Opener {
 public:
  Opener(const MergeConfig& config, const PlanOptions& options, const OpenStage& open_stage,
         std::vector<InputModel>* models)
      : config_(config), options_(options), open_stage_(open_stage), models_(*models) {}

  // The model's index, or nullopt when it cannot be had (the error is kept).
  std::optional<uint32_t> Open(const ModelRef& reference);

  void ThrowIfErrors() const {
    if (!errors_.empty()) throw Error(errors_);
  }

 private:
  std::optional<uint32_t> OpenNew(const ModelRef& reference, const std::string& text);
  uint32_t Add(InputModel model);

  const MergeConfig& config_;
  const PlanOptions& options_;
  const OpenStage& open_stage_;
  std::vector<InputModel>& models_;
  std::map<std::tuple<std::string, bool, bool>, std::optional<uint32_t>> by_text_;
  std::map<std::string, uint32_t> by_identity_;
  std::vector<Diagnostic> errors_;
};

}  // namespace gpumerge
