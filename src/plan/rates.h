// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a merge would cost in time on a machine of given speeds: bytes of every stage over its rate. The stages overlap,
// so the slowest one is the whole. No device is touched. Thread-safe (no state).
#pragma once

#include "gpumerge/merge.h"
#include "gpumerge/plan.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

// Bytes per second; 0: not given, the stage is not costed.
struct StageRates {
  double disk = 0;     // reading inputs
  double link = 0;     // between the host's memory and the GPUs, each direction, all GPUs together
  double compute = 0;  // input bytes merged, as the summary of a run measures it
  double out = 0;      // writing the output
  bool any() const { return disk > 0 || link > 0 || compute > 0 || out > 0; }
};

struct StageBytes {
  uint64_t disk = 0, link = 0, compute = 0, out = 0;
  std::string assumption{};  // what was assumed about a GPU that is not here; may be empty
};

// Input bytes that a GPU with that much memory is sent, near enough: once where a tensor's inputs fit there together,
// else once for every reading. Copied tensors are not sent. No vram_bytes: everything fits.
uint64_t BytesToGpu(const Plan& plan, std::optional<uint64_t> vram_bytes);

// The bytes of a run as estimated. With for_gpu, and when the estimate is not of a run with a GPU, those of a run with
// a GPU of that memory.
StageBytes BytesOfStages(const Plan& plan, const RunEstimate& estimate, bool for_gpu,
                         std::optional<uint64_t> vram_bytes);

struct StageCost {
  std::string_view stage;  // "disk", "link", "compute", "out"
  uint64_t bytes = 0;
  double bytes_per_second = 0;
  double seconds = 0;
};

struct PlanCost {
  std::vector<StageCost> stages;  // those with a rate, in the data's order
  size_t slowest = 0;             // index in stages; the first of equals
  std::string assumption;
  double seconds() const { return stages[slowest].seconds; }
};

// rates.any() must hold.
PlanCost CostOfStages(const StageBytes& bytes, const StageRates& rates);

// Lines for ExplainPlan.
std::string CostText(const PlanCost& cost);

}  // namespace gpumerge
