// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Stopping: the first SIGINT, SIGTERM or SIGHUP asks the work to stop and clean up, and ends the process when it has
// not done so within two seconds, say inside one huge tensor. The second ends it at once. Both are safe at any moment,
// because nothing is half visible and what is finished can be resumed.
#pragma once

#include "src/cli/arguments.h"

namespace gpumerge::cli {

// Closed pipes and file size limits become error codes of write() instead of killing the process.
void IgnoreWriteSignals();
// format: of the message when the process ends before the work has stopped.
void CatchStopSignals(ErrorFormat format);
// The signal that asked for a stop; 0: none did.
int StopSignal();

}  // namespace gpumerge::cli
