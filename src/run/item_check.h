// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The guards on values: what was found in a tensor's inputs and output, as errors that name the tensor and the element.
#pragma once

#include "gpumerge/backend.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <string>
#include <vector>

namespace gpumerge {

// "element 70000 = [3, 16]"
std::string IndexText(const std::vector<uint64_t>& shape, uint64_t flat);

// Throws Error(NUM-NAN-IN), Error(NUM-SINGULAR) or Error(NUM-OVERFLOW) if the finished tensor has such values.
void CheckValues(const Plan& plan, const PlanItem& item, const JobState& state);
// n_nan: results of the finished tensor that are no number, where `overflow:` lets values pass. Throws
// Error(NUM-OVERFLOW) if the arithmetic made them: no NaN or infinity came in.
void CheckNan(const PlanItem& item, const JobState& state, uint64_t n_nan);

// Throws Error(MM-INTDIFF) unless the same part of every input of a copied tensor has the same bytes, or they may
// differ.
// inputs: (n_inputs), each of size_bytes, beginning at first_byte of the tensor.
void CheckEqual(const Plan& plan, const PlanItem& item, uint64_t first_byte, const std::byte* const* inputs,
                uint64_t size_bytes);

}  // namespace gpumerge
