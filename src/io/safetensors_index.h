// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// model.safetensors.index.json: which tensor lies in which shard. No I/O. Nothing in it is trusted: shard names that
// could leave the directory are refused here, and OpenModel checks the rest against the shards. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

// How to get safetensors from a pickle.
inline constexpr const char* kConvertPickles =
    "in Python: weights = torch.load(FILE, weights_only=True), then safetensors.torch.save_file(weights, NEW_FILE, "
    "{'format': 'pt'}); or use a revision that has safetensors, which huggingface.co/spaces/safetensors/convert makes";

struct IndexEntry {
  std::string tensor;
  uint32_t shard = 0;  // index in SafetensorsIndex::shards
};

struct SafetensorsIndex {
  std::vector<IndexEntry> entries;   // sorted by tensor, unique
  std::vector<std::string> shards;   // in order of their names; relative to the index's directory
  std::optional<double> total_size;  // metadata.total_size, if it is a number
};

// file is for messages. All shard names that cannot be used are reported together.
// Throws Error(IX-FORMAT, IX-DUP, IX-TRAVERSAL, PKL-OFF, ST-LIMIT).
SafetensorsIndex ParseSafetensorsIndex(std::string_view json, const std::string& file);

}  // namespace gpumerge
