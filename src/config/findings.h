// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Collects everything that is wrong with a recipe, so that the user sees all of it at once. Whoever finds a problem
// says where (line and column) and goes on; Finish throws what was collected, in file order. Not thread-safe.
#pragma once

#include "gpumerge/config.h"
#include "gpumerge/error.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {

// "recipe.yaml:7:5"; without line and column when the location is not from the file.
std::string FormatLocation(std::string_view file, Location at);

class Findings {
 public:
  // file: what messages call the recipe. warnings may be null; it must outlive this object.
  Findings(std::string_view file, std::vector<Diagnostic>* warnings);

  // `where` of the diagnostic is filled in. After kMaxErrors errors this throws them: a hostile file cannot pile up
  // more.
  void AddError(Location at, Diagnostic diagnostic);
  void AddWarning(Location at, Diagnostic diagnostic);
  // For an error after which nothing can be read: throws it with all that were collected.
  [[noreturn]] void Fail(Location at, Diagnostic diagnostic);
  // Hands over the warnings; throws Error when there are errors. Both in file order.
  void Finish();

  size_t n_errors() const { return errors_.size(); }

  static constexpr size_t kMaxErrors = 50;

 private:
  using Located = std::pair<Location, Diagnostic>;
  Diagnostic Place(Location at, Diagnostic diagnostic) const;
  void HandOverWarnings();
  [[noreturn]] void ThrowErrors();

  std::string file_;
  std::vector<Diagnostic>* warnings_out_;
  std::vector<Located> errors_;
  std::vector<Located> warnings_;
};

}  // namespace gpumerge
