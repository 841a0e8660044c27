// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every byte crosses every stage once, unless a tensor has to be read again for a further pass.
#include "src/plan/rates.h"

#include "src/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace gpumerge {
namespace {

// The inputs of copied tensors, which a GPU never sees, and the output of merged ones, which it sends.
struct Shares {
  uint64_t copied_in = 0, merged_out = 0;
};

Shares SharesOf(const Plan& plan) {
  Shares shares;
  for (const PlanItem& item : plan.items)
    item.action == PlanAction::kCopy ? shares.copied_in += item.InputBytes() : shares.merged_out += item.size_bytes;
  return shares;
}

std::string SecondsText(double seconds) {
  if (seconds < 0.1) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 600) return fmt::format("{:.1f} s", seconds);
  if (seconds < 36'000) return fmt::format("{:.1f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

std::string RateText(double bytes_per_second) {
  // Faster than FormatBytes can say is faster than anything that is built.
  constexpr double kMostBytes = 1e18;
  return FormatBytes(static_cast<uint64_t>(std::min(bytes_per_second, kMostBytes))) + "/s";
}

}  // namespace

uint64_t BytesToGpu(const Plan& plan, std::optional<uint64_t> vram_bytes) {
  // A sixteenth is left for batches on their way and for statistics.
  const uint64_t room_bytes = vram_bytes ? *vram_bytes - *vram_bytes / 16 : ~uint64_t{0};
  uint64_t bytes = 0;
  for (const PlanItem& item : plan.items) {
    if (item.action != PlanAction::kMerge) continue;
    const uint64_t input_bytes = item.InputBytes();
    bytes += input_bytes * (input_bytes <= room_bytes ? 1 : TotalReads(item.passes));
  }
  return bytes;
}

StageBytes BytesOfStages(const Plan& plan, const RunEstimate& estimate, bool for_gpu,
                         std::optional<uint64_t> vram_bytes) {
  const bool has_gpu = estimate.device_memory_bytes > 0;
  StageBytes bytes;
  bytes.disk = estimate.bytes_read;
  uint64_t to_gpu = estimate.bytes_to_device, from_gpu = estimate.bytes_from_device;
  if (for_gpu && !has_gpu) {
    const Shares shares = SharesOf(plan);
    to_gpu = BytesToGpu(plan, vram_bytes);
    from_gpu = shares.merged_out;
    bytes.disk = to_gpu + shares.copied_in;
    bytes.assumption = vram_bytes ? fmt::format("as on a GPU that may use {}", FormatBytes(*vram_bytes))
                                  : "as on a GPU that every tensor fits; --vram SIZE says how much it has";
  }
  // Results go back while inputs come: the busier direction counts.
  bytes.link = std::max(to_gpu, from_gpu);
  bytes.compute = bytes.disk;
  bytes.out = Totals(plan).output_bytes;
  return bytes;
}

PlanCost CostOfStages(const StageBytes& bytes, const StageRates& rates) {
  PlanCost cost;
  cost.assumption = bytes.assumption;
  const auto add = [&](std::string_view stage, uint64_t stage_bytes, double rate) {
    if (rate > 0) cost.stages.push_back({stage, stage_bytes, rate, static_cast<double>(stage_bytes) / rate});
  };
  add("disk", bytes.disk, rates.disk);
  add("link", bytes.link, rates.link);
  add("compute", bytes.compute, rates.compute);
  add("out", bytes.out, rates.out);
  const auto slowest = std::max_element(cost.stages.begin(), cost.stages.end(),
                                        [](const StageCost& a, const StageCost& b) { return a.seconds < b.seconds; });
  cost.slowest = static_cast<size_t>(slowest - cost.stages.begin());
  return cost;
}

std::string CostText(const PlanCost& cost) {
  std::string text = fmt::format("time     {}: {} binds, the stages overlap\n", SecondsText(cost.seconds()),
                                 cost.stages[cost.slowest].stage);
  for (const StageCost& stage : cost.stages)
    text += fmt::format("         {:8}{:>10} at {:>11}  {:>9}\n", stage.stage, FormatBytes(stage.bytes),
                        RateText(stage.bytes_per_second), SecondsText(stage.seconds));
  if (!cost.assumption.empty()) text += fmt::format("         {}\n", cost.assumption);
  return text;
}

}  // namespace gpumerge
