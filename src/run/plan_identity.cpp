// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/plan_identity.h"

#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/system_calls.h"
#include "src/plan/output_files.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <sys/stat.h>
#include <vector>

namespace gpumerge {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{1} << 16;

std::string HashText(std::string_view text) {
  ContentHash hash;
  hash.Update(text.data(), text.size());
  return hash.Hex();
}

// The length, as it says itself, and the header.
std::string HashHeader(const PlanFile& file) {
  const UniqueFd fd = OpenRegular(file.path);
  std::array<unsigned char, 8> length{};
  ReadFully(fd.get(), 0, length.data(), length.size(), file.path);
  uint64_t end = 0;
  for (size_t i = length.size(); i-- > 0;) end = end << 8 | length[i];
  end = std::min(end, file.size_bytes - length.size()) + length.size();
  ContentHash hash;
  std::vector<std::byte> piece(kPieceBytes);
  for (uint64_t at = 0; at < end; at += piece.size()) {
    const uint64_t bytes = std::min<uint64_t>(piece.size(), end - at);
    ReadFully(fd.get(), at, piece.data(), bytes, file.path);
    hash.Update(piece.data(), bytes);
  }
  return hash.Hex();
}

// PlanHash knows no paths; texts may name some, and what is copied comes from somewhere.
std::string HashPlan(const Plan& plan) {
  std::string all = PlanHash(plan);
  for (const PlanTextFile& file : plan.text_files) all += '\0' + file.file_name + '\0' + HashText(file.contents);
  for (const PlanCopiedFile& file : plan.copied_files) {
    struct stat status {};
    const bool is_there = Sys().Stat(file.source_path.c_str(), &status) == 0;
    all += '\0' + file.file_name + '\0' + file.source_path + '\0';
    if (is_there)
      all += std::to_string(status.st_size) + ' ' + std::to_string(status.st_mtim.tv_sec) + ' ' +
             std::to_string(status.st_mtim.tv_nsec);
  }
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
    header.inputs.push_back(
        {.path = file.path, .size_bytes = file.size_bytes, .mtime_ns = file.mtime_ns, .header_hash = HashHeader(file)});
  return header;
}

}  // namespace gpumerge
