// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Everything that goes to standard error: warnings, errors, progress. Text from files is escaped here. Standard output
// is for results only (PrintResult). Not thread-safe.
#pragma once

#include "src/cli/arguments.h"

#include "gpumerge/error.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace gpumerge::cli {

class Messages {
 public:
  explicit Messages(ErrorFormat format);
  ~Messages();

  // How much is said from now on. Throws Error(OUT-IO) when the log file cannot be opened.
  void Configure(const Arguments& arguments);

  // All of them, then the exit status that they mean.
  void Errors(std::span<const Diagnostic> diagnostics, int exit_status);
  void Warning(const Diagnostic& diagnostic);
  void Note(std::string_view line);    // not with --quiet
  void Detail(std::string_view line);  // only with --verbose

  // To the log file only: what standard output gets.
  void Record(std::string_view text);
  // The progress line of a terminal; the next message of any kind takes its place.
  void Redraw(std::string_view line);
  // Takes the progress line away.
  void EndRedraw();

 private:
  enum class Severity : uint8_t { kError, kWarning };
  std::string Format(const Diagnostic& diagnostic, Severity severity, int exit_status, bool is_last,
                     bool colours) const;
  void Say(std::string_view line);

  struct Log;
  std::unique_ptr<Log> log_;
  ErrorFormat format_;
  bool quiet_ = false;
  bool verbose_ = false;
  bool colours_ = false;
  bool line_is_drawn_ = false;
};

// Writes a result to standard output. A reader that has gone away is no error; a full disk is: Error(OUT-IO).
void PrintResult(std::string_view text);

}  // namespace gpumerge::cli
