// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a tensor that some models lack, by the recipe's `missing:`. Never silent: what was done is in the
// plan, what cannot be done is an error that names tensor and models. Not thread-safe.
#pragma once

#include "src/plan/groups.h"

#include "gpumerge/config.h"
#include "gpumerge/method.h"

#include <map>
#include <string>
#include <vector>

namespace gpumerge {

class MissingTensors {
 public:
  MissingTensors(const MergeConfig& config, const MethodInfo& method, const InputSet& inputs)
      : config_(config), method_(method), inputs_(inputs) {}

  // group has an input for every source, some without a tensor. Afterwards every input has one: those without are gone
  // or stand for the base's. False: refused, and reported later. Not for MissingPolicy::kError.
  bool Settle(TensorGroup* group);
  void Report(PlanFindings* findings) const;

 private:
  bool SettleByPresent(const std::string& lacking, TensorGroup* group);
  bool SettleByBase(const std::string& lacking, TensorGroup* group);
  bool Refuse(const TensorGroup& group, std::string why);
  std::string NamesWithout(const TensorGroup& group) const;

  const MergeConfig& config_;
  const MethodInfo& method_;
  const InputSet& inputs_;
  std::map<std::string, std::vector<std::string>> refused_;  // tensors by the reason
};

}  // namespace gpumerge
