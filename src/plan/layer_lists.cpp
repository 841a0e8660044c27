// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A layer keeps what its own model says of it. Where several sources of a slice differ, the first one's word counts,
// and a warning says so.
#include "src/plan/layer_lists.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <set>

namespace gpumerge {
namespace {

using Path = std::vector<std::string>;

// Lists of the numbers of the layers that are of some kind.
constexpr std::array<std::string_view, 6> kNumberLists{"mlp_only_layers",    "moe_layers",
                                                       "full_attn_idxs",     "cross_attention_layers",
                                                       "attn_layer_indices", "full_attention_layers"};

// A number from which a layer's kind follows. superseded_by: a list that says it layer by layer, if it is there.
struct Pattern {
  std::string_view key;
  bool (*is_of_kind)(uint64_t layer, uint64_t value);
  bool is_threshold;  // the kind is that of all layers below (or from) the value on
  std::string_view superseded_by;
};

bool IsEveryNth(uint64_t layer, uint64_t n) { return n != 0 && (layer + 1) % n == 0; }
bool IsMultiple(uint64_t layer, uint64_t n) { return n != 0 && layer % n == 0; }
bool IsBelow(uint64_t layer, uint64_t n) { return layer < n; }

constexpr std::array<Pattern, 9> kPatterns{{{"sliding_window_pattern", IsEveryNth, false, "layer_types"},
                                            {"full_attention_interval", IsEveryNth, false, "layer_types"},
                                            {"global_attn_every_n_layers", IsMultiple, false, "layer_types"},
                                            {"max_window_layers", IsBelow, true, "layer_types"},
                                            {"no_rope_layer_interval", IsEveryNth, false, "no_rope_layers"},
                                            {"interleave_moe_layer_step", IsEveryNth, false, "moe_layers"},
                                            {"decoder_sparse_step", IsEveryNth, false, ""},
                                            {"moe_layer_freq", IsMultiple, false, ""},
                                            {"first_k_dense_replace", IsBelow, true, "mlp_layer_types"}}};

// Keys whose meaning for moved layers cannot be told.
constexpr std::array<std::string_view, 7> kRefused{"attention_types",     "attn_layer_period",   "attn_layer_offset",
                                                   "expert_layer_period", "expert_layer_offset", "num_kv_shared_layers",
                                                   "block_configs"};

template <size_t kCount>
bool Contains(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::optional<uint64_t> AsNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

class LayerLists {
 public:
  LayerLists(const InputSet& inputs, const ConfigDepth& depth, JsonDocument* document, PlanFindings* findings)
      : parent_(depth.path), n_layers_(depth.n_layers), document_(*document), findings_(*findings) {
    parent_.pop_back();
    for (const Slice& slice : inputs.slices)
      for (uint64_t i = 0; i < slice.n_layers(); ++i) {
        layers_.emplace_back();
        for (const SliceSource& source : slice.sources)
          layers_.back().push_back({&inputs.models[source.model].config, source.layer_begin + i});
      }
  }

  void Run() {
    for (const std::string& key : document_.Keys(parent_)) {
      if (Contains(kRefused, key)) {
        const std::string raw = *document_.GetRaw(At(key));
        if (raw != "null" && raw != "0") Refuse(key, "what it means for layers that move cannot be told");
      } else if (Contains(kNumberLists, key)) {
        SetNumberList(key);
      } else if (document_.GetArray(At(key))) {
        SetList(key);
      } else if (key == "hybrid_override_pattern" || key == "sliding_window_pattern") {
        SetText(key);
      }
    }
    for (const Pattern& pattern : kPatterns) SetPattern(pattern);
    Report();
  }

 private:
  struct Origin {
    const JsonDocument* config;
    uint64_t layer;
  };

  Path At(std::string_view key) const {
    Path path = parent_;
    path.emplace_back(key);
    return path;
  }

  void Refuse(const std::string& key, std::string why) { refused_.push_back(fmt::format("{} ({})", key, why)); }

  void Set(const std::string& key, const std::string& raw) {
    if (document_.GetRaw(At(key)) == raw) return;
    document_.SetRaw(At(key), raw);
    changed_.push_back(key);
  }

  // What every output layer is, by `value` of its origins; nullopt: some layer's cannot be told.
  template <class T>
  std::optional<std::vector<T>> OfLayers(const std::string& key,
                                         const std::function<std::optional<T>(const Origin&)>& value) {
    std::vector<T> values;
    for (const std::vector<Origin>& origins : layers_) {
      std::optional<T> first;
      for (const Origin& origin : origins) {
        const std::optional<T> here = value(origin);
        if (!here) return std::nullopt;
        if (!first) first = here;
        if (*first != *here) mixed_.insert(key);
      }
      if (!first) return std::nullopt;
      values.push_back(*first);
    }
    return values;
  }

  // Its own model's entry; where that model has no such list, the donor's.
  std::optional<std::string> Entry(const std::string& key, const Origin& origin) const {
    std::optional<std::vector<std::string>> list = origin.config->GetArray(At(key));
    if (!list) list = document_.GetArray(At(key));
    return list && origin.layer < list->size() ? std::optional((*list)[origin.layer]) : std::nullopt;
  }

  void SetList(const std::string& key) {
    const std::vector<std::string> list = *document_.GetArray(At(key));
    if (key == "architectures" || key.ends_with("_token_id") || key.ends_with("_token_ids")) return;
    if (list.size() != n_layers_) {
      const bool is_numbers = !list.empty() && std::all_of(list.begin(), list.end(), [](const std::string& text) {
        return AsNumber(text).has_value();
      });
      if (is_numbers && key.find("layer") != std::string::npos) Refuse(key, "a list of numbers, perhaps of layers");
      return;
    }
    const auto entries = OfLayers<std::string>(key, [&](const Origin& origin) { return Entry(key, origin); });
    if (!entries) return Refuse(key, "a layer has no entry in its own model's list");
    Set(key, ListText(key, *entries));
  }

  void SetNumberList(const std::string& key) {
    if (!document_.GetArray(At(key))) return;
    const auto kinds = OfLayers<bool>(key, [&](const Origin& origin) -> std::optional<bool> {
      std::optional<std::vector<std::string>> list = origin.config->GetArray(At(key));
      if (!list) list = document_.GetArray(At(key));
      return std::find(list->begin(), list->end(), fmt::format("{}", origin.layer)) != list->end();
    });
    if (!kinds) return;
    std::vector<std::string> numbers;
    for (size_t i = 0; i < kinds->size(); ++i)
      if ((*kinds)[i]) numbers.push_back(fmt::format("{}", i));
    Set(key, ListText(key, numbers));
  }

  // One letter a layer, or letters that repeat.
  void SetText(const std::string& key) {
    const std::optional<std::string> text = document_.GetString(At(key));
    if (!text || text->empty()) return;
    const auto letters = OfLayers<char>(key, [&](const Origin& origin) -> std::optional<char> {
      const std::string own = origin.config->GetString(At(key)).value_or(*text);
      if (own.empty()) return std::nullopt;
      return own[origin.layer % own.size()];
    });
    if (!letters) return Refuse(key, "a layer has no entry in it");
    if (text->size() == n_layers_) return Set(key, QuoteJson(std::string(letters->begin(), letters->end())));
    if (document_.Has(At("layer_types"))) return;
    for (size_t i = 0; i < letters->size(); ++i)
      if ((*letters)[i] != (*text)[i % text->size()]) return Refuse(key, fmt::format("layer {} is of another kind", i));
  }

  void SetPattern(const Pattern& pattern) {
    const std::string key(pattern.key);
    const std::optional<uint64_t> value = document_.GetUint(At(key));
    if (!value) return;
    if (!pattern.superseded_by.empty() && document_.GetArray(At(pattern.superseded_by))) return;
    if (key == "max_window_layers" && document_.GetBool(At("use_sliding_window")) != true) return;
    const auto kinds = OfLayers<bool>(key, [&](const Origin& origin) -> std::optional<bool> {
      return pattern.is_of_kind(origin.layer, origin.config->GetUint(At(key)).value_or(*value));
    });
    if (!kinds) return;
    const auto n_of_kind = static_cast<uint64_t>(std::count(kinds->begin(), kinds->end(), true));
    const bool has_all_below = std::is_sorted(kinds->rbegin(), kinds->rend());
    if (pattern.is_threshold && has_all_below) {
      // A value past the last layer already says that all are of the kind.
      if (n_of_kind < kinds->size() || *value < n_of_kind) Set(key, fmt::format("{}", n_of_kind));
      return;
    }
    for (uint64_t i = 0; i < kinds->size(); ++i)
      if ((*kinds)[i] != pattern.is_of_kind(i, *value))
        return Refuse(key, fmt::format("layer {} of the output is of another kind than {} says", i, *value));
  }

  // In the form that the list had.
  std::string ListText(const std::string& key, const std::vector<std::string>& entries) const {
    const std::string raw = *document_.GetRaw(At(key));
    const size_t first = raw.find_first_not_of(" \t\r\n", 1);
    const bool has_lines = first != std::string::npos && raw.find('\n') < first && raw[first] != ']';
    if (entries.empty()) return "[]";
    const std::string before = has_lines ? raw.substr(1, first - 1) : "";
    const size_t last = raw.find_last_not_of(" \t\r\n", raw.size() - 2);
    const std::string after = has_lines ? raw.substr(last + 1, raw.size() - last - 2) : "";
    std::string text = "[" + before;
    for (size_t i = 0; i < entries.size(); ++i) text += (i == 0 ? "" : has_lines ? "," + before : ", ") + entries[i];
    return text + after + "]";
  }

  void Report() {
    if (!changed_.empty())
      findings_.notes.push_back(fmt::format("config.json: {} follow{} the layers of the slices", ListSome(changed_),
                                            changed_.size() == 1 ? "s" : ""));
    if (!mixed_.empty()) {
      findings_.warnings.push_back(
          {.code = ErrorCode::kConfigLayerList,
           .message = fmt::format("layers are merged that config.json calls different: {}", ListSome(mixed_)),
           .where = document_.file(),
           .help = "the output calls them what the slice's first source is; merge layers of one kind"});
    }
    if (refused_.empty()) return;
    findings_.errors.push_back(
        {.code = ErrorCode::kConfigLayerList,
         .message = fmt::format("config.json says things of layers that do not fit the slices: {}", ListSome(refused_)),
         .where = document_.file(),
         .found = fmt::format("{} layers, {} in the output", n_layers_, layers_.size()),
         .expected = "slices that keep such layers where they are",
         .help = "move layers by whole periods, or state the kinds in layer_types in a copy of the model"});
  }

  Path parent_;
  const uint64_t n_layers_;
  JsonDocument& document_;
  PlanFindings& findings_;
  std::vector<std::vector<Origin>> layers_;  // by output layer: the sources' layers
  std::vector<std::string> changed_, refused_;
  std::set<std::string> mixed_;
};

}  // namespace

void SetLayerLists(const InputSet& inputs, const ConfigDepth& depth, JsonDocument* document, PlanFindings* findings) {
  LayerLists(inputs, depth, document, findings).Run();
}

}  // namespace gpumerge
