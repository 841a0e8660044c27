// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The program around the library: words of the command line in, exit status out. Nothing escapes as an exception.
#pragma once

#include <string>
#include <vector>

namespace gpumerge::cli {

// To be called first: memory that ends where no exception may pass has its exit status too.
void HandleTerminate();

// words: argv without the program's name. Call once a process: it changes how signals are handled.
int Run(const std::vector<std::string>& words);

}  // namespace gpumerge::cli
