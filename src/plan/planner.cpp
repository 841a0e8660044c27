// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From a recipe to a Plan, step by step: open, match, check, lay out. Every step reports all it finds; nothing is read
// but headers and small text files.
#include "src/io/hub_cache.h"
#include "src/io/output_dir.h"
#include "src/plan/config_json.h"
#include "src/plan/groups.h"
#include "src/plan/items.h"
#include "src/plan/output_files.h"
#include "src/plan/params.h"
#include "src/plan/shards.h"
#include "src/plan/tokenizers.h"

#include "gpumerge/config.h"
#include "gpumerge/merge.h"
#include "gpumerge/plan.h"

#include <algorithm>
#include <filesystem>

namespace gpumerge {
namespace {

const MethodRow& MethodOf(const MergeConfig& config) {
  if (const MethodRow* row = FindMethod(config.merge_method)) return *row;
  throw Error({.code = ErrorCode::kCfgMethod,
               .message = fmt::format("unknown merge_method \"{}\"", config.merge_method),
               .where = Where(config, config.merge_method_at),
               .help = "`gpumerge methods` lists them"});
}

void ChooseOutput(const MergeConfig& config, const PlanOptions& options, Plan* plan) {
  std::string chosen;
  if (!options.output_dir.empty()) {
    chosen = options.output_dir;
    plan->output_dir_why = "--out";
  } else if (config.output) {
    chosen = *config.output;
    plan->output_dir_why = "the recipe's output:";
  } else {
    const std::string stem = std::filesystem::path(config.file).stem().string();
    chosen = (stem.empty() ? "model" : stem) + "-merged";
    plan->output_dir_why = "default";
  }
  std::string absolute = std::filesystem::absolute(ExpandHome(chosen)).lexically_normal().string();
  if (absolute.size() > 1 && absolute.ends_with('/')) absolute.pop_back();
  plan->output_dir = std::move(absolute);
}

void CheckOutput(const InputSet& inputs, const PlanOptions& options, const std::string& output_dir,
                 PlanFindings* findings) {
  std::vector<std::string> input_dirs;
  for (const InputModel& model : inputs.models) input_dirs.push_back(model.files.location.directory);
  try {
    CheckOutputApart(output_dir, input_dirs);
    CheckOutputTarget(output_dir, options.overwrite);
  } catch (const Error& error) {
    findings->errors.insert(findings->errors.end(), error.diagnostics().begin(), error.diagnostics().end());
  }
}

// A gradient needs layers to run along.
void CheckGradients(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings) {
  const ModelLayout& layout = inputs.models[inputs.donor].layout;
  if (layout.stack) return;
  const Setting* gradient = FindGradient(config);
  if (gradient == nullptr) {
    findings->notes.push_back("no layers were recognised (" + layout.why_no_stack + "); nothing here depends on them");
    return;
  }
  findings->errors.push_back(
      {.code = ErrorCode::kCfgLayers,
       .message = fmt::format("{} is a gradient, but the models' layers cannot be told from their tensors' names",
                              gradient->name),
       .where = Where(config, gradient->at),
       .found = layout.why_no_stack,
       .help = "set layer_pattern to what precedes the layer's number, e.g. \"model.layers.\""});
}

void CheckVocabularies(const InputSet& inputs, PlanFindings* findings) {
  const bool sizes_differ = std::any_of(findings->errors.begin(), findings->errors.end(),
                                        [](const Diagnostic& error) { return error.code == ErrorCode::kMmVocab; });
  if (sizes_differ) return;  // the tokenizers then differ too; one error says it
  try {
    CheckTokenizers(inputs, findings);
  } catch (const Error& error) {
    findings->errors.insert(findings->errors.end(), error.diagnostics().begin(), error.diagnostics().end());
  }
}

void CheckNotEmpty(const InputSet& inputs, const std::vector<TensorGroup>& groups, PlanFindings* findings) {
  if (!groups.empty() || !findings->errors.empty()) return;
  findings->errors.push_back({.code = ErrorCode::kMmMissing,
                              .message = "there is no tensor to merge",
                              .where = inputs.models[inputs.donor].files.location.directory});
}

void AddModels(const InputSet& inputs, Plan* plan) {
  for (const InputModel& model : inputs.models) {
    const ModelLocation& location = model.files.location;
    plan->models.push_back({model.reference, location.directory, location.name, location.is_hub, location.how});
  }
  plan->donor = inputs.donor;
  plan->base = inputs.base;
}

// Lists the files that items read, in order of models and files, and points the items' inputs at them.
void AddFiles(const InputSet& inputs, Plan* plan) {
  constexpr uint32_t kUnused = UINT32_MAX;
  std::vector<std::vector<uint32_t>> number_of(inputs.models.size());
  for (size_t model = 0; model < inputs.models.size(); ++model)
    number_of[model].assign(inputs.models[model].files.files.size(), kUnused);
  for (const PlanItem& item : plan->items)
    for (const PlanInput& input : item.inputs) number_of[input.model][input.file] = 0;

  for (uint32_t model = 0; model < inputs.models.size(); ++model) {
    for (size_t i = 0; i < number_of[model].size(); ++i) {
      if (number_of[model][i] == kUnused) continue;
      number_of[model][i] = static_cast<uint32_t>(plan->files.size());
      const WeightFile& file = inputs.models[model].files.files[i];
      plan->files.push_back({file.path, model, file.identity.size_bytes, file.identity.device, file.identity.inode,
                             file.identity.mtime_ns, file.identity.ctime_ns});
    }
  }
  for (PlanItem& item : plan->items)
    for (PlanInput& input : item.inputs) input.file = number_of[input.model][input.file];
}

}  // namespace

Plan PlanMerge(const MergeConfig& config, const PlanOptions& options) {
  const MethodRow& method = MethodOf(config);
  PlanFindings findings;
  const InputSet inputs = OpenInputs(config, options, *method.info, &findings);
  findings.ThrowIfErrors();  // what follows would only repeat these in other words

  Plan plan;
  plan.method = method.info->name;
  plan.seed = config.seed;
  ChooseOutput(config, options, &plan);
  CheckOutput(inputs, options, plan.output_dir, &findings);
  CheckGradients(config, inputs, &findings);
  CompareConfigs(inputs, &findings);
  const HeadPlan head = PlanHead(inputs, &findings);
  const std::vector<TensorGroup> groups = MatchTensors(inputs, head, &findings);
  plan.items = MakeItems(config, inputs, groups, method, &findings);
  CheckNotEmpty(inputs, groups, &findings);
  CheckVocabularies(inputs, &findings);
  std::string config_json = MakeConfigJson(config, inputs, head, plan.items, &findings);
  if (options.strict) {
    findings.errors.insert(findings.errors.end(), findings.warnings.begin(), findings.warnings.end());
    findings.warnings.clear();
  }
  findings.ThrowIfErrors();

  plan.warnings = std::move(findings.warnings);
  plan.notes = std::move(findings.notes);
  AddModels(inputs, &plan);
  AddFiles(inputs, &plan);
  LayOutShards(config.shard_size_bytes.value_or(kDefaultShardBytes), &plan);
  AddOutputFiles(config, inputs, *method.info, std::move(config_json), &plan);
  return plan;
}

}  // namespace gpumerge
