// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `gpumerge verify`: a model that is there already, checked.
#include "src/base/text.h"
#include "src/cli/commands.h"
#include "src/cli/json_text.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/run/verify.h"

#include <fmt/format.h>

#include <string>

namespace gpumerge::cli {
namespace {

constexpr size_t kMaxPathBytes = 4096;

std::string ResultText(const VerifyResult& result) {
  std::string text = fmt::format("verified {}\n", EscapeForTerminal(result.directory, kMaxPathBytes));
  const auto line = [&](std::string_view label, const std::string& value) {
    text += fmt::format("  {:<10} {}\n", label, value);
  };
  line("structure", fmt::format("whole: {} in {}, {}", Plural(result.n_tensors, "tensor"),
                                Plural(result.n_files, "file"), FormatBytes(result.tensor_bytes)));
  if (!result.has_report) {
    line("report", "none: this is no output of gpumerge, so only its structure is known to be right");
    return text;
  }
  line("report",
       fmt::format("{} merge by gpumerge {}", EscapeForTerminal(result.method), EscapeForTerminal(result.version)));
  line("hashes", fmt::format("{} and {} beside them equal to the report's", Plural(result.n_hashed, "tensor"),
                             Plural(result.n_side_files, "file")));
  if (result.n_input_models > 0)
    line("inputs", fmt::format("{} of {} equal to the report's, {}", Plural(result.n_input_tensors, "tensor"),
                               Plural(result.n_input_models, "model"), FormatBytes(result.input_bytes)));
  return text;
}

}  // namespace

int VerifyCommand(const Arguments& arguments, Messages* messages) {
  CatchStopSignals(arguments.error_format);
  ProgressPrinter printer(messages);
  VerifyOptions options;
  options.models = OptionsOfModels(arguments);
  options.strict = arguments.plan.strict;
  options.inputs = arguments.inputs;
  options.on_progress = [&](const Progress& progress) {
    printer.Update(progress);
    return StopSignal() == 0;
  };
  const VerifyResult result = VerifyModel(arguments.topic, options);
  messages->EndRedraw();
  for (const Diagnostic& warning : result.warnings) messages->Warning(warning);
  if (!arguments.quiet) PrintResult(arguments.json ? VerifiedAsJson(result) : ResultText(result));
  return 0;
}

}  // namespace gpumerge::cli
