// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Random merge jobs over every registered method, with data that is hard on executors: ties, zeros, denormals. For
// tests.
#pragma once

#include "gpumerge/backend.h"
#include "gpumerge/method.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace gpumerge::testing {

struct TestJob {
  MergeJob job;
  std::vector<std::vector<std::byte>> inputs;  // as stored
};

inline void StoreAs(DType dtype, float value, std::byte* to) {
  const uint32_t u = std::bit_cast<uint32_t>(value);
  const auto put = [to](auto stored) { std::memcpy(to, &stored, sizeof stored); };
  switch (dtype) {
    case DType::kF32:
      return put(value);
    case DType::kF64:
      return put(static_cast<double>(value) * 1.0000000001);
    case DType::kBF16:
      return put(static_cast<uint16_t>(u >> 16));
    // Any finite pattern of the small types will do; these follow the value's bits.
    case DType::kF16:
      return put(static_cast<uint16_t>(((u >> 16) & 0x8000u) | ((u >> 13) % 0x7c00u)));
    case DType::kF8E4M3:
      return put(static_cast<uint8_t>(((u >> 24) & 0x80u) | ((u >> 20) % 0x7fu)));
    default:
      return put(static_cast<uint8_t>(((u >> 24) & 0x80u) | ((u >> 21) % 0x7cu)));
  }
}

inline float TestValue(std::mt19937_64& random, float scale) {
  const uint64_t r = random();
  switch (r % 16) {
    case 0:
      return 0.0f;
    case 1:
      return -0.0f;
    case 2:
      return std::bit_cast<float>(static_cast<uint32_t>(r >> 40) & 0x807fffffu);  // a denormal
    default:
      return static_cast<float>(static_cast<int>((r >> 8) % 401) - 200) * scale;  // a coarse grid: ties
  }
}

// Parameters inside their ranges; `variant` also sweeps booleans and choices.
inline double TestParam(const ParamSpec& spec, std::mt19937_64& random, uint32_t variant) {
  if (spec.type == ParamType::kBool) return static_cast<double>(variant % 2);
  if (spec.type == ParamType::kChoice) return static_cast<double>(variant % spec.choices.size());
  if (spec.type == ParamType::kInt)
    return std::min(spec.min + static_cast<double>((variant + random() % 2) % 4), spec.max);
  const double densities[] = {0.5, 0.3, 0.01, 1.0, 0.0, 0.77};
  if (spec.max <= 1) return std::clamp(densities[(variant + random() % 2) % 6], spec.min, spec.max);
  return std::clamp(0.1 + static_cast<double>(random() % 1000) / 700.0, spec.min, spec.max);
}

// Rows of a length that divides the elements, among them one row of all and rows that end in the middle of a block.
inline std::vector<uint64_t> TestShape(uint64_t n_elems, uint32_t variant) {
  const uint64_t lengths[] = {n_elems, 64, 7, 1000, 1, 4032, 3};
  for (uint32_t i = 0; i < std::size(lengths) && n_elems > 0; ++i) {
    const uint64_t length = lengths[(variant + i) % std::size(lengths)];
    if (n_elems % length != 0) continue;
    if (length == n_elems) return {n_elems};
    const uint64_t n_rows = n_elems / length;
    return n_rows % 2 == 0 ? std::vector<uint64_t>{n_rows / 2, 2, length} : std::vector<uint64_t>{n_rows, length};
  }
  return {n_elems};
}

inline TestJob MakeTestJob(uint32_t method, uint32_t n_models, uint64_t n_elems, const std::vector<DType>& dtypes,
                           DType out_dtype, uint32_t variant) {
  std::mt19937_64 random(variant * 7919 + n_elems * 31 + method);
  const MethodInfo& info = *Methods()[method].info;
  TestJob test;
  MergeJob& job = test.job;
  job.method = method;
  job.has_base = info.base == BaseUse::kRequired || (info.base == BaseUse::kOptional && variant / 2 % 2 == 0);
  n_models = std::min(std::max(n_models, info.min_models), info.max_models);
  for (uint32_t i = 0; i < n_models + (job.has_base ? 1 : 0); ++i)
    job.inputs.push_back({dtypes[i % dtypes.size()], i - (job.has_base && i > 0 ? 1u : 0u)});
  job.out_dtype = out_dtype;
  job.shape = TestShape(n_elems, variant);
  job.n_elems = n_elems;
  job.seed = 0x123456789abcdefULL + variant;
  job.name_hash = 0xfedcba9876543210ULL;
  for (const ParamSpec& spec : info.params) {
    JobParam param;
    const size_t n = spec.scope == ParamScope::kShared ? 1 : job.inputs.size();
    for (size_t i = 0; i < n; ++i) param.values.push_back(TestParam(spec, random, variant));
    job.params.push_back(param);
  }
  std::vector<float> base(n_elems);
  for (float& value : base) value = TestValue(random, 1e-3f);
  for (size_t i = 0; i < job.inputs.size(); ++i) {
    const DType dtype = job.inputs[i].dtype;
    std::vector<std::byte> bytes(n_elems * ElementBytes(dtype));
    for (uint64_t e = 0; e < n_elems; ++e)
      StoreAs(dtype, i == 0 ? base[e] : base[e] + TestValue(random, 1e-5f), bytes.data() + e * ElementBytes(dtype));
    test.inputs.push_back(std::move(bytes));
  }
  return test;
}

struct TestResult {
  std::vector<std::byte> output;
  std::unique_ptr<JobState> state;
};

// Runs a job on a backend: whole (chunk_elems = 0), or streamed in chunks of at least that, one reading after the
// other.
inline TestResult RunTestJob(Backend& backend, const TestJob& test, uint64_t chunk_elems) {
  const MergeJob& job = test.job;
  const PassList passes = Methods()[job.method].passes(job);
  const uint64_t cut = CutElems(job, passes);
  chunk_elems = (chunk_elems + cut - 1) / cut * cut;
  TestResult result;
  result.output.assign(job.n_elems * ElementBytes(job.out_dtype), std::byte{0xee});
  result.state = backend.NewState(job, passes);
  const uint32_t n_reads = TotalReads(passes);
  const auto submit = [&](uint64_t first, uint64_t n, uint32_t first_read, uint32_t last_read) {
    Work work{&job, result.state.get(), first, n, {}, nullptr, first_read, last_read};
    for (size_t i = 0; i < test.inputs.size(); ++i)
      work.inputs.push_back(test.inputs[i].data() + first * ElementBytes(job.inputs[i].dtype));
    work.output = result.output.data() + first * ElementBytes(job.out_dtype);
    backend.Wait(backend.Submit({&work, 1}));
  };
  if (chunk_elems == 0) {
    submit(0, job.n_elems, 0, n_reads);
  } else {
    for (uint32_t read = 0; read < n_reads; ++read)
      for (uint64_t first = 0; first < job.n_elems; first += chunk_elems)
        submit(first, std::min(chunk_elems, job.n_elems - first), read, read + 1);
  }
  return result;
}

inline std::string Describe(const TestJob& test) {
  std::string text = std::string(Methods()[test.job.method].info->name) + " n=" + std::to_string(test.job.n_elems) +
                     " models=" + std::to_string(test.job.n_models()) + " ->" +
                     std::string(Info(test.job.out_dtype).name) + " params:";
  for (const JobParam& param : test.job.params) {
    text += " [";
    for (double value : param.values) text += std::to_string(value) + " ";
    text += "]";
  }
  return text;
}

}  // namespace gpumerge::testing
