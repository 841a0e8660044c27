// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What can be computed from a Plan alone: totals, parts, its hash.
#include "src/base/hash.h"
#include "src/base/system_calls.h"
#include "src/plan/output_files.h"

#include "gpumerge/plan.h"

#include <algorithm>
#include <bit>
#include <string_view>

namespace gpumerge {
namespace {

// Fields with their lengths, so that no two plans give the same bytes.
class FieldHash {
 public:
  void Add(uint64_t value) { hash_.Update(&value, sizeof value); }
  void Add(std::string_view text) {
    Add(uint64_t{text.size()});
    hash_.Update(text.data(), text.size());
  }
  std::string Hex() const { return hash_.Hex(); }

 private:
  ContentHash hash_;
};

void AddJob(const MergeJob& job, FieldHash* hash) {
  hash->Add(uint64_t{job.has_base});
  hash->Add(uint64_t{job.inputs.size()});
  for (const JobInput& input : job.inputs) {
    hash->Add(static_cast<uint64_t>(input.dtype));
    hash->Add(uint64_t{input.model_index});
  }
  hash->Add(static_cast<uint64_t>(job.out_dtype));
  hash->Add(uint64_t{job.shape.size()});
  for (uint64_t extent : job.shape) hash->Add(extent);
  hash->Add(uint64_t{job.params.size()});
  for (const JobParam& param : job.params) {
    hash->Add(uint64_t{param.values.size()});
    for (double value : param.values) hash->Add(std::bit_cast<uint64_t>(value));
  }
  hash->Add(job.seed);
  hash->Add(job.name_hash);
}

void AddItem(const PlanItem& item, FieldHash* hash) {
  hash->Add(item.name);
  hash->Add(static_cast<uint64_t>(item.action));
  if (item.overflow != OverflowPolicy::kError) hash->Add("overflow" + std::to_string(static_cast<int>(item.overflow)));
  if (item.nonfinite != NonFinitePolicy::kError) hash->Add("nonfinite");
  if (item.may_differ) hash->Add("may_differ");
  AddJob(item.job, hash);
  for (const PlanInput& input : item.inputs) {
    hash->Add(uint64_t{input.model});
    hash->Add(input.tensor);
    hash->Add(input.size_bytes);
    hash->Add(input.item ? *input.item + 1 : uint64_t{0});
  }
  hash->Add(item.stage ? uint64_t{*item.stage} + 1 : uint64_t{0});
  hash->Add(uint64_t{item.shard});
  hash->Add(item.offset_bytes);
  hash->Add(item.size_bytes);
}

// The card and the recipe repeat what the items say, and name models by their paths.
bool NamesPaths(const PlanTextFile& file) { return file.file_name == kModelCardFile || file.file_name == kRecipeFile; }

// (n_items + 1): whether parts may meet before the item, that is, nothing after that reads what is made before.
std::vector<bool> PlacesToCut(const Plan& plan) {
  std::vector<bool> places(plan.items.size() + 1, true);
  uint64_t first_read = plan.items.size();  // the first item that this one or a later one reads
  for (uint64_t i = plan.items.size(); i-- > 0;) {
    first_read = std::min(first_read, i);
    for (const PlanInput& input : plan.items[i].inputs)
      if (input.item) first_read = std::min(first_read, *input.item);
    places[i] = first_read == i;
  }
  return places;
}

}  // namespace

PlanTotals Totals(const Plan& plan) {
  PlanTotals totals;
  for (const PlanItem& item : plan.items) {
    const uint64_t input_bytes = item.InputBytes();
    totals.input_bytes += input_bytes;
    totals.largest_group_bytes = std::max(totals.largest_group_bytes, input_bytes + item.size_bytes);
    if (item.stage) {
      ++totals.n_stage_tensors;
      totals.stage_bytes += item.size_bytes;
      continue;
    }
    ++totals.n_tensors;
    ++(item.action == PlanAction::kMerge ? totals.n_merged : totals.n_copied);
    totals.n_params += item.job.n_elems;
    totals.output_bytes += item.size_bytes;
  }
  for (const PlanShard& shard : plan.shards) totals.disk_bytes += shard.size_bytes;
  for (const PlanTextFile& file : plan.text_files) totals.disk_bytes += file.contents.size();
  for (const PlanCopiedFile& file : plan.copied_files) {
    struct stat status {};
    if (Sys().Stat(file.source_path.c_str(), &status) == 0) totals.disk_bytes += static_cast<uint64_t>(status.st_size);
  }
  return totals;
}

std::vector<PlanPart> CutPlan(const Plan& plan, uint32_t n_parts) {
  const std::vector<bool> may_cut = PlacesToCut(plan);
  std::vector<uint64_t> bytes_before{0};
  for (const PlanItem& item : plan.items)
    bytes_before.push_back(bytes_before.back() + item.InputBytes() + item.size_bytes);
  const uint64_t total_bytes = bytes_before.back();

  std::vector<PlanPart> parts(std::max(n_parts, 1u));
  uint64_t first = 0;
  for (size_t part = 0; part < parts.size(); ++part) {
    // In floating point: a share of the bytes need not be exact, only the same each time.
    const auto goal_bytes = static_cast<uint64_t>(static_cast<double>(total_bytes) * static_cast<double>(part + 1) /
                                                  static_cast<double>(parts.size()));
    uint64_t last = first;
    for (uint64_t next = first; next < plan.items.size() && bytes_before[next + 1] <= goal_bytes; ++next)
      if (may_cut[next + 1]) last = next + 1;
    if (part + 1 == parts.size()) last = plan.items.size();
    parts[part] = {first, last};
    first = last;
  }
  return parts;
}

std::string PlanHash(const Plan& plan) {
  FieldHash hash;
  hash.Add(plan.method);
  hash.Add(plan.seed);
  hash.Add(uint64_t{plan.models.size()});
  hash.Add(uint64_t{plan.donor});
  hash.Add(plan.base ? uint64_t{*plan.base} + 1 : uint64_t{0});
  hash.Add(uint64_t{plan.stages.size()});
  for (const PlanStage& stage : plan.stages) {
    hash.Add(stage.name);
    hash.Add(stage.method);
    hash.Add(stage.seed);
    for (const uint32_t model : stage.models) hash.Add(uint64_t{model});
  }
  hash.Add(uint64_t{plan.items.size()});
  for (const PlanItem& item : plan.items) AddItem(item, &hash);
  for (const PlanShard& shard : plan.shards) {
    hash.Add(shard.file_name);
    hash.Add(shard.header);
  }
  for (const PlanTextFile& file : plan.text_files) {
    hash.Add(file.file_name);
    if (!NamesPaths(file)) hash.Add(file.contents);
  }
  for (const PlanCopiedFile& file : plan.copied_files) hash.Add(file.file_name);
  return hash.Hex();
}

}  // namespace gpumerge
