// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The contract of a method holds for what is left as it does for the whole: enough models, and its base.
#include "src/plan/missing.h"

#include <algorithm>

namespace gpumerge {

bool MissingTensors::Settle(TensorGroup* group) {
  const auto is_there = [](const GroupInput& input) { return input.tensor != nullptr; };
  if (std::all_of(group->inputs.begin(), group->inputs.end(), is_there)) return true;
  const std::string lacking = NamesWithout(*group);
  return config_.missing == MissingPolicy::kBase ? SettleByBase(lacking, group) : SettleByPresent(lacking, group);
}

bool MissingTensors::SettleByPresent(const std::string& lacking, TensorGroup* group) {
  const bool had_base = group->base.has_value();
  const bool has_base = had_base && group->inputs[*group->base].tensor != nullptr;
  const SliceSource* base = has_base ? group->inputs[*group->base].source : nullptr;
  std::vector<GroupInput> present;
  for (const GroupInput& input : group->inputs)
    if (input.tensor != nullptr) present.push_back(input);
  const size_t n_models = present.size() - (has_base ? 1 : 0);
  const bool is_enough = n_models >= method_.min_models && has_base == had_base;
  const bool is_copy = present.size() == 1 && (has_base || method_.copies_lone_input);
  if (!is_enough && !is_copy) {
    if (had_base && !has_base) return Refuse(*group, fmt::format("the base lacks it, as {} does", lacking));
    return Refuse(*group, fmt::format("{} lacks it, and {} needs more models than are left", lacking, method_.name));
  }
  group->inputs = std::move(present);
  group->base.reset();
  for (uint32_t i = 0; has_base && i < group->inputs.size(); ++i)
    if (group->inputs[i].source == base) group->base = i;
  group->is_lone = !is_enough;
  group->remark = group->is_lone
                      ? fmt::format("only \"{}\" has it", inputs_.models[group->inputs[0].model].files.location.name)
                      : fmt::format("without {}, which lacks it", lacking);
  return true;
}

bool MissingTensors::SettleByBase(const std::string& lacking, TensorGroup* group) {
  std::optional<uint32_t> base = group->base;
  for (uint32_t i = 0; !base && i < group->inputs.size(); ++i)
    if (inputs_.base == group->inputs[i].source->model) base = i;
  if (!base) return Refuse(*group, fmt::format("{} lacks it, and there is no base_model to stand in", lacking));
  const GroupInput stand_in = group->inputs[*base];
  if (stand_in.tensor == nullptr) return Refuse(*group, fmt::format("the base lacks it, as {} does", lacking));
  for (GroupInput& input : group->inputs) {
    if (input.tensor != nullptr) continue;
    const SliceSource* source = input.source;
    input = stand_in;
    input.source = source;
  }
  group->remark = fmt::format("the base stands in for {}, which lacks it", lacking);
  return true;
}

bool MissingTensors::Refuse(const TensorGroup& group, std::string why) {
  refused_[std::move(why)].push_back(group.name);
  return false;
}

std::string MissingTensors::NamesWithout(const TensorGroup& group) const {
  std::vector<std::string> names;
  for (const GroupInput& input : group.inputs)
    if (input.tensor == nullptr)
      names.push_back(fmt::format("\"{}\"", inputs_.models[input.source->model].files.location.name));
  return ListSome(names);
}

void MissingTensors::Report(PlanFindings* findings) const {
  for (const auto& [why, names] : refused_) {
    findings->errors.push_back(
        {.code = ErrorCode::kMmMissing,
         .message = fmt::format("{} cannot be merged from the models that have {}: {}",
                                names.size() == 1 ? "1 tensor" : fmt::format("{} tensors", names.size()),
                                names.size() == 1 ? "it" : "them", ListSome(names)),
         .where = config_.file,
         .found = why,
         .expected = fmt::format("enough models for {}", method_.name),
         .help = config_.missing == MissingPolicy::kBase
                     ? "`missing: present` merges the models that have a tensor"
                     : "`missing: base` takes the base's tensor for a model that lacks it"});
  }
}

}  // namespace gpumerge
