// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What an interrupted run has left beside an output: an output that it had begun to publish, a journal to go on from,
// or nothing of use. Whoever calls these holds the output's lock.
#pragma once

#include "src/io/output_dir.h"
#include "src/io/output_target.h"

#include "gpumerge/error.h"
#include "gpumerge/options.h"

#include <optional>
#include <string>

namespace gpumerge {

struct TakenLeftovers {
  bool is_complete = false;           // this merge's output was to be published, and is in place now
  bool is_to_go_on = false;           // staging stays; else there is none any more
  std::optional<Diagnostic> warning;  // that something could not be used
};

// identity: of the merge that is to be run. Finishes what was to be published, unless leftovers are to be discarded,
// and removes what is of no use. Throws Error(OUT-EXISTS) when the target holds what may not go, and when it holds
// another merge's output now that may not be replaced; Error(RES-MISMATCH) when somebody else left it; Error(OUT-IO,
// OUT-FSYNC).
TakenLeftovers TakeLeftovers(const OutputPlaces& places, const std::string& identity, bool overwrite, Sync sync,
                             Leftover leftover);

// When the target is the new output: staging, and the old one.
void RemoveLeftovers(const OutputPlaces& places);

}  // namespace gpumerge
