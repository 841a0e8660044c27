// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What an action threw, for assertions on codes and texts. Header-only.
#pragma once

#include "gpumerge/error.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace gpumerge::test {

// All diagnostics that the action threw; empty when it threw nothing.
template <class Action>
std::vector<Diagnostic> DiagnosticsOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.diagnostics();
  }
  return {};
}

// The first diagnostic; a test failure when nothing was thrown.
template <class Action>
Diagnostic FirstDiagnosticOf(const Action& action) {
  std::vector<Diagnostic> diagnostics = DiagnosticsOf(action);
  if (!diagnostics.empty()) return diagnostics.front();
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

// The code as users see it, e.g. "ST-HOLE"; "" when nothing was thrown.
template <class Action>
std::string CodeOf(const Action& action) {
  const std::vector<Diagnostic> diagnostics = DiagnosticsOf(action);
  return diagnostics.empty() ? "" : std::string(Info(diagnostics.front().code).code);
}

// Message, place, found, expected and help in one text, for substring checks.
inline std::string TextOf(const Diagnostic& d) {
  return d.message + " | " + d.where + " | " + d.found + " | " + d.expected + " | " + d.help;
}

}  // namespace gpumerge::test
