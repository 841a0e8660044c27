// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which instruction sets this processor has, as x86-64 psABI levels.
#pragma once

#include "src/cpu/range.h"

#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

// Of the instruction sets that were compiled, the ones that this CPU runs; the least demanding first, never empty.
// Throws Error(DEV-NONE) when there is none.
std::vector<const CpuIsaMethods*> UsableIsas();

// The one of that name, "" = the best. Throws Error(DEV-NONE) when it is unknown or cannot run here.
const CpuIsaMethods& ChooseIsa(const std::string& name);

}  // namespace gpumerge
