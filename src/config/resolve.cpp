// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Parameter lookup; see resolve.h. The arithmetic of gradients is in double and its order is part of the contract.
#include "src/config/resolve.h"

#include "src/config/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

namespace gpumerge {
namespace {

double ChoiceIndex(const ParamSpec& spec, std::string_view choice) {
  const auto found = std::find(spec.choices.begin(), spec.choices.end(), choice);
  return found == spec.choices.end() ? 0 : static_cast<double>(found - spec.choices.begin());
}

double AsNumber(const ParamSpec& spec, const Scalar& scalar) {
  if (const auto* number = std::get_if<double>(&scalar.value)) return *number;
  if (const auto* flag = std::get_if<bool>(&scalar.value)) {
    if (spec.type == ParamType::kChoice) return ChoiceIndex(spec, *flag ? "true" : "false");
    return *flag ? 1 : 0;
  }
  return ChoiceIndex(spec, std::get<std::string>(scalar.value));
}

// values is not empty.
double AlongLayers(const ParamSpec& spec, const std::vector<Scalar>& values, double t) {
  const size_t last = values.size() - 1;
  const double x = t * static_cast<double>(last);
  const size_t i0 = std::min(static_cast<size_t>(x), last);
  const double at_i0 = AsNumber(spec, values[i0]);
  if (!IsNumber(spec.type)) return at_i0;
  const double fraction = x - static_cast<double>(i0);
  return (1 - fraction) * at_i0 + fraction * AsNumber(spec, values[std::min(i0 + 1, last)]);
}

bool Applies(const ConditionalValue& condition, std::string_view tensor_name) {
  return !condition.filter || FilterMatches(*condition.filter, tensor_name);
}

// The first condition that applies, nullptr if none does.
const ConditionalValue* FirstMatch(const Setting& setting, std::string_view tensor_name, FilterUse* use) {
  const ConditionalValue* first = nullptr;
  for (const ConditionalValue& condition : setting.conditions) {
    if (!Applies(condition, tensor_name)) continue;
    if (first == nullptr) first = &condition;
    if (use == nullptr) break;
    if (condition.filter) use->MarkUsed(condition);
  }
  return first;
}

using Visit = std::function<void(const Setting&, const ConditionalValue&)>;

void VisitConditions(const Settings& settings, const Visit& visit) {
  for (const Setting& setting : settings)
    for (const ConditionalValue& condition : setting.conditions) visit(setting, condition);
}

// Of a recipe or a module of it.
template <class Owner>
void VisitLists(const Owner& owner, const Visit& visit) {
  for (const ModelEntry& model : owner.models) VisitConditions(model.parameters, visit);
  for (const SliceEntry& slice : owner.slices) {
    for (const SourceEntry& source : slice.sources) VisitConditions(source.parameters, visit);
    VisitConditions(slice.parameters, visit);
  }
  VisitConditions(owner.parameters, visit);
}

void VisitConditions(const MergeConfig& config, const Visit& visit) {
  VisitLists(config, visit);
  for (const ModuleEntry& module : config.modules) VisitLists(module, visit);
}

using NamedCondition = std::pair<const Setting*, const ConditionalValue*>;

std::vector<NamedCondition> UnusedConditions(const MergeConfig& config, const FilterUse& use) {
  std::vector<NamedCondition> unused;
  VisitConditions(config, [&](const Setting& setting, const ConditionalValue& condition) {
    if (condition.filter && *condition.filter != "*" && !use.Used(condition)) unused.emplace_back(&setting, &condition);
  });
  std::stable_sort(unused.begin(), unused.end(), [](const NamedCondition& a, const NamedCondition& b) {
    return std::tie(a.second->filter_at.line, a.second->filter_at.column) <
           std::tie(b.second->filter_at.line, b.second->filter_at.column);
  });
  return unused;
}

}  // namespace

void FilterUse::MarkUsed(const ConditionalValue& condition) {
  const auto place = std::lower_bound(used_.begin(), used_.end(), &condition, std::less<>());
  if (place == used_.end() || *place != &condition) used_.insert(place, &condition);
}

bool FilterUse::Used(const ConditionalValue& condition) const {
  return std::binary_search(used_.begin(), used_.end(), &condition, std::less<>());
}

std::optional<double> ResolveParameter(const ParamSpec& spec, const ResolveLevels& levels, const ResolvePoint& point,
                                       FilterUse* use) {
  std::optional<double> resolved;
  for (const Settings* level : levels.levels) {
    if (level == nullptr) continue;
    for (const Setting& setting : *level) {
      if (setting.name != spec.name) continue;
      const ConditionalValue* match = FirstMatch(setting, point.tensor_name, use);
      if (!resolved && match != nullptr && !match->values.empty()) resolved = AlongLayers(spec, match->values, point.t);
    }
    if (resolved && use == nullptr) break;
  }
  if (resolved) return resolved;
  for (const Settings* level : levels.levels) {
    const Preset* preset = level != nullptr ? FindPreset(*level, levels.presets) : nullptr;
    if (preset == nullptr) continue;
    if (const std::optional<double> value = PresetValueOf(*preset, spec.name)) return value;
  }
  return spec.default_value;
}

const Preset* FindPreset(const Settings& settings, std::span<const Preset> presets) {
  for (const Setting& setting : settings) {
    if (setting.name != kPresetKey || setting.conditions.empty() || setting.conditions[0].values.empty()) continue;
    const auto* name = std::get_if<std::string>(&setting.conditions[0].values[0].value);
    const auto found = std::find_if(presets.begin(), presets.end(),
                                    [&](const Preset& preset) { return name != nullptr && preset.name == *name; });
    if (found != presets.end()) return &*found;
  }
  return nullptr;
}

std::optional<double> PresetValueOf(const Preset& preset, std::string_view param) {
  for (const PresetValue& value : preset.values)
    if (value.param == param) return value.value;
  return std::nullopt;
}

std::vector<const ConditionalValue*> UnusedFilters(const MergeConfig& config, const FilterUse& use) {
  std::vector<const ConditionalValue*> unused;
  for (const NamedCondition& named : UnusedConditions(config, use)) unused.push_back(named.second);
  return unused;
}

std::vector<Diagnostic> UnusedFilterWarnings(const MergeConfig& config, const FilterUse& use) {
  std::vector<Diagnostic> warnings;
  for (const auto& [setting, condition] : UnusedConditions(config, use)) {
    warnings.push_back(
        {.code = ErrorCode::kCfgFilter,
         .message = fmt::format("filter '{}' of parameter '{}' matches no tensor", *condition->filter, setting->name),
         .where = FormatLocation(config.file, condition->filter_at),
         .help =
             "a filter is a part of a tensor's name, or glob: or regex: and a pattern; gpumerge inspect MODEL lists "
             "the names"});
  }
  return warnings;
}

}  // namespace gpumerge
