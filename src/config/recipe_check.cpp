// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whether a recipe makes sense as a whole; see recipe.h. What needs the models' files (layer counts, names that filters
// match) is the plan's business.
#include "src/config/model_reference.h"
#include "src/config/recipe.h"
#include "src/config/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

struct Input {
  const ModelRef* model = nullptr;
  const Settings* own = nullptr;  // nullptr: not listed, so it has no parameters of its own
  std::string identity;
};

// What is merged with each other: all of `models`, or the sources of one slice.
struct Group {
  std::vector<Input> inputs{};
  const ModelRef* base = nullptr;
  const Settings* slice_parameters = nullptr;
  const Settings* module_parameters = nullptr;
  Location at{};
  bool is_slice = false;
};

bool HasValue(const Settings* settings, std::string_view name) {
  if (settings == nullptr) return false;
  return std::any_of(settings->begin(), settings->end(), [&](const Setting& setting) {
    return setting.name == name &&
           std::any_of(setting.conditions.begin(), setting.conditions.end(),
                       [](const ConditionalValue& condition) { return !condition.values.empty(); });
  });
}

class RecipeChecker {
 public:
  RecipeChecker(const MergeConfig& config, RecipeContext& context) : config_(config), context_(context) {}

  void Check() {
    for (Group& group : MakeGroups()) {
      if (context_.method == nullptr) continue;
      CheckBaseListedTwice(group);
      CheckAgainstMethod(group);
    }
    for (const SliceEntry* slice : AllSlices()) CheckRanges(*slice);
    if (context_.method != nullptr) CheckBaseGiven();
    if (config_.tokenizer_from_base && !config_.base_model) {
      Add(context_.tokenizer_source_at, ErrorCode::kCfgMissing, "'tokenizer_source: base' but there is no 'base_model'",
          "name the model whose tokenizer to take: 'tokenizer_source: <model>'");
    }
  }

 private:
  void Add(Location at, ErrorCode code, std::string message, std::string help) {
    context_.findings.AddError(at, {.code = code, .message = std::move(message), .help = std::move(help)});
  }

  bool NeedsBase() const { return context_.method->base == BaseUse::kRequired; }
  // Whether a configured base_model is the method's base, not one more input.
  bool HasBaseRole() const { return context_.method->base != BaseUse::kOrdinaryInput; }

  bool HasPresetValue(const Settings* settings, std::string_view name) const {
    const Preset* preset = settings != nullptr ? FindPreset(*settings, context_.method->presets) : nullptr;
    return preset != nullptr && PresetValueOf(*preset, name).has_value();
  }

  std::vector<const SliceEntry*> AllSlices() const {
    std::vector<const SliceEntry*> slices;
    for (const SliceEntry& slice : config_.slices) slices.push_back(&slice);
    for (const ModuleEntry& module : config_.modules)
      for (const SliceEntry& slice : module.slices) slices.push_back(&slice);
    return slices;
  }

  std::vector<Group> MakeGroups() const {
    std::vector<Group> groups;
    AddGroups(config_, nullptr, context_.inputs_at, &groups);
    for (const ModuleEntry& module : config_.modules) AddGroups(module, &module.parameters, module.at, &groups);
    return groups;
  }

  // Of a recipe or a module of it; at: of its models.
  template <class Owner>
  void AddGroups(const Owner& owner, const Settings* module_parameters, Location at, std::vector<Group>* groups) const {
    if (!owner.models.empty()) {
      Group group{.base = config_.base_model ? &*config_.base_model : nullptr,
                  .module_parameters = module_parameters,
                  .at = at};
      for (const ModelEntry& entry : owner.models)
        group.inputs.push_back({&entry.model, &entry.parameters, ModelIdentity(entry.model)});
      groups->push_back(std::move(group));
    }
    for (const SliceEntry& slice : owner.slices) {
      if (slice.sources.empty()) continue;  // reported when it was read
      const std::optional<ModelRef>& base = slice.base_model ? slice.base_model : config_.base_model;
      Group group{.base = base ? &*base : nullptr,
                  .slice_parameters = &slice.parameters,
                  .module_parameters = module_parameters,
                  .at = slice.at,
                  .is_slice = true};
      for (const SourceEntry& source : slice.sources)
        group.inputs.push_back({&source.model, &source.parameters, ModelIdentity(source.model)});
      groups->push_back(std::move(group));
    }
  }

  // Any other model may be listed twice: they are two inputs. Of two bases nobody can tell which one is meant.
  void CheckBaseListedTwice(const Group& group) {
    if (group.base == nullptr || !HasBaseRole()) return;
    const std::string base = ModelIdentity(*group.base);
    const Input* first = nullptr;
    for (const Input& input : group.inputs) {
      if (input.identity != base) continue;
      if (first != nullptr) {
        Add(input.model->at, ErrorCode::kCfgDuplicateModel,
            fmt::format("the base model {} is listed twice in one merge: lines {} and {}", DescribeModel(*input.model),
                        first->model->at.line, input.model->at.line),
            "list it once; it differs from itself by nothing");
        return;
      }
      first = &input;
    }
  }

  void CheckAgainstMethod(Group& group) {
    const std::string base_identity = group.base != nullptr ? ModelIdentity(*group.base) : "";
    const auto is_base = [&](const Input& input) { return group.base != nullptr && input.identity == base_identity; };
    const auto listed_base = std::find_if(group.inputs.begin(), group.inputs.end(), is_base);
    const bool base_is_listed = listed_base != group.inputs.end();
    const bool slice_lacks_base = HasBaseRole() && group.is_slice && group.base != nullptr && !base_is_listed;
    if (HasBaseRole()) {
      if (slice_lacks_base) {
        Add(group.at, ErrorCode::kCfgMissing,
            fmt::format("base_model {} is not among the sources of this slice", DescribeModel(*group.base)),
            "add it as a source with its layer_range");
      }
      if (base_is_listed) {
        WarnOfBaseParameters(*listed_base);
        group.inputs.erase(listed_base);
      }
    } else if (group.base != nullptr && !base_is_listed && !group.is_slice) {
      group.inputs.push_back({group.base, nullptr, base_identity});
    }
    const bool base_is_unknown = NeedsBase() && group.base == nullptr;  // reported elsewhere
    if (!slice_lacks_base && !base_is_unknown) CheckCount(group, base_is_listed);
    for (const ParamSpec& spec : context_.method->params) CheckRequired(spec, group);
  }

  void WarnOfBaseParameters(const Input& base) {
    for (const Setting& setting : *base.own) {
      const auto& params = context_.method->params;
      const bool is_of_models = std::any_of(params.begin(), params.end(), [&](const ParamSpec& spec) {
        return spec.name == setting.name && spec.scope == ParamScope::kPerModel && spec.effect == ParamEffect::kUsed;
      });
      if (!is_of_models) continue;
      context_.findings.AddWarning(
          setting.at,
          {.code = ErrorCode::kCfgNoEffect,
           .message = fmt::format("parameter '{}' of the base model {} changes nothing", setting.name,
                                  DescribeModel(*base.model)),
           .help = fmt::format("'{}' merges the other models' differences from the base", context_.method->name)});
    }
  }

  void CheckCount(const Group& group, bool base_is_listed) {
    const MethodInfo& method = *context_.method;
    const size_t n = group.inputs.size();
    if (n >= method.min_models && n <= method.max_models) return;
    const std::string wanted = method.min_models == method.max_models ? fmt::format("exactly {}", method.min_models)
                               : n < method.min_models                ? fmt::format("at least {}", method.min_models)
                                                                      : fmt::format("at most {}", method.max_models);
    const char* besides = HasBaseRole() && (NeedsBase() || group.base != nullptr) ? " besides the base" : "";
    const std::string place = group.is_slice ? "this slice has" : "there are";
    Diagnostic diagnostic{.code = ErrorCode::kCfgRange,
                          .message = fmt::format("method '{}' merges {} model{}{}, but {} {}", method.name, wanted,
                                                 wanted.ends_with(" 1") ? "" : "s", besides, place, n),
                          .found = fmt::format("{}", n),
                          .expected = wanted};
    if (group.base != nullptr && !base_is_listed) {
      const std::string base = DescribeModel(*group.base);
      if (HasBaseRole()) diagnostic.help = fmt::format("base_model {} is none of those listed", base);
      if (!HasBaseRole() && !group.is_slice)
        diagnostic.help =
            fmt::format("base_model {} is one more input of '{}'; remove it, or list fewer models", base, method.name);
    }
    context_.findings.AddError(group.at, std::move(diagnostic));
  }

  void CheckRequired(const ParamSpec& spec, const Group& group) {
    for (const Settings* level : {&config_.parameters, group.module_parameters, group.slice_parameters})
      if (HasValue(level, spec.name) || HasPresetValue(level, spec.name)) return;
    if (spec.default_value) return;
    if (std::find(context_.misplaced.begin(), context_.misplaced.end(), spec.name) != context_.misplaced.end()) return;
    const std::string_view method = context_.method->name;
    if (spec.scope == ParamScope::kShared) {
      Add(group.is_slice ? group.at : config_.merge_method_at, ErrorCode::kCfgMissing,
          fmt::format("method '{}' needs parameter '{}', which is not given", method, spec.name),
          fmt::format("add it to the top-level parameters: {{{}: ...}}: {}", spec.name, spec.help));
      return;
    }
    std::vector<const Input*> lacking;
    for (const Input& input : group.inputs)
      if (!HasValue(input.own, spec.name)) lacking.push_back(&input);
    // A base that is not named as such is listed without parameters.
    if (NeedsBase() && group.base == nullptr && lacking.size() == 1) return;
    for (const Input* input_lacking : lacking) {
      const Input& input = *input_lacking;
      const std::string model = DescribeModel(*input.model);
      std::string help =
          fmt::format("add 'parameters: {{{}: ...}}' to its entry, or to the top level for all models", spec.name);
      if (input.own == nullptr) {
        help = fmt::format(
            "base_model is one more input of '{}': list it under 'models' with its {}, give a top-level "
            "{}, or remove base_model",
            method, spec.name, spec.name);
      }
      Add(input.model->at, ErrorCode::kCfgMissing,
          fmt::format("model {} has no '{}', which method '{}' needs", model, spec.name, method), std::move(help));
    }
  }

  void CheckRanges(const SliceEntry& slice) {
    if (slice.sources.empty()) return;
    const SourceEntry& first = slice.sources.front();
    const uint64_t n_layers = first.layer_end - first.layer_begin;
    for (const SourceEntry& source : slice.sources) {
      const uint64_t n = source.layer_end - source.layer_begin;
      if (n == n_layers) continue;
      Add(source.range_at, ErrorCode::kCfgLayers,
          fmt::format("the sources of a slice must have equally many layers: {} has {}, {} has {}",
                      DescribeModel(first.model), n_layers, DescribeModel(source.model), n),
          "");
    }
  }

  void CheckBaseGiven() {
    if (!HasBaseRole()) {
      for (const SliceEntry* slice : AllSlices()) {
        if (!slice->base_model) continue;
        context_.findings.AddWarning(
            slice->base_model->at,
            {.code = ErrorCode::kCfgNoEffect,
             .message = fmt::format("a slice's 'base_model' changes nothing with method '{}'", context_.method->name),
             .help = "remove it, or list the model among the sources"});
      }
      return;
    }
    if (config_.base_model || !NeedsBase()) return;
    const std::vector<const SliceEntry*> slices = AllSlices();
    const bool is_all_slices =
        config_.models.empty() && std::all_of(config_.modules.begin(), config_.modules.end(),
                                              [](const ModuleEntry& module) { return module.models.empty(); });
    const bool every_slice_has_one = is_all_slices && !slices.empty() &&
                                     std::all_of(slices.begin(), slices.end(),
                                                 [](const SliceEntry* slice) { return slice->base_model.has_value(); });
    if (every_slice_has_one) return;
    Add(config_.merge_method_at, ErrorCode::kCfgMissing,
        fmt::format("method '{}' needs 'base_model', which is not given", context_.method->name),
        "add 'base_model: <the model that the others were fine-tuned from>'");
  }

  const MergeConfig& config_;
  RecipeContext& context_;
};

}  // namespace

void CheckRecipe(const MergeConfig& config, RecipeContext& context) { RecipeChecker(config, context).Check(); }

}  // namespace gpumerge
