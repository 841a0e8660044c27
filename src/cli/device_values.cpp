// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/device_values.h"

#include "src/base/text.h"
#include "src/cpu/isa.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge::cli {
namespace {

constexpr uint32_t kMaxGpu = 255;
// Slower than any disk: a slip of the unit.
constexpr uint64_t kMinRate = 1000;

constexpr auto kDevices = std::to_array<std::pair<std::string_view, Device>>({
    {"auto", Device::kAuto},
    {"cpu", Device::kCpu},
    {"cuda", Device::kCuda},
    {"hybrid", Device::kHybrid},
    {"reference", Device::kReference},
});
// What people call a GPU elsewhere.
constexpr auto kGpuWords = std::to_array<std::string_view>({"gpu", "gpus", "nvidia", "device"});
constexpr auto kRateNames = std::to_array<std::string_view>({"disk", "link", "compute", "out"});

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t end = text.find(separator); end != std::string_view::npos; end = text.find(separator)) {
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

std::string DeviceHelp(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& [device, value] : kDevices) names.push_back(device);
  const bool means_gpu = std::find(kGpuWords.begin(), kGpuWords.end(), name) != kGpuWords.end();
  const std::string_view meant = means_gpu ? "cuda" : NearestName(name, names);
  return meant.empty() ? "devices: auto, cpu, cuda, cuda:0, cuda:0,2, hybrid, reference"
                       : fmt::format("did you mean {}?", meant);
}

// "0,2" -> {0, 2}; nullopt: not a list of different GPUs.
std::optional<std::vector<uint32_t>> GpuList(std::string_view text) {
  std::vector<uint32_t> gpus;
  for (const std::string_view part : Split(text, ',')) {
    uint32_t gpu = 0;
    const auto [end, status] = std::from_chars(part.data(), part.data() + part.size(), gpu);
    if (status != std::errc() || end != part.data() + part.size() || gpu > kMaxGpu) return std::nullopt;
    if (std::find(gpus.begin(), gpus.end(), gpu) != gpus.end()) return std::nullopt;
    gpus.push_back(gpu);
  }
  return gpus;
}

double* RateOf(std::string_view name, StageRates* rates) {
  if (name == "disk") return &rates->disk;
  if (name == "link") return &rates->link;
  if (name == "compute") return &rates->compute;
  if (name == "out") return &rates->out;
  return nullptr;
}

// "7G", "7GB/s", "512Mi" in bytes per second.
std::optional<uint64_t> RateBytes(std::string_view text) {
  if (text.ends_with("/s")) text.remove_suffix(2);
  return ParseBytes(text);
}

void TakeRate(std::string_view part, std::string_view flag, StageRates* rates, Problems* problems) {
  const auto wrong = [&](std::string message, std::string help) {
    problems->push_back(UsageProblem(fmt::format("--{}: {}", flag, message), std::move(help)));
  };
  const size_t equals = part.find('=');
  const std::string_view name = part.substr(0, equals);
  double* rate = RateOf(name, rates);
  if (rate == nullptr) {
    const std::string_view meant = NearestName(name, kRateNames);
    return wrong(fmt::format("\"{}\" is not a stage", name),
                 meant.empty() ? "stages: disk (reading), link (to the GPUs), compute, out (writing)"
                               : fmt::format("did you mean {}?", meant));
  }
  const std::string_view text = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
  const std::optional<uint64_t> bytes = RateBytes(text);
  if (*rate > 0) return wrong(fmt::format("{} is given twice", name), "give it once");
  if (!bytes)
    return wrong(fmt::format("{} is \"{}\", which is not a rate", name, text),
                 fmt::format("write {}=7G for 7 billion bytes a second (K, M, G, T; Ki, Mi, Gi)", name));
  if (*bytes < kMinRate)
    return wrong(fmt::format("{} is {} bytes a second; the least is {}", name, *bytes, kMinRate),
                 fmt::format("write {}=7G for 7 billion bytes a second", name));
  *rate = static_cast<double>(*bytes);
}

}  // namespace

void DeviceOf(const RawFlags& raw, std::string_view flag, RunOptions* options, Problems* problems) {
  if (!raw.Has(flag)) return;
  const std::string text = raw.Get(flag);
  const size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name = std::string_view(text).substr(0, colon);
  const auto* found =
      std::find_if(kDevices.begin(), kDevices.end(), [&](const auto& device) { return device.first == name; });
  if (found == kDevices.end()) {
    problems->push_back(UsageProblem(fmt::format("--{}: \"{}\" is not a device", flag, text), DeviceHelp(name)));
    return;
  }
  options->device = found->second;
  if (colon == text.size()) return;
  if (options->device != Device::kCuda) {
    problems->push_back(UsageProblem(fmt::format("--{}: {} takes no numbers", flag, name),
                                     "only cuda does: cuda:0 is the first GPU, cuda:0,2 the first and the third"));
    return;
  }
  const std::optional<std::vector<uint32_t>> gpus = GpuList(std::string_view(text).substr(colon + 1));
  if (gpus)
    options->gpus = *gpus;
  else
    problems->push_back(UsageProblem(fmt::format("--{}: \"{}\" is not a list of different GPUs", flag, text),
                                     "write cuda:0 or cuda:0,2 with the numbers that `gpumerge devices` lists"));
}

double Percent(const RawFlags& raw, std::string_view flag, Problems* problems) {
  if (!raw.Has(flag)) return 0;
  const std::string text = raw.Get(flag);
  const char* last = text.data() + text.size() - (text.ends_with('%') ? 1 : 0);
  double percent = 0;
  const auto [end, status] = std::from_chars(text.data(), last, percent, std::chars_format::fixed);
  if (status == std::errc() && end == last && percent >= 0 && percent <= 100) return percent;
  problems->push_back(UsageProblem(fmt::format("--{}: \"{}\" is not a number from 0 to 100", flag, text),
                                   "the share of the tensors to check, in percent: 5 or 5%"));
  return 0;
}

std::string InstructionSet(const RawFlags& raw, std::string_view flag, Problems* problems) {
  std::vector<std::string_view> names;
  for (const CpuIsaMethods& isa : CpuMethodFiles()) names.push_back(isa.isa);
  const std::optional<size_t> chosen = Choice(raw, flag, names, problems);
  return chosen ? std::string(names[*chosen]) : std::string();
}

StageRates Rates(const RawFlags& raw, std::string_view flag, Problems* problems) {
  StageRates rates;
  if (!raw.Has(flag)) return rates;
  const std::string text = raw.Get(flag);
  for (const std::string_view part : Split(text, ',')) TakeRate(part, flag, &rates, problems);
  return rates;
}

}  // namespace gpumerge::cli
