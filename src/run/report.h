// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// gpumerge_report.json: what was done to every tensor, with the hashes of what went in and came out. Equal recipes give
// equal reports: nothing about time, machine, device, threads, memory or paths.
#pragma once

#include "src/io/output_dir.h"
#include "src/run/pipeline.h"

#include "gpumerge/plan.h"

#include <string>
#include <vector>

namespace gpumerge {

inline constexpr const char* kReportFile = kMergeReportFile;

// results: of every item of the plan; copied_hashes: XXH3-128 of the plan's copied files.
std::string MakeReport(const Plan& plan, const std::vector<ItemResult>& results,
                       const std::vector<std::string>& copied_hashes);

}  // namespace gpumerge
