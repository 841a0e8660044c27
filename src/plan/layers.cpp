// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Finding layers in tensor names. A name is split once into its numbers between dots; stacks are the prefixes of
// numbers.
#include "src/plan/layers.h"

#include "src/plan/plan_findings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <map>

namespace gpumerge {
namespace {

// Far above any model's depth; a larger number in a name is not a layer's.
constexpr size_t kMaxLayerDigits = 5;

struct LayerNumber {
  std::string_view prefix;  // up to and with the dot before the number
  uint64_t number = 0;
  uint32_t nesting = 0;  // numbers between dots before this one
};

// All ".<n>." of a name, from the left.
std::vector<LayerNumber> FindNumbers(std::string_view name) {
  std::vector<LayerNumber> numbers;
  for (size_t dot = name.find('.'); dot != std::string_view::npos;) {
    const size_t next = name.find('.', dot + 1);
    if (next == std::string_view::npos) break;
    const std::string_view part = name.substr(dot + 1, next - dot - 1);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    const bool is_number = error == std::errc() && end == part.data() + part.size() && part.size() <= kMaxLayerDigits &&
                           (part.size() == 1 || part[0] != '0');
    if (is_number) numbers.push_back({name.substr(0, dot + 1), number, static_cast<uint32_t>(numbers.size())});
    dot = next;
  }
  return numbers;
}

struct Candidate {
  uint64_t n_layers = 0;  // largest number + 1
  uint32_t nesting = 0;
};
using Candidates = std::map<std::string_view, Candidate>;

Candidates FindCandidates(const std::vector<ModelTensor>& tensors) {
  Candidates candidates;
  for (const ModelTensor& tensor : tensors) {
    for (const LayerNumber& number : FindNumbers(tensor.name)) {
      Candidate& candidate = candidates[number.prefix];
      candidate.n_layers = std::max(candidate.n_layers, number.number + 1);
      candidate.nesting = number.nesting;
    }
  }
  return candidates;
}

// Of the candidates that satisfy `accept`, those inside the fewest other numbers: layers, not the experts within them.
template <class Accept>
std::vector<std::string_view> Outermost(const Candidates& candidates, Accept accept) {
  std::vector<std::string_view> chosen;
  uint32_t nesting = UINT32_MAX;
  for (const auto& [prefix, candidate] : candidates) {
    if (!accept(candidate) || candidate.nesting > nesting) continue;
    if (candidate.nesting < nesting) chosen.clear();
    nesting = candidate.nesting;
    chosen.push_back(prefix);
  }
  return chosen;
}

std::string AsPrefix(std::string pattern) {
  if (!pattern.ends_with('.')) pattern += '.';
  return pattern;
}

// Sets stack, or why_no_stack.
void ChooseStack(const Candidates& candidates, std::optional<uint64_t> config_depth, uint64_t n_extra_layers,
                 const std::optional<std::string>& pattern, ModelLayout* layout) {
  if (pattern) {
    const auto found = candidates.find(AsPrefix(*pattern));
    if (found == candidates.end()) {
      layout->why_no_stack = fmt::format("no tensor's name begins with \"{}\" and a number", AsPrefix(*pattern));
      return;
    }
    const bool has_extra =
        config_depth && n_extra_layers > 0 && found->second.n_layers == *config_depth + n_extra_layers;
    layout->stack = {std::string(found->first), has_extra ? *config_depth : found->second.n_layers};
    return;
  }
  std::vector<std::string_view> chosen;
  if (config_depth) {
    chosen = Outermost(candidates, [&](const Candidate& c) { return c.n_layers == *config_depth; });
    if (chosen.empty() && n_extra_layers > 0) {
      chosen = Outermost(candidates, [&](const Candidate& c) { return c.n_layers == *config_depth + n_extra_layers; });
    }
  } else {
    chosen = Outermost(candidates, [](const Candidate&) { return true; });
  }
  if (chosen.size() == 1) {
    layout->stack = {std::string(chosen[0]), config_depth ? *config_depth : candidates.at(chosen[0]).n_layers};
  } else if (chosen.empty()) {
    layout->why_no_stack =
        config_depth ? fmt::format("config.json states {} layers, and no numbered tensors are that many", *config_depth)
                     : "no tensor's name has a number between dots";
  } else {
    layout->why_no_stack = "several stacks of layers fit: " + ListSome(chosen);
  }
}

uint64_t ExtraLayers(const JsonDocument& config, const ConfigDepth& depth) {
  std::vector<std::string> path = depth.path;
  path.back() = "num_nextn_predict_layers";
  return config.GetUint(path).value_or(0);
}

void PlaceTensors(const std::vector<ModelTensor>& tensors, ModelLayout* layout) {
  if (layout->stack) layout->layers.resize(layout->stack->n_layers);
  for (const ModelTensor& tensor : tensors) {
    if (layout->stack && tensor.name.starts_with(layout->stack->prefix)) {
      const size_t begin = layout->stack->prefix.size();
      uint64_t layer = 0;
      const auto [end, error] =
          std::from_chars(tensor.name.data() + begin, tensor.name.data() + tensor.name.size(), layer);
      const bool numbered = error == std::errc() && *end == '.';
      if (numbered && layer < layout->layers.size()) {
        layout->layers[layer].push_back(&tensor);
        continue;
      }
      if (numbered) ++layout->n_beyond;
    }
    (IsBeforeLayers(tensor.name) ? layout->before : layout->after).push_back(&tensor);
  }
}

ModelLayout MakeLayout(const std::vector<ModelTensor>& tensors, std::optional<uint64_t> config_depth,
                       uint64_t n_extra_layers, const std::optional<std::string>& pattern) {
  ModelLayout layout;
  ChooseStack(FindCandidates(tensors), config_depth, n_extra_layers, pattern, &layout);
  PlaceTensors(tensors, &layout);
  return layout;
}

// "embed_tokens" of "model.embed_tokens.weight".
std::string_view ModuleName(std::string_view tensor_name) {
  const size_t last_dot = tensor_name.rfind('.');
  if (last_dot == std::string_view::npos) return tensor_name;
  const std::string_view module = tensor_name.substr(0, last_dot);
  const size_t dot = module.rfind('.');
  return dot == std::string_view::npos ? module : module.substr(dot + 1);
}

template <size_t kCount>
const ModelTensor* FindModule(const std::vector<const ModelTensor*>& tensors,
                              const std::array<std::string_view, kCount>& modules) {
  for (const ModelTensor* tensor : tensors) {
    if (tensor->shape.size() != 2 || !tensor->name.ends_with(".weight")) continue;
    if (std::find(modules.begin(), modules.end(), ModuleName(tensor->name)) != modules.end()) return tensor;
  }
  return nullptr;
}

}  // namespace

std::optional<ConfigDepth> FindConfigDepth(const JsonDocument& config) {
  for (const char* parent : {"", "text_config", "llm_config", "language_config"}) {
    for (const char* key : {"num_hidden_layers", "n_layer", "n_layers", "num_layers"}) {
      std::vector<std::string> path;
      if (*parent != '\0') path.emplace_back(parent);
      path.emplace_back(key);
      if (const std::optional<uint64_t> n_layers = config.GetUint(path)) return ConfigDepth{std::move(path), *n_layers};
    }
  }
  return std::nullopt;
}

ModelLayout FindLayout(const std::vector<ModelTensor>& tensors, const JsonDocument& config,
                       const std::optional<std::string>& pattern) {
  const std::optional<ConfigDepth> depth = FindConfigDepth(config);
  if (!depth) return MakeLayout(tensors, std::nullopt, 0, pattern);
  return MakeLayout(tensors, depth->n_layers, ExtraLayers(config, *depth), pattern);
}

ModelLayout FindLayout(const std::vector<ModelTensor>& tensors, std::optional<uint64_t> config_depth,
                       const std::optional<std::string>& pattern) {
  return MakeLayout(tensors, config_depth, 0, pattern);
}

std::optional<DepthShortfall> FindDepthShortfall(const std::vector<ModelTensor>& tensors, const JsonDocument& config) {
  const std::optional<ConfigDepth> depth = FindConfigDepth(config);
  const Candidates candidates = FindCandidates(tensors);
  if (!depth || candidates.empty()) return std::nullopt;
  DepthShortfall shortfall{depth->n_layers, 0};
  for (const auto& [prefix, candidate] : candidates) {
    if (candidate.n_layers == depth->n_layers) return std::nullopt;
    if (candidate.nesting == 0) shortfall.held = std::max(shortfall.held, candidate.n_layers);
  }
  if (shortfall.held >= shortfall.stated) return std::nullopt;
  return shortfall;
}

ModelLayout PlaceInStack(const std::vector<ModelTensor>& tensors, const std::optional<LayerStack>& stack) {
  ModelLayout layout;
  layout.stack = stack;
  PlaceTensors(tensors, &layout);
  return layout;
}

bool IsBeforeLayers(std::string_view tensor_name) {
  constexpr std::array<std::string_view, 4> kParts{"embed", "wte", "wpe", "tok_emb"};
  if (tensor_name.find("embed_out") != std::string_view::npos) return false;  // GPT-NeoX calls its head so
  return std::any_of(kParts.begin(), kParts.end(),
                     [&](std::string_view part) { return tensor_name.find(part) != std::string_view::npos; });
}

std::string_view LayerSuffix(const LayerStack& stack, std::string_view tensor_name) {
  return tensor_name.substr(tensor_name.find('.', stack.prefix.size()));
}

const ModelTensor* FindEmbedding(const ModelLayout& layout) {
  constexpr std::array<std::string_view, 8> kModules{"embed_tokens",    "wte",     "tok_embeddings", "embed_in",
                                                     "word_embeddings", "tok_emb", "embeddings",     "embedding"};
  return FindModule(layout.before, kModules);
}

const ModelTensor* FindHead(const ModelLayout& layout) {
  constexpr std::array<std::string_view, 2> kModules{"lm_head", "embed_out"};
  // What holds a number belongs to some layer, also where no stack was recognised.
  std::vector<const ModelTensor*> unnumbered;
  std::copy_if(layout.after.begin(), layout.after.end(), std::back_inserter(unnumbered),
               [](const ModelTensor* tensor) { return FindNumbers(tensor->name).empty(); });
  if (const ModelTensor* found = FindModule(unnumbered, kModules)) return found;
  const ModelTensor* embedding = FindEmbedding(layout);
  if (embedding == nullptr) return nullptr;
  for (const ModelTensor* tensor : unnumbered)
    if (tensor->shape == embedding->shape) return tensor;
  return nullptr;
}

}  // namespace gpumerge
