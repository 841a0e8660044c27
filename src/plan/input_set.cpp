// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Opening models. Two references to one place are one model, however they are written.
#include "src/plan/input_set.h"

#include "src/plan/config_json.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>
#include <utility>

namespace gpumerge {
namespace {

std::string ReferenceText(const ModelRef& reference) {
  return reference.text + (reference.literal_path && reference.revision ? "@" + *reference.revision : "");
}

std::string IdentityOf(const ModelLocation& location) {
  std::error_code error;
  const std::string& place = location.weights_path.empty() ? location.directory : location.weights_path;
  const std::filesystem::path canonical = std::filesystem::canonical(place, error);
  return error ? place : canonical.string();
}

JsonDocument ConfigOf(const ModelFiles& files, const std::string& reference) {
  if (!files.config_json) {
    throw Error({.code = ErrorCode::kConfigField,
                 .message = fmt::format("the model \"{}\" has no config.json", reference),
                 .where = files.location.directory,
                 .found = "weights without a config.json",
                 .expected = "a Hugging Face model directory",
                 .help = "put the model's config.json beside its weights"});
  }
  JsonDocument config(*files.config_json, files.location.directory + "/config.json");
  if (!config.GetRaw({})->starts_with('{')) {
    throw Error({.code = ErrorCode::kConfigField,
                 .message = fmt::format("the config.json of \"{}\" is not an object", reference),
                 .where = config.file(),
                 .found = config.GetRaw({})->substr(0, 40),
                 .expected = "an object: {\"model_type\": ...}",
                 .help = "put the model's own config.json beside its weights"});
  }
  return config;
}

// Finds and opens the models of a recipe, each once.
class Opener {
 public:
  Opener(const MergeConfig& config, const PlanOptions& options, const OpenStage& open_stage,
         std::vector<InputModel>* models)
      : config_(config), options_(options), open_stage_(open_stage), models_(*models) {}

  // The model's index, or nullopt when it cannot be had (the error is kept).
  std::optional<uint32_t> Open(const ModelRef& reference) {
    const std::string text = ReferenceText(reference);
    const std::tuple key{text, reference.literal_path, reference.is_stage};
    const auto known = by_text_.find(key);
    if (known != by_text_.end()) return known->second;
    const std::optional<uint32_t> model = OpenNew(reference, text);
    by_text_[key] = model;
    return model;
  }

  void ThrowIfErrors() const {
    if (!errors_.empty()) throw Error(errors_);
  }

 private:
  std::optional<uint32_t> OpenNew(const ModelRef& reference, const std::string& text) {
    try {
      if (reference.is_stage) {
        const StageModel& stage = open_stage_(reference);
        return Add({text, "document " + text, stage.number, stage.files, ConfigOf(stage.files, text), {}});
      }
      const ModelLocation location = LocateModel(reference, options_.hub_cache, Where(config_, reference.at));
      const std::string identity = IdentityOf(location);
      const auto known = by_identity_.find(identity);
      if (known != by_identity_.end()) return known->second;
      ModelFiles files = OpenModel(location);
      JsonDocument model_config = ConfigOf(files, text);
      const uint32_t index = Add({text, identity, {}, std::move(files), std::move(model_config), {}});
      by_identity_[identity] = index;
      return index;
    } catch (const Error& error) {
      for (const Diagnostic& problem : error.diagnostics()) AddOnce(problem, &errors_);
      return std::nullopt;
    }
  }

  uint32_t Add(InputModel model) {
    models_.push_back(std::move(model));
    return static_cast<uint32_t>(models_.size() - 1);
  }

  const MergeConfig& config_;
  const PlanOptions& options_;
  const OpenStage& open_stage_;
  std::vector<InputModel>& models_;
  std::map<std::tuple<std::string, bool, bool>, std::optional<uint32_t>> by_text_;
  std::map<std::string, uint32_t> by_identity_;
  std::vector<Diagnostic> errors_;
};

// Sources whose model cannot be had are left out; the opener keeps the reason.
void OpenSlices(const MergeConfig& config, Opener* opener, InputSet* inputs) {
  Slice all_layers;
  for (const ModelEntry& entry : config.models) {
    if (const std::optional<uint32_t> model = opener->Open(entry.model))
      all_layers.sources.push_back({*model, 0, 0, 0, &entry.parameters, entry.model.at});
  }
  if (!inputs->is_sliced) inputs->slices.push_back(std::move(all_layers));
  for (const SliceEntry& entry : config.slices) {
    Slice slice;
    slice.parameters = &entry.parameters;
    slice.at = entry.at;
    for (const SourceEntry& source : entry.sources) {
      if (const std::optional<uint32_t> model = opener->Open(source.model))
        slice.sources.push_back({*model, 0, source.layer_begin, source.layer_end, &source.parameters, source.range_at});
    }
    inputs->slices.push_back(std::move(slice));
  }
  if (config.base_model) inputs->base = opener->Open(*config.base_model);
  for (const SliceEntry& entry : config.slices)
    if (entry.base_model) opener->Open(*entry.base_model);
}

std::optional<uint32_t> FindSource(const Slice& slice, uint32_t model) {
  for (uint32_t i = 0; i < slice.sources.size(); ++i)
    if (slice.sources[i].model == model) return i;
  return std::nullopt;
}

// Whether two settings are the same but for their places.
bool SameSettings(const Settings& a, const Settings& b) {
  const auto same_value = [](const Scalar& x, const Scalar& y) { return x.value == y.value; };
  const auto same_condition = [&](const ConditionalValue& x, const ConditionalValue& y) {
    return x.filter == y.filter &&
           std::equal(x.values.begin(), x.values.end(), y.values.begin(), y.values.end(), same_value);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const Setting& x, const Setting& y) {
    return x.name == y.name && std::equal(x.conditions.begin(), x.conditions.end(), y.conditions.begin(),
                                          y.conditions.end(), same_condition);
  });
}

// A model listed twice is two inputs. Alike in everything it is more likely a slip, and a second base is an error.
void CheckTwice(const MergeConfig& config, const InputSet& inputs, const Slice& slice, PlanFindings* findings) {
  for (size_t i = 0; i < slice.sources.size(); ++i) {
    const SliceSource& source = slice.sources[i];
    const SliceSource& first = slice.sources[*FindSource(slice, source.model)];
    if (&first == &source) continue;
    const bool is_base = slice.base && slice.sources[*slice.base].model == source.model;
    const bool is_alike = source.layer_begin == first.layer_begin && source.parameters != nullptr &&
                          first.parameters != nullptr && SameSettings(*source.parameters, *first.parameters);
    if (!is_base && !is_alike) continue;
    (is_base ? findings->errors : findings->warnings)
        .push_back(
            {.code = ErrorCode::kCfgDuplicateModel,
             .message = fmt::format("{} \"{}\" is listed twice in one {}{}", is_base ? "the base model" : "the model",
                                    inputs.models[source.model].reference, inputs.is_sliced ? "slice" : "merge",
                                    is_base ? "" : " with the same parameters"),
             .where = Where(config, source.at),
             .found = "also at " + Where(config, first.at),
             .help = is_base ? "list it once" : "it counts as two inputs; list it once if that is not meant"});
  }
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
void PlaceBase(const MergeConfig& config, const MethodInfo& method, InputSet* inputs, Opener* opener,
               PlanFindings* findings) {
  if (!inputs->is_sliced && inputs->base && !FindSource(inputs->slices[0], *inputs->base))
    inputs->slices[0].sources.push_back({*inputs->base, 0, 0, 0, nullptr, config.base_model->at});
  if (method.base == BaseUse::kOrdinaryInput) return;
  for (size_t i = 0; i < inputs->slices.size(); ++i) {
    Slice& slice = inputs->slices[i];
    std::optional<uint32_t> base = inputs->base;
    const ModelRef* reference = config.base_model ? &*config.base_model : nullptr;
    if (inputs->is_sliced && config.slices[i].base_model) {
      reference = &*config.slices[i].base_model;
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

void CheckCounts(const MergeConfig& config, const InputSet& inputs, const MethodInfo& method, PlanFindings* findings) {
  for (const Slice& slice : inputs.slices) {
    const size_t n_models = slice.sources.size() - (slice.base ? 1 : 0);
    if (n_models >= method.min_models && n_models <= method.max_models) continue;
    const std::string expected = method.min_models == method.max_models ? fmt::format("{}", method.min_models)
                                 : n_models < method.min_models         ? fmt::format("at least {}", method.min_models)
                                                                        : fmt::format("at most {}", method.max_models);
    const bool base_counts = method.base == BaseUse::kOrdinaryInput && inputs.base && !inputs.is_sliced;
    findings->errors.push_back(
        {.code = ErrorCode::kCfgRange,
         .message = fmt::format("merge_method {} cannot merge this number of models", method.name),
         .where = Where(config, inputs.is_sliced ? slice.at : config.merge_method_at),
         .found = Plural(n_models, "model") + (base_counts ? ", base_model being one of them" : ""),
         .expected = expected + (slice.base ? " besides base_model" : "")});
  }
}

// `models:` take all layers of the donor's stack, so that a model of another depth shows as missing or extra tensors;
// `slices:` name layers of each model's own stack.
void FindLayouts(const MergeConfig& config, InputSet* inputs) {
  InputModel& donor = inputs->models[inputs->donor];
  donor.layout = FindLayout(donor.files.tensors, donor.config, config.layer_pattern);
  for (InputModel& model : inputs->models) {
    if (&model == &donor) continue;
    if (inputs->is_sliced) {
      model.layout = FindLayout(model.files.tensors, model.config, config.layer_pattern);
    } else {
      model.layout = PlaceInStack(model.files.tensors, donor.layout.stack);
    }
  }
  if (inputs->is_sliced) return;
  const uint64_t n_layers = donor.layout.layers.size();
  for (SliceSource& source : inputs->slices[0].sources) source.layer_end = n_layers;
}

void CheckSlice(const MergeConfig& config, const InputSet& inputs, const Slice& slice, PlanFindings* findings) {
  const auto add = [&](const SliceSource& source, std::string message, std::string found, std::string expected,
                       std::string help) {
    findings->errors.push_back({.code = ErrorCode::kCfgLayers,
                                .message = std::move(message),
                                .where = Where(config, source.at),
                                .found = std::move(found),
                                .expected = std::move(expected),
                                .help = std::move(help)});
  };
  const std::optional<LayerStack>& first = inputs.models[inputs.slices[0].sources[0].model].layout.stack;
  for (const SliceSource& source : slice.sources) {
    const InputModel& model = inputs.models[source.model];
    if (!model.layout.stack) {
      add(source, fmt::format("the layers of \"{}\" cannot be told from its tensors' names", model.reference),
          model.layout.why_no_stack, "",
          "set layer_pattern to what precedes the layer's number, e.g. \"model.layers.\"");
      continue;
    }
    const std::string range = fmt::format("layer_range [{}, {}]", source.layer_begin, source.layer_end);
    if (source.layer_begin > source.layer_end || source.layer_end > model.layout.stack->n_layers) {
      add(source, fmt::format("{} does not fit \"{}\"", range, model.reference), range,
          fmt::format("0 <= begin <= end <= {}, the model's layers", model.layout.stack->n_layers), "");
    } else if (source.layer_end - source.layer_begin != slice.n_layers()) {
      add(source, "the sources of a slice have different numbers of layers",
          Plural(source.layer_end - source.layer_begin, "layer"),
          fmt::format("{}, as the slice's first source", slice.n_layers()), "");
    }
    if (model.layout.n_beyond > 0) {
      add(source,
          fmt::format("\"{}\" has numbered tensors past its last layer, which slices cannot place", model.reference),
          Plural(model.layout.n_beyond, "tensor") + fmt::format(" past layer {}", model.layout.stack->n_layers - 1), "",
          "merge the whole model with `models:` instead");
    }
    if (first && first->prefix != model.layout.stack->prefix) {
      add(source, "the models of the slices name their layers differently", model.layout.stack->prefix, first->prefix,
          "");
    }
  }
}

void CheckSlices(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings) {
  for (const Slice& slice : inputs.slices) {
    CheckTwice(config, inputs, slice, findings);
    if (inputs.is_sliced) CheckSlice(config, inputs, slice, findings);
  }
  if (!inputs.is_sliced) return;
  const Slice& first = inputs.slices.front();
  const Slice& last = inputs.slices.back();
  if (first.sources.size() == last.sources.size()) return;
  findings->errors.push_back(
      {.code = ErrorCode::kCfgLayers,
       .message = "the first and the last slice have different numbers of sources",
       .where = Where(config, last.at),
       .found = fmt::format("{} in the first, {} in the last", first.sources.size(), last.sources.size()),
       .expected = "the same number, since embeddings come from the first slice's models and the head from the last's",
       .help = "add a source (an empty layer_range is allowed), or split the slice"});
}

// A recipe from a file was checked when it was loaded; a program may make any.
void CheckShape(const MergeConfig& config) {
  const bool empty_slice = std::any_of(config.slices.begin(), config.slices.end(),
                                       [](const SliceEntry& slice) { return slice.sources.empty(); });
  if (config.models.empty() != config.slices.empty() && !empty_slice) return;
  throw Error({.code = ErrorCode::kCfgChoice,
               .message = empty_slice ? "a slice has no sources" : "exactly one of models and slices is needed",
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

}  // namespace

InputSet OpenInputs(const MergeConfig& config, const PlanOptions& options, const MethodInfo& method,
                    const OpenStage& open_stage, PlanFindings* findings) {
  CheckShape(config);
  InputSet inputs;
  inputs.is_sliced = !config.slices.empty();
  Opener opener(config, options, open_stage, &inputs.models);
  OpenSlices(config, &opener, &inputs);
  inputs.donor = inputs.base.value_or(0);
  inputs.tokenizer = ChooseTokenizer(config, inputs, &opener, findings);
  opener.ThrowIfErrors();
  PlaceBase(config, method, &inputs, &opener, findings);
  NumberPlaces(&inputs);
  CheckCounts(config, inputs, method, findings);
  FindLayouts(config, &inputs);
  CheckStatedDepths(config, inputs, findings);
  CheckSlices(config, inputs, findings);
  for (const InputModel& model : inputs.models)
    findings->warnings.insert(findings->warnings.end(), model.files.warnings.begin(), model.files.warnings.end());
  return inputs;
}

}  // namespace gpumerge
