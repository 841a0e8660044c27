// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From a YAML tree to a MergeConfig, key by key; see recipe.h.
#include "src/base/text.h"
#include "src/config/model_reference.h"
#include "src/config/parameters.h"
#include "src/config/recipe.h"
#include "src/config/recipe_keys.h"
#include "src/config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

std::vector<std::string_view> MethodNames() {
  std::vector<std::string_view> names;
  for (const MethodRow& row : Methods()) names.push_back(row.info->name);
  return names;
}

void ReadMethod(YamlNode& root, MergeConfig& config, RecipeContext& context) {
  Findings& findings = context.findings;
  const YamlNode* node = root.Find("merge_method");
  const std::vector<std::string_view> names = MethodNames();
  const std::string available = "methods: " + JoinNames(names);
  if (node == nullptr) {
    findings.AddError(
        root.at, {.code = ErrorCode::kCfgMissing, .message = "the recipe has no 'merge_method'", .help = available});
    return;
  }
  config.merge_method_at = node->at;
  config.merge_method = ReadText(*node, "key 'merge_method'", findings).value_or("");
  if (config.merge_method.empty()) return;
  if (const MethodRow* row = FindMethod(config.merge_method)) {
    context.method = row->info;
    return;
  }
  const auto peers = PeerMethods();
  if (std::find(peers.begin(), peers.end(), config.merge_method) != peers.end()) {
    findings.AddError(node->at,
                      {.code = ErrorCode::kCfgUnsupported,
                       .message = fmt::format("mergekit's method '{}' is not supported yet", config.merge_method),
                       .help = available});
    return;
  }
  const std::string_view nearest = NearestName(config.merge_method, names);
  if (!nearest.empty()) context.method = FindMethod(nearest)->info;
  findings.AddError(node->at, {.code = ErrorCode::kCfgMethod,
                               .message = fmt::format("unknown merge method '{}'", config.merge_method),
                               .help = nearest.empty() ? available : fmt::format("did you mean '{}'?", nearest)});
}

ModelRef ReadEntryModel(YamlNode& entry, std::string_view what, RecipeContext& context) {
  if (YamlNode* model = entry.Find("model")) return ReadModelRef(*model, "key 'model'", context);
  context.findings.AddError(entry.at, {.code = ErrorCode::kCfgMissing,
                                       .message = fmt::format("{} has no 'model'", what),
                                       .help = "write 'model: <path or org/name>'"});
  ModelRef reference;
  reference.at = entry.at;
  return reference;
}

// The entries of a list of mappings, with their keys mended; an error for each entry that is none.
template <class ReadEntry>
void ForEachEntry(YamlNode& list, std::string_view what, RecipeLevel level, RecipeContext& context,
                  const ReadEntry& read_entry) {
  if (!ExpectSequence(list, fmt::format("key '{}'", what), context)) return;
  if (list.items.empty()) AddTypeError(list, fmt::format("key '{}'", what), "a list of models", "", context.findings);
  for (YamlNode& entry : list.items) {
    const std::string help =
        entry.kind == YamlKind::kScalar ? fmt::format("write '- model: {}'", entry.text) : "write '- model: ...'";
    if (entry.kind != YamlKind::kMap) {
      AddTypeError(entry, fmt::format("an entry of '{}'", what), "a mapping", level == RecipeLevel::kSlice ? "" : help,
                   context.findings);
      continue;
    }
    MendKeys(entry, level, context);
    read_entry(entry);
  }
}

void ReadModels(YamlNode& list, MergeConfig& config, RecipeContext& context) {
  ForEachEntry(list, "models", RecipeLevel::kModel, context, [&](YamlNode& entry) {
    ModelEntry model;
    model.model = ReadEntryModel(entry, "an entry of 'models'", context);
    model.parameters = ReadParameters(entry, RecipeLevel::kModel, context);
    config.models.push_back(std::move(model));
  });
}

void ReadLayerRange(const YamlNode& entry, SourceEntry& source, RecipeContext& context) {
  constexpr std::string_view kHelp = "write 'layer_range: [begin, end]'; end is not included";
  const YamlNode* range = entry.Find("layer_range");
  source.range_at = range != nullptr ? range->at : entry.at;
  if (range == nullptr) {
    context.findings.AddError(
        entry.at,
        {.code = ErrorCode::kCfgMissing, .message = "a source has no 'layer_range'", .help = std::string(kHelp)});
    return;
  }
  if (range->kind != YamlKind::kSequence || range->items.size() != 2) {
    AddTypeError(*range, "key 'layer_range'", "a list of two layer numbers", std::string(kHelp), context.findings);
    return;
  }
  const auto begin = ReadWhole(range->items[0], "the begin of 'layer_range'", context.findings);
  const auto end = ReadWhole(range->items[1], "the end of 'layer_range'", context.findings);
  if (!begin || !end) return;
  source.layer_begin = *begin;
  source.layer_end = *end;
  if (*begin <= *end) return;
  source.layer_end = *begin;
  context.findings.AddError(range->at,
                            {.code = ErrorCode::kCfgLayers,
                             .message = fmt::format("layer_range [{}, {}] ends before it begins", *begin, *end),
                             .help = std::string(kHelp)});
}

SliceEntry ReadSlice(YamlNode& entry, RecipeContext& context) {
  SliceEntry slice;
  slice.at = entry.at;
  if (YamlNode* sources = entry.Find("sources")) {
    ForEachEntry(*sources, "sources", RecipeLevel::kSource, context, [&](YamlNode& source_entry) {
      SourceEntry source;
      source.model = ReadEntryModel(source_entry, "an entry of 'sources'", context);
      ReadLayerRange(source_entry, source, context);
      source.parameters = ReadParameters(source_entry, RecipeLevel::kSource, context);
      slice.sources.push_back(std::move(source));
    });
  } else {
    context.findings.AddError(entry.at, {.code = ErrorCode::kCfgMissing,
                                         .message = "a slice has no 'sources'",
                                         .help = "write 'sources:' with a list of {model, layer_range}"});
  }
  if (YamlNode* base = FindOptional(entry, "base_model", context))
    slice.base_model = ReadModelRef(*base, "key 'base_model'", context);
  slice.parameters = ReadParameters(entry, RecipeLevel::kSlice, context);
  return slice;
}

// has_modules: mergekit's third way to list inputs was there, and refused.
void ReadInputs(YamlNode& root, bool has_modules, MergeConfig& config, RecipeContext& context) {
  YamlNode* models = FindOptional(root, "models", context);
  YamlNode* slices = FindOptional(root, "slices", context);
  if (slices != nullptr) {
    context.inputs_at = KeyLocation(root, "slices");
    ForEachEntry(*slices, "slices", RecipeLevel::kSlice, context,
                 [&](YamlNode& entry) { config.slices.push_back(ReadSlice(entry, context)); });
  }
  if (models != nullptr) {
    context.inputs_at = KeyLocation(root, "models");
    ReadModels(*models, config, context);
  }
  if (models != nullptr && slices != nullptr) {
    context.findings.AddError(std::max(KeyLocation(root, "models"), KeyLocation(root, "slices"),
                                       [](Location a, Location b) { return a.line < b.line; }),
                              {.code = ErrorCode::kCfgChoice,
                               .message = "both 'models' and 'slices' are given",
                               .help = "'models' merges whole models, 'slices' merges layer ranges; keep one"});
  }
  if (models == nullptr && slices == nullptr && !has_modules) {
    context.findings.AddError(root.at, {.code = ErrorCode::kCfgChoice,
                                        .message = "the recipe has neither 'models' nor 'slices'",
                                        .help = "list the models to merge under 'models:'"});
  }
}

// Names that other tools use for the types.
std::string_view UsualDTypeName(std::string_view name) {
  if (name == "bf16") return "bfloat16";
  if (name == "fp16" || name == "half" || name == "f16") return "float16";
  if (name == "fp32" || name == "float" || name == "f32") return "float32";
  if (name == "fp64" || name == "double" || name == "f64") return "float64";
  return "";
}

std::optional<DType> ReadDType(YamlNode& root, std::string_view key, RecipeContext& context) {
  const YamlNode* node = FindOptional(root, key, context);
  if (node == nullptr) return std::nullopt;
  const std::string what = fmt::format("key '{}'", key);
  const std::optional<std::string> name = ReadText(*node, what, context.findings);
  if (!name) return std::nullopt;
  if (const std::optional<DType> dtype = ParseTorchDType(*name)) return dtype;
  std::vector<std::string_view> names;
  for (const DTypeInfo& info : kDTypes)
    if (!info.torch_name.empty()) names.push_back(info.torch_name);
  std::string_view nearest = UsualDTypeName(*name);
  if (nearest.empty()) nearest = NearestName(*name, names);
  AddChoiceError(*node, what, "one of " + JoinNames(names), nearest, context.findings);
  return std::nullopt;
}

void ReadTokenizerSource(YamlNode& root, MergeConfig& config, RecipeContext& context) {
  YamlNode* node = FindOptional(root, "tokenizer_source", context);
  if (node == nullptr) return;
  context.tokenizer_source_at = node->at;
  if (node->kind == YamlKind::kScalar && node->text == "union") {
    context.findings.AddError(node->at, {.code = ErrorCode::kCfgUnsupported,
                                         .message = "'tokenizer_source: union' is not supported yet",
                                         .help = "all models must have the same tokens; use 'base' or a model"});
  } else if (node->kind == YamlKind::kScalar && node->text == "base") {
    config.tokenizer_from_base = true;
  } else {
    config.tokenizer_source = ReadModelRef(*node, "key 'tokenizer_source'", context);
  }
}

void ReadShardSize(YamlNode& root, MergeConfig& config, RecipeContext& context) {
  const YamlNode* node = FindOptional(root, "shard_size", context);
  if (node == nullptr) return;
  const std::optional<std::string> text = ReadText(*node, "key 'shard_size'", context.findings);
  if (!text) return;
  if (const std::string safe = SafeNumberSpelling(*text); !safe.empty()) {
    AddAmbiguous(*node, "key 'shard_size'", safe, context.findings);
    return;
  }
  config.shard_size_bytes = ParseBytes(*text);
  if (!config.shard_size_bytes) {
    AddTypeError(*node, "key 'shard_size'", "a size", "write it like 5G (10^9 bytes) or 4Gi (2^30 bytes)",
                 context.findings);
  } else if (*config.shard_size_bytes == 0) {
    context.findings.AddError(node->at, {.code = ErrorCode::kCfgRange,
                                         .message = "key 'shard_size' is 0",
                                         .found = *text,
                                         .expected = "at least 1 byte"});
  }
}

std::optional<std::string> ReadOptionalText(YamlNode& root, std::string_view key, RecipeContext& context) {
  const YamlNode* node = FindOptional(root, key, context);
  return node != nullptr ? ReadText(*node, fmt::format("key '{}'", key), context.findings) : std::nullopt;
}

}  // namespace

MergeConfig ReadRecipe(YamlNode& root, RecipeContext& context) {
  MergeConfig config;
  if (!ExpectMap(root, "the recipe", context)) return config;
  const YamlNode* modules = root.Find("modules");
  const bool has_modules = modules != nullptr && modules->kind != YamlKind::kNull;
  MendKeys(root, RecipeLevel::kTop, context);
  ReadMethod(root, config, context);
  if (YamlNode* base = FindOptional(root, "base_model", context))
    config.base_model = ReadModelRef(*base, "key 'base_model'", context);
  ReadInputs(root, has_modules, config, context);
  config.parameters = ReadParameters(root, RecipeLevel::kTop, context);
  config.dtype = ReadDType(root, "dtype", context);
  config.out_dtype = ReadDType(root, "out_dtype", context);
  ReadTokenizerSource(root, config, context);
  if (const YamlNode* seed = FindOptional(root, "seed", context))
    config.seed = ReadWhole(*seed, "key 'seed'", context.findings).value_or(0);
  config.output = ReadOptionalText(root, "output", context);
  ReadShardSize(root, config, context);
  config.layer_pattern = ReadOptionalText(root, "layer_pattern", context);
  if (root.Find("name") != nullptr) config.name_at = KeyLocation(root, "name");
  config.name = ReadOptionalText(root, "name", context).value_or("");
  return config;
}

}  // namespace gpumerge
