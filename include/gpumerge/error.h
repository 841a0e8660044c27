// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How anything wrong reaches the user: a Diagnostic says what, where, found and expected, and how to fix it. The
// library throws Error (one or several diagnostics) and never prints or exits. Text in a Diagnostic is raw; whoever
// prints it escapes it (EscapeForTerminal in src/base/text.h).
#pragma once

#include "gpumerge/error_codes.h"

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace gpumerge {

struct Diagnostic {
  ErrorCode code = ErrorCode::kInternal;
  std::string message{};   // one sentence, no trailing full stop; names the tensor or key
  std::string where{};     // "recipe.yaml:7:5", or a file with "(header byte 4711)"; may be empty
  std::string found{};     // may be empty
  std::string expected{};  // may be empty
  std::string help{};      // what the user can do; may be empty
};

// One or more diagnostics that ended the work. The first one decides the exit status.
class Error : public std::exception {
 public:
  explicit Error(Diagnostic diagnostic) { diagnostics_.push_back(std::move(diagnostic)); }
  // diagnostics must not be empty.
  explicit Error(std::vector<Diagnostic> diagnostics) : diagnostics_(std::move(diagnostics)) {}

  const char* what() const noexcept override { return diagnostics_.front().message.c_str(); }
  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }
  ErrorCode code() const { return diagnostics_.front().code; }
  int exit_status() const { return Info(code()).exit_status; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace gpumerge
