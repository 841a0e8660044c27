// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs part of a plan on a backend that works on the caller's threads (PartWorkers): every worker reads a part of a
// tensor into memory of its own, small enough for its second-level cache, works on it and writes the result from there.
// Nothing is handed from thread to thread, and a tensor that must be read several times is read again, from the page
// cache. The processor's memory bandwidth is the price of holding it instead.
#pragma once

#include "src/run/pipeline.h"

namespace gpumerge {

// As RunPipeline, with a backend that has part_workers(). Where staging holds fewer parts than there are workers, fewer
// of them work.
PipelineResult RunDirect(const Plan& plan, PlanPart part, Backend* backend, const PipelineOptions& options,
                         const OutputSink& sink);

}  // namespace gpumerge
