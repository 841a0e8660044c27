// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What config.json says layer by layer, for an output whose layers come from elsewhere: lists with one entry a layer,
// lists of layer numbers, and numbers that mean "every n-th layer". Thread-safe (no state).
#pragma once

#include "src/plan/input_set.h"

namespace gpumerge {

// Makes `document`, the donor's config.json, true for the layers of the set's slices. depth: where it states them. What
// cannot be said in the same key is an error that names it (CFG-LAYERLIST).
void SetLayerLists(const InputSet& inputs, const ConfigDepth& depth, JsonDocument* document, PlanFindings* findings);

}  // namespace gpumerge
