// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The last look before an output is published: it is read again as an input would be.
#pragma once

#include "gpumerge/plan.h"

#include <string>

namespace gpumerge {

// Opens the staged directory with the strict reader of inputs and compares names, types, shapes and places with the
// plan. Throws Error(OUT-VERIFY).
void CheckStagedOutput(const Plan& plan, const std::string& directory);

}  // namespace gpumerge
