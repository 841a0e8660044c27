// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The CUDA backend gives the reference's bits: every method, types of inputs and output, odd sizes, numbers of models,
// shapes, parameters, and ways of bringing a tensor to the device. Of all these together every pair of values occurs.
#include "tests/gpu/gpu_compare.h"
#include "tests/support/pairwise.h"

#include <string>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

const std::vector<std::vector<DType>> kInputTypes = {{DType::kF32},
                                                     {DType::kBF16},
                                                     {DType::kF16},
                                                     {DType::kF8E4M3},
                                                     {DType::kF8E5M2},
                                                     {DType::kF64},
                                                     {DType::kBF16, DType::kF32, DType::kF16},
                                                     {DType::kF64, DType::kF8E4M3, DType::kBF16, DType::kF8E5M2}};
const std::vector<DType> kOutputTypes = {DType::kF32,    DType::kBF16,   DType::kF16,
                                         DType::kF8E4M3, DType::kF8E5M2, DType::kF64};
const std::vector<uint64_t> kSizes = {0, 1, 7, 8, 9, 31, 33, 64, 99, 100, 1023, 1025, 4096, 4099};
const std::vector<uint32_t> kModels = {1, 2, 3, 4, 5, 9, 64};
const std::vector<GpuRun> kRuns = {
    {GpuMode::kWhole},
    {GpuMode::kStreamed, kBlockElems, kBlockElems},
    {GpuMode::kStreamed, 3 * kBlockElems, kBlockElems},
    {GpuMode::kKept, kBlockElems, 2 * kBlockElems},
    {GpuMode::kKept, 2 * kBlockElems, kBlockElems},
};
constexpr uint32_t kVariants = 6;  // see MakeTestJob

// 64 models a time cost most, and stand for what is larger than a kernel compiled for its number of models.
constexpr uint32_t kManyModels = 64;

std::string NameOf(const ::testing::TestParamInfo<uint32_t>& info) {
  return std::string(Methods()[info.param].info->name);
}
const auto kEveryMethod = ::testing::Range(0u, static_cast<uint32_t>(Methods().size()));

// Counters of two selections for each of many models.
constexpr GpuMemory kRoomy{.kept_bytes = 64 << 20};

TEST(GpuParity, EveryPairOfSettings) {
  GpuBackend gpu(kRoomy);
  const std::vector<size_t> factors = {Methods().size(), kInputTypes.size(), kOutputTypes.size(),
                                       kSizes.size(),    kModels.size(),     kRuns.size(),
                                       kVariants};
  for (const std::vector<size_t>& row : Pairwise(factors))
    ExpectReference(MakeTestJob(static_cast<uint32_t>(row[0]), kModels[row[4]], kSizes[row[3]], kInputTypes[row[1]],
                                kOutputTypes[row[2]], static_cast<uint32_t>(row[6])),
                    gpu, kRuns[row[5]]);
}

class GpuEveryMethod : public ::testing::TestWithParam<uint32_t> {};

TEST_P(GpuEveryMethod, OddSizesWhole) {
  GpuBackend gpu;
  uint32_t variant = 0;
  for (const uint64_t n : kSizes)
    for (uint32_t repeat = 0; repeat < 2; ++repeat, ++variant)
      ExpectReference(MakeTestJob(GetParam(), 3, n, {DType::kBF16}, DType::kBF16, variant), gpu);
}

// Several parts, the last one short; chunks of input and output that do not end together. Where a method needs whole
// rows, only some shapes have parts.
TEST_P(GpuEveryMethod, InParts) {
  GpuBackend gpu;
  for (const GpuRun& run : {GpuRun{GpuMode::kStreamed}, GpuRun{GpuMode::kKept, kBlockElems, 2 * kBlockElems},
                            GpuRun{GpuMode::kKept, 2 * kBlockElems, kBlockElems}})
    for (uint32_t variant = 0; variant < kVariants; ++variant)
      ExpectReference(
          MakeTestJob(GetParam(), 3, variant % 2 == 0 ? 9'009 : 12'800, {DType::kBF16}, DType::kBF16, variant), gpu,
          run);
}

TEST_P(GpuEveryMethod, EveryPairOfSettingsEagerOnly) {
  GpuBackend gpu(kRoomy);
  const std::vector<size_t> factors = {kInputTypes.size(), kOutputTypes.size(), kSizes.size(),
                                       kModels.size(),     kRuns.size(),        kVariants};
  for (const std::vector<size_t>& row : Pairwise(factors))
    if (kModels[row[3]] != kManyModels || row[4] % 2 == 0)
      ExpectReference(MakeTestJob(GetParam(), kModels[row[3]], kSizes[row[2]], kInputTypes[row[0]],
                                  kOutputTypes[row[1]], static_cast<uint32_t>(row[5])),
                      gpu, kRuns[row[4]]);
}

// More elements than one block of threads selects from: counted by radix though the tensor is whole.
TEST_P(GpuEveryMethod, LargestSizeEagerOnly) {
  constexpr uint64_t kElems = (1 << 20) + 7;
  GpuBackend gpu({32 << 20, 2, 64 << 20, 128 << 20});
  const auto cpu = MakeCpuBackend(2, "");
  TestJob test = MakeTestJob(GetParam(), 3, kElems, {DType::kBF16}, DType::kBF16, 1);
  test.job.shape = {kElems};
  const TestResult expected = RunTestJob(*cpu, test, 0);
  for (const GpuRun& run : {GpuRun{}, GpuRun{GpuMode::kStreamed, 1 << 18}, GpuRun{GpuMode::kKept, 1 << 19, 1 << 18}})
    ExpectSame(test, expected, gpu.Run(test, run), Text(run));
}

INSTANTIATE_TEST_SUITE_P(All, GpuEveryMethod, kEveryMethod, NameOf);

// The same tensor twice must not depend on what an earlier one left in device memory.
TEST(GpuParity, NothingIsLeftOfEarlierTensors) {
  GpuBackend gpu({1 << 20, 2, 4 << 20, 1 << 20});
  for (uint32_t repeat = 0; repeat < 3; ++repeat)
    for (uint32_t method = 0; method < Methods().size(); ++method) {
      ExpectReference(MakeTestJob(method, 2, 4099, {DType::kF32}, DType::kF32, repeat), gpu,
                      {repeat == 0 ? GpuMode::kKept : GpuMode::kWhole});
      ExpectReference(MakeTestJob(method, 2, 33, {DType::kF32}, DType::kF16, repeat), gpu);
    }
}

}  // namespace
}  // namespace gpumerge
