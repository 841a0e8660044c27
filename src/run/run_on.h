// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The functions of gpumerge/merge.h with the devices chosen already; options.device only says whether the CPU may take
// the place of GPUs (Device::kAuto).
#pragma once

#include "src/run/device.h"

#include "gpumerge/merge.h"

namespace gpumerge {

RunStats RunMergeOn(const Plan& plan, const RunOptions& options, ChosenDevices devices);
RunEstimate EstimateRunOn(const Plan& plan, const RunOptions& options, ChosenDevices devices);
// Checks nothing of the call.
std::vector<std::byte> MergeTensorsOn(const MergeJob& job, std::span<const ConstTensor> inputs, Backend& backend);

}  // namespace gpumerge
