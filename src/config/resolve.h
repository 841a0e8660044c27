// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a parameter is for one tensor: levels, filters and gradients, by mergekit's rules. Also remembers which filters
// matched anything, to warn of those that did not.
#pragma once

#include "src/config/filter.h"

#include "gpumerge/config.h"
#include "gpumerge/error.h"
#include "gpumerge/method.h"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace gpumerge {

// The levels of one tensor, innermost first (source or model, slice, module, top). A null pointer is an absent level.
// For a shared parameter the caller leaves out the model level.
struct ResolveLevels {
  const Settings* levels[4] = {nullptr, nullptr, nullptr, nullptr};
  std::span<const Preset> presets{};  // the method's
};

// The key under `parameters:` that names a preset.
inline constexpr std::string_view kPresetKey = "preset";
// The preset that these settings name; nullptr: none.
const Preset* FindPreset(const Settings& settings, std::span<const Preset> presets);
// What a preset gives a parameter.
std::optional<double> PresetValueOf(const Preset& preset, std::string_view param);

// Where the tensor stands: its name (the input's for per-model parameters, the output's for shared ones) and t in [0,
// 1] along the layers of its slice (0 outside the layer stack, 1 in a slice of one layer).
struct ResolvePoint {
  std::string_view tensor_name;
  double t = 0;
};

// Remembers which filters matched a tensor, by their address: the recipe must stay where it is. Not thread-safe.
class FilterUse {
 public:
  void MarkUsed(const ConditionalValue& condition);
  bool Used(const ConditionalValue& condition) const;

 private:
  std::vector<const ConditionalValue*> used_;  // sorted
};

// The value (bools as 0/1, choices as their index), or nullopt when no level has one and the parameter has no default.
// What a parameter is set to wins over every preset, an inner level's preset over an outer one's. Types and ranges were
// checked when the recipe was loaded; interpolated values stay within their neighbours.
// use (may be null) learns of every filter on these levels that matches the tensor, whether or not it decided.
std::optional<double> ResolveParameter(const ParamSpec& spec, const ResolveLevels& levels, const ResolvePoint& point,
                                       FilterUse* use);

// The filters of the recipe (none that is absent or "*") that matched no tensor, in file order. Call it when every
// parameter of every output tensor has been resolved with `use`.
std::vector<const ConditionalValue*> UnusedFilters(const MergeConfig& config, const FilterUse& use);
// The same as warnings (CFG-FILTER) that name parameter, filter and place.
std::vector<Diagnostic> UnusedFilterWarnings(const MergeConfig& config, const FilterUse& use);

}  // namespace gpumerge
