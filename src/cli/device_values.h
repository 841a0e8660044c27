// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Flag values about devices: which one, how much of its work is checked, how fast the stages are. As in values.h, what
// is wrong is noted in `problems`.
#pragma once

#include "src/cli/values.h"
#include "src/plan/rates.h"

#include "gpumerge/options.h"

#include <string>
#include <string_view>

namespace gpumerge::cli {

// auto, cpu, reference, hybrid, cuda, cuda:0, cuda:0,2: sets device and gpus.
void DeviceOf(const RawFlags& raw, std::string_view flag, RunOptions* options, Problems* problems);

// 0 to 100, "0.5" and "5%" too; 0 when the flag was not given.
double Percent(const RawFlags& raw, std::string_view flag, Problems* problems);

// One of those that were compiled; whether this CPU runs it shows when it is taken. "" when the flag was not given.
std::string InstructionSet(const RawFlags& raw, std::string_view flag, Problems* problems);

// disk=7G,link=50G,compute=5G,out=3G: at least one of them, in bytes per second.
StageRates Rates(const RawFlags& raw, std::string_view flag, Problems* problems);

}  // namespace gpumerge::cli
