// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a model's headers say: files, types, layers, every tensor. Works without config.json. Thread-safe (no state).
#pragma once

#include "src/io/model_files.h"

#include "gpumerge/dtype.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace gpumerge {

// reference: a directory, a hub reference, a .safetensors file or an index. Text for people, or JSON with stable keys.
std::string InspectModel(const std::string& reference, const ModelOptions& options, bool json);

struct ModelSummary {
  std::string reference;
  ModelFiles files;
  uint64_t n_params = 0;
  uint64_t tensor_bytes = 0;
  struct TypeCount {
    uint64_t n_tensors = 0, n_params = 0, size_bytes = 0;
  };
  std::map<DType, TypeCount> types;
  std::string layer_prefix;  // "" = no layers found
  uint64_t n_layers = 0;
  std::string why_no_layers;
  std::string model_type;              // "" = not stated
  std::optional<uint64_t> vocab_size;  // of config.json
  std::optional<uint64_t> embedding_rows;
  std::string embedding, head;  // tensors; "" = not found
  std::optional<bool> tied;     // tie_word_embeddings of config.json
};

std::string SummaryToJson(const ModelSummary& summary);

}  // namespace gpumerge
