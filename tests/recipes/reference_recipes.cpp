// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The methods of test_recipes.h are all that this program has.
#define GM_TARGET on_reference
#define GM_ANY_COUNT_ONLY
#include "src/reference/executor.h"
#include "tests/support/test_recipes.h"

namespace gpumerge {
namespace {

std::span<const ReferenceMethod> Recipes() {
  return on_reference::ReferenceMethodsIn(on_reference::MethodsOfThisFile{});
}
constexpr ReferenceMethodsOfFile kFiles[] = {Recipes};

}  // namespace

std::span<const ReferenceMethodsOfFile> ReferenceMethodFiles() { return kFiles; }

}  // namespace gpumerge
