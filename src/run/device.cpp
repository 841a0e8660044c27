// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <utility>

namespace gpumerge {
namespace {

std::unique_ptr<Backend> Cpu(const RunOptions& options) { return MakeCpuBackend(options.threads, options.cpu_isa); }

ChosenDevices Single(std::unique_ptr<Backend> backend, std::string why) {
  ChosenDevices chosen;
  chosen.backends.push_back(std::move(backend));
  chosen.why = std::move(why);
  return chosen;
}

std::string GpuList(const GpuSurvey& survey) {
  std::string list;
  for (const GpuInfo& gpu : survey.gpus)
    list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", gpu.index, gpu.name);
  return list.empty() ? "no GPU" : list;
}

// Why no GPU can be used, when none can.
Diagnostic NoGpu(const GpuSurvey& survey) {
  if (survey.problem) return *survey.problem;
  for (const GpuInfo& gpu : survey.gpus)
    if (gpu.problem) return *gpu.problem;
  return {.code = ErrorCode::kDeviceUnavailable, .message = "there is no GPU", .help = "use --device cpu"};
}

// The GPUs that were asked for, all of which can be used, or all that can.
std::vector<uint32_t> AskedGpus(const RunOptions& options, const GpuSurvey& survey) {
  if (survey.problem) throw Error(*survey.problem);
  std::vector<uint32_t> asked;
  for (const uint32_t index : options.gpus) {
    const auto gpu =
        std::find_if(survey.gpus.begin(), survey.gpus.end(), [&](const GpuInfo& info) { return info.index == index; });
    if (gpu == survey.gpus.end())
      throw Error({.code = ErrorCode::kDeviceUnavailable,
                   .message = fmt::format("there is no GPU {}", index),
                   .found = GpuList(survey),
                   .help = "`gpumerge devices` lists what there is"});
    if (gpu->problem) throw Error(*gpu->problem);
    if (std::find(asked.begin(), asked.end(), index) == asked.end()) asked.push_back(index);
  }
  if (options.gpus.empty())
    for (const GpuInfo& gpu : survey.gpus)
      if (!gpu.problem) asked.push_back(gpu.index);
  if (asked.empty()) throw Error(NoGpu(survey));
  return asked;
}

ChosenDevices Asked(const RunOptions& options, const GpuSource& gpus) {
  std::vector<uint32_t> asked = AskedGpus(options, gpus.survey());
  asked.resize(std::min(asked.size(), gpus.most_gpus));
  ChosenDevices chosen;
  for (const uint32_t gpu : asked) chosen.backends.push_back(gpus.make(gpu, options.vram_bytes.value_or(0)));
  chosen.why = options.device == Device::kHybrid ? "--device hybrid" : "--device cuda";
  return chosen;
}

ChosenDevices Automatic(const RunOptions& options, const GpuSource& gpus) {
  const GpuSurvey survey = gpus.survey();
  ChosenDevices chosen;
  std::string problems;
  for (const GpuInfo& gpu : survey.gpus) {
    if (chosen.backends.size() == gpus.most_gpus) break;
    std::string problem = gpu.problem ? gpu.problem->message : "";
    if (problem.empty()) try {
        chosen.backends.push_back(gpus.make(gpu.index, options.vram_bytes.value_or(0)));
        continue;
      } catch (const Error& error) {
        problem = error.what();
      }
    problems += fmt::format("{}GPU {}: {}", problems.empty() ? "" : "; ", gpu.index, problem);
  }
  if (chosen.backends.empty()) return CpuInstead(options, problems.empty() ? NoGpu(survey).message : problems);
  chosen.why = chosen.backends.size() == 1 ? "the GPU that works" : "all GPUs that work";
  if (!problems.empty()) chosen.why += fmt::format("; not {}", problems);
  return chosen;
}

}  // namespace

std::vector<Backend*> ChosenDevices::pointers() const {
  std::vector<Backend*> pointers;
  for (const std::unique_ptr<Backend>& backend : backends) pointers.push_back(backend.get());
  return pointers;
}

ChosenDevices ChooseDevices(const RunOptions& options, const GpuSource& gpus) {
  switch (options.device) {
    case Device::kReference:
      return Single(MakeReferenceBackend(), "--device reference");
    case Device::kCpu:
      return Single(Cpu(options), "--device cpu");
    case Device::kCuda:
      return Asked(options, gpus);
    case Device::kHybrid: {
      ChosenDevices chosen = Asked(options, gpus);
      chosen.backends.push_back(Cpu(options));
      return chosen;
    }
    case Device::kAuto:
      break;
  }
  return Automatic(options, gpus);
}

ChosenDevices CpuInstead(const RunOptions& options, const std::string& reason) {
  return Single(Cpu(options), "no GPU: " + reason);
}

std::string DeviceText(std::span<Backend* const> backends) {
  std::string text;
  for (const Backend* backend : backends) {
    const BackendInfo info = backend->Info();
    text += fmt::format("{}{} ({})", text.empty() ? "" : " + ", info.name, info.detail);
  }
  return text;
}

uint32_t ReaderThreads(const RunOptions& options) {
  if (options.io == Io::kSync) return 1;
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
