// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Unknown, misspelt, misplaced and unsupported keys; see recipe_keys.h.
#include "src/config/recipe_keys.h"

#include "src/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace gpumerge {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::string_view kTopKeys[] = {"merge_method",  "models",   "slices",    "modules",          "base_model",
                                         "parameters",    "dtype",    "out_dtype", "tokenizer_source", "chat_template",
                                         "missing",       "overflow", "seed",      "output",           "shard_size",
                                         "nonfinite",     "extra",    "float8",    "int_policy",       "on_mismatch",
                                         "layer_pattern", "name"};
constexpr std::string_view kModelKeys[] = {"model", "parameters"};
constexpr std::string_view kSliceKeys[] = {"sources", "base_model", "parameters"};
constexpr std::string_view kSourceKeys[] = {"model", "layer_range", "parameters"};
constexpr std::string_view kModuleKeys[] = {"models", "slices", "parameters", "prefix", "drop"};
constexpr std::string_view kReferenceKeys[] = {"model"};
constexpr std::string_view kModelPathKeys[] = {"path", "revision"};
constexpr std::string_view kConditionKeys[] = {"filter", "value"};

struct LevelInfo {
  RecipeLevel level;
  std::string_view place;
  Names keys;
};

constexpr std::array<LevelInfo, 8> kLevels{{
    {RecipeLevel::kTop, "at the top level", kTopKeys},
    {RecipeLevel::kModel, "in an entry of 'models'", kModelKeys},
    {RecipeLevel::kSlice, "in an entry of 'slices'", kSliceKeys},
    {RecipeLevel::kSource, "in an entry of 'sources'", kSourceKeys},
    {RecipeLevel::kModule, "in an entry of 'modules'", kModuleKeys},
    {RecipeLevel::kReference, "in a model reference", kReferenceKeys},
    {RecipeLevel::kModelPath, "under 'model:' of a model reference", kModelPathKeys},
    {RecipeLevel::kCondition, "in a {filter, value} entry", kConditionKeys},
}};

const LevelInfo& InfoOf(RecipeLevel level) { return kLevels[static_cast<size_t>(level)]; }

bool Contains(Names names, std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); }

struct KeyNote {
  std::string_view key;
  std::string_view help;
};

// What mergekit's recipes may hold and we refuse rather than ignore.
constexpr KeyNote kUnsupported[] = {
    {"tokenizer", "only 'tokenizer_source: base' or 'tokenizer_source: <model>' is supported so far"},
    {"residual_weight", "mergekit reads this key but does not use it; remove it"},
    {"input_model_parameters", "mergekit ignores this key; put the parameters under each model"},
    {"experts", "this is a mergekit-moe recipe; building a mixture of experts is not supported"},
    {"gate_mode", "this is a mergekit-moe recipe; building a mixture of experts is not supported"},
    {"experts_per_token", "this is a mergekit-moe recipe; building a mixture of experts is not supported"},
    {"shared_experts", "this is a mergekit-moe recipe; building a mixture of experts is not supported"},
    {"genome", "this is a mergekit-evolve recipe; searching for parameters is not supported"},
    {"lora", "merge the adapter into its model first (peft: merge_and_unload), then name the merged model"},
    {"override_architecture", "architectures are not needed: the tensors in the files decide; remove the key"},
};

// Parameters of mergekit's other methods, to tell "not of this method" from a typo.
constexpr std::string_view kPeerParameters[] = {"weight",
                                                "t",
                                                "normalize",
                                                "density",
                                                "gamma",
                                                "epsilon",
                                                "rescale",
                                                "lambda",
                                                "int8_mask",
                                                "scale",
                                                "max_iter",
                                                "tol",
                                                "r",
                                                "alpha",
                                                "nuslerp_row_wise",
                                                "nuslerp_flatten",
                                                "normalize_weights",
                                                "eps",
                                                "filter_wise",
                                                "select_topk",
                                                "preset"};

constexpr std::string_view kPeerMethods[] = {"arcee_fusion",    "breadcrumbs", "breadcrumbs_ties",
                                             "dare_linear",     "dare_ties",   "della",
                                             "della_linear",    "karcher",     "linear",
                                             "model_stock",     "multislerp",  "nearswap",
                                             "nuslerp",         "passthrough", "ram",
                                             "ramplus_tl",      "sce",         "slerp",
                                             "task_arithmetic", "ties"};

bool HasParameters(RecipeLevel level) { return Contains(InfoOf(level).keys, "parameters"); }

// The place of a key that belongs to another level; "" when it belongs nowhere.
std::string_view OtherPlace(std::string_view key) {
  for (const LevelInfo& info : kLevels)
    if (Contains(info.keys, key)) return info.place;
  return "";
}

Diagnostic UnknownKey(std::string_view key, RecipeLevel level, std::string help) {
  return {.code = ErrorCode::kCfgUnknown,
          .message = fmt::format("unknown key '{}' {}", key, InfoOf(level).place),
          .help = std::move(help)};
}

// Moves a parameter that stands beside `parameters:` into it, so that it is checked and not missed.
void MoveToParameters(YamlNode& map, YamlKey key, YamlNode value) {
  for (size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text != "parameters") continue;
    if (map.items[i].kind != YamlKind::kMap || map.items[i].Find(key.text) != nullptr) return;
    map.items[i].keys.push_back(std::move(key));
    map.items[i].items.push_back(std::move(value));
    return;
  }
  YamlNode parameters{.kind = YamlKind::kMap, .at = key.at};
  map.keys.push_back({"parameters", key.at});
  parameters.keys.push_back(std::move(key));
  parameters.items.push_back(std::move(value));
  map.items.push_back(std::move(parameters));
}

bool IsSharedHere(std::string_view name, const RecipeContext& context) {
  const ParamSpec* spec = context.method != nullptr ? FindParam(*context.method, name) : nullptr;
  return spec != nullptr && spec->scope == ParamScope::kShared;
}

// name: the parameter that key.text is or resembles.
void ReportMisplacedParameter(YamlNode& map, YamlKey key, YamlNode value, std::string_view name, RecipeLevel level,
                              RecipeContext& context) {
  const bool is_model_level = level == RecipeLevel::kModel || level == RecipeLevel::kSource;
  const bool is_shared = is_model_level && IsSharedHere(name, context);
  const std::string_view whose = is_shared ? "the top-level " : "";
  const std::string hint = key.text == name ? "" : fmt::format("did you mean '{}'? ", name);
  context.findings.AddError(
      key.at, UnknownKey(key.text, level,
                         fmt::format("{}'{}' is a parameter: put it under {}'parameters:'", hint, name, whose)));
  key.text = std::string(name);
  if (is_shared) {
    context.misplaced.push_back(key.text);
  } else {
    MoveToParameters(map, std::move(key), std::move(value));
  }
}

// Reports a key that does not belong here. True: it was renamed to one that does, and its value stays.
bool ReportKey(YamlKey& key, const YamlNode& value, const YamlNode& map, RecipeLevel level, RecipeContext& context) {
  Findings& findings = context.findings;
  for (const KeyNote& note : kUnsupported) {
    if (note.key != key.text) continue;
    if (value.kind == YamlKind::kNull) {
      WarnOfNoValue(key, context);
      return false;
    }
    findings.AddError(key.at, {.code = ErrorCode::kCfgUnsupported,
                               .message = fmt::format("key '{}' is not supported", key.text),
                               .help = std::string(note.help)});
    return false;
  }
  const Names keys = InfoOf(level).keys;
  if (const std::string_view place = OtherPlace(key.text); !place.empty()) {
    findings.AddError(key.at, UnknownKey(key.text, level, fmt::format("it belongs {}", place)));
    return false;
  }
  if (key.text == "random_seed") {
    findings.AddError(key.at, UnknownKey(key.text, level, "write 'seed:' at the top level"));
    return false;
  }
  const std::string_view nearest = NearestName(key.text, keys);
  if (nearest.empty()) {
    const std::vector<std::string_view> known(keys.begin(), keys.end());
    findings.AddError(key.at, UnknownKey(key.text, level, fmt::format("known here: {}", JoinNames(known))));
    return false;
  }
  findings.AddError(key.at, UnknownKey(key.text, level, fmt::format("did you mean '{}'?", nearest)));
  if (map.Find(nearest) != nullptr) return false;
  key.text = std::string(nearest);
  return true;
}

// The parameter that a key outside `parameters:` is, or resembles more than any key that belongs here; "": none.
std::string_view ParameterMeant(std::string_view key, RecipeLevel level) {
  if (!HasParameters(level)) return "";
  const std::vector<std::string_view> names = AllParameterNames();
  if (Contains(names, key)) return *std::find(names.begin(), names.end(), key);
  if (!NearestName(key, InfoOf(level).keys).empty() || !OtherPlace(key).empty()) return "";
  return NearestName(key, names);
}

}  // namespace

void MendKeys(YamlNode& map, RecipeLevel level, RecipeContext& context) {
  const size_t n_written = map.keys.size();
  std::vector<bool> keep(n_written, true);
  for (size_t i = 0; i < n_written; ++i) {
    if (Contains(InfoOf(level).keys, map.keys[i].text)) continue;
    const std::string_view parameter = ParameterMeant(map.keys[i].text, level);
    if (!parameter.empty()) {
      keep[i] = false;
      ReportMisplacedParameter(map, map.keys[i], std::move(map.items[i]), parameter, level, context);
    } else {
      YamlKey key = map.keys[i];
      keep[i] = ReportKey(key, map.items[i], map, level, context);
      map.keys[i] = std::move(key);
    }
  }
  for (size_t i = n_written; i-- > 0;) {
    if (keep[i]) continue;
    map.keys.erase(map.keys.begin() + static_cast<std::ptrdiff_t>(i));
    map.items.erase(map.items.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

const ParamSpec* FindParam(const MethodInfo& method, std::string_view name) {
  const auto found = std::find_if(method.params.begin(), method.params.end(),
                                  [&](const ParamSpec& spec) { return spec.name == name; });
  return found == method.params.end() ? nullptr : &*found;
}

std::vector<std::string_view> AllParameterNames() {
  std::vector<std::string_view> names(std::begin(kPeerParameters), std::end(kPeerParameters));
  for (const MethodRow& row : Methods())
    for (const ParamSpec& spec : row.info->params)
      if (!Contains(names, spec.name)) names.push_back(spec.name);
  return names;
}

std::span<const std::string_view> PeerMethods() { return kPeerMethods; }

}  // namespace gpumerge
