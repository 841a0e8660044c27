// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a method's reference code is called, free of templates: one whole tensor at a time.
#pragma once

#include "gpumerge/backend.h"
#include "gpumerge/method.h"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace gpumerge {

struct ReferenceResult {
  std::vector<std::optional<NonFinite>> inputs;  // (n_inputs)
  std::optional<NonFinite> overflow;
  bool used_lerp = false;
  const DataProblem* problem = nullptr;
  RoundingLoss loss;
};

struct ReferenceCall {
  const MergeJob* job = nullptr;
  std::span<const std::byte* const> inputs;  // whole tensors
  std::byte* output = nullptr;
  ReferenceResult* result = nullptr;
};

struct ReferenceMethod {
  MethodRow row;
  void (*run)(const ReferenceCall& call);
};

// One function for each header of kernels/methods/, in a table that the build generates.
using ReferenceMethodsOfFile = std::span<const ReferenceMethod> (*)();
std::span<const ReferenceMethodsOfFile> ReferenceMethodFiles();

// Sorted by name, like Methods(), whose rows these are.
std::span<const ReferenceMethod> ReferenceMethods();

}  // namespace gpumerge
