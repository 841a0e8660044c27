// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The methods of test_recipes.h are all that this program has.
#define GM_TARGET on_cpu_baseline
#include "src/cpu/range_executor.h"
#include "tests/support/test_recipes.h"

namespace gpumerge {
namespace {

std::span<const CpuMethod> Recipes() { return on_cpu_baseline::CpuMethodsIn(on_cpu_baseline::MethodsOfThisFile{}); }
constexpr CpuMethodsOfFile kFiles[] = {Recipes};
constexpr CpuIsaMethods kIsas[] = {{"baseline", kFiles}};

}  // namespace

std::span<const CpuIsaMethods> CpuMethodFiles() { return kIsas; }

}  // namespace gpumerge
