// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Writes a recipe back as YAML: the config as run, which an output carries. Thread-safe.
#pragma once

#include "gpumerge/config.h"

#include <string>

namespace gpumerge {

// Keys in a fixed order, numbers in the shortest form that reads back as the same double, `seed` always, `output` never
// (equal recipes give equal folders). Parsing the result gives an equal config, places and `output` apart.
std::string EmitConfig(const MergeConfig& config);

}  // namespace gpumerge
