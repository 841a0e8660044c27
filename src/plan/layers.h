// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds a model's layers from the names of its tensors: "model.layers.7.mlp.up_proj.weight" belongs to layer 7 of the
// stack "model.layers.". No architecture tables. Thread-safe (no state).
#pragma once

#include "src/io/json_document.h"
#include "src/io/model_files.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

struct LayerStack {
  std::string prefix;     // what precedes the layer's number, e.g. "model.layers."
  uint64_t n_layers = 0;  // layers 0 .. n_layers - 1
};

// A model's tensors by place. Pointers into ModelFiles::tensors; each list is sorted by name.
struct ModelLayout {
  std::optional<LayerStack> stack;
  std::string why_no_stack;  // one clause, when there is none
  std::vector<std::vector<const ModelTensor*>> layers;
  std::vector<const ModelTensor*> before, after;
  uint64_t n_beyond = 0;  // tensors of `after` whose layer number is past the stack (e.g. multi-token prediction)
};

// Where config.json states the number of layers, and what it says.
struct ConfigDepth {
  std::vector<std::string> path;
  uint64_t n_layers = 0;
};
std::optional<ConfigDepth> FindConfigDepth(const JsonDocument& config);

// The stack is the one whose length config.json states; without such a key, the only one there is; `pattern` (the text
// before the number) decides where it is given.
ModelLayout FindLayout(const std::vector<ModelTensor>& tensors, const JsonDocument& config,
                       const std::optional<std::string>& pattern);
// The same where there may be no config.json.
ModelLayout FindLayout(const std::vector<ModelTensor>& tensors, std::optional<uint64_t> config_depth,
                       const std::optional<std::string>& pattern);

// config.json states more layers than the longest stack holds, and no numbers are as many as it states. Not found where
// no tensor is numbered.
struct DepthShortfall {
  uint64_t stated = 0, held = 0;
};
std::optional<DepthShortfall> FindDepthShortfall(const std::vector<ModelTensor>& tensors, const JsonDocument& config);

// Places tensors by another model's stack; without one, none is in a layer.
ModelLayout PlaceInStack(const std::vector<ModelTensor>& tensors, const std::optional<LayerStack>& stack);

// Tensors outside the stack: whether they are used before the layers (embeddings) or after them.
bool IsBeforeLayers(std::string_view tensor_name);

// The name without the stack's prefix and the layer's number; the tensor must be in a layer.
std::string_view LayerSuffix(const LayerStack& stack, std::string_view tensor_name);

// The input embedding and the output head; nullptr where the names and shapes do not show one.
const ModelTensor* FindEmbedding(const ModelLayout& layout);
const ModelTensor* FindHead(const ModelLayout& layout);

}  // namespace gpumerge
