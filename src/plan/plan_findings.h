// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What planning has found so far. Each step adds to it and goes on where it can, so that a user sees every error of a
// recipe at once. Not thread-safe.
#pragma once

#include "src/base/text.h"
#include "src/config/findings.h"

#include "gpumerge/config.h"
#include "gpumerge/error.h"
#include "gpumerge/plan.h"

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

// Lists longer than this are cut, with the number of the rest.
inline constexpr size_t kMaxListed = 20;

struct PlanFindings {
  std::vector<Diagnostic> errors, warnings;
  std::vector<std::string> notes;
  std::vector<PlanDropped> dropped;

  void ThrowIfErrors() const {
    if (!errors.empty()) throw Error(errors);
  }
};

// Documents of one recipe often find the same.
inline void AddOnce(const Diagnostic& problem, std::vector<Diagnostic>* problems) {
  for (const Diagnostic& known : *problems)
    if (known.code == problem.code && known.message == problem.message && known.where == problem.where) return;
  problems->push_back(problem);
}

inline std::string Where(const MergeConfig& config, Location at) { return FormatLocation(config.file, at); }

// "a, b, c and 4 more", each as Quote has it.
template <class Strings>
std::string ListSome(const Strings& names, size_t max_listed = kMaxListed) {
  std::string text;
  size_t n_listed = 0;
  for (const auto& name : names) {
    if (n_listed == max_listed) break;
    if (n_listed++ > 0) text += ", ";
    text += EscapeForTerminal(name);
  }
  if (names.size() > n_listed) text += fmt::format(" and {} more", names.size() - n_listed);
  return text;
}

inline std::string ShapeText(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (size_t axis = 0; axis < shape.size(); ++axis) text += fmt::format("{}{}", axis > 0 ? ", " : "", shape[axis]);
  return text + "]";
}

}  // namespace gpumerge
