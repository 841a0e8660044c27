// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `gpumerge inspect`: what a model's headers say.
#include "src/cli/commands.h"
#include "src/plan/inspect.h"

namespace gpumerge::cli {

int InspectCommand(const Arguments& arguments, Messages*) {
  PrintResult(InspectModel(arguments.topic, OptionsOfModels(arguments), arguments.json));
  return 0;
}

}  // namespace gpumerge::cli
