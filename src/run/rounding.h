// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How much of a merge's change its output type's rounding destroyed.
#pragma once

#include "src/run/pipeline.h"

#include "gpumerge/error.h"
#include "gpumerge/plan.h"

#include <optional>
#include <vector>

namespace gpumerge {

// The rms of the rounding error over the rms of the change from the base, or without one from the first input, to four
// digits. nullopt where nothing was rounded or nothing changed.
std::optional<double> RoundingShare(const RoundingLoss& loss);

// Of all tensors of the output that were merged. results: of every item of the plan.
RoundingLoss TotalLoss(const Plan& plan, const std::vector<ItemResult>& results);

// When it is more than people want to lose.
std::optional<Diagnostic> RoundingWarning(const RoundingLoss& total);

}  // namespace gpumerge
