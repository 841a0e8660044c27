// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// RunMerge and EstimateRun: device and memory chosen, the pipeline run into an output directory, the report added, the
// whole published.
#include "gpumerge/merge.h"

#include "src/base/text.h"
#include "src/io/output_dir.h"
#include "src/run/device.h"
#include "src/run/memory.h"
#include "src/run/output_check.h"
#include "src/run/pipeline.h"
#include "src/run/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

namespace gpumerge {
namespace {

void CheckMemory(const MemoryLayout& layout) {
  if (layout.staging_bytes > 0) return;
  throw Error({.code = ErrorCode::kResMemory,
               .message = "the memory budget is too small for this merge",
               .found = FormatBytes(layout.budget_bytes),
               .expected = fmt::format("at least {} bytes ({})", layout.smallest_budget_bytes,
                                       FormatBytes(layout.smallest_budget_bytes)),
               .help = "give more with --memory, or use fewer threads"});
}

void CheckSpace(const Plan& plan) {
  const uint64_t free_bytes = FreeDiskBytes(plan.output_dir);
  const uint64_t needed = Totals(plan).disk_bytes + Totals(plan).disk_bytes / 100;
  if (free_bytes >= needed) return;
  throw Error({.code = ErrorCode::kOutSpace,
               .message = "not enough disk space for the output",
               .where = plan.output_dir,
               .found = FormatBytes(free_bytes) + " free",
               .expected = FormatBytes(needed),
               .help = "free some space or choose another place with --out"});
}

std::vector<int> CreateShards(const Plan& plan, OutputDir* output) {
  std::vector<int> handles;
  for (const PlanShard& shard : plan.shards) {
    handles.push_back(output->CreateSized(shard.file_name, shard.size_bytes));
    output->WriteAt(handles.back(), 0, shard.header.data(), shard.header.size());
  }
  return handles;
}

}  // namespace

RunStats RunMerge(const Plan& plan, const RunOptions& options) {
  CheckFloatMode();
  ChosenDevice device = ChooseDevice(options);
  const MemoryLayout layout = LayOutMemory(plan, options, *device.backend);
  CheckMemory(layout);
  CheckSpace(plan);

  OutputDir output(plan.output_dir, options.overwrite, options.sync);
  const std::vector<int> shards = CreateShards(plan, &output);
  const PipelineOptions pipeline{layout.units, layout.staging_bytes, ReaderThreads(options), options.on_progress};
  const PipelineResult result = RunPipeline(plan, {0, plan.items.size()}, *device.backend, pipeline,
                                            [&](uint32_t shard, uint64_t offset, const std::byte* data, uint64_t size) {
                                              output.WriteAt(shards[shard], offset, data, size);
                                            });
  const std::string device_text = DeviceText(*device.backend);
  device.backend.reset();  // its memory is not needed for what follows
  const auto check_cancelled = [&] {
    if (options.on_progress && !options.on_progress(result.totals))
      throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge was complete"});
  };
  check_cancelled();
  for (const PlanCopiedFile& file : plan.copied_files) output.CopyFile(file.file_name, file.source_path);
  for (const PlanTextFile& file : plan.text_files) output.WriteFile(file.file_name, file.contents);
  output.WriteFile(kReportFile, MakeReport(plan, result.items));
  CheckStagedOutput(plan, output.staging_path());
  check_cancelled();
  output.Publish();

  RunStats stats;
  stats.totals = result.totals;
  stats.device = device_text;
  stats.memory_budget_bytes = layout.budget_bytes;
  stats.peak_memory_bytes = PeakResidentBytes();
  stats.output_dir = plan.output_dir;
  if (plan.method == "slerp") {
    for (const ItemResult& item : result.items) stats.slerp_lerp_tensors += item.used_lerp ? 1 : 0;
    stats.slerp_tensors = Totals(plan).n_merged;
  }
  return stats;
}

RunEstimate EstimateRun(const Plan& plan, const RunOptions& options) {
  const ChosenDevice device = ChooseDevice(options);
  const MemoryLayout layout = LayOutMemory(plan, options, *device.backend);
  RunEstimate estimate;
  estimate.device = DeviceText(*device.backend);
  estimate.device_why = device.why;
  estimate.memory_budget_bytes = layout.budget_bytes;
  estimate.memory_needed_bytes = layout.smallest_budget_bytes;
  for (const PlanItem& item : plan.items) {
    const bool streamed = layout.staging_bytes > 0 && IsStreamed(item, layout.units) && ReadingsOf(item) > 1;
    estimate.n_streamed_tensors += streamed ? 1 : 0;
    for (const PlanInput& input : item.inputs) {
      estimate.bytes_read += input.size_bytes;
      if (streamed) estimate.bytes_read_again += (ReadingsOf(item) - 1) * input.size_bytes;
    }
  }
  estimate.bytes_read += estimate.bytes_read_again;
  estimate.disk_free_bytes = FreeDiskBytes(plan.output_dir);
  return estimate;
}

}  // namespace gpumerge
