// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Stopping a merge: the first SIGINT, SIGTERM or SIGHUP asks it to stop and clean up, the second ends the process at
// once.
#pragma once

namespace gpumerge::cli {

// Closed pipes and file size limits become error codes of write() instead of killing the process.
void IgnoreWriteSignals();
void CatchStopSignals();
// The signal that asked for a stop; 0: none did.
int StopSignal();

}  // namespace gpumerge::cli
