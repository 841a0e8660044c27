// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From a YAML tree to a MergeConfig, key by key; see recipe.h.
#include "src/base/text.h"
#include "src/config/chat_template.h"
#include "src/config/model_reference.h"
#include "src/config/parameters.h"
#include "src/config/recipe.h"
#include "src/config/recipe_inputs.h"
#include "src/config/recipe_keys.h"
#include "src/config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

constexpr std::string_view kMismatchChoices[] = {"error", "base"};

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

void ReadChatTemplate(YamlNode& root, MergeConfig& config, RecipeContext& context) {
  const YamlNode* node = FindOptional(root, "chat_template", context);
  if (node == nullptr) return;
  config.chat_template = ReadText(*node, "key 'chat_template'", context.findings);
  config.chat_template_at = node->at;
  if (!config.chat_template) return;
  const std::string defect = ChatTemplateDefect(*config.chat_template);
  if (defect.empty()) return;
  context.findings.AddError(node->at,
                            {.code = ErrorCode::kCfgType,
                             .message = "key 'chat_template' is not a chat template",
                             .found = defect,
                             .expected = "a Jinja template, 'auto', or one of " + JoinNames(ChatTemplateNames())});
}

// names: what the policy's values are called, in their order.
template <class Policy>
void ReadPolicy(YamlNode& root, std::string_view key, const std::vector<std::string_view>& names, Policy* policy,
                RecipeContext& context) {
  const YamlNode* node = FindOptional(root, key, context);
  if (node == nullptr) return;
  const std::optional<std::string> name = ReadText(*node, fmt::format("key '{}'", key), context.findings);
  if (!name) return;
  const auto found = std::find(names.begin(), names.end(), *name);
  if (found != names.end()) {
    *policy = static_cast<Policy>(found - names.begin());
  } else {
    AddChoiceError(*node, fmt::format("key '{}'", key), "one of " + JoinNames(names), NearestName(*name, names),
                   context.findings);
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
  MendKeys(root, RecipeLevel::kTop, context);
  ReadMethod(root, config, context);
  if (YamlNode* base = FindOptional(root, "base_model", context))
    config.base_model = ReadModelRef(*base, "key 'base_model'", context);
  ReadInputs(root, config, context);
  config.parameters = ReadParameters(root, RecipeLevel::kTop, context);
  config.dtype = ReadDType(root, "dtype", context);
  config.out_dtype = ReadDType(root, "out_dtype", context);
  ReadTokenizerSource(root, config, context);
  ReadChatTemplate(root, config, context);
  ReadPolicy<MissingPolicy>(root, "missing", {"error", "present", "base"}, &config.missing, context);
  ReadPolicy<OverflowPolicy>(root, "overflow", {"error", "saturate", "inf"}, &config.overflow, context);
  ReadPolicy<NonFinitePolicy>(root, "nonfinite", {"error", "allow"}, &config.nonfinite, context);
  ReadPolicy<IntPolicy>(root, "int_policy", {"error", "base"}, &config.int_policy, context);
  ReadPolicy<ExtraPolicy>(root, "extra", {"error", "drop"}, &config.extra, context);
  ReadPolicy<Float8Policy>(root, "float8", {"error", "plain"}, &config.float8, context);
  config.on_mismatch = ReadTensorPolicy(root, "on_mismatch", kMismatchChoices, context);
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
