// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The texts of --help, made from the verb and flag tables.
#pragma once

#include "src/cli/flags.h"

#include <string>

namespace gpumerge::cli {

// What `gpumerge --help` prints: all verbs, the flags of a merge, examples.
std::string MainHelp();
// What `gpumerge VERB --help` prints.
std::string VerbHelp(Verb verb);
// For a command line with nothing on it.
std::string ShortHelp();

}  // namespace gpumerge::cli
