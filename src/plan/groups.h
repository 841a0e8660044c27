// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which input tensors make each output tensor. Matching is by name within a slice's layers; every tensor of every model
// is consumed, refused by name or, with `slices:`, counted as outside the slices. Pointers into the InputSet.
#pragma once

#include "src/plan/heads.h"
#include "src/plan/input_set.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

struct GroupInput {
  const SliceSource* source = nullptr;
  const ModelTensor* tensor = nullptr;
  uint32_t model = 0;  // whose tensor it is: the source's, or the base where that stands in (index in InputSet::models)
  // What filters see: the tensor's name, or the head's where an embedding stands in for it.
  const std::string* filter_name = nullptr;
};

enum class GroupPlace : uint8_t { kBefore, kLayer, kAfter };

struct TensorGroup {
  std::string name;  // output tensor
  const InputSet* set = nullptr;
  const Slice* slice = nullptr;
  GroupPlace place = GroupPlace::kAfter;
  uint64_t layer = 0;              // output layer, for kLayer
  double t = 0;                    // along the slice's layers, for gradients
  std::vector<GroupInput> inputs;  // as the slice's sources; only those that take part
  std::optional<uint32_t> base;    // index in inputs
  bool is_buffer = false;          // see IsBuffer: copied, and models may lack it
  bool is_lone = false;            // copied: too few models have it, and the recipe lets the only one decide
  std::string remark;              // what `missing:` did; "" = every model has the tensor
};

// In model order: before the layers, layers ascending, after; by name within each.
std::vector<TensorGroup> MatchTensors(const MergeConfig& config, const MethodInfo& method, const InputSet& inputs,
                                      const HeadPlan& head, PlanFindings* findings);

}  // namespace gpumerge
