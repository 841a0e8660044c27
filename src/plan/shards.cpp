// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Splitting and layout. Headers are complete here, so that every byte's place is known before data is read.
#include "src/plan/shards.h"

#include "src/io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace gpumerge {
namespace {

const std::vector<std::pair<std::string, std::string>> kMetadata{{"format", "pt"}};

// An upper bound of what a tensor adds to a header.
uint64_t HeaderEntryBytes(const PlanItem& item) {
  constexpr uint64_t kFixedBytes = 64 + 2 * 20;  // keys, punctuation, type, offsets
  uint64_t name_bytes = 0;
  for (const char c : item.name) name_bytes += (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\') ? 6 : 1;
  return kFixedBytes + name_bytes + 21 * item.job.shape.size();
}

// Sets PlanItem::shard; returns the number of shards.
uint32_t AssignShards(uint64_t shard_size_bytes, std::vector<PlanItem>* items) {
  constexpr uint64_t kEmptyHeaderBytes = 64;
  uint32_t shard = 0;
  uint64_t used_bytes = kEmptyHeaderBytes;
  for (PlanItem& item : *items) {
    const uint64_t item_bytes = item.size_bytes + HeaderEntryBytes(item);
    if (used_bytes > kEmptyHeaderBytes && used_bytes + item_bytes > shard_size_bytes) {
      ++shard;
      used_bytes = kEmptyHeaderBytes;
    }
    item.shard = shard;
    used_bytes += item_bytes;
  }
  return shard + 1;
}

bool InOutputOrder(const PlanItem& a, const PlanItem& b) {
  if (a.shard != b.shard) return a.shard < b.shard;
  if (a.job.out_dtype != b.job.out_dtype) return a.job.out_dtype > b.job.out_dtype;
  return a.name < b.name;
}

std::string ShardName(uint32_t shard, uint32_t n_shards) {
  return n_shards == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, n_shards);
}

}  // namespace

void LayOutShards(uint64_t shard_size_bytes, Plan* plan) {
  const uint32_t n_shards = AssignShards(shard_size_bytes, &plan->items);
  std::sort(plan->items.begin(), plan->items.end(), InOutputOrder);
  plan->shards.clear();
  size_t next = 0;
  for (uint32_t shard = 0; shard < n_shards; ++shard) {
    std::vector<HeaderTensor> tensors;
    const size_t first = next;
    for (; next < plan->items.size() && plan->items[next].shard == shard; ++next) {
      const PlanItem& item = plan->items[next];
      tensors.push_back({item.name, item.job.out_dtype, item.job.shape, 0, item.size_bytes});
    }
    std::string header = MakeSafetensorsHeader(tensors, kMetadata);
    uint64_t offset_bytes = header.size();
    for (size_t i = first; i < next; ++i) {
      plan->items[i].offset_bytes = offset_bytes;
      offset_bytes += plan->items[i].size_bytes;
    }
    plan->shards.push_back({ShardName(shard, n_shards), std::move(header), offset_bytes});
  }
}

}  // namespace gpumerge
