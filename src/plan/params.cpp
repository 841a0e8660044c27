// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Levels, from the inside: the model or source, the slice, the recipe. Shared parameters have no model level.
#include "src/plan/params.h"

#include <algorithm>
#include <cmath>

namespace gpumerge {
namespace {

constexpr int64_t kShared = -1;

const Settings* ModuleSettings(const TensorGroup& group) {
  return group.set->module != nullptr ? &group.set->module->parameters : nullptr;
}

// Of a recipe without its modules, or of a module.
template <class Owner>
const Setting* GradientOf(const Owner& owner) {
  std::vector<const Settings*> all{&owner.parameters};
  for (const ModelEntry& model : owner.models) all.push_back(&model.parameters);
  for (const SliceEntry& slice : owner.slices) {
    all.push_back(&slice.parameters);
    for (const SourceEntry& source : slice.sources) all.push_back(&source.parameters);
  }
  for (const Settings* settings : all) {
    for (const Setting& setting : *settings) {
      for (const ConditionalValue& condition : setting.conditions)
        if (condition.values.size() > 1) return &setting;
    }
  }
  return nullptr;
}

}  // namespace

std::optional<std::vector<JobParam>> ParamResolver::Resolve(const TensorGroup& group,
                                                            const std::vector<uint32_t>& order) {
  std::vector<JobParam> params;
  params.reserve(method_.params.size());
  bool complete = true;
  const auto add = [&](const std::optional<double>& value) {
    complete &= value.has_value();
    params.back().values.push_back(value.value_or(0));
  };
  for (const ParamSpec& spec : method_.params) {
    params.emplace_back();
    if (spec.scope == ParamScope::kShared) {
      add(ResolveShared(spec, group));
      continue;
    }
    for (uint32_t index : order) {
      const bool unused = spec.scope == ParamScope::kPerModel && group.base == index;
      add(unused ? 0 : ResolveForInput(spec, group, group.inputs[index]));
    }
  }
  if (!complete) return std::nullopt;
  return params;
}

std::optional<double> ParamResolver::ResolveShared(const ParamSpec& spec, const TensorGroup& group) {
  const ResolveLevels levels{{group.slice->parameters, ModuleSettings(group), &config_.parameters}, method_.presets};
  const std::optional<double> value = ResolveParameter(spec, levels, {group.name, group.t}, &filter_use_);
  if (!value) NoteMissing(spec, kShared, group);
  return Whole(spec, value, group);
}

std::optional<double> ParamResolver::ResolveForInput(const ParamSpec& spec, const TensorGroup& group,
                                                     const GroupInput& input) {
  const ResolveLevels levels{
      {input.source->parameters, group.slice->parameters, ModuleSettings(group), &config_.parameters}, method_.presets};
  const std::optional<double> value = ResolveParameter(spec, levels, {*input.filter_name, group.t}, &filter_use_);
  if (!value) NoteMissing(spec, input.source->model, group);
  return Whole(spec, value, group);
}

// A gradient of whole numbers must hit whole numbers; near ones are a matter of rounding.
std::optional<double> ParamResolver::Whole(const ParamSpec& spec, std::optional<double> value,
                                           const TensorGroup& group) {
  if (spec.type != ParamType::kInt || !value) return value;
  const double whole = std::round(*value);
  if (std::abs(*value - whole) > 1e-9 * std::max(1.0, std::abs(whole)))
    fractions_.try_emplace(spec.name, Fraction{group.name, *value});
  return whole;
}

void ParamResolver::NoteMissing(const ParamSpec& spec, int64_t model, const TensorGroup& group) {
  Missing& missing = missing_[{spec.name, model}];
  if (missing.n_tensors++ == 0) missing.first_tensor = group.name;
}

void ParamResolver::ReportMissing(PlanFindings* findings) const {
  for (const auto& [key, missing] : missing_) {
    const auto& [param, model] = key;
    const std::string tensors =
        missing.n_tensors == 1
            ? "tensor " + Quote(missing.first_tensor)
            : fmt::format("tensor {} and {} more", Quote(missing.first_tensor), missing.n_tensors - 1);
    Diagnostic problem{.code = ErrorCode::kCfgMissing,
                       .message = fmt::format("the required parameter {} has no value for {}", param, tensors),
                       .where = config_.file};
    if (model == kShared) {
      problem.help = fmt::format("add `{}` to the recipe's parameters", param);
    } else {
      const auto index = static_cast<uint32_t>(model);
      problem.message += fmt::format(" of the model \"{}\"", inputs_.models[index].reference);
      problem.help = fmt::format("add `parameters: {{{}: ...}}` to the model, or to the whole recipe", param);
      const bool is_unlisted_base = inputs_.base == index && method_.base == BaseUse::kOrdinaryInput;
      if (is_unlisted_base) {
        problem.help = fmt::format(
            "for {} base_model is one more input: list it under models with `parameters: {{{}: ...}}`, or leave "
            "base_model out",
            method_.name, param);
      }
    }
    findings->errors.push_back(std::move(problem));
  }
}

void ParamResolver::Report(PlanFindings* findings) const {
  ReportMissing(findings);
  for (const auto& [param, fraction] : fractions_) {
    findings->errors.push_back(
        {.code = ErrorCode::kCfgRange,
         .message = fmt::format("the gradient of {} is no whole number at tensor {}", param, Quote(fraction.tensor)),
         .where = config_.file,
         .found = fmt::format("{}", fraction.value),
         .expected = "a whole number at every layer",
         .help = "give one value, or as many as the slice has layers"});
  }
  for (Diagnostic& warning : UnusedFilterWarnings(config_, filter_use_))
    findings->warnings.push_back(std::move(warning));
}

const Setting* FindGradient(const MergeConfig& config) { return GradientOf(config); }
const Setting* FindGradient(const ModuleEntry& module) { return GradientOf(module); }

}  // namespace gpumerge
