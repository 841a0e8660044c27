// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Collecting, ordering and throwing what is wrong with a recipe; see findings.h.
#include "src/config/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <tuple>

namespace gpumerge {
namespace {

bool IsSame(const Diagnostic& a, const Diagnostic& b) {
  return a.code == b.code && a.where == b.where && a.message == b.message;
}

template <class LocatedList>
std::vector<Diagnostic> InFileOrder(LocatedList& located) {
  std::stable_sort(located.begin(), located.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.line, a.first.column) < std::tie(b.first.line, b.first.column);
  });
  std::vector<Diagnostic> ordered;
  ordered.reserve(located.size());
  for (auto& entry : located) {
    // What an anchor marks is read once for each alias; its problems are the same ones.
    if (!ordered.empty() && IsSame(ordered.back(), entry.second)) continue;
    ordered.push_back(std::move(entry.second));
  }
  located.clear();
  return ordered;
}

}  // namespace

std::string FormatLocation(std::string_view file, Location at) {
  if (at.line == 0) return std::string(file);
  return fmt::format("{}:{}:{}", file.empty() ? "recipe" : file, at.line, at.column);
}

Findings::Findings(std::string_view file, std::vector<Diagnostic>* warnings) : file_(file), warnings_out_(warnings) {}

void Findings::AddError(Location at, Diagnostic diagnostic) {
  errors_.emplace_back(at, Place(at, std::move(diagnostic)));
  if (errors_.size() < kMaxErrors) return;
  std::string& help = errors_.back().second.help;
  help += fmt::format("{}stopped after {} errors; there may be more", help.empty() ? "" : "; ", kMaxErrors);
  ThrowErrors();
}

void Findings::AddWarning(Location at, Diagnostic diagnostic) {
  warnings_.emplace_back(at, Place(at, std::move(diagnostic)));
}

void Findings::Fail(Location at, Diagnostic diagnostic) {
  errors_.emplace_back(at, Place(at, std::move(diagnostic)));
  ThrowErrors();
}

void Findings::Finish() {
  if (!errors_.empty()) ThrowErrors();
  HandOverWarnings();
}

Diagnostic Findings::Place(Location at, Diagnostic diagnostic) const {
  diagnostic.where = FormatLocation(file_, at);
  return diagnostic;
}

void Findings::HandOverWarnings() {
  std::vector<Diagnostic> ordered = InFileOrder(warnings_);
  if (warnings_out_ != nullptr) std::move(ordered.begin(), ordered.end(), std::back_inserter(*warnings_out_));
}

void Findings::ThrowErrors() {
  HandOverWarnings();
  throw Error(InFileOrder(errors_));
}

}  // namespace gpumerge
