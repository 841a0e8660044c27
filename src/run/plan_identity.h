// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What makes two runs one merge: an interrupted run's work may be used by a run of the same identity only.
#pragma once

#include "src/io/journal.h"

#include "gpumerge/plan.h"

namespace gpumerge {

// Reads the headers of the plan's files. Throws Error(IN-*).
JournalHeader IdentifyPlan(const Plan& plan);

}  // namespace gpumerge
