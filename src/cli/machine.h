// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What `gpumerge devices` knows about this machine. Plain data.
#pragma once

#include "gpumerge/error.h"
#include "gpumerge/gpu.h"

#include <optional>
#include <string>
#include <vector>

namespace gpumerge::cli {

// What --measure found out about one GPU: a bandwidth, or why there is none; neither when it was not measured.
struct LinkResult {
  std::optional<LinkBandwidth> bandwidth;
  std::optional<Diagnostic> problem;
};

struct CpuSummary {
  std::string chosen;               // "x86-64-v4, 2 threads"
  std::vector<std::string> usable;  // instruction sets, the least demanding first
  std::optional<Diagnostic> problem;
};

struct AutoChoice {
  std::string device, why;  // as a merge would say them
  std::optional<Diagnostic> problem;
};

struct Machine {
  GpuSurvey survey;
  std::vector<LinkResult> links;  // parallel to survey.gpus
  CpuSummary cpu;
  AutoChoice choice;
};

}  // namespace gpumerge::cli
