// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `gpumerge methods`: what the generated table of methods says, for people and for the README.
#include "src/base/text.h"
#include "src/cli/commands.h"

#include "gpumerge/method.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

namespace gpumerge::cli {
namespace {

std::string ModelCount(const MethodInfo& info) {
  const std::string least = std::to_string(info.min_models);
  if (info.min_models == info.max_models) return least;
  if (info.max_models >= kMaxModels) return least + " or more";
  return fmt::format("{} to {}", least, info.max_models);
}

// As a recipe would write it.
std::string ValueText(const ParamSpec& param, double value) {
  switch (param.type) {
    case ParamType::kBool:
      return value != 0 ? "true" : "false";
    case ParamType::kChoice:
      return std::string(param.choices[static_cast<size_t>(value)]);
    case ParamType::kFloat:
    case ParamType::kInt:
      return fmt::format("{}", value);
  }
  return {};
}

std::string DefaultOf(const ParamSpec& param) {
  return param.default_value ? ValueText(param, *param.default_value) : "required";
}

std::string ValuesOf(const ParamSpec& param) {
  switch (param.type) {
    case ParamType::kBool:
      return "true or false";
    case ParamType::kChoice:
      return fmt::format("{}", fmt::join(param.choices, ", "));
    case ParamType::kFloat:
    case ParamType::kInt: {
      const std::string_view number = param.type == ParamType::kInt ? "whole number" : "number";
      // Limits that only say "a finite number" are not worth reading.
      constexpr double kNoLimit = 1e30;
      if (param.min <= -kNoLimit && param.max >= kNoLimit) return std::string(number);
      if (param.max >= kNoLimit) return fmt::format("{}, at least {}", number, param.min);
      return fmt::format("{}, {} to {}", number, param.min, param.max);
    }
  }
  return {};
}

std::string_view ScopeOf(const ParamSpec& param) {
  switch (param.scope) {
    case ParamScope::kShared:
      return "one value";
    case ParamScope::kPerModel:
      return "each model but the base";
    case ParamScope::kPerInput:
      return "each model";
  }
  return {};
}

// "weight (required), density = 1, lambda = 1"; what is ignored is left out.
std::string ParamSummary(const MethodInfo& info) {
  std::vector<std::string> parts;
  for (const ParamSpec& param : info.params)
    if (param.effect == ParamEffect::kUsed)
      parts.push_back(param.default_value ? fmt::format("{} = {}", param.name, DefaultOf(param))
                                          : fmt::format("{} (required)", param.name));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string_view BaseOf(const MethodInfo& info) { return info.base == BaseUse::kRequired ? "required" : "optional"; }

std::string AsText() {
  std::string text;
  for (const MethodRow& row : Methods())
    text += fmt::format("{:16} {}\n{:16} models: {}; base_model: {}; {}\n", row.info->name, row.info->summary, "",
                        ModelCount(*row.info), BaseOf(*row.info), ParamSummary(*row.info));
  return text + "\n`gpumerge methods NAME` explains one; configs/NAME.yaml is an example of it.\n";
}

std::string AsMarkdown() {
  std::string text =
      "| method | what it does | models | base_model | parameters (default) | source |\n|---|---|---|---|---|---|\n";
  for (const MethodRow& row : Methods()) {
    const MethodInfo& info = *row.info;
    text += fmt::format("| [`{0}`](configs/{0}.yaml) | {1} | {2} | {3} | {4} | {5} |\n", info.name, info.summary,
                        ModelCount(info), BaseOf(info), ParamSummary(info), info.reference);
  }
  return text;
}

std::string ParamText(const ParamSpec& param) {
  std::string text = fmt::format("  {:12} {}; {}; {}\n", param.name, ValuesOf(param), ScopeOf(param),
                                 param.default_value ? "default " + DefaultOf(param) : std::string("required"));
  if (!param.help.empty()) text += fmt::format("{:15}{}\n", "", param.help);
  return text;
}

std::string PresetText(const MethodInfo& info, const Preset& preset) {
  std::vector<std::string> values;
  for (const PresetValue& value : preset.values) {
    const auto param = std::find_if(info.params.begin(), info.params.end(),
                                    [&](const ParamSpec& spec) { return spec.name == value.param; });
    if (param != info.params.end())
      values.push_back(fmt::format("{}: {}", value.param, ValueText(*param, value.value)));
  }
  return fmt::format("  {:12} {}\n{:15}{}\n", preset.name, preset.help, "", fmt::join(values, ", "));
}

// What the table of parameters leaves open.
std::string MoreText(const MethodInfo& info) {
  std::string text;
  if (!info.presets.empty()) text += "\npresets (`preset: NAME` under parameters; what is given besides wins)\n";
  for (const Preset& preset : info.presets) text += PresetText(info, preset);
  if (!info.remarks.empty()) text += "\nremarks\n";
  for (const std::string_view remark : info.remarks) text += fmt::format("  - {}\n", remark);
  return text;
}

std::string_view BaseText(const MethodInfo& info) {
  switch (info.base) {
    case BaseUse::kRequired:
      return "required";
    case BaseUse::kOptional:
      return "optional";
    case BaseUse::kOrdinaryInput:
      break;
  }
  return "optional, then one more of the models";
}

std::string Explain(const std::string& name) {
  const MethodRow* row = FindMethod(name);
  if (row == nullptr) {
    std::vector<std::string_view> names;
    for (const MethodRow& other : Methods()) names.push_back(other.info->name);
    const std::string_view meant = NearestName(name, names);
    throw Error(
        {ErrorCode::kUsage, fmt::format("there is no merge method {}", name), "", "", "",
         meant.empty() ? fmt::format("methods: {}", fmt::join(names, ", ")) : fmt::format("did you mean {}?", meant)});
  }
  const MethodInfo& info = *row->info;
  std::string text =
      fmt::format("{}: {}\n\n  {}\n\nmodels: {}; base_model: {}\nsource: {}\nexample: configs/{}.yaml\n", info.name,
                  info.summary, info.formula, ModelCount(info), BaseText(info), info.reference, info.name);
  if (!info.params.empty()) text += "\nparameters\n";
  for (const ParamSpec& param : info.params) text += ParamText(param);
  return text + MoreText(info);
}

}  // namespace

int MethodsCommand(const Arguments& arguments) {
  if (!arguments.topic.empty())
    PrintResult(Explain(arguments.topic));
  else
    PrintResult(arguments.markdown ? AsMarkdown() : AsText());
  return 0;
}

}  // namespace gpumerge::cli
