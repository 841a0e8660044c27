// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/device.h"

#include <algorithm>
#include <limits>
#include <thread>

namespace gpumerge {

ChosenDevice ChooseDevice(const RunOptions& options) {
  switch (options.device) {
    case Device::kReference:
      return {MakeReferenceBackend(), "--device reference"};
    case Device::kCpu:
      return {MakeCpuBackend(options.threads, options.max_cpu_isa), "--device cpu"};
    case Device::kAuto:
      break;
  }
  return {MakeCpuBackend(options.threads, options.max_cpu_isa), "the fastest that this build has"};
}

std::string DeviceText(const Backend& backend) {
  const BackendInfo info = backend.Info();
  return info.name + " (" + info.detail + ")";
}

uint32_t ReaderThreads(const RunOptions& options) {
  const uint32_t threads = options.threads == 0 ? std::thread::hardware_concurrency() : options.threads;
  return std::clamp(threads, 1u, 8u);
}

void CheckFloatMode() {
  // Volatile, so that the compiler does not do the sum itself.
  volatile float denormal = std::numeric_limits<float>::denorm_min();
  volatile float twice = denormal + denormal;
  volatile float one = 1.0f, less_than_half_a_step = 0x1p-25f;
  volatile float above = one + less_than_half_a_step, below = -one - less_than_half_a_step;
  if (twice > 0 && above == one && below == -one) return;
  throw Error({.code = ErrorCode::kFloatMode,
               .message = "this process flushes denormal numbers or does not round to nearest, so results would differ",
               .help = "a library built with -ffast-math, or fesetround(), changed the mode; undo it (LD_PRELOAD?)"});
}

}  // namespace gpumerge
