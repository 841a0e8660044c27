// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Embeddings are merged row by row, and a row is a token: models whose tokenizers number tokens differently are
// refused, also when their sizes agree. Thread-safe (no state).
#pragma once

#include "src/plan/input_set.h"

namespace gpumerge {

// Compares the tokenizers of all models that give rows to the output's embedding or head with the one that is copied.
void CheckTokenizers(const InputSet& inputs, PlanFindings* findings);

}  // namespace gpumerge
