// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/cli.h"

#include <string>
#include <vector>

int main(int argc, char** argv) {
  gpumerge::cli::HandleTerminate();
  return gpumerge::cli::Run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
