// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The shape of a message. The only file that sees spdlog, which keeps the log file.
#include "src/cli/messages.h"

#include "src/base/text.h"
#include "src/cli/json_text.h"
#include "src/cli/terminal.h"

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace gpumerge::cli {
namespace {

// A message may list a score of tensors; past this something hostile is going on.
constexpr size_t kMaxFieldBytes = 4000;
constexpr size_t kOneLineColumns = 100;
constexpr std::string_view kRed = "\033[1;31m", kYellow = "\033[1;33m", kBold = "\033[1m", kOff = "\033[0m";

std::string Clean(std::string_view text) { return EscapeForTerminal(text, kMaxFieldBytes); }

std::string FoundAndExpected(const Diagnostic& diagnostic) {
  const std::string found = diagnostic.found.empty() ? "" : "found: " + Clean(diagnostic.found);
  const std::string expected = diagnostic.expected.empty() ? "" : "expected: " + Clean(diagnostic.expected);
  if (found.empty() && expected.empty()) return {};
  if (found.empty() || expected.empty()) return fmt::format("  {}\n", found + expected);
  const bool fits = found.size() + expected.size() < kOneLineColumns;
  return fmt::format("  {}{}{}\n", found, fits ? "   " : "\n  ", expected);
}

}  // namespace

struct Messages::Log {
  std::shared_ptr<spdlog::logger> file;
};

Messages::Messages(ErrorFormat format) : log_(std::make_unique<Log>()), format_(format), colours_(StderrHasColours()) {}
Messages::~Messages() { EndRedraw(); }

void Messages::Configure(const Arguments& arguments) {
  quiet_ = arguments.quiet;
  verbose_ = arguments.verbose;
  if (arguments.log_file.empty()) return;
  try {
    log_->file = std::make_shared<spdlog::logger>(
        "gpumerge", std::make_shared<spdlog::sinks::basic_file_sink_st>(arguments.log_file));
    log_->file->set_pattern("%Y-%m-%d %H:%M:%S.%e %v");
    log_->file->flush_on(spdlog::level::info);
  } catch (const spdlog::spdlog_ex& error) {
    throw Error({ErrorCode::kOutIo, fmt::format("the log file {} cannot be written", arguments.log_file),
                 arguments.log_file, error.what(), "", ""});
  }
}

std::string Messages::Format(const Diagnostic& diagnostic, Severity severity, int exit_status, bool is_last,
                             bool colours) const {
  const bool is_error = severity == Severity::kError;
  const std::string_view kind = is_error ? "error" : "warning";
  if (format_ == ErrorFormat::kJson) return DiagnosticAsJson(diagnostic, kind, is_error ? exit_status : 0) + "\n";
  const std::string_view tint = !colours ? "" : is_error ? kRed : kYellow;
  std::string text =
      fmt::format("gpumerge: {}{}[{}]{}: {}{}{}\n", tint, kind, Info(diagnostic.code).code, colours ? kOff : "",
                  colours ? kBold : "", Clean(diagnostic.message), colours ? kOff : "");
  if (!diagnostic.where.empty()) text += fmt::format("  file:  {}\n", Clean(diagnostic.where));
  text += FoundAndExpected(diagnostic);
  if (!diagnostic.help.empty()) text += fmt::format("  help:  {}\n", Clean(diagnostic.help));
  if (is_error && is_last) text += fmt::format("  exit:  {}\n", exit_status);
  return text;
}

void Messages::Errors(std::span<const Diagnostic> diagnostics, int exit_status) {
  EndRedraw();
  for (const Diagnostic& diagnostic : diagnostics) {
    const bool is_last = &diagnostic == &diagnostics.back();
    WriteStderr(Format(diagnostic, Severity::kError, exit_status, is_last, colours_));
    if (log_->file) log_->file->error("{}", Format(diagnostic, Severity::kError, exit_status, is_last, false));
  }
}

void Messages::Warning(const Diagnostic& diagnostic) {
  EndRedraw();
  WriteStderr(Format(diagnostic, Severity::kWarning, 0, false, colours_));
  if (log_->file) log_->file->warn("{}", Format(diagnostic, Severity::kWarning, 0, false, false));
}

void Messages::Say(std::string_view line) {
  EndRedraw();
  WriteStderr(fmt::format("gpumerge: {}\n", Clean(line)));
}

// With JSON errors, standard error is for machines: prose only goes to the log.
void Messages::Note(std::string_view line) {
  if (!quiet_ && format_ == ErrorFormat::kText) Say(line);
  if (log_->file) log_->file->info("{}", Clean(line));
}

void Messages::Detail(std::string_view line) {
  if (verbose_ && format_ == ErrorFormat::kText) Say(line);
  if (log_->file) log_->file->info("{}", Clean(line));
}

void Messages::Record(std::string_view text) {
  if (log_->file) log_->file->info("{}", text);
}

void Messages::Redraw(std::string_view line) {
  if (quiet_ || format_ == ErrorFormat::kJson) return;
  WriteStderr(fmt::format("\r{}\033[K", Clean(line)));
  line_is_drawn_ = true;
}

void Messages::EndRedraw() {
  if (line_is_drawn_) WriteStderr("\r\033[K");
  line_is_drawn_ = false;
}

void PrintResult(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) return;
    if (written < 0)
      throw Error({ErrorCode::kOutIo, "standard output cannot be written", "", std::strerror(errno), "", ""});
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace gpumerge::cli
