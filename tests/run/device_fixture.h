// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole merges on fake devices. Header-only.
#pragma once

#include "src/run/layout.h"
#include "src/run/pipeline.h"
#include "src/run/run_on.h"
#include "tests/run/fake_device.h"
#include "tests/run/run_fixture.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge::test {

// Device memory in which the fixture's models are streamed, partly kept, and whole.
inline constexpr uint64_t kSmall = 400'000, kMiddle = 4'000'000, kLarge = 64 << 20;

class DeviceFixture : public RunFixture {
 protected:
  using Backends = std::vector<std::unique_ptr<Backend>>;

  // As much memory as is wanted, whatever this machine has just now.
  static RunOptions Quick() {
    RunOptions options = RunFixture::Quick();
    options.memory_bytes = 16'000'000'000;
    return options;
  }

  static ChosenDevices Chosen(Backends backends) { return {std::move(backends), "the test"}; }

  // Fakes of these options, named fake:0 and so on, and the CPU last if asked for.
  static Backends Fakes(uint32_t n, const FakeOptions& options, bool with_cpu = false) {
    Backends backends;
    for (uint32_t i = 0; i < n; ++i) {
      FakeOptions own = options;
      own.name = "fake:" + std::to_string(i);
      backends.push_back(std::make_unique<FakeDevice>(own));
    }
    if (with_cpu) backends.push_back(MakeCpuBackend(1, ""));
    return backends;
  }

  std::map<std::string, std::string> MergeOn(const std::string& recipe, const RunOptions& options, Backends backends) {
    stats = RunMergeOn(MakePlan(recipe, "out"), options, Chosen(std::move(backends)));
    return Contents(stats.output_dir);
  }

  // Runs the plan on the backends, memory as RunMerge would give it. The output goes to `sink`.
  static PipelineResult RunOn(
      const Plan& plan, const RunOptions& options, const std::vector<Backend*>& backends,
      const OutputSink& sink = [](uint32_t, uint64_t, const std::byte*, uint64_t) {}) {
    const RunMemory memory = AllocateMemory(plan, options, backends);
    return RunPipeline(plan, {0, plan.items.size()}, backends,
                       {memory.layout.units, memory.staging, 3, 0, options.on_progress}, sink);
  }

  RunStats stats;  // of the last MergeOn
};

}  // namespace gpumerge::test
