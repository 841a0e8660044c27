// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A model of several files: opens every shard that an index names and checks that index and shards agree. Thread-safe.
#pragma once

#include "src/io/model_files.h"

#include <string>

namespace gpumerge {

// Fills files, tensors (sorted by name) and warnings of the model, whose location is set.
// index_json: contents of index_path. Throws Error(IN-*, IX-*, ST-*, PKL-OFF) with every defect of every shard.
void OpenShards(const std::string& index_json, const std::string& index_path, ModelFiles* model);

}  // namespace gpumerge
