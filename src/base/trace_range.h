// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Names a stretch of a thread's time: in the log of `--trace`, when that is on, and for NVIDIA's Nsight Systems (NVTX,
// header-only), where the build has it. Costs a few nanoseconds when neither listens.
#pragma once

#include "src/base/trace_log.h"

#ifdef GPUMERGE_NVTX
#include <nvtx3/nvToolsExt.h>
#endif

namespace gpumerge {

class TraceRange {
 public:
  // name: a literal. What the subject points at must outlive the range.
  explicit TraceRange(const char* name, const TraceSubject& subject = {}) {
#ifdef GPUMERGE_NVTX
    nvtxRangePushA(name);
#endif
    if (TraceLog::IsOn()) event_ = {.name = name, .start_ns = TraceLog::Get().NowNs(), .subject = subject};
  }
  ~TraceRange() {
#ifdef GPUMERGE_NVTX
    nvtxRangePop();
#endif
    if (event_.name == nullptr) return;
    event_.duration_ns = TraceLog::Get().NowNs() - event_.start_ns;
    TraceLog::Get().Add(event_);
  }
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;

 private:
  TraceEvent event_;
};

}  // namespace gpumerge
