// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Merge jobs written out in a test: values and the parameters that matter by name, everything else the method's
// default. Runs them on every executor that this machine has. Header-only.
#pragma once

#include "src/cpu/isa.h"
#include "tests/support/jobs.h"
#include "tests/support/number_formats.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge::testing {

struct JobSpec {
  std::string_view method;
  std::vector<std::vector<float>> inputs;  // the base first where the method needs one
  // A shared parameter has one value; the others one a model, the base not counted. Absent: the default.
  std::map<std::string, std::vector<double>> params{};
  std::vector<DType> dtypes{};  // (n_inputs) or one for all; empty: F32
  DType out_dtype = DType::kF32;
  uint64_t seed = 0;
  uint64_t name_hash = 0;
  std::vector<uint32_t> model_indices{};  // (n_models); empty: 0, 1, 2, ...
  bool with_base = false;                 // where the method's base is optional: inputs[0] is one
  std::vector<uint64_t> shape{};          // empty: one axis
};

inline uint32_t MethodNumber(std::string_view name) {
  for (uint32_t i = 0; i < Methods().size(); ++i)
    if (Methods()[i].info->name == name) return i;
  throw std::invalid_argument("no method " + std::string(name));
}

// The value of a choice as a job holds it.
inline double Choice(std::string_view method, std::string_view param, std::string_view choice) {
  for (const ParamSpec& spec : Methods()[MethodNumber(method)].info->params)
    for (size_t c = 0; spec.name == param && c < spec.choices.size(); ++c)
      if (spec.choices[c] == choice) return static_cast<double>(c);
  throw std::invalid_argument("no choice " + std::string(choice));
}

inline JobParam ResolveParam(const ParamSpec& spec, const MergeJob& job,
                             const std::map<std::string, std::vector<double>>& given) {
  const auto found = given.find(std::string(spec.name));
  if (found == given.end() && !spec.default_value) throw std::invalid_argument("missing " + std::string(spec.name));
  const size_t n = spec.scope == ParamScope::kShared ? 1 : job.n_models();
  JobParam param;
  if (spec.scope != ParamScope::kShared && job.has_base) param.values.push_back(0);  // the base has no such parameter
  for (size_t m = 0; m < n; ++m)
    param.values.push_back(found == given.end() ? *spec.default_value : found->second.at(m));
  return param;
}

// Values are stored rounded to nearest even.
inline std::vector<std::byte> Stored(DType dtype, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * ElementBytes(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto put = [&](auto stored) { std::memcpy(bytes.data() + i * sizeof stored, &stored, sizeof stored); };
    switch (dtype) {
      case DType::kF32:
        put(values[i]);
        break;
      case DType::kF64:
        put(static_cast<double>(values[i]));
        break;
      case DType::kBF16:
      case DType::kF16:
        put(static_cast<uint16_t>(NearestEven::Of(dtype).Pattern(values[i])));
        break;
      default:
        put(static_cast<uint8_t>(NearestEven::Of(dtype).Pattern(values[i])));
        break;
    }
  }
  return bytes;
}

inline TestJob MakeJob(const JobSpec& spec) {
  TestJob test;
  MergeJob& job = test.job;
  job.method = MethodNumber(spec.method);
  const MethodInfo& info = *Methods()[job.method].info;
  job.has_base = info.base == BaseUse::kRequired || (info.base == BaseUse::kOptional && spec.with_base);
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const DType dtype = spec.dtypes.empty() ? DType::kF32 : spec.dtypes[i % spec.dtypes.size()];
    const uint32_t place = static_cast<uint32_t>(i) - (job.has_base && i > 0 ? 1u : 0u);
    const bool is_base = job.has_base && i == 0;
    job.inputs.push_back({dtype, spec.model_indices.empty() || is_base ? place : spec.model_indices.at(place)});
    test.inputs.push_back(Stored(dtype, spec.inputs[i]));
  }
  job.out_dtype = spec.out_dtype;
  job.n_elems = spec.inputs.at(0).size();
  job.shape = spec.shape.empty() ? std::vector<uint64_t>{job.n_elems} : spec.shape;
  job.seed = spec.seed;
  job.name_hash = spec.name_hash;
  for (const ParamSpec& param : info.params) job.params.push_back(ResolveParam(param, job, spec.params));
  return test;
}

// The reference first, then the CPU backend for every instruction set.
inline std::vector<std::unique_ptr<Backend>> EveryBackend() {
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(MakeReferenceBackend());
  for (const CpuIsaMethods* isa : UsableIsas()) backends.push_back(MakeCpuBackend(2, std::string(isa->isa)));
  return backends;
}

inline std::string NameOf(const Backend& backend) { return backend.Info().name + " " + backend.Info().detail; }

// What a tensor of stored values means.
inline std::vector<float> Widened(DType dtype, const std::vector<std::byte>& bytes) {
  std::vector<float> values(bytes.size() / ElementBytes(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto get = [&](auto stored) {
      std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);
      return stored;
    };
    switch (dtype) {
      case DType::kF32:
        values[i] = get(float{});
        break;
      case DType::kF64:
        values[i] = static_cast<float>(get(double{}));
        break;
      case DType::kBF16:
      case DType::kF16:
        values[i] = static_cast<float>(Decode(FormatOf(dtype), get(uint16_t{})));
        break;
      default:
        values[i] = static_cast<float>(Decode(FormatOf(dtype), get(uint8_t{})));
        break;
    }
  }
  return values;
}

inline std::vector<float> RunJob(Backend& backend, const TestJob& test, uint64_t chunk_elems = 0) {
  return Widened(test.job.out_dtype, RunTestJob(backend, test, chunk_elems).output);
}

inline std::vector<uint32_t> BitsOf(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

}  // namespace gpumerge::testing
