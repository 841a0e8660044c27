// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which backend a run uses, and why.
#pragma once

#include "gpumerge/backend.h"
#include "gpumerge/options.h"

#include <memory>
#include <string>

namespace gpumerge {

struct ChosenDevice {
  std::unique_ptr<Backend> backend;
  std::string why;
};

// Throws Error(DEV-NONE).
ChosenDevice ChooseDevice(const RunOptions& options);
// "cpu (x86-64-v4, 2 threads)"
std::string DeviceText(const Backend& backend);
// Threads that read inputs: a few more than cores would wait for a disk together.
uint32_t ReaderThreads(const RunOptions& options);
// Throws Error(NUM-FTZ) when the process flushes denormals (some libraries switch that on when they are loaded).
void CheckFloatMode();

}  // namespace gpumerge
