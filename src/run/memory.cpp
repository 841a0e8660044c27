// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <tuple>
#include <unistd.h>

namespace gpumerge {
namespace {

// A batch or chunk of about this size keeps several units in the last-level cache on their way through the pipeline.
constexpr uint64_t kChunkBytes = 4 << 20;
constexpr uint64_t kRoomBesideBytes = 64 << 20;
// Units on their way at once: one is read, one computed, one written, and a few wait.
constexpr uint64_t kUnitsAtOnce = 6;
// Stacks, hash states, queues, the allocator's own.
constexpr uint64_t kSlackBytes = 5 << 20;
// What is kept of every item until the report is written, and its part of the report.
constexpr uint64_t kItemBytes = 1200, kInputBytes = 500;
constexpr uint64_t kDefaultBytes = 1'000'000'000;

// The value of a line "Name:   123 kB" of a /proc file, in bytes.
uint64_t ProcValue(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) return std::stoull(line.substr(name.size())) * 1024;
  return 0;
}

uint64_t NumberInFile(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  uint64_t value = 0;
  if (!(file >> text)) return ~uint64_t{0};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : ~uint64_t{0};  // "max" = no limit
}

// The least memory limit of this process's control groups, version 2 and 1; ~0 when there is none.
uint64_t CgroupLimitBytes() {
  uint64_t limit = ~uint64_t{0};
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t colon = line.find(':'), second = line.find(':', colon + 1);
    if (colon == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(colon + 1, second - colon - 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("memory") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const std::string file = v2 ? "/memory.max" : "/memory.limit_in_bytes";
    std::string path = line.substr(second + 1);
    while (path.starts_with('/')) {  // this group and all above it
      limit = std::min(limit, NumberInFile(root + path + file));
      path.resize(path.rfind('/'));
    }
    limit = std::min(limit, NumberInFile(root + file));
  }
  return limit;
}

}  // namespace

uint64_t ResidentBytes(bool anonymous_only) {
  return ProcValue("/proc/self/status", anonymous_only ? "RssAnon:" : "VmRSS:");
}

uint64_t PeakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

uint64_t DefaultMemoryBytes(const Plan& plan) {
  const uint64_t available = ProcValue("/proc/meminfo", "MemAvailable:");
  return std::min({available / 2, CgroupLimitBytes(), kDefaultBytes + Totals(plan).largest_group_bytes});
}

MemoryLayout LayOutMemory(const Plan& plan, const RunOptions& options, const Backend& backend) {
  MemoryLayout layout;
  layout.budget_bytes = options.memory_bytes.value_or(DefaultMemoryBytes(plan));

  // Scratch depends on a job's number of inputs and kinds of passes only: one job of each stands for all.
  std::vector<const MergeJob*> jobs;
  std::set<std::tuple<size_t, uint64_t>> seen;
  uint64_t state = 0, largest_group = 0, largest_chunk = 0;
  const bool can_stream = backend.Info().can_stream;
  for (const PlanItem& item : plan.items) {
    largest_group = std::max(largest_group, GroupBytes(item));
    largest_chunk = std::max(largest_chunk, SmallestChunkBytes(item));
    if (item.action != PlanAction::kMerge) continue;
    state = std::max(state, backend.StateBytes(item.job, item.passes));
    uint64_t kinds = 0;
    for (const PassInfo& pass : item.passes) kinds = kinds * 8 + static_cast<uint64_t>(pass.kind) + 1;
    if (seen.emplace(item.inputs.size(), kinds).second) jobs.push_back(&item.job);
  }
  uint64_t results = 0;
  for (const PlanItem& item : plan.items) results += kItemBytes + item.inputs.size() * kInputBytes;
  layout.overhead_bytes = ResidentBytes(false) + backend.FixedBytes(jobs) + 2 * state + results + kSlackBytes;
  // Two chunks, so that reading and merging overlap; a backend that cannot stream holds its largest tensor.
  const uint64_t smallest_staging = can_stream ? 2 * largest_chunk : largest_group;
  // A megabyte or two more, because the process is not the same size in every run.
  constexpr uint64_t kRound = 1 << 20;
  layout.smallest_budget_bytes = (layout.overhead_bytes + smallest_staging) / kRound * kRound + 2 * kRound;
  if (layout.budget_bytes < layout.overhead_bytes + smallest_staging) return layout;

  layout.staging_bytes = layout.budget_bytes - layout.overhead_bytes;
  layout.units.can_stream = can_stream;
  layout.units.max_chunk_elems = options.max_chunk_elems;
  layout.units.resident_bytes = std::min(layout.staging_bytes, backend.Info().max_batch_bytes);
  layout.units.chunk_bytes = std::max(largest_chunk, std::min(kChunkBytes, layout.staging_bytes / kUnitsAtOnce));
  // The largest group and some room beside it: more would be touched for the first time, which costs more than it
  // gains.
  layout.staging_bytes = std::min(layout.staging_bytes,
                                  largest_group + std::max(kRoomBesideBytes, kUnitsAtOnce * layout.units.chunk_bytes));
  return layout;
}

}  // namespace gpumerge
