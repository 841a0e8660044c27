// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The text form. Tensors that are treated alike stand under one heading, each on a line of its own.
#include "src/plan/explain.h"

#include "src/base/text.h"
#include "src/io/output_dir.h"
#include "src/plan/plan_findings.h"

#include "gpumerge/method.h"

#include <algorithm>
#include <map>

namespace gpumerge {
namespace {

constexpr size_t kMaxPathBytes = 4096;

std::string ParamsText(const MergeJob& job) {
  const MethodInfo& method = *Methods()[job.method].info;
  std::string text;
  for (size_t p = 0; p < method.params.size(); ++p) {
    const ParamSpec& spec = method.params[p];
    if (spec.effect == ParamEffect::kNone) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", spec.name);
    const bool skip_base = spec.scope == ParamScope::kPerModel && job.has_base;
    for (size_t i = skip_base ? 1 : 0; i < job.params[p].values.size(); ++i)
      text += " " + ParamText(spec, job.params[p].values[i]);
  }
  return text;
}

std::string StageText(const Plan& plan, const PlanItem& item) {
  return item.stage ? fmt::format("stage {}: ", EscapeForTerminal(plan.stages[*item.stage].name)) : std::string();
}

std::string Heading(const Plan& plan, const PlanItem& item) {
  std::string text = StageText(plan, item);
  if (item.action == PlanAction::kCopy)
    return fmt::format("{}copy ({})", text, EscapeForTerminal(item.reason, kMaxPathBytes));
  text += Methods()[item.job.method].info->name;
  const std::string params = ParamsText(item.job);
  if (!params.empty()) text += ": " + params;
  text += item.passes.size() == 1 ? "; 1 pass:" : fmt::format("; {} passes:", item.passes.size());
  for (const PassInfo& pass : item.passes) text += fmt::format(" {}", PassName(pass.kind));
  if (!item.remark.empty()) text += "; " + EscapeForTerminal(item.remark, kMaxPathBytes);
  return text;
}

std::string InputsText(const PlanItem& item) {
  std::vector<std::string_view> types;
  for (const JobInput& input : item.job.inputs) {
    const std::string_view name = Info(input.dtype).name;
    if (std::find(types.begin(), types.end(), name) == types.end()) types.push_back(name);
  }
  std::string text;
  for (const std::string_view type : types) text += fmt::format("{}{}", text.empty() ? "" : "+", type);
  return fmt::format("{} -> {}", text, Info(item.job.out_dtype).name);
}

// " from 0: model.layers.3.x, ..." where an input has another name than the output.
std::string RenamedText(const PlanItem& item) {
  std::string text;
  for (const PlanInput& input : item.inputs) {
    if (input.tensor == item.name) continue;
    text +=
        fmt::format("{}{} of model {}", text.empty() ? "  from " : ", ", EscapeForTerminal(input.tensor), input.model);
  }
  return text;
}

// Tensors by heading, headings in order of their first tensor.
std::string TensorTable(const Plan& plan) {
  std::vector<std::string> headings;
  std::map<std::string, std::vector<const PlanItem*>> groups;
  size_t name_width = 0, shape_width = 0;
  for (const PlanItem& item : plan.items) {
    std::string heading = Heading(plan, item);
    std::vector<const PlanItem*>& group = groups[heading];
    if (group.empty()) headings.push_back(std::move(heading));
    group.push_back(&item);
    name_width = std::max(name_width, std::min<size_t>(EscapeForTerminal(item.name).size(), 80));
    shape_width = std::max(shape_width, ShapeText(item.job.shape).size());
  }
  std::string text;
  for (const std::string& heading : headings) {
    text += fmt::format("\n{}\n", heading);
    for (const PlanItem* item : groups[heading]) {
      text += fmt::format("  {:<{}}  {:<{}}  {}{}\n", EscapeForTerminal(item->name), name_width,
                          ShapeText(item->job.shape), shape_width, InputsText(*item), RenamedText(*item));
    }
  }
  return text;
}

std::string ModelsText(const Plan& plan) {
  std::string text = "models\n";
  for (uint32_t i = 0; i < plan.models.size(); ++i) {
    const PlanModel& model = plan.models[i];
    std::string roles;
    if (plan.base == i) roles += ", base";
    if (plan.donor == i) roles += ", gives config and tokenizer";
    text += fmt::format("  {}  {}{}\n     {}\n", i, EscapeForTerminal(model.reference, kMaxPathBytes), roles,
                        EscapeForTerminal(model.how.empty() ? model.directory : model.how, kMaxPathBytes));
  }
  return text;
}

std::string StagesText(const Plan& plan) {
  if (plan.stages.empty()) return {};
  std::vector<uint64_t> n_tensors(plan.stages.size()), n_bytes(plan.stages.size());
  for (const PlanItem& item : plan.items) {
    if (!item.stage) continue;
    ++n_tensors[*item.stage];
    n_bytes[*item.stage] += item.size_bytes;
  }
  std::string text = "\nstages\n";
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    const PlanStage& stage = plan.stages[s];
    std::string models;
    for (const uint32_t model : stage.models) models += fmt::format("{}{}", models.empty() ? "" : ", ", model);
    text += fmt::format("  {}  {} of {} {}, seed {}; {}, {}\n", EscapeForTerminal(stage.name), stage.method,
                        stage.models.size() == 1 ? "model" : "models", models, stage.seed,
                        Plural(n_tensors[s], "tensor"), FormatBytes(n_bytes[s]));
  }
  return text;
}

std::string FilesText(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlanTextFile& file : plan.text_files) names.push_back(file.file_name);
  for (const PlanCopiedFile& file : plan.copied_files) names.push_back(file.file_name);
  names.emplace_back(kMergeReportFile);
  std::sort(names.begin(), names.end());
  const std::string shards = plan.shards.size() == 1
                                 ? plan.shards[0].file_name
                                 : fmt::format("{} .. {}", plan.shards.front().file_name, plan.shards.back().file_name);
  return fmt::format("{}, {}", shards, ListSome(names, names.size()));
}

// What a GPU's own memory holds, and what its link carries; empty without one.
std::string GpuText(const RunEstimate& estimate) {
  if (estimate.device_memory_bytes == 0) return {};
  std::string text =
      fmt::format("gpu      {} of its memory used, {} is the least that works",
                  FormatBytes(estimate.device_memory_bytes), FormatBytes(estimate.device_memory_needed_bytes));
  if (estimate.n_kept_tensors > 0)
    text += fmt::format(
        "; {} in parts and {} there until merged",
        estimate.n_kept_tensors == 1 ? "1 tensor comes" : fmt::format("{} tensors come", estimate.n_kept_tensors),
        estimate.n_kept_tensors == 1 ? "stays" : "stay");
  return text + fmt::format("\nlink     {} to it, {} back\n", FormatBytes(estimate.bytes_to_device),
                            FormatBytes(estimate.bytes_from_device));
}

// Which tensors of several passes are read more than once, and why.
std::string StreamedText(const RunEstimate& estimate) {
  const uint64_t n = estimate.n_streamed_tensors;
  const std::string tensors = n == 1 ? "1 tensor is" : fmt::format("{} tensors are", n);
  if (estimate.streams_from_cache)
    return n == 0 ? "no tensor is read twice"
                  : tensors + " read again for every further pass, from the system's page cache";
  return n == 0 ? "every tensor stays in memory between its passes"
                : tensors + " streamed: read again for every further pass";
}

std::string ResourcesText(const Plan& plan, const RunEstimate& estimate) {
  const PlanTotals totals = Totals(plan);
  std::string text = fmt::format("device   {}{}\n", estimate.device,
                                 estimate.device_why.empty() ? "" : " (" + estimate.device_why + ")");
  text += fmt::format("memory   {} allowed, {} is the least that works; ", FormatBytes(estimate.memory_budget_bytes),
                      FormatBytes(estimate.memory_needed_bytes));
  text += StreamedText(estimate) + "\n";
  text += GpuText(estimate);
  text += fmt::format("disk     {} needed, {} free{}\n", FormatBytes(totals.disk_bytes),
                      FormatBytes(estimate.disk_free_bytes),
                      totals.disk_bytes > estimate.disk_free_bytes ? ": not enough" : "");
  if (estimate.n_trim_passes > 0)
    text += fmt::format("trim     thresholds of whole models first: up to {}, {} read\n",
                        estimate.n_trim_passes == 1 ? "1 pass" : fmt::format("{} passes", estimate.n_trim_passes),
                        FormatBytes(estimate.trim_bytes));
  if (!plan.stages.empty())
    text += fmt::format("scratch  {} at most, for {} between stages ({} in all)\n", FormatBytes(estimate.scratch_bytes),
                        Plural(totals.n_stage_tensors, "tensor"), FormatBytes(totals.stage_bytes));
  text += fmt::format("read     {}", FormatBytes(estimate.bytes_read));
  if (estimate.bytes_read_again > 0) text += fmt::format(", {} of it again", FormatBytes(estimate.bytes_read_again));
  text += fmt::format("\nwrite    {} of tensors\n", FormatBytes(totals.output_bytes));
  return text;
}

std::string DiagnosticText(const Diagnostic& warning) {
  std::string text =
      fmt::format("  [{}] {}\n", Info(warning.code).code, EscapeForTerminal(warning.message, kMaxPathBytes));
  const auto add = [&](std::string_view label, const std::string& value) {
    if (!value.empty()) text += fmt::format("      {}{}\n", label, EscapeForTerminal(value, kMaxPathBytes));
  };
  add("at ", warning.where);
  add("found: ", warning.found);
  add("help: ", warning.help);
  return text;
}

}  // namespace

std::string ParamText(const ParamSpec& spec, double value) {
  if (spec.type == ParamType::kBool) return value != 0 ? "true" : "false";
  if (spec.type == ParamType::kChoice && value >= 0 && value < static_cast<double>(spec.choices.size()))
    return std::string(spec.choices[static_cast<size_t>(value)]);
  return fmt::format("{}", value);
}

PassTotals CountPasses(const Plan& plan) {
  PassTotals totals;
  for (const PlanItem& item : plan.items) {
    uint64_t bytes = 0, n_reads = 0;
    for (const PlanInput& input : item.inputs) bytes += input.size_bytes;
    for (const PassInfo& pass : item.passes) {
      ++totals.n_passes;
      ++(pass.kind == PassKind::kSelect ? totals.n_select
         : pass.kind == PassKind::kMap  ? totals.n_map
                                        : totals.n_reduce);
      n_reads += ReadsOf(pass.kind);
    }
    totals.bytes_read_once += bytes;
    totals.bytes_read_streamed += bytes * std::max<uint64_t>(n_reads, 1);
  }
  return totals;
}

std::string ExplainPlan(const Plan& plan, const RunEstimate& estimate, const std::optional<PlanCost>& cost) {
  const PlanTotals totals = Totals(plan);
  std::string text = fmt::format(
      "{} merge of {}{}, seed {}\n\n", plan.method, Plural(plan.models.size() - plan.stages.size(), "model"),
      plan.stages.empty() ? "" : " in " + Plural(plan.stages.size() + 1, "stage"), plan.seed);
  text += ModelsText(plan);
  text += StagesText(plan);
  text += fmt::format("\noutput   {} ({})\n", EscapeForTerminal(plan.output_dir, kMaxPathBytes), plan.output_dir_why);
  text += fmt::format("         {}, {} parameters; {} merged, {} copied\n", Plural(totals.n_tensors, "tensor"),
                      totals.n_params, totals.n_merged, totals.n_copied);
  text += fmt::format("files    {}\n", FilesText(plan));
  text += ResourcesText(plan, estimate);
  if (cost) text += CostText(*cost);
  text += TensorTable(plan);
  if (!plan.warnings.empty()) text += fmt::format("\n{}\n", Plural(plan.warnings.size(), "warning"));
  for (const Diagnostic& warning : plan.warnings) text += DiagnosticText(warning);
  if (!plan.notes.empty()) text += "\nnotes\n";
  for (const std::string& note : plan.notes) text += fmt::format("  {}\n", EscapeForTerminal(note, kMaxPathBytes));
  return text;
}

}  // namespace gpumerge
