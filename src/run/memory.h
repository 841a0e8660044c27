// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How much memory this process and this machine have. DefaultMemoryBytes (gpumerge/merge.h) is defined beside it.
#pragma once

#include <cstdint>

namespace gpumerge {

// Resident memory of this process now; anonymous_only leaves out pages of files (program, libraries).
uint64_t ResidentBytes(bool anonymous_only);
// The largest resident set so far, pages of the program and its libraries included.
uint64_t PeakResidentBytes();

}  // namespace gpumerge
