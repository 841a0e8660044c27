// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tables that a model computes from its configuration and that older checkpoints store all the same: rotary
// frequencies, causal masks. They are no weights, so they are copied and never averaged. Thread-safe (no state).
#pragma once

#include "src/io/model_files.h"

namespace gpumerge {

bool IsBuffer(const ModelTensor& tensor);

}  // namespace gpumerge
