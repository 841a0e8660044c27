// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The models' weights as every weighted method reads them: each rounded to fp32 once, summed in fp32 in config order.
#pragma once

#include "kernels/recipe.h"

#include <cmath>

namespace gpumerge::GM_TARGET {

// Fills weight (n_models) and returns their sum.
inline float ReadWeights(const MergeJob& job, float* weight) {
  float sum = 0;
  for (uint32_t m = 0; m < job.n_models(); ++m) {
    weight[m] = static_cast<float>(job.PerModel("weight", m));
    sum = m == 0 ? weight[0] : sum + weight[m];
  }
  return sum;
}

// Normalising by a sum that is (nearly) zero would blow the tensor up, so it is refused before anything is read. Both
// the sum as written and the fp32 sum that divides are looked at: small weights may vanish beside large ones.
inline std::optional<JobProblem> CheckWeightSum(const MergeJob& job) {
  float rounded[kMaxModels];
  const double rounded_sum = ReadWeights(job, rounded);
  double sum = 0, magnitude = 0;
  for (uint32_t m = 0; m < job.n_models(); ++m) {
    sum += job.PerModel("weight", m);
    magnitude += std::fabs(job.PerModel("weight", m));
  }
  const double limit = 1e-8 * magnitude;
  if (job.n_models() == 0 || (std::fabs(sum) > limit && std::fabs(rounded_sum) > limit)) return std::nullopt;
  return JobProblem{ErrorCode::kNumZeroSum, "the weights sum to zero, and normalize divides by their sum",
                    "change the weights or set normalize: false"};
}

}  // namespace gpumerge::GM_TARGET
