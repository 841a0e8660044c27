// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a slice is reported at its place in the recipe.
#include "src/plan/slice_checks.h"

#include <algorithm>

namespace gpumerge {
namespace {

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

}  // namespace

std::optional<uint32_t> FindSource(const Slice& slice, uint32_t model) {
  for (uint32_t i = 0; i < slice.sources.size(); ++i)
    if (slice.sources[i].model == model) return i;
  return std::nullopt;
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

}  // namespace gpumerge
