// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Names a stretch of a thread's time for NVIDIA's Nsight Systems (NVTX, header-only), where the build has it; else
// nothing. Costs a few nanoseconds when no profiler listens.
#pragma once

#ifdef GPUMERGE_NVTX
#include <nvtx3/nvToolsExt.h>
#endif

namespace gpumerge {

class TraceRange {
 public:
#ifdef GPUMERGE_NVTX
  explicit TraceRange(const char* name) { nvtxRangePushA(name); }
  ~TraceRange() { nvtxRangePop(); }
#else
  explicit TraceRange(const char*) {}
  ~TraceRange() {}
#endif
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;
};

}  // namespace gpumerge
