// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/plan/model_trim.h"

#include "gpumerge/method.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

namespace gpumerge {
namespace {

// What a choice is set to; "" when the method has no such parameter.
std::string_view ChoiceOf(const MergeJob& job, std::string_view param) {
  const std::span<const ParamSpec> params = Methods()[job.method].info->params;
  for (size_t p = 0; p < params.size(); ++p)
    if (params[p].name == param) return params[p].choices[static_cast<size_t>(job.params[p].values.at(0))];
  return {};
}

bool TrimsWholeModel(const PlanItem& item) {
  return item.action == PlanAction::kMerge && ChoiceOf(item.job, "trim_scope") == "model";
}

// Calls f(place of the model among all of them, its density, index in the item's inputs).
template <class Function>
void ForEachModel(const PlanItem& item, const Function& f) {
  for (uint32_t m = 0; m < item.job.n_models(); ++m) {
    const uint32_t input = m + (item.job.has_base ? 1 : 0);
    f(item.job.inputs[input].model_index, item.job.PerModel("density", m), input);
  }
}

}  // namespace

bool ModelTrim::HasThreshold() const {
  return std::any_of(densities.begin(), densities.end(), [](double density) { return density > 0 && density < 1; });
}

uint32_t ModelTrim::MostPasses() const {
  return (HasThreshold() ? 2u : 0u) + (HasThreshold() && !keeps_all_ties ? 1u : 0u) + (votes ? 1u : 0u);
}

std::vector<ModelTrim> FindModelTrims(const Plan& plan) {
  std::map<std::optional<uint32_t>, ModelTrim> by_stage;
  for (uint64_t i = 0; i < plan.items.size(); ++i) {
    const PlanItem& item = plan.items[i];
    if (!TrimsWholeModel(item)) continue;
    ModelTrim& trim = by_stage[item.stage];
    trim.items.push_back(i);
    trim.keeps_all_ties = trim.keeps_all_ties || ChoiceOf(item.job, "tie_break") == "keep_all";
    trim.votes = trim.votes || ChoiceOf(item.job, "zero_sign") == "majority";
    ForEachModel(item, [&](uint32_t model, double density, uint32_t) {
      if (model >= trim.densities.size()) trim.densities.resize(model + 1, 1);
      trim.densities[model] = density;
    });
  }
  std::vector<ModelTrim> trims;
  for (auto& [stage, trim] : by_stage) {
    std::sort(trim.items.begin(), trim.items.end(),
              [&](uint64_t a, uint64_t b) { return plan.items[a].name < plan.items[b].name; });
    trims.push_back(std::move(trim));
  }
  return trims;
}

void CheckModelTrims(const std::vector<PlanItem>& items, const InputSet& inputs, bool stages_are_kept,
                     PlanFindings* findings) {
  std::map<uint32_t, std::pair<double, const PlanItem*>> first;
  std::set<uint32_t> reported;
  bool stage_reported = stages_are_kept;
  for (const PlanItem& item : items) {
    if (!TrimsWholeModel(item)) continue;
    for (const PlanInput& input : item.inputs) {
      if (!inputs.models[input.model].stage || stage_reported) continue;
      stage_reported = true;
      findings->errors.push_back(
          {.code = ErrorCode::kCfgUnsupported,
           .message = fmt::format("trim_scope: model needs the whole of \"{}\" before it merges the first tensor, and "
                                  "another document of this recipe makes that model tensor by tensor",
                                  inputs.models[input.model].reference),
           .help = "merge with --keep-stages DIR, which writes every stage before the next one reads it, or use "
                   "trim_scope: tensor"});
    }
    ForEachModel(item, [&](uint32_t model, double density, uint32_t input) {
      const auto [known, is_new] = first.emplace(model, std::pair(density, &item));
      if (is_new || known->second.first == density || !reported.insert(model).second) return;
      findings->errors.push_back(
          {.code = ErrorCode::kCfgRange,
           .message = fmt::format("trim_scope: model keeps one density of the whole model, and the tensors of \"{}\" "
                                  "have several",
                                  inputs.models[item.inputs[input].model].reference),
           .found = fmt::format("{} for \"{}\", {} for \"{}\"", known->second.first, known->second.second->name,
                                density, item.name),
           .expected = "the same density for every tensor of a model",
           .help = "give one value instead of a gradient or filters, or use trim_scope: tensor"});
    });
  }
}

}  // namespace gpumerge
