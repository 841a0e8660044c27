// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// One large bf16 tensor of a base and models, and a job for each method over it. For benchmarks.
#pragma once

#include "gpumerge/job.h"
#include "gpumerge/method.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace gpumerge {

inline constexpr uint32_t kBenchModels = 3;

inline uint16_t BenchRoundToBf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float BenchWidenBf16(uint16_t stored) {
  const uint32_t bits = static_cast<uint32_t>(stored) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// As in checkpoints: weights and what fine-tuning changes of them, both stored in bf16, so that many deltas tie.
inline void FillBenchTensors(std::byte* base, std::span<std::byte* const> models, uint64_t n_elems) {
  constexpr float kBaseDeviation = 0.02f, kDeltaDeviation = 1e-3f;
  std::mt19937_64 random(1);
  std::normal_distribution<float> weights(0, kBaseDeviation), deltas(0, kDeltaDeviation);
  auto* stored_base = reinterpret_cast<uint16_t*>(base);
  for (uint64_t e = 0; e < n_elems; ++e) stored_base[e] = BenchRoundToBf16(weights(random));
  for (std::byte* model : models) {
    auto* stored = reinterpret_cast<uint16_t*>(model);
    for (uint64_t e = 0; e < n_elems; ++e)
      stored[e] = BenchRoundToBf16(BenchWidenBf16(stored_base[e]) + deltas(random));
  }
}

inline double BenchValue(const ParamSpec& spec) {
  if (spec.name == "density" || spec.name == "t") return 0.5;
  if (spec.name == "scale") return 0.9;  // with 1 it would be a copy
  return spec.default_value.value_or(1.0);
}

inline MergeJob MakeBenchJob(uint32_t method, uint64_t n_elems) {
  const MethodInfo& info = *Methods()[method].info;
  MergeJob job;
  job.method = method;
  job.has_base = info.base == BaseUse::kRequired;
  const uint32_t n_models = std::min(kBenchModels, info.max_models);
  if (job.has_base) job.inputs.push_back({DType::kBF16, 0});
  for (uint32_t m = 0; m < n_models; ++m) job.inputs.push_back({DType::kBF16, m});
  job.out_dtype = DType::kBF16;
  job.shape = {n_elems};
  job.n_elems = n_elems;
  for (const ParamSpec& spec : info.params) {
    const size_t n_values = spec.scope == ParamScope::kShared ? 1 : job.inputs.size();
    job.params.push_back({std::vector<double>(n_values, BenchValue(spec))});
  }
  return job;
}

}  // namespace gpumerge
