// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `gpumerge` and `gpumerge plan`: recipe, plan, run, summary.
#include "src/base/text.h"
#include "src/cli/commands.h"
#include "src/cli/json_text.h"
#include "src/cli/progress.h"
#include "src/cli/side_file.h"
#include "src/cli/signals.h"
#include "src/cli/terminal.h"
#include "src/cli/trace_file.h"
#include "src/io/output_dir.h"
#include "src/plan/explain.h"
#include "src/plan/plan_findings.h"
#include "src/run/verify_inputs.h"

#include "gpumerge/merge.h"

#include <fmt/format.h>

#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge::cli {
namespace {

constexpr std::string_view kStatsFile = "statistics file";

struct Recipe {
  MergeConfig config;
  std::vector<Diagnostic> warnings;
};

Recipe ReadRecipe(const Arguments& arguments) {
  Recipe recipe;
  recipe.config = LoadConfig(arguments.recipe, &recipe.warnings);
  if (arguments.plan.strict && !recipe.warnings.empty()) throw Error(std::move(recipe.warnings));
  ApplyOverrides(arguments.overrides, &recipe.config);
  return recipe;
}

Plan MakePlan(const Recipe& recipe, const PlanOptions& options) {
  Plan plan = PlanMerge(recipe.config, options);
  // The recipe's warnings belong in the output's report beside the plan's own.
  plan.warnings.insert(plan.warnings.begin(), recipe.warnings.begin(), recipe.warnings.end());
  return plan;
}

std::string ModelsText(const Plan& plan) {
  const std::string stages = plan.stages.empty() ? "" : " in " + Plural(plan.stages.size() + 1, "stage");
  return Plural(plan.models.size() - plan.stages.size(), "model") + (plan.base ? ", the base included," : "") + stages;
}

std::string SecondsText(double seconds) {
  return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1e3) : fmt::format("{:.1f} s", seconds);
}

std::string Summary(const Plan& plan, const RunStats& stats) {
  const Progress& totals = stats.totals;
  std::string text = fmt::format(
      "merged {} with {}: {}\n"
      "  {}{}, {} written in {} ({})\n"
      "  device {}; memory {} of {} allowed\n"
      "  seed {}; {}\n",
      ModelsText(plan), plan.method, EscapeForTerminal(stats.output_dir, 4096), Plural(totals.tensors_done, "tensor"),
      totals.tensors_resumed == 0 ? "" : fmt::format(", {} of them resumed", totals.tensors_resumed),
      FormatBytes(totals.bytes_written), SecondsText(totals.elapsed_seconds), FormatRates(totals), stats.device,
      FormatBytes(stats.peak_memory_bytes), FormatBytes(stats.memory_budget_bytes), plan.seed,
      Plural(plan.warnings.size() + stats.warnings.size(), "warning"));
  if (stats.selfcheck_tensors > 0)
    text += fmt::format("  selfcheck: {} checked against the reference executor: equal\n",
                        Plural(stats.selfcheck_tensors, "tensor"));
  if (stats.rounding_loss)
    text += fmt::format("  rounding: the output type's error is {:.3g} % of what the merge changes\n",
                        100 * *stats.rounding_loss);
  if (stats.slerp_lerp_tensors > 0)
    text += fmt::format("  slerp: {} of {} tensors were nearly parallel and interpolated linearly\n",
                        stats.slerp_lerp_tensors, stats.slerp_tensors);
  return text;
}

void Announce(const Plan& plan, const RunEstimate& estimate, Messages* messages) {
  for (const Diagnostic& warning : plan.warnings) messages->Warning(warning);
  messages->Note(fmt::format("merging {} with {} into {} ({})", ModelsText(plan), plan.method, plan.output_dir,
                             plan.output_dir_why));
  messages->Note(fmt::format("device {}: {}", estimate.device, estimate.device_why));
  for (const PlanModel& model : plan.models)
    if (!model.stage) messages->Detail(fmt::format("model {}: {}", model.reference, model.directory));
  for (const std::string& note : plan.notes) messages->Detail("note: " + note);
  messages->Detail(fmt::format("memory budget {}, {} needed; {} to read, {} of them again",
                               FormatBytes(estimate.memory_budget_bytes), FormatBytes(estimate.memory_needed_bytes),
                               FormatBytes(estimate.bytes_read), FormatBytes(estimate.bytes_read_again)));
}

// Before anything is done with the inputs, if the user asks for it.
void CheckInputs(const Plan& plan, const Arguments& arguments, Messages* messages) {
  if (!arguments.verify_inputs) return;
  ProgressPrinter printer(messages);
  RunOptions options = arguments.run;
  options.on_progress = [&](const Progress& progress) {
    printer.Update(progress);
    return StopSignal() == 0;
  };
  const VerifiedInputs verified = VerifyInputs(plan, arguments.manifest, options);
  messages->EndRedraw();
  std::string text =
      fmt::format("inputs verified: {}, {}", Plural(verified.n_files, "file"), FormatBytes(verified.size_bytes));
  if (!verified.unread.empty())
    text += fmt::format("; the manifest also lists {} that this merge does not read: {}",
                        Plural(verified.unread.size(), "file"), ListSome(verified.unread, 5));
  messages->Note(text);
  if (verified.unknown.empty()) return;
  Diagnostic unverified{.code = ErrorCode::kInHash,
                        .message = fmt::format("no checksum is known of {} read beside the weights",
                                               Plural(verified.unknown.size(), "file")),
                        .found = ListSome(verified.unknown),
                        .help = "--manifest FILE can list them too"};
  if (arguments.plan.strict) throw Error(std::move(unverified));
  messages->Warning(unverified);  // not in the report, which is the same however the inputs were verified
}

// What is said of a merge that is published.
void Conclude(const Plan& plan, const RunStats& stats, const Arguments& arguments, SideFile* stats_file,
              Messages* messages) {
  messages->EndRedraw();
  for (const Diagnostic& warning : stats.warnings) messages->Warning(warning);
  if (stats_file != nullptr && stats_file->is_wanted()) {
    stats_file->Write(StatsAsJson(stats));
    stats_file->Close();
  }
  messages->Record(Summary(plan, stats));
  if (!arguments.quiet) PrintResult(Summary(plan, stats));
}

void RunPlan(const Plan& plan, const Arguments& arguments, SideFile* stats_file, Messages* messages) {
  Announce(plan, EstimateRun(plan, arguments.run), messages);
  if (StopSignal() != 0) throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge began"});
  ProgressPrinter printer(messages);
  RunOptions options = arguments.run;
  options.on_progress = [&](const Progress& progress) {
    printer.Update(progress);
    return StopSignal() == 0;
  };
  const RunStats stats = RunMerge(plan, options);
  try {
    Conclude(plan, stats, arguments, stats_file, messages);
  } catch (const std::bad_alloc&) {
    WriteStderr("gpumerge: the output is complete; there is no memory to say more of it\n");
  } catch (const Error& error) {
    throw ButIsComplete(error);
  }
}

}  // namespace

int PlanCommand(const Arguments& arguments, Messages*) {
  const Plan plan = MakePlan(ReadRecipe(arguments), arguments.plan);
  const RunEstimate estimate = EstimateRun(plan, arguments.run);
  std::optional<PlanCost> cost;
  if (arguments.rates.any())
    cost = CostOfStages(BytesOfStages(plan, estimate, arguments.rates.link > 0, arguments.run.vram_bytes),
                        arguments.rates);
  PrintResult(arguments.json ? PlanToJson(plan, estimate, cost) : ExplainPlan(plan, estimate, cost));
  return 0;
}

int MergeCommand(const Arguments& arguments, Messages* messages) {
  CatchStopSignals(arguments.error_format);
  Recipe recipe = ReadRecipe(arguments);
  if (arguments.keep_stages.empty()) {
    const Plan plan = MakePlan(recipe, arguments.plan);
    SideFile stats_file(arguments.stats_file, kStatsFile);
    TraceFile trace_file(arguments.trace_file, messages);
    CheckInputs(plan, arguments, messages);
    RunPlan(plan, arguments, &stats_file, messages);
    trace_file.Write();
    return 0;
  }
  // What is wrong with any of them is known before the first one runs.
  PlanOptions all = arguments.plan;
  all.stages_are_kept = true;
  CheckInputs(MakePlan(recipe, all), arguments, messages);
  std::vector<MergeConfig> documents = SplitStages(recipe.config, arguments.keep_stages);
  for (const MergeConfig& document : documents)
    if (&document != &documents.back()) CheckOutputTarget(*document.output, arguments.plan.overwrite);
  SideFile stats_file(arguments.stats_file, kStatsFile);
  TraceFile trace_file(arguments.trace_file, messages);
  for (MergeConfig& document : documents) {
    const bool is_output = &document == &documents.back();
    PlanOptions options = arguments.plan;
    if (!is_output) options.output_dir.clear();
    recipe.config = std::move(document);
    RunPlan(MakePlan(recipe, options), arguments, is_output ? &stats_file : nullptr, messages);
    recipe.warnings.clear();  // said once
  }
  trace_file.Write();
  return 0;
}

}  // namespace gpumerge::cli
