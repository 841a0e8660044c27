// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// From a recipe to a Plan, step by step: open, match, check, lay out; for a recipe of several documents once each.
// Every step reports all it finds; nothing is read
// but headers and small text files.
#include "src/io/hub_cache.h"
#include "src/io/output_dir.h"
#include "src/plan/chat_templates.h"
#include "src/plan/config_json.h"
#include "src/plan/documents.h"
#include "src/plan/groups.h"
#include "src/plan/items.h"
#include "src/plan/model_trim.h"
#include "src/plan/output_files.h"
#include "src/plan/params.h"
#include "src/plan/shards.h"
#include "src/plan/tokenizers.h"

#include "gpumerge/config.h"
#include "gpumerge/merge.h"
#include "gpumerge/plan.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <utility>

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

void CheckOutput(const std::set<std::string>& input_dirs, const std::set<std::string>& linked_dirs,
                 const PlanOptions& options, const std::string& output_dir, PlanFindings* findings) {
  try {
    CheckOutputApart(output_dir, {input_dirs.begin(), input_dirs.end()}, {linked_dirs.begin(), linked_dirs.end()});
    CheckOutputTarget(output_dir, options.overwrite);
  } catch (const Error& error) {
    findings->errors.insert(findings->errors.end(), error.diagnostics().begin(), error.diagnostics().end());
  }
}

// A gradient needs layers to run along. What the whole recipe has may be meant for another module.
void CheckGradients(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings) {
  const ModelLayout& layout = inputs.models[inputs.donor].layout;
  if (layout.stack) return;
  const Setting* gradient = inputs.module != nullptr ? FindGradient(*inputs.module) : FindGradient(config);
  if (gradient == nullptr && inputs.module != nullptr) return;
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

// A damaged tokenizer_config.json is one more finding.
std::optional<std::string> ChooseTemplate(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings) {
  try {
    return ChooseChatTemplate(config, inputs, findings);
  } catch (const Error& error) {
    findings->errors.insert(findings->errors.end(), error.diagnostics().begin(), error.diagnostics().end());
    return std::nullopt;
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
    plan->models.push_back(
        {model.reference, location.directory, location.name, location.is_hub, location.how, model.stage});
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
  const auto is_file = [&](const PlanInput& input) { return !inputs.models[input.model].stage; };
  for (const PlanItem& item : plan->items)
    for (const PlanInput& input : item.inputs)
      if (is_file(input)) number_of[input.model][input.file] = 0;

  for (uint32_t model = 0; model < inputs.models.size(); ++model) {
    for (size_t i = 0; i < number_of[model].size(); ++i) {
      if (number_of[model][i] == kUnused) continue;
      number_of[model][i] = static_cast<uint32_t>(plan->files.size());
      const WeightFile& file = inputs.models[model].files.files[i];
      plan->files.push_back({file.path, model, file.identity});
    }
  }
  for (PlanItem& item : plan->items)
    for (PlanInput& input : item.inputs)
      if (is_file(input)) input.file = number_of[input.model][input.file];
}

// Plans the output's document, and on the way every document that it reads.
class DocumentPlanner {
 public:
  DocumentPlanner(const MergeConfig& recipe, const PlanOptions& options) : recipe_(recipe), options_(options) {}

  Plan Run() {
    PlannedDocument output = PlanDocument(recipe_, true);
    LayOutShards(recipe_.shard_size_bytes.value_or(kDefaultShardBytes), &output.plan);
    JoinStages(std::move(stages_), &output);
    AddDocuments(recipe_, *MethodOf(recipe_).info, &output.plan);
    return std::move(output.plan);
  }

 private:
  PlannedDocument PlanDocument(const MergeConfig& config, bool is_output) {
    const MethodRow& method = MethodOf(config);
    PlanFindings findings;
    const InputSet inputs = OpenInputs(
        config, options_, *method.info,
        [this](const ModelRef& reference) -> const StageModel& { return Open(reference); }, &findings);
    for (const InputModel& model : inputs.models)
      if (!model.stage) {
        input_dirs_.insert(model.files.location.containment_root);
        linked_dirs_.merge(model.files.LinkedPlaces());
      }
    findings.ThrowIfErrors();  // what follows would only repeat these in other words

    PlannedDocument planned;
    planned.name = config.name;
    Plan& plan = planned.plan;
    plan.method = method.info->name;
    plan.seed = config.seed;
    if (is_output) {
      ChooseOutput(config, options_, &plan);
      CheckOutput(input_dirs_, linked_dirs_, options_, plan.output_dir, &findings);
    }
    CompareConfigs(inputs, options_.copy_code, &findings);
    HeadPlan head;
    std::deque<HeadPlan> part_heads;  // the groups refer to them
    std::vector<TensorGroup> groups;
    for (const InputSet* part : PartsOf(inputs)) {
      CheckGradients(config, *part, &findings);
      const HeadPlan& part_head = part_heads.emplace_back(PlanHead(config, *part, &findings));
      std::vector<TensorGroup> matched = MatchTensors(config, *method.info, *part, part_head, &findings);
      std::move(matched.begin(), matched.end(), std::back_inserter(groups));
      if (part_head.tied) head.tied = part_head.tied;
    }
    plan.items = MakeItems(config, inputs, groups, method, &findings);
    CheckModelTrims(plan.items, inputs, options_.stages_are_kept, &findings);
    CheckNotEmpty(inputs, groups, &findings);
    CheckSideFiles(inputs, options_.copy_code, &findings);
    CheckVocabularies(inputs, &findings);
    std::string config_json = MakeConfigJson(config, inputs, head, plan.items, &findings);
    const std::optional<std::string> chat_template = ChooseTemplate(config, inputs, &findings);
    if (options_.strict) {
      findings.errors.insert(findings.errors.end(), findings.warnings.begin(), findings.warnings.end());
      findings.warnings.clear();
    }
    findings.ThrowIfErrors();

    plan.warnings = std::move(findings.warnings);
    plan.notes = std::move(findings.notes);
    plan.dropped = std::move(findings.dropped);
    AddModels(inputs, &plan);
    AddFiles(inputs, &plan);
    for (const InputModel& model : inputs.models) planned.identities.push_back(model.identity);
    AddReadFiles(inputs, config.chat_template.has_value(), &plan);
    AddModelFiles(inputs, std::move(config_json), options_.copy_code, &plan);
    if (chat_template) AddChatTemplate(*chat_template, inputs, &plan);
    return planned;
  }

  const StageModel& Open(const ModelRef& reference) {
    const auto known = models_.find(reference.text);
    if (known != models_.end()) return known->second;
    if (const auto failed = failed_.find(reference.text); failed != failed_.end()) throw failed->second;
    const auto document = std::find_if(recipe_.stages.begin(), recipe_.stages.end(),
                                       [&](const MergeConfig& stage) { return stage.name == reference.text; });
    if (document == recipe_.stages.end() || !under_way_.insert(reference.text).second) {
      throw Error({.code = ErrorCode::kYamlDocs,
                   .message = fmt::format("the document '{}' {}", reference.text,
                                          document == recipe_.stages.end() ? "does not exist" : "needs itself"),
                   .where = Where(recipe_, reference.at)});
    }
    PlannedDocument planned;
    try {
      planned = PlanDocument(*document, false);
    } catch (const Error& error) {
      failed_.emplace(reference.text, error);
      throw;
    }
    under_way_.erase(reference.text);
    StageModel model{static_cast<uint32_t>(stages_.size()), AsModel(planned)};
    stages_.push_back(std::move(planned));
    return models_.emplace(reference.text, std::move(model)).first->second;
  }

  const MergeConfig& recipe_;
  const PlanOptions& options_;
  std::vector<PlannedDocument> stages_;  // each after those that it reads
  std::map<std::string, StageModel> models_;
  std::map<std::string, Error> failed_;
  std::set<std::string> under_way_;
  std::set<std::string> input_dirs_, linked_dirs_;  // of every document
};

}  // namespace

Plan PlanMerge(const MergeConfig& config, const PlanOptions& options) { return DocumentPlanner(config, options).Run(); }

}  // namespace gpumerge
