// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cli/cli.h"

#include "src/cli/arguments.h"
#include "src/cli/commands.h"
#include "src/cli/help_text.h"
#include "src/cli/messages.h"
#include "src/cli/signals.h"
#include "src/cli/terminal.h"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <span>
#include <system_error>
#include <unistd.h>

namespace gpumerge::cli {
namespace {

int Dispatch(const std::vector<std::string>& words, Messages* messages) {
  const Arguments arguments = ParseArguments(words);
  if (!arguments.answer.empty()) {
    PrintResult(arguments.answer);
    return 0;
  }
  messages->Configure(arguments);
  switch (arguments.verb) {
    case Verb::kMerge:
      return MergeCommand(arguments, messages);
    case Verb::kPlan:
      return PlanCommand(arguments, messages);
    case Verb::kInspect:
      return InspectCommand(arguments, messages);
    case Verb::kVerify:
      return VerifyCommand(arguments, messages);
    case Verb::kDevices:
      return DevicesCommand(arguments);
    case Verb::kMethods:
      return MethodsCommand(arguments);
    case Verb::kErrors:
      return ErrorsCommand(arguments);
  }
  return 0;
}

int Report(const Diagnostic& diagnostic, Messages* messages) {
  const int exit_status = Info(diagnostic.code).exit_status;
  messages->Errors(std::span(&diagnostic, 1), exit_status);
  return exit_status;
}

// Memory can end where no exception may pass, for example while a thread starts. Whatever was under way is not visible.
void EndWithoutMemory() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    WriteStderr("gpumerge: error[RES-MEM]: the system has no more memory\n  exit:  10\n");
    ::_exit(Info(ErrorCode::kResMemory).exit_status);
  } catch (...) {  // a bug: the core dump says more
  }
  std::abort();
}

}  // namespace

void HandleTerminate() { std::set_terminate(EndWithoutMemory); }

int Run(const std::vector<std::string>& words) {
  EnsureStandardStreams();
  IgnoreWriteSignals();
  if (words.empty()) {
    WriteStderr(ShortHelp());
    return Info(ErrorCode::kUsage).exit_status;
  }
  Messages messages(ErrorFormatOf(words));
  try {
    return Dispatch(words, &messages);
  } catch (const Error& error) {
    const bool stopped = error.code() == ErrorCode::kCancelled && StopSignal() != 0;
    const int exit_status = stopped ? 128 + StopSignal() : error.exit_status();
    messages.Errors(error.diagnostics(), exit_status);
    return exit_status;
  } catch (const std::bad_alloc&) {
    return Report({ErrorCode::kResMemory, "the system has no more memory", "", "", "",
                   "give a smaller --memory, or free some; nothing was published"},
                  &messages);
  } catch (const std::filesystem::filesystem_error& error) {
    if (error.code() == std::errc::not_enough_memory)
      return Report({ErrorCode::kResMemory, error.what(), "", "", "", "free some memory; nothing was published"},
                    &messages);
    return Report({ErrorCode::kInIo, fmt::format("a path cannot be looked at: {}", error.what()), "", "", "",
                   "has the working directory been deleted?"},
                  &messages);
  } catch (const std::system_error& error) {  // a thread could not be started
    return Report({ErrorCode::kResMemory, fmt::format("the system refuses a thread or memory: {}", error.what()), "",
                   "", "", "use fewer --threads, or raise the limit (ulimit -u, ulimit -v); nothing was published"},
                  &messages);
  } catch (const std::exception& error) {
    return Report({ErrorCode::kInternal, error.what(), "", "", "",
                   "this is a bug in gpumerge: please report it with the recipe; nothing was published"},
                  &messages);
  }
}

}  // namespace gpumerge::cli
