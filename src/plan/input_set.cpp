// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From `models:`, `slices:` or `modules:` to slices of opened models, each module by itself.
#include "src/plan/input_set.h"

#include "src/plan/config_json.h"
#include "src/plan/modules.h"
#include "src/plan/opener.h"
#include "src/plan/slice_checks.h"

#include <algorithm>
#include <map>
#include <utility>

namespace gpumerge {
namespace {

// Sources whose model cannot be had are left out; the opener keeps the reason.
// Of a recipe or a module of it.
template <class Owner>
void OpenSlices(const Owner& owner, Opener* opener, InputSet* inputs) {
  inputs->is_sliced = !owner.slices.empty();
  Slice all_layers;
  for (const ModelEntry& entry : owner.models) {
    if (const std::optional<uint32_t> model = opener->Open(entry.model))
      all_layers.sources.push_back({*model, 0, 0, 0, &entry.parameters, entry.model.at});
  }
  if (!inputs->is_sliced) inputs->slices.push_back(std::move(all_layers));
  for (const SliceEntry& entry : owner.slices) {
    Slice slice;
    slice.parameters = &entry.parameters;
    slice.at = entry.at;
    for (const SourceEntry& source : entry.sources) {
      if (const std::optional<uint32_t> model = opener->Open(source.model))
        slice.sources.push_back({*model, 0, source.layer_begin, source.layer_end, &source.parameters, source.range_at});
    }
    inputs->slices.push_back(std::move(slice));
  }
}

void OpenSliceBases(const std::vector<SliceEntry>& slices, Opener* opener) {
  for (const SliceEntry& slice : slices)
    if (slice.base_model) opener->Open(*slice.base_model);
}

// See SliceSource::place.
void NumberPlaces(InputSet* inputs) {
  std::vector<std::pair<uint32_t, uint32_t>> places;  // model, and how often it was listed before in the same slice
  for (Slice& slice : inputs->slices) {
    std::map<uint32_t, uint32_t> n_listed;
    for (SliceSource& source : slice.sources) {
      const std::pair place{source.model, n_listed[source.model]++};
      const auto known = std::find(places.begin(), places.end(), place);
      source.place = static_cast<uint32_t>(known - places.begin());
      if (known == places.end()) places.push_back(place);
    }
  }
}

// Finds the base among the sources of each slice; for `models:` appends it.
// entries: the recipe's or module's.
void PlaceBase(const MergeConfig& config, const std::vector<SliceEntry>& entries, const MethodInfo& method,
               InputSet* inputs, Opener* opener, PlanFindings* findings) {
  if (!inputs->is_sliced && inputs->base && !FindSource(inputs->slices[0], *inputs->base))
    inputs->slices[0].sources.push_back({*inputs->base, 0, 0, 0, nullptr, config.base_model->at});
  if (method.base == BaseUse::kOrdinaryInput) return;
  for (size_t i = 0; i < inputs->slices.size(); ++i) {
    Slice& slice = inputs->slices[i];
    std::optional<uint32_t> base = inputs->base;
    const ModelRef* reference = config.base_model ? &*config.base_model : nullptr;
    if (inputs->is_sliced && entries[i].base_model) {
      reference = &*entries[i].base_model;
      base = opener->Open(*reference);
      if (!base) continue;
    }
    if (!base && method.base == BaseUse::kOptional) continue;
    if (!base) {
      findings->errors.push_back({.code = ErrorCode::kCfgMissing,
                                  .message = fmt::format("merge_method {} needs a base_model", method.name),
                                  .where = Where(config, config.merge_method_at),
                                  .help = "add `base_model: <the model that the others were tuned from>`"});
      return;
    }
    slice.base = FindSource(slice, *base);
    if (slice.base) continue;
    findings->errors.push_back({.code = ErrorCode::kCfgMissing,
                                .message = fmt::format("the base_model \"{}\" is not among the sources of slice {}",
                                                       ReferenceText(*reference), i + 1),
                                .where = Where(config, slice.at),
                                .help = "add it to the slice's sources with the layer_range that it contributes"});
  }
}

// A module's layers are as many as config.json states for it; where that fits nothing, its names decide.
ModelLayout LayoutOf(const MergeConfig& config, const InputSet& inputs, const InputModel& model) {
  const std::vector<ModelTensor>& tensors = model.files.tensors;
  if (inputs.module == nullptr) return FindLayout(tensors, model.config, config.layer_pattern);
  if (config.layer_pattern) {
    ModelLayout layout = FindLayout(tensors, std::nullopt, config.layer_pattern);
    if (layout.stack) return layout;  // else it is another module's
  }
  const std::optional<ConfigDepth> depth = FindModuleDepth(model.config, inputs.module->name);
  if (depth) {
    ModelLayout layout = FindLayout(tensors, depth->n_layers, std::nullopt);
    if (layout.stack) return layout;
  }
  return FindLayout(tensors, std::nullopt, std::nullopt);
}

// `models:` take all layers of the donor's stack, so that a model of another depth shows as missing or extra tensors;
// `slices:` name layers of each model's own stack.
void FindLayouts(const MergeConfig& config, InputSet* inputs) {
  InputModel& donor = inputs->models[inputs->donor];
  donor.layout = LayoutOf(config, *inputs, donor);
  for (InputModel& model : inputs->models) {
    if (&model == &donor) continue;
    if (inputs->is_sliced) {
      model.layout = LayoutOf(config, *inputs, model);
    } else {
      model.layout = PlaceInStack(model.files.tensors, donor.layout.stack);
    }
  }
  if (inputs->is_sliced || inputs->slices.empty()) return;
  const uint64_t n_layers = donor.layout.layers.size();
  for (SliceSource& source : inputs->slices[0].sources) source.layer_end = n_layers;
}

// A recipe from a file was checked when it was loaded; a program may make any.
void CheckShape(const MergeConfig& config) {
  const auto has_empty_slice = [](const auto& owner) {
    return std::any_of(owner.slices.begin(), owner.slices.end(),
                       [](const SliceEntry& slice) { return slice.sources.empty(); });
  };
  const auto has_one = [](const auto& owner) { return owner.models.empty() != owner.slices.empty(); };
  bool empty_slice = has_empty_slice(config);
  bool is_whole = config.modules.empty() ? has_one(config) : config.models.empty() && config.slices.empty();
  bool any_kept = config.modules.empty();
  for (const ModuleEntry& module : config.modules) {
    empty_slice |= has_empty_slice(module);
    is_whole &= module.drop || has_one(module);
    any_kept |= !module.drop;
  }
  if (is_whole && any_kept && !empty_slice) return;
  throw Error({.code = ErrorCode::kCfgChoice,
               .message = empty_slice ? "a slice has no sources"
                          : any_kept  ? "exactly one of models and slices is needed"
                                      : "every module is dropped",
               .where = config.file});
}

uint32_t ChooseTokenizer(const MergeConfig& config, const InputSet& inputs, Opener* opener, PlanFindings* findings) {
  if (config.tokenizer_from_base && !inputs.base) {
    findings->errors.push_back({.code = ErrorCode::kCfgMissing,
                                .message = "tokenizer_source: base needs a base_model",
                                .where = config.file,
                                .help = "add base_model, or name the model whose tokenizer to copy"});
  }
  if (config.tokenizer_source && !config.tokenizer_from_base)
    return opener->Open(*config.tokenizer_source).value_or(inputs.donor);
  return inputs.donor;
}

// Everything but the models: what can be said of the slices once the models are open.
void Prepare(const MergeConfig& config, const std::vector<SliceEntry>& entries, const MethodInfo& method,
             InputSet* inputs, Opener* opener, PlanFindings* findings) {
  PlaceBase(config, entries, method, inputs, opener, findings);
  NumberPlaces(inputs);
  CheckCounts(config, *inputs, method, findings);
  FindLayouts(config, inputs);
  if (inputs->module == nullptr) CheckStatedDepths(config, *inputs, findings);
  CheckSlices(config, *inputs, findings);
}

void OpenModules(const MergeConfig& config, Opener* opener, InputSet* inputs) {
  for (const ModuleEntry& module : config.modules) {
    if (module.drop) continue;
    InputSet part;
    part.module = &module;
    OpenSlices(module, opener, &part);
    inputs->is_sliced |= part.is_sliced;
    inputs->modules.push_back(std::move(part));
  }
}

void PrepareModules(const MergeConfig& config, const MethodInfo& method, InputSet* inputs, Opener* opener,
                    PlanFindings* findings) {
  SplitModules(config, inputs, findings);
  for (InputSet& part : inputs->modules) {
    // The module of the recipe's donor decides, unless that model has no part in it.
    const bool has_donor = FindSource(part.slices[0], inputs->donor) || inputs->base;
    part.donor = has_donor ? inputs->donor : part.slices[0].sources[0].model;
    part.tokenizer = inputs->tokenizer;
    Prepare(config, part.module->slices, method, &part, opener, findings);
  }
  FindLayouts(config, inputs);
}

}  // namespace

InputSet OpenInputs(const MergeConfig& config, const PlanOptions& options, const MethodInfo& method,
                    const OpenStage& open_stage, PlanFindings* findings) {
  CheckShape(config);
  InputSet inputs;
  Opener opener(config, options, open_stage, &inputs.models);
  if (config.modules.empty())
    OpenSlices(config, &opener, &inputs);
  else
    OpenModules(config, &opener, &inputs);
  if (config.base_model) inputs.base = opener.Open(*config.base_model);
  OpenSliceBases(config.slices, &opener);
  for (const ModuleEntry& module : config.modules) OpenSliceBases(module.slices, &opener);
  inputs.donor = inputs.base.value_or(0);
  inputs.tokenizer = ChooseTokenizer(config, inputs, &opener, findings);
  opener.ThrowIfErrors();
  if (config.modules.empty())
    Prepare(config, config.slices, method, &inputs, &opener, findings);
  else
    PrepareModules(config, method, &inputs, &opener, findings);
  for (uint32_t i = 0; i < inputs.models.size(); ++i) {
    const ModelFiles& files = inputs.models[i].files;
    findings->warnings.insert(findings->warnings.end(), files.warnings.begin(), files.warnings.end());
    for (const std::string& name : files.unlisted) findings->dropped.push_back({name, i});
  }
  return inputs;
}

std::vector<const InputSet*> PartsOf(const InputSet& inputs) {
  std::vector<const InputSet*> parts;
  for (const InputSet& part : inputs.modules) parts.push_back(&part);
  if (parts.empty()) parts.push_back(&inputs);
  return parts;
}

}  // namespace gpumerge
