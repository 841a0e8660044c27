// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The methods of test_recipes.h are all that this program has.
#define GM_TARGET on_cuda
#include "src/cuda/cuda_executor.cuh"
#include "tests/support/test_recipes.h"

namespace gpumerge {
namespace {

std::span<const CudaMethod> Recipes() { return on_cuda::CudaMethodsIn(on_cuda::MethodsOfThisFile{}); }
constexpr CudaMethodsOfFile kFiles[] = {Recipes};

}  // namespace

std::span<const CudaMethodsOfFile> CudaMethodFiles() { return kFiles; }

}  // namespace gpumerge
