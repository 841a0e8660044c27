// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// One safetensors file: its identity and its tensor table, from its first bytes. Thread-safe.
#pragma once

#include "src/base/file.h"
#include "src/io/model_files.h"
#include "src/io/safetensors_header.h"

#include <string>
#include <vector>

namespace gpumerge {

struct WeightHeader {
  WeightFile file;
  std::vector<HeaderTensor> tensors;  // in data order
};

// What the file is, its content decides, not its name. path is absolute.
// Throws Error(ST-*, IN-EIO, IN-TRUNCATED), and Error(PKL-OFF) for pickles and zip archives.
WeightHeader ReadWeightHeader(const UniqueFd& fd, const std::string& path);

// Adds the tensors to the model as those of a further file. They are not sorted yet.
void AppendWeights(WeightHeader header, ModelFiles* model);

}  // namespace gpumerge
