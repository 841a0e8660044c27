// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From `parameters:` to Settings; see parameters.h.
#include "src/config/parameters.h"

#include "src/base/text.h"
#include "src/config/resolve.h"
#include "src/config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

bool IsModelLevel(RecipeLevel level) { return level == RecipeLevel::kModel || level == RecipeLevel::kSource; }

bool HasChoice(const ParamSpec& spec, std::string_view choice) {
  return std::find(spec.choices.begin(), spec.choices.end(), choice) != spec.choices.end();
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::optional<Scalar> ReadFloat(const YamlNode& node, const ParamSpec& spec, std::string_view what,
                                RecipeContext& context) {
  const std::optional<double> number = ReadNumber(node, what, context.findings);
  if (!number) return std::nullopt;
  if (*number < spec.min || *number > spec.max) {
    context.findings.AddError(node.at, {.code = ErrorCode::kCfgRange,
                                        .message = fmt::format("{} is {}, out of range", what, node.text),
                                        .found = node.text,
                                        .expected = fmt::format("{} to {}", spec.min, spec.max),
                                        .help = fmt::format("'{}': {}", spec.name, spec.help)});
    return std::nullopt;
  }
  if (spec.type == ParamType::kInt && *number != std::trunc(*number)) {
    AddTypeError(node, what, "a whole number", fmt::format("'{}': {}", spec.name, spec.help), context.findings);
    return std::nullopt;
  }
  // The one parameter of interpolation: outside 0 to 1 it extrapolates, which is legal but rarely meant.
  if (spec.name == "t" && (*number < 0 || *number > 1)) {
    context.findings.AddWarning(node.at, {.code = ErrorCode::kCfgRange,
                                          .message = fmt::format("{} is {}, which extrapolates", what, node.text),
                                          .found = node.text,
                                          .expected = "0 to 1"});
  }
  return Scalar{*number, node.at};
}

std::optional<Scalar> ReadChoice(const YamlNode& node, const ParamSpec& spec, std::string_view what,
                                 RecipeContext& context) {
  std::string choice = node.kind == YamlKind::kScalar ? Lower(node.text) : "";
  if (HasChoice(spec, "true")) {
    if (const std::string_view safe = SafeBoolSpelling(choice); !safe.empty()) {
      AddAmbiguous(node, what, safe, context.findings);
      return std::nullopt;
    }
    if (choice == "1" || choice == "0") choice = choice == "1" ? "true" : "false";
  }
  if (HasChoice(spec, choice)) return Scalar{choice, node.at};
  AddChoiceError(node, what, "one of " + JoinNames({spec.choices.begin(), spec.choices.end()}),
                 NearestName(choice, spec.choices), context.findings);
  return std::nullopt;
}

// spec: nullptr when the method is not known; then any scalar will do.
std::optional<Scalar> ReadValue(const YamlNode& node, const ParamSpec* spec, std::string_view what,
                                RecipeContext& context) {
  if (spec == nullptr) {
    const std::optional<std::string> text = ReadText(node, what, context.findings);
    return text ? std::optional(Scalar{*text, node.at}) : std::nullopt;
  }
  if (IsNumber(spec->type)) return ReadFloat(node, *spec, what, context);
  if (spec->type == ParamType::kChoice) return ReadChoice(node, *spec, what, context);
  const std::optional<bool> flag = ReadBool(node, what, context.findings);
  return flag ? std::optional(Scalar{*flag, node.at}) : std::nullopt;
}

// One value, or a list of them along the layers.
std::vector<Scalar> ReadValues(const YamlNode& node, const ParamSpec* spec, std::string_view what,
                               RecipeContext& context) {
  std::vector<Scalar> values;
  const auto add = [&](const YamlNode& item, std::string_view name) {
    if (std::optional<Scalar> value = ReadValue(item, spec, name, context)) values.push_back(std::move(*value));
  };
  if (node.kind != YamlKind::kSequence) {
    add(node, what);
    return values;
  }
  for (size_t i = 0; i < node.items.size(); ++i) add(node.items[i], fmt::format("{} (value {})", what, i + 1));
  return values;
}

ConditionalValue ReadCondition(YamlNode& node, const ParamSpec* spec, std::string_view what, RecipeContext& context) {
  ConditionalValue condition;
  MendKeys(node, RecipeLevel::kCondition, context);
  if (const YamlNode* filter = node.Find("filter"); filter != nullptr && filter->kind != YamlKind::kNull) {
    condition.filter = ReadText(*filter, fmt::format("filter of {}", what), context.findings);
    condition.filter_at = filter->at;
    const std::string defect = condition.filter ? FilterDefect(*condition.filter) : "";
    if (!defect.empty()) {
      context.findings.AddError(filter->at,
                                {.code = ErrorCode::kCfgFilter,
                                 .message = fmt::format("filter '{}' of {} is malformed", *condition.filter, what),
                                 .found = defect,
                                 .help = "a filter is a part of a tensor's name, glob: and a pattern of the "
                                         "whole name, or regex: and an ECMAScript regular expression"});
    }
  }
  const YamlNode* value = node.Find("value");
  if (value != nullptr) {
    condition.values = ReadValues(*value, spec, what, context);
  } else {
    context.findings.AddError(node.at, {.code = ErrorCode::kCfgMissing,
                                        .message = fmt::format("an entry of {} has no 'value'", what),
                                        .help = "write {filter: ..., value: ...}"});
  }
  return condition;
}

bool IsMap(const YamlNode& node) { return node.kind == YamlKind::kMap; }

std::vector<ConditionalValue> ReadConditions(YamlNode& node, const ParamSpec* spec, std::string_view what,
                                             RecipeContext& context) {
  std::vector<ConditionalValue> conditions;
  const bool is_list = node.kind == YamlKind::kSequence;
  if (IsMap(node)) {
    conditions.push_back(ReadCondition(node, spec, what, context));
  } else if (!is_list || (!node.items.empty() && std::none_of(node.items.begin(), node.items.end(), IsMap))) {
    conditions.push_back({{}, {}, ReadValues(node, spec, what, context)});
  } else {
    for (YamlNode& item : node.items) {
      if (IsMap(item)) {
        conditions.push_back(ReadCondition(item, spec, what, context));
      } else {
        AddTypeError(item, fmt::format("an entry of {}", what), "a {filter, value} mapping like the others",
                     "a list holds either numbers (a gradient) or {filter, value} entries", context.findings);
      }
    }
  }
  return conditions;
}

bool YieldsNothing(const Setting& setting) {
  return std::all_of(setting.conditions.begin(), setting.conditions.end(),
                     [](const ConditionalValue& condition) { return condition.values.empty(); });
}

// A parameter that the method does not take. Returns the one that was meant, nullptr when there is no telling.
const ParamSpec* ReportParameter(const YamlKey& key, const MethodInfo& method, RecipeContext& context) {
  std::vector<std::string_view> taken;
  for (const ParamSpec& spec : method.params) taken.push_back(spec.name);
  const std::string takes = fmt::format("'{}' takes {}", method.name, JoinNames(taken));
  Diagnostic diagnostic{.code = ErrorCode::kCfgUnknown, .message = fmt::format("unknown parameter '{}'", key.text)};
  const std::vector<std::string_view> known = AllParameterNames();
  std::string_view meant;
  if (std::find(known.begin(), known.end(), key.text) != known.end()) {
    diagnostic.code = ErrorCode::kCfgParam;
    diagnostic.message = fmt::format("method '{}' does not take parameter '{}'", method.name, key.text);
    diagnostic.help = takes;
  } else if (key.text == "random_seed" || key.text == "seed") {
    diagnostic.help = "write 'seed:' at the top level";
  } else if (key.text == "dtype" || key.text == "out_dtype" || key.text == "base_model") {
    diagnostic.help = fmt::format("'{}' belongs at the top level, not under 'parameters:'", key.text);
  } else {
    meant = NearestName(key.text, taken);
    diagnostic.help = meant.empty() ? takes : fmt::format("did you mean '{}'?", meant);
  }
  context.findings.AddError(key.at, std::move(diagnostic));
  return meant.empty() ? nullptr : FindParam(method, meant);
}

// False: an error was added, the parameter is one for the whole tensor.
bool CheckScope(const YamlKey& key, const ParamSpec& spec, RecipeLevel level, RecipeContext& context) {
  if (spec.scope != ParamScope::kShared || !IsModelLevel(level)) return true;
  context.misplaced.emplace_back(spec.name);
  const std::string_view place = level == RecipeLevel::kSource ? "the 'parameters:' of the slice or of the top level"
                                                               : "the top-level 'parameters:'";
  context.findings.AddError(
      key.at,
      {.code = ErrorCode::kCfgParam,
       .message = fmt::format("parameter '{}' has one value for all models and cannot be set for one", key.text),
       .help = fmt::format("move it to {}", place)});
  return false;
}

void WarnOfNoEffect(const YamlKey& key, const ParamSpec& spec, RecipeContext& context) {
  if (spec.effect == ParamEffect::kUsed) return;
  context.findings.AddWarning(key.at, {.code = ErrorCode::kCfgNoEffect,
                                       .message = fmt::format("parameter '{}' changes nothing", key.text),
                                       .help = std::string(spec.help)});
}

void WarnOfEmptyList(const Setting& setting, RecipeContext& context) {
  context.findings.AddWarning(
      setting.at, {.code = ErrorCode::kCfgNoEffect,
                   .message = fmt::format("parameter '{}' is an empty list and counts as not given here", setting.name),
                   .help = "give it a value, or remove it"});
}

// `preset:` beside the parameters. Nothing is added when it is refused.
void ReadPreset(const YamlKey& key, const YamlNode& node, RecipeLevel level, Settings* settings,
                RecipeContext& context) {
  if (IsModelLevel(level)) {
    context.findings.AddError(key.at, {.code = ErrorCode::kCfgParam,
                                       .message = "'preset' is for all models and cannot be set for one",
                                       .help = "move it to the top-level 'parameters:'"});
    return;
  }
  const std::optional<std::string> name = ReadText(node, "key 'preset'", context.findings);
  if (!name) return;
  std::vector<std::string_view> names;
  for (const Preset& preset : context.method->presets) names.push_back(preset.name);
  if (std::find(names.begin(), names.end(), *name) == names.end()) {
    AddChoiceError(node, fmt::format("preset of method '{}'", context.method->name), "one of " + JoinNames(names),
                   NearestName(*name, names), context.findings);
    return;
  }
  settings->push_back({std::string(kPresetKey), key.at, {{{}, {}, {Scalar{*name, node.at}}}}});
}

}  // namespace

Settings ReadParameters(YamlNode& owner, RecipeLevel level, RecipeContext& context) {
  Settings settings;
  YamlNode* map = FindOptional(owner, "parameters", context);
  if (map == nullptr || !ExpectMap(*map, "key 'parameters'", context)) return settings;
  for (size_t i = 0; i < map->keys.size(); ++i) {
    const YamlKey& key = map->keys[i];
    if (key.text == kPresetKey && context.method != nullptr && !context.method->presets.empty()) {
      ReadPreset(key, map->items[i], level, &settings, context);
      continue;
    }
    const ParamSpec* spec = context.method != nullptr ? FindParam(*context.method, key.text) : nullptr;
    if (context.method != nullptr && spec == nullptr) {
      spec = ReportParameter(key, *context.method, context);
      if (spec == nullptr) continue;
    }
    if (spec != nullptr && !CheckScope(key, *spec, level, context)) continue;
    const size_t n_errors_before = context.findings.n_errors();
    const std::string name(spec != nullptr ? spec->name : key.text);
    Setting setting{name, key.at, ReadConditions(map->items[i], spec, fmt::format("parameter '{}'", name), context)};
    if (context.findings.n_errors() != n_errors_before) {
      setting.conditions = {{{}, {}, {Scalar{0.0, key.at}}}};  // refused is not missing
    } else if (YieldsNothing(setting)) {
      WarnOfEmptyList(setting, context);
    }
    if (spec != nullptr) WarnOfNoEffect(key, *spec, context);
    settings.push_back(std::move(setting));
  }
  return settings;
}

std::vector<ConditionalValue> ReadTensorPolicy(YamlNode& root, std::string_view key,
                                               std::span<const std::string_view> choices, RecipeContext& context) {
  YamlNode* node = FindOptional(root, key, context);
  if (node == nullptr) return {};
  ParamSpec spec;
  spec.name = key;
  spec.type = ParamType::kChoice;
  spec.choices = choices;
  const size_t n_errors_before = context.findings.n_errors();
  const std::string what = fmt::format("key '{}'", key);
  std::vector<ConditionalValue> conditions = ReadConditions(*node, &spec, what, context);
  for (const ConditionalValue& condition : conditions)
    if (condition.values.size() > 1)
      AddTypeError(*node, what, "one value, or a list of {filter, value}", "it is no gradient over the layers",
                   context.findings);
  return context.findings.n_errors() == n_errors_before ? conditions : std::vector<ConditionalValue>{};
}

}  // namespace gpumerge
