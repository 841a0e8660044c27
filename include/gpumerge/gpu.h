// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which GPUs there are and whether this build can use them. Works, and says why there are none, in builds without CUDA
// and on machines without a driver. Thread-safe.
#pragma once

#include "gpumerge/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

struct GpuInfo {
  uint32_t index = 0;
  std::string name;
  std::string compute_capability;  // "9.0"
  std::string pci_bus;             // "0000:3b:00.0"
  uint64_t memory_bytes = 0, free_bytes = 0;
  std::optional<Diagnostic> problem;  // why it cannot be used: busy, too old for this build, ...
};

struct GpuSurvey {
  bool built_with_cuda = false;
  std::string driver_version{}, runtime_version{};  // "13.0"; empty where unknown
  std::vector<GpuInfo> gpus{};
  // Why none can be used: no driver, driver too old, no device, built without CUDA.
  std::optional<Diagnostic> problem{};
};

// Never throws.
GpuSurvey SurveyGpus();

struct LinkBandwidth {
  double to_device_bytes_per_second = 0, to_host_bytes_per_second = 0;
};
// Times copies of pinned memory, about half a second. Throws Error(DEV-*).
LinkBandwidth MeasureLink(uint32_t gpu);

}  // namespace gpumerge
