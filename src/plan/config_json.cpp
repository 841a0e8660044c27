// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Edits of the donor's config.json. A value that is already right keeps its bytes.
#include "src/plan/config_json.h"

#include "src/plan/layer_lists.h"
#include "src/plan/modules.h"

#include <algorithm>
#include <map>

namespace gpumerge {
namespace {

using Path = std::vector<std::string>;

constexpr const char* kParents[] = {"", "text_config", "llm_config", "language_config"};

Path PathOf(const std::string& parent, const std::string& key) {
  return parent.empty() ? Path{key} : Path{parent, key};
}

// Sets the key wherever the config has it; at the root where it has it nowhere and `add` is set.
void SetEverywhere(const std::string& key, const std::string& raw, bool add, JsonDocument* document) {
  bool found = false;
  for (const std::string parent : kParents) {
    const Path path = PathOf(parent, key);
    if (!document->Has(path)) continue;
    found = true;
    if (document->GetRaw(path) != raw) document->SetRaw(path, raw);
  }
  if (!found && add) document->SetRaw({key}, raw);
}

// The floating type of most output bytes; nullopt when nothing floating is written.
std::optional<DType> MainType(const std::vector<PlanItem>& items) {
  std::map<DType, uint64_t> bytes;
  for (const PlanItem& item : items)
    if (IsFloat(item.job.out_dtype)) bytes[item.job.out_dtype] += item.size_bytes;
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == bytes.end()) return std::nullopt;
  return most->first;
}

// True when every output tensor has the type that the donor stores it in: what the donor says of itself then holds.
bool KeepsDonorTypes(const InputSet& inputs, const std::vector<PlanItem>& items) {
  return std::all_of(items.begin(), items.end(), [&](const PlanItem& item) {
    return std::any_of(item.inputs.begin(), item.inputs.end(), [&](const PlanInput& input) {
      const ModelTensor* tensor = inputs.models[input.model].files.Find(input.tensor);
      return input.model == inputs.donor && tensor->dtype == item.job.out_dtype;
    });
  });
}

void SetType(const MergeConfig& config, const InputSet& inputs, const std::vector<PlanItem>& items,
             JsonDocument* document) {
  const bool is_asked = config.dtype || config.out_dtype;
  if (!is_asked && (document->Has({"quantization_config"}) || KeepsDonorTypes(inputs, items))) return;
  const std::optional<DType> type = MainType(items);
  if (!type) return;
  const std::string raw = fmt::format("\"{}\"", Info(*type).torch_name);
  const bool has_new_spelling = document->Has({"dtype"}) || document->Has({"text_config", "dtype"});
  SetEverywhere("dtype", raw, false, document);
  SetEverywhere("torch_dtype", raw, !has_new_spelling, document);
}

void SetVocabulary(const InputSet& inputs, const std::vector<PlanItem>& items, JsonDocument* document,
                   PlanFindings* findings) {
  const ModelTensor* embedding = FindEmbedding(inputs.models[inputs.donor].layout);
  if (embedding == nullptr) return;
  for (const PlanItem& item : items) {
    if (item.name != embedding->name) continue;
    const std::string n_rows = fmt::format("{}", item.job.shape[0]);
    for (const std::string parent : kParents) {
      const std::optional<std::string> stated = document->GetRaw(PathOf(parent, "vocab_size"));
      if (!stated || *stated == n_rows) continue;
      findings->notes.push_back(fmt::format("config.json: {}vocab_size is set from {} to {}, the rows of {}",
                                            parent.empty() ? "" : parent + ".", *stated, n_rows, item.name));
    }
    SetEverywhere("vocab_size", n_rows, false, document);
  }
}

// The layer that each output layer takes, in the first source of its slice.
std::vector<uint64_t> SourceLayers(const InputSet& inputs) {
  std::vector<uint64_t> layers;
  for (const Slice& slice : inputs.slices)
    for (uint64_t i = 0; i < slice.n_layers(); ++i) layers.push_back(slice.sources[0].layer_begin + i);
  return layers;
}

bool IsIdentity(const InputSet& inputs, uint64_t donor_depth) {
  const std::vector<uint64_t> layers = SourceLayers(inputs);
  if (layers.size() != donor_depth) return false;
  for (uint64_t i = 0; i < layers.size(); ++i)
    if (layers[i] != i) return false;
  return true;
}

// inputs: the whole, or a module of it.
void SetDepth(const InputSet& inputs, JsonDocument* document, PlanFindings* findings) {
  if (!inputs.is_sliced) return;
  const std::optional<ConfigDepth> depth =
      inputs.module == nullptr ? FindConfigDepth(*document) : FindModuleDepth(*document, inputs.module->name);
  const uint64_t n_layers = SourceLayers(inputs).size();
  if (!depth) {
    findings->errors.push_back({.code = ErrorCode::kConfigField,
                                .message = "config.json has no key for the number of layers, which the slices change",
                                .where = document->file(),
                                .expected = "num_hidden_layers",
                                .help = fmt::format("add num_hidden_layers; the output has {}", n_layers)});
    return;
  }
  if (IsIdentity(inputs, depth->n_layers)) return;
  SetLayerLists(inputs, *depth, document, findings);
  if (n_layers != depth->n_layers) document->SetRaw(depth->path, fmt::format("{}", n_layers));
}

}  // namespace

std::string MakeConfigJson(const MergeConfig& config, const InputSet& inputs, const HeadPlan& head,
                           const std::vector<PlanItem>& items, PlanFindings* findings) {
  if (!inputs.models[inputs.donor].has_config()) return {};
  JsonDocument document = inputs.models[inputs.donor].config;
  SetType(config, inputs, items, &document);
  SetVocabulary(inputs, items, &document, findings);
  for (const InputSet* part : PartsOf(inputs)) SetDepth(*part, &document, findings);
  if (head.tied) SetEverywhere("tie_word_embeddings", *head.tied ? "true" : "false", true, &document);
  return document.text();
}

}  // namespace gpumerge
