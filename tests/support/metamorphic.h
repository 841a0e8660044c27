// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Generators of merge jobs for rapidcheck, and comparisons of their results on the reference and the CPU backend.
#pragma once

#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <memory>
#include <string>
#include <vector>

namespace gpumerge::testing {

inline const std::vector<std::unique_ptr<Backend>>& BothBackends() {
  static const std::vector<std::unique_ptr<Backend>> backends = [] {
    std::vector<std::unique_ptr<Backend>> both;
    both.push_back(MakeReferenceBackend());
    both.push_back(MakeCpuBackend(2, ""));
    return both;
  }();
  return backends;
}

inline rc::Gen<size_t> Size() { return rc::gen::inRange<size_t>(0, 200); }

// Multiples of 1/64 up to 2: exact in bf16, f16 and f32; many are equal, many are zero.
inline rc::Gen<std::vector<float>> GridValues(size_t n) {
  return rc::gen::container<std::vector<float>>(
      n, rc::gen::map(rc::gen::inRange(-128, 129), [](int i) { return static_cast<float>(i) / 64; }));
}

inline rc::Gen<double> PowerOfTwo() {
  return rc::gen::map(rc::gen::inRange(-8, 9), [](int exponent) { return std::ldexp(1.0, exponent); });
}

// Positive and with all bits in use.
inline rc::Gen<std::vector<double>> Weights(size_t n) {
  return rc::gen::container<std::vector<double>>(
      n, rc::gen::map(rc::gen::inRange(1, 3000), [](int i) { return static_cast<double>(i) / 1000.7; }));
}

inline rc::Gen<std::vector<double>> Densities(size_t n) {
  return rc::gen::container<std::vector<double>>(n, rc::gen::element(1.0, 0.5, 0.3, 0.05, 0.77));
}

inline rc::Gen<JobSpec> LinearSpec(size_t n_models) {
  return rc::gen::exec([n_models] {
    JobSpec spec{.method = "linear", .inputs = {}};
    const size_t n = *Size();
    for (size_t m = 0; m < n_models; ++m) spec.inputs.push_back(*GridValues(n));
    spec.params = {{"weight", *Weights(n_models)}, {"normalize", {*rc::gen::element(0.0, 1.0)}}};
    return spec;
  });
}

// One of the task-vector methods with any of their parameters; options of the election are in other tests.
inline rc::Gen<JobSpec> FamilySpec(size_t n_models) {
  return rc::gen::exec([n_models] {
    JobSpec spec{
        .method = *rc::gen::element<std::string_view>("task_arithmetic", "ties", "dare_linear", "dare_ties",
                                                      "breadcrumbs", "breadcrumbs_ties", "della", "della_linear"),
        .inputs = {}};
    const size_t n = *Size();
    for (size_t i = 0; i <= n_models; ++i) spec.inputs.push_back(*GridValues(n));
    spec.params = {{"weight", *Weights(n_models)},
                   {"density", *Densities(n_models)},
                   {"gamma", std::vector<double>(n_models, *rc::gen::element(0.0, 0.01, 0.2))},
                   {"epsilon", std::vector<double>(n_models, *rc::gen::element(0.0, 0.04))},
                   {"normalize", {*rc::gen::element(0.0, 1.0)}},
                   {"rescale", {*rc::gen::element(0.0, 1.0, 2.0, 3.0, 4.0, 5.0)}},
                   {"lambda", {*rc::gen::element(1.0, 0.3, 2.0)}}};
    spec.seed = *rc::gen::arbitrary<uint64_t>();
    return spec;
  });
}

inline rc::Gen<JobSpec> SlerpSpec() {
  return rc::gen::exec([] {
    const size_t n = *Size();
    JobSpec spec{.method = "slerp", .inputs = {*GridValues(n), *GridValues(n)}};
    spec.params = {{"t", {static_cast<double>(*rc::gen::inRange(0, 65)) / 64}}};
    return spec;
  });
}

inline rc::Gen<JobSpec> AnySpec(size_t n_models) {
  return rc::gen::oneOf(LinearSpec(n_models), FamilySpec(n_models), SlerpSpec());
}

inline std::string TextOf(const JobSpec& spec) {
  return Describe(MakeJob(spec)) + " seed " + std::to_string(spec.seed);
}

// Equal as numbers: the sign of a zero does not count.
inline void SameNumbers(const JobSpec& spec, const std::vector<float>& expected) {
  for (const auto& backend : BothBackends()) {
    RC_LOG() << TextOf(spec) << " on " << NameOf(*backend);
    RC_ASSERT(RunJob(*backend, MakeJob(spec)) == expected);
  }
}

inline void SameBits(const JobSpec& spec, const std::vector<float>& expected) {
  for (const auto& backend : BothBackends()) {
    RC_LOG() << TextOf(spec) << " on " << NameOf(*backend);
    RC_ASSERT(BitsOf(RunJob(*backend, MakeJob(spec))) == BitsOf(expected));
  }
}

}  // namespace gpumerge::testing
