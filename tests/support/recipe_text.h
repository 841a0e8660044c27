// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Parses recipes given as text and says in short what was wrong with them. For tests.
#pragma once

#include "gpumerge/merge.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace gpumerge::testing {

struct ParsedRecipe {
  bool ok = false;
  MergeConfig config;
  std::vector<Diagnostic> errors;
  std::vector<Diagnostic> warnings;
};

inline ParsedRecipe ParseText(std::string_view yaml) {
  ParsedRecipe parsed;
  try {
    parsed.config = ParseConfig(yaml, "r", &parsed.warnings);
    parsed.ok = true;
  } catch (const Error& error) {
    parsed.errors = error.diagnostics();
  }
  return parsed;
}

// "CFG-RANGE r:3:14" for each.
inline std::vector<std::string> InShort(const std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : diagnostics)
    lines.push_back(fmt::format("{} {}", Info(diagnostic.code).code, diagnostic.where));
  return lines;
}

inline std::vector<std::string> ErrorsOf(std::string_view yaml) { return InShort(ParseText(yaml).errors); }
inline std::vector<std::string> WarningsOf(std::string_view yaml) { return InShort(ParseText(yaml).warnings); }

// A linear merge of one model whose weight is the given YAML, in line 5 from column 13.
inline std::string RecipeWithWeight(std::string_view weight) {
  return fmt::format("merge_method: linear\nmodels:\n- model: org/a\n  parameters:\n    weight: {}\n", weight);
}

// Seven lines without anything to complain of, to add more lines to.
inline constexpr char kTiesRecipe[] =
    "merge_method: ties\n"
    "base_model: org/base\n"
    "models:\n"
    "  - model: org/a\n"
    "    parameters: {weight: 0.5, density: 0.3}\n"
    "  - model: org/b\n"
    "    parameters: {weight: 0.5}\n";

inline std::string Ties(std::string_view more) { return std::string(kTiesRecipe) + std::string(more); }

}  // namespace gpumerge::testing
