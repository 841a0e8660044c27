// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Random words as three device functions make them: what the merging kernels call, this project's own generator, and
// cuRAND's as its manual says to use it. For tests; the kernel is in philox_draws.cu.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace gpumerge::testing {

struct PhiloxPlace {
  uint64_t seed, name_hash;
  uint32_t model, block;
};

struct PhiloxDraws {
  std::array<uint32_t, 4> by_kernels, by_philox_h, by_curand_init;
};

std::vector<PhiloxDraws> DrawOnGpu(const std::vector<PhiloxPlace>& places);

}  // namespace gpumerge::testing
