// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/plan/model_claims.h"

#include "src/io/json_document.h"
#include "src/plan/heads.h"
#include "src/plan/layers.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

namespace gpumerge {
namespace {

std::optional<uint64_t> StatedVocabulary(const JsonDocument& config) {
  if (const std::optional<uint64_t> size = config.GetUint({"vocab_size"})) return size;
  return config.GetUint({"text_config", "vocab_size"});
}

Diagnostic Untrue(std::string message, std::string found, std::string expected, const JsonDocument& config) {
  return {.code = ErrorCode::kConfigField,
          .message = std::move(message),
          .where = config.file(),
          .found = std::move(found),
          .expected = std::move(expected),
          .help = "config.json and weights are not of one model, or one of them was edited"};
}

}  // namespace

std::vector<Diagnostic> CheckClaims(const ModelFiles& model) {
  std::vector<Diagnostic> untrue;
  if (!model.config_json) return untrue;
  const JsonDocument config(*model.config_json, model.location.directory + "/config.json");
  const ModelLayout layout = FindLayout(model.tensors, config, std::nullopt);
  const std::optional<ConfigDepth> depth = FindConfigDepth(config);
  if (depth && (!layout.stack || layout.stack->n_layers != depth->n_layers))
    untrue.push_back(
        Untrue("config.json states another number of layers than the weights have",
               layout.stack ? fmt::format("{} layers in the weights", layout.stack->n_layers) : layout.why_no_stack,
               fmt::format("{} layers", depth->n_layers), config));
  const ModelTensor* embedding = FindEmbedding(layout);
  const std::optional<uint64_t> vocabulary = StatedVocabulary(config);
  if (embedding != nullptr && vocabulary && embedding->shape[0] < *vocabulary)
    untrue.push_back(Untrue(fmt::format("the embedding \"{}\" has fewer rows than the vocabulary", embedding->name),
                            fmt::format("{} rows", embedding->shape[0]), fmt::format("vocab_size: {}", *vocabulary),
                            config));
  const std::string architectures = config.GetRaw({"architectures"}).value_or("");
  if (embedding != nullptr && FindHead(layout) == nullptr && TiedFlag(config) == false &&
      architectures.find("ForCausalLM") != std::string::npos)
    untrue.push_back({.code = ErrorCode::kMmHeadMissing,
                      .message = "the model has no output head, and config.json says that it is not tied",
                      .where = config.file(),
                      .found = "tie_word_embeddings: false",
                      .expected = "a head tensor such as lm_head.weight",
                      .help = "a loader would fill the head with random values"});
  return untrue;
}

}  // namespace gpumerge
