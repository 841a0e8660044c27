// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Resolves a method's parameters for every output tensor, and reports what has no value and which filters hit nothing.
// Not thread-safe.
#pragma once

#include "src/config/resolve.h"
#include "src/plan/groups.h"

#include "gpumerge/config.h"
#include "gpumerge/job.h"
#include "gpumerge/method.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {

class ParamResolver {
 public:
  ParamResolver(const MergeConfig& config, const InputSet& inputs, const MethodInfo& method)
      : config_(config), inputs_(inputs), method_(method) {}

  // In the order of MethodInfo::params; values a model in the order of `order`, indices into group.inputs. nullopt: a
  // required parameter has no value (reported later).
  std::optional<std::vector<JobParam>> Resolve(const TensorGroup& group, const std::vector<uint32_t>& order);

  // Once, after the last tensor.
  void Report(PlanFindings* findings) const;

 private:
  struct Missing {
    std::string first_tensor;
    uint64_t n_tensors = 0;
  };

  struct Fraction {
    std::string tensor;
    double value = 0;
  };

  std::optional<double> ResolveShared(const ParamSpec& spec, const TensorGroup& group);
  std::optional<double> ResolveForInput(const ParamSpec& spec, const TensorGroup& group, const GroupInput& input);
  std::optional<double> Whole(const ParamSpec& spec, std::optional<double> value, const TensorGroup& group);
  void NoteMissing(const ParamSpec& spec, int64_t model, const TensorGroup& group);
  void ReportMissing(PlanFindings* findings) const;

  const MergeConfig& config_;
  const InputSet& inputs_;
  const MethodInfo& method_;
  FilterUse filter_use_;
  std::map<std::string_view, Fraction> fractions_;                   // by parameter: the first tensor
  std::map<std::pair<std::string_view, int64_t>, Missing> missing_;  // by parameter and model (-1: shared)
};

// The first gradient of the recipe, its modules apart, or of a module; nullptr when it has none.
const Setting* FindGradient(const MergeConfig& config);
const Setting* FindGradient(const ModuleEntry& module);

}  // namespace gpumerge
