// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What each verb does. Every function may throw Error and returns an exit status.
#pragma once

#include "src/cli/arguments.h"
#include "src/cli/messages.h"
#include "src/io/model_files.h"

namespace gpumerge::cli {

inline ModelOptions OptionsOfModels(const Arguments& arguments) {
  return {arguments.plan.hub_cache, arguments.plan.follow_symlinks, arguments.plan.ignore_unlisted};
}

int MergeCommand(const Arguments& arguments, Messages* messages);
int PlanCommand(const Arguments& arguments, Messages* messages);
int InspectCommand(const Arguments& arguments, Messages* messages);
int VerifyCommand(const Arguments& arguments, Messages* messages);
int DevicesCommand(const Arguments& arguments);
int MethodsCommand(const Arguments& arguments);
int ErrorsCommand(const Arguments& arguments);

}  // namespace gpumerge::cli
