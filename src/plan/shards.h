// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which output file each tensor goes to, and where in it: files no larger than the shard size, split in model order,
// each laid out as the reference writer does (types by size, then names). Thread-safe (no state).
#pragma once

#include "gpumerge/plan.h"

#include <cstdint>
#include <string>

namespace gpumerge {

inline constexpr uint64_t kDefaultShardBytes = 5'000'000'000;

// Takes plan->items in model order; sorts them into output order, sets their places, and makes plan->shards. A tensor
// larger than the shard size gets a file of its own.
void LayOutShards(uint64_t shard_size_bytes, Plan* plan);

// model.safetensors.index.json; sorted names, two spaces, as the reference tools write it.
std::string MakeIndexJson(const Plan& plan);

}  // namespace gpumerge
