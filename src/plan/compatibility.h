// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether the inputs of one output tensor fit together: shapes, vocabularies, types, quantised checkpoints. Collects
// per-tensor problems into few diagnostics. Not thread-safe.
#pragma once

#include "src/plan/groups.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace gpumerge {

class CompatibilityCheck {
 public:
  CompatibilityCheck(const MergeConfig& config, const InputSet& inputs);

  // Both return false when the group cannot be merged.
  bool ShapesAgree(const TensorGroup& group);
  // All floating, or all of one other type.
  bool TypesAgree(const TensorGroup& group);
  // For groups that are merged, not copied. `promoted`: no output type was asked for.
  void NoteMerged(const TensorGroup& group, bool promoted);

  // For every tensor of the output: its bytes come from, or begin with, that model.
  void NoteSource(uint32_t model, const std::string& tensor);

  void Report(PlanFindings* findings) const;

 private:
  std::string TypesText(const TensorGroup& group) const;
  std::string RowsText(const TensorGroup& group) const;
  void ReportQuantised(PlanFindings* findings) const;

  const InputSet& inputs_;
  std::vector<std::string> quantised_by_;  // by model; "" = not quantised
  std::vector<Diagnostic> tensor_errors_;
  std::vector<std::string> vocabulary_tensors_;
  std::string vocabulary_rows_;
  std::vector<std::string> promoted_, float64_;
  std::set<std::string> promoted_types_;
  std::map<uint32_t, std::string> quantised_merged_;  // model -> first merged tensor
  // Of models that are stored in another way than the donor's config.json, which the output gets, says.
  std::map<uint32_t, std::string> stored_otherwise_;  // model -> first tensor of the output
};

}  // namespace gpumerge
