// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// NaN and infinity among the inputs and results too large for their type: the GPU finds what the reference finds, the
// first of them and how many, whatever the parts.
#include "tests/gpu/gpu_compare.h"
#include "tests/support/literal_jobs.h"

#include <limits>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

constexpr uint64_t kElems = 2 * kBlockElems + 131;
const std::vector<GpuRun> kRuns = {{GpuMode::kWhole},
                                   {GpuMode::kStreamed, kBlockElems},
                                   {GpuMode::kKept, kBlockElems, 2 * kBlockElems},
                                   {GpuMode::kKept, 2 * kBlockElems, kBlockElems}};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::map<std::string, std::vector<double>> ParamsOf(const MethodInfo& info, size_t n_models) {
  std::map<std::string, std::vector<double>> params;
  for (const ParamSpec& spec : info.params) {
    const size_t n = spec.scope == ParamScope::kShared ? 1 : n_models;
    if (spec.name == "weight") params["weight"] = std::vector<double>(n, 0.75);
    if (spec.name == "density") params["density"] = std::vector<double>(n, 0.9);
    if (spec.name == "t") params["t"] = {0.3};
  }
  return params;
}

// Values around one for every input; poke changes some of them.
template <class Poke>
TestJob PokedJob(uint32_t method, DType in, DType out, const Poke& poke) {
  const MethodInfo& info = *Methods()[method].info;
  JobSpec spec{.method = info.name, .inputs = {}};
  const size_t n_models = std::min(std::max(2u, info.min_models), info.max_models);
  const size_t n_inputs = n_models + (info.base == BaseUse::kRequired ? 1 : 0);
  for (size_t i = 0; i < n_inputs; ++i) {
    std::vector<float> values(kElems);
    for (size_t e = 0; e < kElems; ++e) values[e] = 1.0f + static_cast<float>((e * 7 + i * 13) % 32) / 64;
    poke(i, &values);
    spec.inputs.push_back(std::move(values));
  }
  spec.params = ParamsOf(info, n_models);
  spec.dtypes = {in};
  spec.out_dtype = out;
  return MakeJob(spec);
}

class GpuFindings : public ::testing::TestWithParam<uint32_t> {};

TEST_P(GpuFindings, NonFiniteInputs) {
  GpuBackend gpu({2 << 20, 2, 8 << 20, 4 << 20});
  const auto poke = [](size_t i, std::vector<float>* values) {
    // In the second input earlier than in the first; in the same element of both; in a vector's tail.
    if (i == 0) (*values)[kBlockElems] = (*values)[kElems - 1] = kInfinity;
    if (i == 1) {
      (*values)[kBlockElems - 1] = std::numeric_limits<float>::quiet_NaN();
      (*values)[kBlockElems] = -kInfinity;
      (*values)[7] = kInfinity;
    }
  };
  const std::pair<DType, DType> types[] = {{DType::kBF16, DType::kBF16},
                                           {DType::kF32, DType::kF16},
                                           {DType::kF64, DType::kF32},
                                           {DType::kF8E5M2, DType::kF64}};
  for (const auto& [in, out] : types) {
    const TestJob test = PokedJob(GetParam(), in, out, poke);
    for (const GpuRun& run : kRuns) {
      const TestResult found = gpu.Run(test, run);
      ExpectSame(test, Expected(test), found, Text(run));
      ASSERT_TRUE(found.state->InputNonFinite(0));
      EXPECT_EQ(found.state->InputNonFinite(0)->first_index, kBlockElems);
      EXPECT_EQ(found.state->InputNonFinite(0)->count, 2u);
    }
  }
}

TEST_P(GpuFindings, Overflow) {
  GpuBackend gpu({2 << 20, 2, 8 << 20, 4 << 20});
  const auto poke = [](size_t, std::vector<float>* values) {
    (*values)[3] = (*values)[kBlockElems + 1] = 3e38f;
    (*values)[kElems - 1] = 70000.0f;
    (*values)[2 * kBlockElems] = -500.0f;
  };
  for (const DType out : {DType::kF16, DType::kF8E4M3, DType::kBF16, DType::kF32}) {
    const TestJob test = PokedJob(GetParam(), DType::kF32, out, poke);
    for (const GpuRun& run : kRuns) ExpectReference(test, gpu, run);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GpuFindings, ::testing::Range(0u, static_cast<uint32_t>(Methods().size())),
                         [](const auto& test) { return std::string(Methods()[test.param].info->name); });

// Findings of one tensor of a batch do not leak into its neighbours'.
TEST(GpuFindingsOfBatches, StayWithTheirTensor) {
  GpuBackend gpu;
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 9; ++t)
    tests.push_back(PokedJob(t % static_cast<uint32_t>(Methods().size()), DType::kF32, DType::kF16,
                             [&](size_t i, std::vector<float>* values) {
                               if (t % 3 == 1 && i == 0) (*values)[t] = kInfinity;
                               if (t % 3 == 2) (*values)[100 + t] = 1e30f;
                             }));
  std::vector<std::unique_ptr<GpuTensor>> tensors;
  std::vector<GpuTensor*> batch;
  for (const TestJob& test : tests) {
    tensors.push_back(gpu.Begin(test));
    batch.push_back(tensors.back().get());
  }
  gpu.Submit(batch);
  gpu.Drain();
  for (size_t t = 0; t < tests.size(); ++t) ExpectSame(tests[t], Expected(tests[t]), tensors[t]->result);
}

}  // namespace
}  // namespace gpumerge
