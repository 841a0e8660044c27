// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The JSON that the program itself writes: messages for machines, and what a run measured. Pure ASCII.
#pragma once

#include "src/cli/machine.h"
#include "src/run/verify.h"

#include "gpumerge/error.h"
#include "gpumerge/merge.h"

#include <string>
#include <string_view>

namespace gpumerge::cli {

// In quotes.
std::string TextAsJson(std::string_view text);
// One line, without the line feed. exit_status 0 (a warning) is left out.
std::string DiagnosticAsJson(const Diagnostic& diagnostic, std::string_view severity, int exit_status);
// Indented, with a final line feed.
std::string StatsAsJson(const RunStats& stats);
// The same for `gpumerge verify` and `gpumerge devices`.
std::string VerifiedAsJson(const VerifyResult& result);
std::string MachineAsJson(const Machine& machine);

}  // namespace gpumerge::cli
