// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `models`, `slices` and `modules` of a recipe; see recipe_inputs.h.
#include "src/config/recipe_inputs.h"

#include "src/config/model_reference.h"
#include "src/config/parameters.h"
#include "src/config/recipe_keys.h"
#include "src/config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace gpumerge {
namespace {

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

template <class Owner>
void ReadModels(YamlNode& list, Owner& owner, RecipeContext& context) {
  ForEachEntry(list, "models", RecipeLevel::kModel, context, [&](YamlNode& entry) {
    ModelEntry model;
    model.model = ReadEntryModel(entry, "an entry of 'models'", context);
    model.parameters = ReadParameters(entry, RecipeLevel::kModel, context);
    owner.models.push_back(std::move(model));
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

// The `models` or `slices` of a recipe or of a module. at: of the key. False: there is neither.
template <class Owner>
bool ReadLists(YamlNode& node, Owner& owner, Location* at, RecipeContext& context) {
  YamlNode* models = FindOptional(node, "models", context);
  YamlNode* slices = FindOptional(node, "slices", context);
  if (slices != nullptr) {
    *at = KeyLocation(node, "slices");
    ForEachEntry(*slices, "slices", RecipeLevel::kSlice, context,
                 [&](YamlNode& entry) { owner.slices.push_back(ReadSlice(entry, context)); });
  }
  if (models != nullptr) {
    *at = KeyLocation(node, "models");
    ReadModels(*models, owner, context);
  }
  if (models != nullptr && slices != nullptr) {
    context.findings.AddError(std::max(KeyLocation(node, "models"), KeyLocation(node, "slices"),
                                       [](Location a, Location b) { return a.line < b.line; }),
                              {.code = ErrorCode::kCfgChoice,
                               .message = "both 'models' and 'slices' are given",
                               .help = "'models' merges whole models, 'slices' merges layer ranges; keep one"});
  }
  return models != nullptr || slices != nullptr;
}

// One prefix, or a list of them.
std::vector<std::string> ReadPrefixes(YamlNode& entry, RecipeContext& context) {
  std::vector<std::string> prefixes;
  const YamlNode* node = FindOptional(entry, "prefix", context);
  if (node == nullptr) return prefixes;
  const auto add = [&](const YamlNode& item) {
    if (std::optional<std::string> prefix = ReadText(item, "key 'prefix'", context.findings))
      prefixes.push_back(std::move(*prefix));
  };
  if (node->kind != YamlKind::kSequence) {
    add(*node);
    return prefixes;
  }
  if (node->items.empty()) AddTypeError(*node, "key 'prefix'", "a text or a list of texts", "", context.findings);
  for (const YamlNode& item : node->items) add(item);
  return prefixes;
}

ModuleEntry ReadModule(const YamlKey& key, YamlNode& entry, RecipeContext& context) {
  ModuleEntry module;
  module.name = key.text;
  module.at = key.at;
  if (!ExpectMap(entry, fmt::format("module '{}'", key.text), context)) return module;
  MendKeys(entry, RecipeLevel::kModule, context);
  Location lists_at;
  const bool has_lists = ReadLists(entry, module, &lists_at, context);
  module.prefixes = ReadPrefixes(entry, context);
  module.parameters = ReadParameters(entry, RecipeLevel::kModule, context);
  if (const YamlNode* drop = FindOptional(entry, "drop", context))
    module.drop = ReadBool(*drop, "key 'drop'", context.findings).value_or(false);
  if (has_lists != module.drop) return module;
  context.findings.AddError(
      has_lists ? lists_at : key.at,
      {.code = ErrorCode::kCfgChoice,
       .message = has_lists ? fmt::format("module '{}' is dropped, yet it has inputs", module.name)
                            : fmt::format("module '{}' has neither 'models' nor 'slices'", module.name),
       .help = "list what the module is merged from, or write 'drop: true' to leave it out of the output"});
  return module;
}

// Modules of a map that was there; false: it was no map of modules.
void ReadModules(YamlNode& modules, MergeConfig& config, RecipeContext& context) {
  if (!ExpectMap(modules, "key 'modules'", context)) return;
  if (modules.keys.empty())
    AddTypeError(modules, "key 'modules'", "a mapping of names to inputs", "", context.findings);
  for (size_t i = 0; i < modules.keys.size(); ++i)
    config.modules.push_back(ReadModule(modules.keys[i], modules.items[i], context));
}

}  // namespace

void ReadInputs(YamlNode& root, MergeConfig& config, RecipeContext& context) {
  const bool has_lists = ReadLists(root, config, &context.inputs_at, context);
  YamlNode* modules = FindOptional(root, "modules", context);
  if (modules != nullptr) ReadModules(*modules, config, context);
  if (has_lists && modules != nullptr) {
    context.findings.AddError(KeyLocation(root, "modules"),
                              {.code = ErrorCode::kCfgChoice,
                               .message = "'modules' is given beside 'models' or 'slices'",
                               .help = "each module lists its own inputs; keep one"});
  }
  if (!has_lists && modules == nullptr) {
    context.findings.AddError(root.at, {.code = ErrorCode::kCfgChoice,
                                        .message = "the recipe has neither 'models' nor 'slices'",
                                        .help = "list the models to merge under 'models:'"});
  }
}

}  // namespace gpumerge
