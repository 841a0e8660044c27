// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/plan_identity.h"

#include "src/base/file.h"
#include "src/base/file_hash.h"
#include "src/base/hash.h"
#include "src/plan/output_files.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace gpumerge {
namespace {

// The length, as it says itself, and the header.
std::string HashHeader(const PlanFile& file) {
  const UniqueFd fd = OpenRegular(file.path);
  std::array<unsigned char, 8> length{};
  ReadFully(fd.get(), 0, length.data(), length.size(), file.path);
  uint64_t end = 0;
  for (size_t i = length.size(); i-- > 0;) end = end << 8 | length[i];
  end = std::min(end, file.identity.size_bytes - length.size()) + length.size();
  return HashFile(fd.get(), 0, end, file.path);
}

// PlanHash knows no paths; texts may name some, and what is copied comes from somewhere.
std::string HashPlan(const Plan& plan) {
  std::string all = PlanHash(plan);
  for (const PlanTextFile& file : plan.text_files) all += '\0' + file.file_name + '\0' + HashText(file.contents);
  for (const PlanCopiedFile& file : plan.copied_files)
    all += '\0' + file.file_name + '\0' + file.source_path + '\0' + std::to_string(file.identity.size_bytes) + ' ' +
           std::to_string(file.identity.mtime_ns);
  return HashText(all);
}

}  // namespace

JournalHeader IdentifyPlan(const Plan& plan) {
  JournalHeader header;
  header.version = GPUMERGE_VERSION;
  header.plan = HashPlan(plan);
  header.n_shards = plan.shards.size();
  for (const PlanTextFile& file : plan.text_files)
    if (file.file_name == kRecipeFile) header.recipe = HashText(file.contents);
  for (const PlanItem& item : plan.items) header.n_tensors += item.stage ? 0u : 1u;
  for (const PlanShard& shard : plan.shards) header.size_bytes += shard.size_bytes;
  for (const PlanFile& file : plan.files)
    header.inputs.push_back({.path = file.path,
                             .size_bytes = file.identity.size_bytes,
                             .mtime_ns = file.identity.mtime_ns,
                             .header_hash = HashHeader(file)});
  return header;
}

}  // namespace gpumerge
