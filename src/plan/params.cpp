// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Levels, from the inside: the model or source, the slice, the recipe. Shared parameters have no model level.
#include "src/plan/params.h"

#include <algorithm>

namespace gpumerge {
namespace {

constexpr int64_t kShared = -1;

std::vector<const Settings*> AllSettings(const MergeConfig& config) {
  std::vector<const Settings*> all{&config.parameters};
  for (const ModelEntry& model : config.models) all.push_back(&model.parameters);
  for (const SliceEntry& slice : config.slices) {
    all.push_back(&slice.parameters);
    for (const SourceEntry& source : slice.sources) all.push_back(&source.parameters);
  }
  return all;
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
      const bool unused = spec.scope == ParamScope::kPerModel && group.slice->base == index;
      add(unused ? 0 : ResolveForInput(spec, group, group.inputs[index]));
    }
  }
  if (!complete) return std::nullopt;
  return params;
}

std::optional<double> ParamResolver::ResolveShared(const ParamSpec& spec, const TensorGroup& group) {
  const ResolveLevels levels{{group.slice->parameters, &config_.parameters, nullptr}};
  const std::optional<double> value = ResolveParameter(spec, levels, {group.name, group.t}, &filter_use_);
  if (!value) NoteMissing(spec, kShared, group);
  return value;
}

std::optional<double> ParamResolver::ResolveForInput(const ParamSpec& spec, const TensorGroup& group,
                                                     const GroupInput& input) {
  const ResolveLevels levels{{input.source->parameters, group.slice->parameters, &config_.parameters}};
  const std::optional<double> value = ResolveParameter(spec, levels, {*input.filter_name, group.t}, &filter_use_);
  if (!value) NoteMissing(spec, input.source->model, group);
  return value;
}

void ParamResolver::NoteMissing(const ParamSpec& spec, int64_t model, const TensorGroup& group) {
  Missing& missing = missing_[{spec.name, model}];
  if (missing.n_tensors++ == 0) missing.first_tensor = group.name;
}

void ParamResolver::ReportMissing(PlanFindings* findings) const {
  for (const auto& [key, missing] : missing_) {
    const auto& [param, model] = key;
    const std::string tensors =
        missing.n_tensors == 1 ? fmt::format("tensor \"{}\"", missing.first_tensor)
                               : fmt::format("tensor \"{}\" and {} more", missing.first_tensor, missing.n_tensors - 1);
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
  for (Diagnostic& warning : UnusedFilterWarnings(config_, filter_use_))
    findings->warnings.push_back(std::move(warning));
}

const Setting* FindGradient(const MergeConfig& config) {
  for (const Settings* settings : AllSettings(config)) {
    for (const Setting& setting : *settings) {
      for (const ConditionalValue& condition : setting.conditions)
        if (condition.values.size() > 1) return &setting;
    }
  }
  return nullptr;
}

}  // namespace gpumerge
