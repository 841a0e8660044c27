// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What only tensors of millions of elements reach: the tree above thousands of block sums, bins that billions of keys
// lie in, ties hundreds of segments away.
#include "src/cuda/entry.h"
#include "src/cuda/handles.h"
#include "tests/gpu/gpu_compare.h"

#include <random>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

template <class T>
struct OnDevice {
  explicit OnDevice(const std::vector<T>& values) : n(values.size()), memory(MakeDeviceBuffer(n * sizeof(T))) {
    GM_CUDA_TRY(cudaMemcpy(memory.get(), values.data(), n * sizeof(T), cudaMemcpyHostToDevice));
  }
  T* get() const { return reinterpret_cast<T*>(memory.get()); }
  std::vector<T> values() const {
    std::vector<T> values(n);
    GM_CUDA_TRY(cudaMemcpy(values.data(), memory.get(), n * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }
  size_t n;
  DeviceBuffer memory;
};

// The contract's tree: neighbours paired until one is left, an odd last one moves up.
double Tree(std::vector<double> level, ReduceOp op) {
  while (level.size() > 1) {
    std::vector<double> next;
    for (size_t i = 0; i + 1 < level.size(); i += 2)
      next.push_back(op == ReduceOp::kSum ? level[i] + level[i + 1] : std::max(level[i], level[i + 1]));
    if (level.size() % 2 == 1) next.push_back(level.back());
    level = std::move(next);
  }
  return level[0];
}

TEST(GpuKernels, TreeAboveManyBlockSums) {
  std::mt19937_64 random(3);
  for (const uint64_t n_blocks : {1u, 2u, 3u, 511u, 1023u, 1024u, 1025u, 2047u, 2049u, 3000u, 70'001u})
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
      constexpr uint32_t kValues = 3;
      std::vector<double> sums(n_blocks * kValues);
      for (double& sum : sums) sum = std::ldexp(static_cast<double>(random() >> 11), -static_cast<int>(random() % 80));
      const OnDevice<double> block_sums(sums), result(std::vector<double>(kValues, -1));
      DevicePart part{};
      part.tensor_elems = n_blocks * kBlockElems - 5;
      part.block_sums = block_sums.get();
      part.sums = result.get();
      part.n_values = kValues;
      part.op = op;
      const OnDevice<DevicePart> parts({part});
      LaunchEndReduce(parts.get(), 1, kValues, nullptr, nullptr);
      const std::vector<double> found = result.values();
      for (uint32_t v = 0; v < kValues; ++v) {
        std::vector<double> level;
        for (uint64_t b = 0; b < n_blocks; ++b) level.push_back(sums[b * kValues + v]);
        ASSERT_EQ(found[v], Tree(level, op)) << n_blocks << " blocks, value " << v;
      }
    }
}

// The same tree above a row's blocks, for several rows, and the values that they have go along; then they come back.
TEST(GpuKernels, GroupsThereAndBack) {
  std::mt19937_64 random(4);
  for (const uint32_t n_blocks : {1u, 2u, 3u, 7u, 64u, 65u, 1000u, 30'001u})
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax}) {
      constexpr uint32_t kGroups = 3, kValues = 2, kKept = 3, kFirst = 5;
      std::vector<double> sums(kGroups * n_blocks * kValues), kept((kFirst + kGroups + 1) * kKept);
      for (std::vector<double>* values : {&sums, &kept})
        for (double& value : *values)
          value = std::ldexp(static_cast<double>(random() >> 11), -static_cast<int>(random() % 80));
      const OnDevice<double> block_sums(sums), group_values(kept);
      const OnDevice<double> mail(std::vector<double>(kGroups * (kValues + kKept), -1));
      DevicePart part{};
      part.block_sums = block_sums.get();
      part.sums = mail.get();
      part.group_values = group_values.get();
      part.n_values = kValues;
      part.n_group_values = kKept;
      part.blocks_per_group = n_blocks;
      part.first_group = kFirst;
      part.n_groups = kGroups;
      part.op = op;
      const OnDevice<DevicePart> parts({part});
      LaunchSendGroups(parts.get(), 1, 1, nullptr, nullptr);
      std::vector<double> found = mail.values();
      for (uint32_t g = 0; g < kGroups; ++g)
        for (uint32_t v = 0; v < kValues; ++v) {
          std::vector<double> level;
          for (uint32_t b = 0; b < n_blocks; ++b) level.push_back(sums[(g * n_blocks + b) * kValues + v]);
          ASSERT_EQ(found[g * kValues + v], Tree(level, op)) << n_blocks << " blocks, group " << g << " value " << v;
        }
      for (uint32_t i = 0; i < kGroups * kKept; ++i) {
        ASSERT_EQ(found[kGroups * kValues + i], kept[kFirst * kKept + i]);
        found[kGroups * kValues + i] = kept[kFirst * kKept + i] = i;
      }
      GM_CUDA_TRY(cudaMemcpy(mail.get(), found.data(), found.size() * sizeof(double), cudaMemcpyHostToDevice));
      LaunchStoreGroups(parts.get(), 1, 1, nullptr, nullptr);
      ASSERT_EQ(group_values.values(), kept);
    }
}

// Counts that are full to the last bit of 32, as a tensor of 2^32 - 1 equal keys gives.
TEST(GpuKernels, BinsOfBillionsOfKeys) {
  struct Case {
    std::vector<std::pair<uint32_t, uint32_t>> bins;  // high bin, keys
    uint64_t wanted;
    uint32_t expected_bin;
    uint64_t expected_in_bin;
  };
  const Case cases[] = {
      {{{5, 0xffffffffu}}, 0xffffffffu, 5, 0xffffffffu},
      {{{5, 0xffffffffu}}, 1, 5, 1},
      {{{0, 0x80000000u}, {kDeviceHighBins - 1, 0x7fffffffu}}, 0x80000000u, 0, 1},
      {{{0, 0x80000000u}, {kDeviceHighBins - 1, 0x7fffffffu}}, 0x7fffffffu, kDeviceHighBins - 1, 0x7fffffffu},
      {{{255, 7}, {256, 7}, {257, 7}}, 14, 256, 7},
      {{{255, 7}, {256, 7}, {257, 7}}, 15, 255, 1},
  };
  for (const Case& c : cases) {
    std::vector<uint32_t> counts(kDeviceHighBins);
    for (const auto& [bin, keys] : c.bins) counts[bin] = keys;
    const OnDevice<uint32_t> high_counts(counts);
    const OnDevice<uint64_t> wanted({c.wanted});
    const OnDevice<Selection> selections({Selection{}});
    const OnDevice<DeviceSelectProgress> progress({DeviceSelectProgress{}});
    DevicePart part{};
    part.n_values = 1;
    part.high_counts = high_counts.get();
    part.wanted = wanted.get();
    part.selections = selections.get();
    part.progress = progress.get();
    const OnDevice<DevicePart> parts({part});
    LaunchEndHigh(parts.get(), 1, 1, nullptr, nullptr);
    EXPECT_EQ(progress.values()[0].high_bin, c.expected_bin);
    EXPECT_EQ(progress.values()[0].wanted_in_bin, c.expected_in_bin);
  }
}

// More segments than a block has threads, one of them with the last tie; a part's count of ties is a part of the rest.
TEST(GpuKernels, TiesFarAwayEagerOnly) {
  constexpr uint64_t kElems = 300 * uint64_t{kSegmentElems} + 11;
  GpuBackend gpu({16 << 20, 2, 16 << 20, 32 << 20});
  const auto cpu = MakeCpuBackend(2, "");
  JobSpec spec{.method = "ties", .inputs = {std::vector<float>(kElems, 0.0f), std::vector<float>(kElems, 0.5f)}};
  spec.inputs[1][77] = 1.0f;
  spec.dtypes = {DType::kF8E4M3};
  spec.out_dtype = DType::kF8E4M3;
  const double kept = 290.0 * kSegmentElems + 3.5;
  spec.params = {{"weight", {1}}, {"density", {kept / static_cast<double>(kElems)}}};
  const TestJob test = MakeJob(spec);
  const TestResult expected = RunTestJob(*cpu, test, 0);
  for (const GpuRun& run : {GpuRun{}, GpuRun{GpuMode::kKept, 100 * kSegmentElems, 280 * uint64_t{kSegmentElems}}})
    ExpectSame(test, expected, gpu.Run(test, run), Text(run));
}

// Tables fill their ring: many models and tensors in one batch, on a device with little memory for tables.
TEST(GpuKernels, TablesLargerThanTheirRing) {
  GpuBackend gpu({1 << 20, 2, 0, 1 << 20, 4 << 20});
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 150; ++t)
    tests.push_back(MakeTestJob(MethodNumber(t % 3 == 0   ? "ties"
                                             : t % 3 == 1 ? "dare_ties"
                                                          : "slerp"),
                                20, 3 + t % 9, {DType::kBF16}, DType::kF32, t));
  std::vector<std::unique_ptr<GpuTensor>> tensors;
  for (int repeat = 0; repeat < 2; ++repeat) {
    std::vector<GpuTensor*> batch;
    for (const TestJob& test : tests) {
      tensors.push_back(gpu.Begin(test));
      batch.push_back(tensors.back().get());
    }
    gpu.Submit(batch);
  }
  gpu.Drain();
  for (const auto& tensor : tensors) ExpectSame(tensor->test, Expected(tensor->test), tensor->result);
}

TEST(GpuKernels, TooManyElementsEagerOnly) {
  GpuBackend gpu({1 << 20, 1, 0, 1 << 20});
  TestJob test = MakeTestJob(MethodNumber("linear"), 2, 4096, {DType::kF8E4M3}, DType::kF8E4M3, 0);
  const auto state = gpu.backend().NewState(test.job, Methods()[test.job.method].passes(test.job));
  test.job.n_elems = uint64_t{1} << 32;
  Work work{&test.job, state.get(), 0, 4096, {gpu.staging().data(), gpu.staging().data()}, gpu.staging().data(), 0, 1};
  EXPECT_THROW(gpu.backend().Submit({&work, 1}), Error);
}

}  // namespace
}  // namespace gpumerge
