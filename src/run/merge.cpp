// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// RunMerge and EstimateRun: device and memory chosen, the pipeline run into an output directory, the report added, the
// whole published.
#include "gpumerge/merge.h"

#include "src/base/text.h"
#include "src/base/trace_range.h"
#include "src/io/output_dir.h"
#include "src/run/device_layout.h"
#include "src/run/item_queue.h"
#include "src/run/layout.h"
#include "src/run/memory.h"
#include "src/run/merge_output.h"
#include "src/run/model_trim.h"
#include "src/run/pipeline.h"
#include "src/run/rounding.h"
#include "src/run/run_on.h"
#include "src/run/scratch.h"
#include "src/run/value_warnings.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

// A line of the journal, and as much for the new journal of a run that goes on.
constexpr uint64_t kJournalBytesPerItem = 1024;

void CheckSpace(const Plan& plan) {
  // What an interrupted run holds is used, or given back.
  const uint64_t free_bytes = FreeDiskBytes(plan.output_dir) + StagedBytes(plan.output_dir);
  const uint64_t disk_bytes = Totals(plan).disk_bytes;
  const uint64_t needed =
      disk_bytes + disk_bytes / 100 + plan.items.size() * kJournalBytesPerItem + MostScratchBytes(plan);
  if (free_bytes >= needed) return;
  throw Error({.code = ErrorCode::kOutSpace,
               .message = "not enough disk space for the output",
               .where = plan.output_dir,
               .found = FormatBytes(free_bytes) + " free",
               .expected = FormatBytes(needed),
               .help = "free some space or choose another place with --out"});
}

// f(devices) lays out memory. A GPU that has too little of it is left alone when nobody asked for it.
template <class Function>
auto OrOnCpu(const RunOptions& options, ChosenDevices* devices, const Function& f) {
  try {
    return f(devices->pointers());
  } catch (const Error& error) {
    if (options.device != Device::kAuto || error.code() != ErrorCode::kDeviceMemory) throw;
    *devices = CpuInstead(options, error.what());
  }
  return f(devices->pointers());
}

// Adds the item's share of what a run reads and moves. layout may be one of a budget that is too small.
void AddItem(const PlanItem& item, const MemoryLayout& layout, RunEstimate* estimate) {
  const Way way = layout.units.empty() ? Way::kWhole : WayOf(item, layout.units[0]);
  const bool on_device =
      !layout.units.empty() && layout.units[0].device != nullptr && item.action == PlanAction::kMerge;
  const uint64_t again = layout.units.empty() ? 0 : FileReadings(item, layout.units[0]) - 1;
  estimate->n_streamed_tensors += again > 0 ? 1 : 0;
  estimate->n_kept_tensors += way == Way::kKept ? 1 : 0;
  for (const PlanInput& input : item.inputs) {
    if (!input.item) {
      estimate->bytes_read += (1 + again) * input.size_bytes;
      estimate->bytes_read_again += again * input.size_bytes;
    }
    if (on_device) estimate->bytes_to_device += (1 + again) * input.size_bytes;
  }
  if (on_device) estimate->bytes_from_device += item.size_bytes;
}

void AddModelTrims(const Plan& plan, RunEstimate* estimate) {
  for (const ModelTrim& trim : FindModelTrims(plan)) {
    estimate->n_trim_passes = std::max(estimate->n_trim_passes, trim.MostPasses());
    for (const uint64_t item : trim.items) estimate->trim_bytes += trim.MostPasses() * plan.items[item].InputBytes();
  }
  estimate->bytes_read += estimate->trim_bytes;
  estimate->bytes_read_again += estimate->trim_bytes;
}

void AddFindings(const Plan& plan, const std::vector<ItemResult>& results, RunStats* stats) {
  const RoundingLoss loss = TotalLoss(plan, results);
  stats->rounding_loss = RoundingShare(loss);
  if (std::optional<Diagnostic> warning = RoundingWarning(loss)) stats->warnings.push_back(std::move(*warning));
  for (Diagnostic& warning : ValueWarnings(plan, results)) stats->warnings.push_back(std::move(warning));
  for (size_t i = 0; i < plan.items.size(); ++i) {
    const PlanItem& item = plan.items[i];
    if (item.action != PlanAction::kMerge || Methods()[item.job.method].info->name != "slerp") continue;
    ++stats->slerp_tensors;
    stats->slerp_lerp_tensors += results[i].used_lerp ? 1u : 0u;
  }
}

void ThrowIfStrict(const RunOptions& options, const std::vector<Diagnostic>& warnings) {
  if (options.strict && !warnings.empty()) throw Error(warnings);
}

// The plan has all that its jobs need.
RunStats RunFilled(const Plan& plan, const RunOptions& options, ChosenDevices devices, MergeOutput* output) {
  const bool had_gpu = devices.backends[0]->Info().keeps();
  RunMemory memory = OrOnCpu(options, &devices, [&](const std::vector<Backend*>& backends) {
    return AllocateMemory(plan, options, backends);
  });
  if (had_gpu && !devices.backends[0]->Info().keeps())
    memory.warnings.push_back({.code = ErrorCode::kDeviceMemory,
                               .message = "the merge ran on the CPU, not on the GPU that was chosen",
                               .found = devices.why,
                               .help = "end other programs on the GPU, or say --device cpu"});
  ThrowIfStrict(options, memory.warnings);
  std::optional<Scratch> scratch;
  if (!plan.stages.empty()) scratch.emplace(output->staging_path(), Totals(plan).stage_bytes);
  const PipelineOptions pipeline{
      .units = memory.layout.units,
      .staging = memory.staging,
      .reader_threads = ReaderThreads(options),
      .selfcheck_percent = options.selfcheck_percent,
      .on_progress = options.on_progress,
      .scratch = scratch ? &*scratch : nullptr,
      .done = &output->done(),
      .on_item_done = [&](uint64_t item, const ItemResult& result) { output->ItemDone(item, result); },
      .io = options.io};
  const PipelineResult result = RunPipeline(plan, {0, plan.items.size()}, devices.pointers(), pipeline,
                                            [&](uint32_t shard, uint64_t offset, const std::byte* data, uint64_t size) {
                                              output->Write(shard, offset, data, size);
                                            });
  scratch.reset();
  RunStats stats;
  stats.device = DeviceText(devices.pointers());
  devices.backends.clear();  // their memory is not needed for what follows
  stats.warnings = std::move(memory.warnings);
  if (std::optional<Diagnostic> warning = output->Warning())
    stats.warnings.insert(stats.warnings.begin(), std::move(*warning));
  AddFindings(plan, output->results(), &stats);
  ThrowIfStrict(options, stats.warnings);
  stats.totals = result.totals;
  stats.memory_budget_bytes = memory.layout.budget_bytes;
  stats.output_dir = plan.output_dir;
  stats.selfcheck_tensors = result.selfcheck_tensors;
  output->Finish(result.totals);
  // Nothing may fail from here on: the output is there.
  stats.sync_seconds = output->sync_seconds();
  stats.verify_seconds = output->verify_seconds();
  stats.peak_memory_bytes = PeakResidentBytes();
  return stats;
}

bool NeedsModelTrims(const Plan& plan, const std::vector<bool>& done) {
  const std::vector<ModelTrim> trims = FindModelTrims(plan);
  return std::any_of(trims.begin(), trims.end(), [&](const ModelTrim& trim) {
    return std::any_of(trim.items.begin(), trim.items.end(), [&](uint64_t item) { return !done[item]; });
  });
}

// Of a merge that an earlier run has finished.
RunStats StatsOfComplete(const Plan& plan, const ChosenDevices& devices) {
  RunStats stats;
  stats.device = DeviceText(devices.pointers());
  stats.output_dir = plan.output_dir;
  stats.totals.tensors_total = stats.totals.tensors_done = stats.totals.tensors_resumed = Totals(plan).n_tensors;
  stats.peak_memory_bytes = PeakResidentBytes();
  return stats;
}

RunStats RunInto(MergeOutput* output, const Plan& plan, const RunOptions& options, ChosenDevices devices) {
  output->Begin();
  if (!NeedsModelTrims(plan, output->done())) return RunFilled(plan, options, std::move(devices), output);
  Plan filled = plan;
  {
    const TraceRange trace("trim");
    FillModelTrims(options, options.memory_bytes.value_or(DefaultMemoryBytes(plan)), &filled);
  }
  return RunFilled(filled, options, std::move(devices), output);
}

}  // namespace

RunStats RunMerge(const Plan& plan, const RunOptions& options) {
  CheckFloatMode();
  return RunMergeOn(plan, options, ChooseDevices(options));
}

RunStats RunMergeOn(const Plan& plan, const RunOptions& options, ChosenDevices devices) {
  CheckSpace(plan);
  MergeOutput output(plan, options);
  if (output.is_complete()) return StatsOfComplete(plan, devices);
  try {
    return RunInto(&output, plan, options, std::move(devices));
  } catch (const Error& error) {
    throw output.After(error);
  } catch (...) {
    output.AfterUnknownError();
    throw;
  }
}

RunEstimate EstimateRun(const Plan& plan, const RunOptions& options) {
  return EstimateRunOn(plan, options, ChooseDevices(options));
}

RunEstimate EstimateRunOn(const Plan& plan, const RunOptions& options, ChosenDevices devices) {
  const MemoryLayout layout =
      OrOnCpu(options, &devices, [&](const std::vector<Backend*>& on) { return LayOutMemory(plan, options, on); });
  const std::vector<Backend*> backends = devices.pointers();
  RunEstimate estimate;
  estimate.device = DeviceText(backends);
  estimate.device_why = devices.why;
  estimate.memory_budget_bytes = layout.budget_bytes;
  estimate.memory_needed_bytes = layout.smallest_budget_bytes;
  estimate.streams_from_cache = backends.size() == 1 && backends[0]->part_workers() != nullptr;
  if (backends[0]->Info().keeps())
    estimate.device_memory_needed_bytes = backends[0]->VramFor(SmallestDeviceBytes(plan, *backends[0]));
  if (!layout.units.empty()) estimate.device_memory_bytes = layout.units[0].device_memory.total_bytes();
  for (const PlanItem& item : plan.items) AddItem(item, layout, &estimate);
  AddModelTrims(plan, &estimate);
  estimate.disk_free_bytes = FreeDiskBytes(plan.output_dir);
  estimate.scratch_bytes = MostScratchBytes(plan);
  return estimate;
}

}  // namespace gpumerge
