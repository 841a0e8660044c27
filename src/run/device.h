// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which backends a run uses, and why.
#pragma once

#include "gpumerge/backend.h"
#include "gpumerge/gpu.h"
#include "gpumerge/options.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gpumerge {

struct ChosenDevices {
  std::vector<std::unique_ptr<Backend>> backends;  // at least one; GPUs first
  std::string why;

  std::vector<Backend*> pointers() const;
};

// Where GPUs come from; tests have their own.
struct GpuSource {
  std::function<GpuSurvey()> survey = SurveyGpus;
  std::function<std::unique_ptr<Backend>(uint32_t gpu, uint64_t vram_bytes)> make = MakeCudaBackend;
  size_t most_gpus = ~size_t{0};
};

// Throws Error(DEV-*) when GPUs are asked for and cannot be used; Device::kAuto takes the CPU then.
ChosenDevices ChooseDevices(const RunOptions& options, const GpuSource& gpus = {});
// The CPU, where reason says what is wrong with the GPUs.
ChosenDevices CpuInstead(const RunOptions& options, const std::string& reason);
// "cpu (x86-64-v4, 2 threads)", several joined by " + "
std::string DeviceText(std::span<Backend* const> backends);
// Threads that read inputs: a few more than cores would wait for a disk together.
uint32_t ReaderThreads(const RunOptions& options);
// Throws Error(NUM-FTZ) when the process flushes denormals (some libraries switch that on when they are loaded).
void CheckFloatMode();

}  // namespace gpumerge
