// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What standard error is: a terminal to draw on, or a log.
#pragma once

#include <cstddef>
#include <string_view>

namespace gpumerge::cli {

// Standard error is a terminal that understands escape sequences: lines may be redrawn.
bool StderrIsTerminal();
// The same, and the user does not mind colours (NO_COLOR is unset or empty).
bool StderrHasColours();
// Columns of that terminal; 80 when it does not say.
size_t TerminalColumns();
// All of it in one go, so that lines of several processes do not mix. Errors are ignored: there is nowhere to report
// them.
void WriteStderr(std::string_view text);

// Makes descriptors 0, 1 and 2 exist, so that no data file is opened under one of their numbers.
void EnsureStandardStreams();

}  // namespace gpumerge::cli
