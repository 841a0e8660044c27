// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether a model's config.json says the truth about the model's own tensors. Thread-safe (no state).
#pragma once

#include "src/io/model_files.h"

#include "gpumerge/error.h"

#include <vector>

namespace gpumerge {

// Layers, vocabulary and head as config.json states them, against the tensors; nothing where there is no config.json.
// Throws Error(JSON-SYNTAX, JSON-DUP, ST-LIMIT).
std::vector<Diagnostic> CheckClaims(const ModelFiles& model);

}  // namespace gpumerge
