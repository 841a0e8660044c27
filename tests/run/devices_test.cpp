// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Merges on devices with memory of their own: the output is the CPU's for any number of them, any memory and any chunk.
#include "src/base/text.h"
#include "src/run/device_layout.h"
#include "tests/run/device_fixture.h"
#include "tests/support/errors.h"

#include <gmock/gmock.h>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

class EveryMethodOnDevices : public DeviceFixture, public ::testing::WithParamInterface<std::string> {};

TEST_P(EveryMethodOnDevices, SameOutputForMemoryChunksAndNumberOfDevices) {
  WriteModels(1);
  const auto expected = Merge(Recipe(GetParam()), Quick());
  for (const uint64_t device_bytes : {kSmall, kMiddle, kLarge})
    for (const uint64_t chunk : {uint64_t{0}, kBlockElems})
      for (const uint32_t n : {1u, 2u, 3u}) {
        RunOptions options = Quick();
        options.max_chunk_elems = chunk;
        const FakeOptions fake{.device_bytes = device_bytes, .has_thread = n == 2};
        EXPECT_EQ(MergeOn(Recipe(GetParam()), options, Fakes(n, fake)), expected)
            << n << " devices of " << device_bytes << " bytes, chunks of " << chunk;
        EXPECT_EQ(MergeOn(Recipe(GetParam()), options, Fakes(n, fake, true)), expected)
            << n << " devices of " << device_bytes << " bytes and the CPU, chunks of " << chunk;
      }
}

INSTANTIATE_TEST_SUITE_P(All, EveryMethodOnDevices,
                         ::testing::Values("linear", "slerp", "task_arithmetic", "ties", "dare_linear", "dare_ties",
                                           "passthrough"),
                         [](const auto& method) { return method.param; });

class DevicesTest : public DeviceFixture {
 protected:
  static uint64_t MergedInputBytes(const Plan& plan) {
    uint64_t bytes = 0;
    for (const PlanItem& item : plan.items)
      for (const PlanInput& input : item.inputs)
        if (item.action == PlanAction::kMerge) bytes += input.size_bytes;
    return bytes;
  }
};

TEST_F(DevicesTest, WaysDependOnTheMemory) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  {
    FakeDevice large({.device_bytes = kLarge});
    RunOn(plan, Quick(), {&large});
    EXPECT_EQ(large.n_whole, 7u);  // the eighth is only copied
    EXPECT_EQ(large.n_submits, 1u) << "one batch";
    EXPECT_EQ(large.bytes_in, MergedInputBytes(plan));
  }
  {
    FakeDevice middle({.device_bytes = kMiddle});
    RunOptions options = Quick();
    options.max_chunk_elems = kBlockElems;
    RunOn(plan, options, {&middle});
    EXPECT_GT(middle.n_kept, 0u);
    EXPECT_EQ(middle.n_streamed, 0u);
    EXPECT_EQ(middle.bytes_in, MergedInputBytes(plan)) << "every byte goes to the device once";
    EXPECT_EQ(middle.most_tensors_in_parts, 2u);
  }
  {
    FakeDevice small({.device_bytes = kSmall});
    RunOn(plan, Quick(), {&small});
    EXPECT_GT(small.n_streamed, 0u);
    EXPECT_GT(small.bytes_in, 2 * MergedInputBytes(plan)) << "once a reading";
  }
}

TEST_F(DevicesTest, TheSmallestDeviceThatWorks) {
  WriteModels(1);
  for (const char* method : {"ties", "linear"}) {
    const auto expected = Merge(Recipe(method), Quick());
    const uint64_t least = SmallestDeviceBytes(MakePlan(Recipe(method), "out"), FakeDevice());
    EXPECT_EQ(MergeOn(Recipe(method), Quick(), Fakes(1, {.device_bytes = least})), expected);
    const Diagnostic error = FirstDiagnosticOf([&] {
      RunOptions options = Quick();
      options.device = Device::kCuda;
      MergeOn(Recipe(method), options, Fakes(1, {.device_bytes = least - 256}));
    });
    EXPECT_EQ(error.code, ErrorCode::kDeviceMemory);
    EXPECT_THAT(error.expected, HasSubstr(std::to_string(least)));
    EXPECT_THAT(error.found, HasSubstr(FormatBytes(least - 256)));
  }
}

TEST_F(DevicesTest, ATensorThatNeedsMoreThanHalfTheMemoryIsAlone) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  bool alone = false, together = false;
  RunOptions options = Quick();
  options.max_chunk_elems = kBlockElems;
  for (uint64_t device_bytes = 800'000; device_bytes < kMiddle; device_bytes += 100'000) {
    FakeDevice device({.device_bytes = device_bytes});
    RunOn(plan, options, {&device});
    alone = alone || device.n_alone > 0;
    together = together || device.most_tensors_in_parts > 1;
  }
  EXPECT_TRUE(alone && together);
}

TEST_F(DevicesTest, AllBackendsWork) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  RunOptions options = Quick();
  options.max_chunk_elems = kBlockElems;
  FakeDevice first({.name = "first", .device_bytes = kMiddle}), second({.name = "second", .device_bytes = kMiddle});
  const auto cpu = MakeCpuBackend(1, "");
  RunOn(plan, options, {&first, &second, cpu.get()});
  EXPECT_GT(first.n_submits, 0u);
  EXPECT_GT(second.n_submits, 0u);
  EXPECT_GT(cpu->ComputeSeconds(), 0);
  EXPECT_LT(first.n_whole + first.n_kept + second.n_whole + second.n_kept, 7u);
}

TEST_F(DevicesTest, AFewBatchesForManySmallTensors) {
  std::vector<TestTensor> tensors;
  for (int i = 0; i < 300; ++i) tensors.push_back(PatternTensor("n" + std::to_string(i), DType::kBF16, {1024}));
  for (const char* name : {"base", "a", "b", "c"}) WriteModel(scratch / name, tensors, kConfigJson);
  FakeDevice device;
  RunOn(MakePlan(Recipe("ties"), "out"), Quick(), {&device});
  EXPECT_EQ(device.n_whole, 300u);
  EXPECT_LE(device.n_submits, 2u);
  EXPECT_LE(device.most_items, 256u);
}

TEST_F(DevicesTest, LessDeviceMemoryThanSaidIsAWarning) {
  WriteModels(1);
  const auto expected = Merge(Recipe("ties"), Quick());
  EXPECT_EQ(MergeOn(Recipe("ties"), Quick(), Fakes(1, {.device_bytes = kLarge})), expected);
  EXPECT_TRUE(stats.warnings.empty());
  EXPECT_EQ(MergeOn(Recipe("ties"), Quick(), Fakes(2, {.device_bytes = kLarge, .most_device_bytes = 600'000})),
            expected);
  ASSERT_GE(stats.warnings.size(), 2u);
  EXPECT_EQ(stats.warnings[0].code, ErrorCode::kDeviceMemory);
  EXPECT_THAT(stats.warnings.front().message, HasSubstr("fake:0"));
  EXPECT_THAT(stats.warnings.back().message, HasSubstr("fake:1"));

  RunOptions cuda = Quick();
  cuda.device = Device::kCuda;
  EXPECT_EQ(CodeOf([&] { MergeOn(Recipe("ties"), cuda, Fakes(1, {.most_device_bytes = 5000})); }), "DEV-MEMORY");
  EXPECT_FALSE(std::filesystem::exists(scratch / "out2"));
  // Nobody asked for the device: then the CPU does it.
  EXPECT_EQ(MergeOn(Recipe("ties"), Quick(), Fakes(1, {.most_device_bytes = 5000})), expected);
  EXPECT_THAT(stats.device, HasSubstr("cpu"));
}

TEST_F(DevicesTest, LessPinnedMemoryThanAskedForIsAWarning) {
  WriteModels(1);
  const auto expected = Merge(Recipe("ties"), Quick());
  EXPECT_EQ(MergeOn(Recipe("ties"), Quick(), Fakes(1, {.most_staging_bytes = 1'000'000})), expected);
  ASSERT_GE(stats.warnings.size(), 1u);
  EXPECT_EQ(stats.warnings[0].code, ErrorCode::kResMemory);
  EXPECT_EQ(CodeOf([&] { MergeOn(Recipe("ties"), Quick(), Fakes(1, {.most_staging_bytes = 1000})); }), "RES-MEM");

  RunOptions pinned = Quick();
  pinned.pinned_bytes = 1'000'000;
  EXPECT_EQ(MergeOn(Recipe("ties"), pinned, Fakes(1, {.most_staging_bytes = 1'000'000})), expected);
  EXPECT_TRUE(stats.warnings.empty());
  pinned.pinned_bytes = 1000;
  const Diagnostic error = FirstDiagnosticOf([&] { MergeOn(Recipe("ties"), pinned, Fakes(1, {})); });
  EXPECT_EQ(error.code, ErrorCode::kResMemory);
  EXPECT_THAT(error.help, HasSubstr("--pinned"));
}

TEST_F(DevicesTest, EstimateSaysWhatTheDeviceNeeds) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  const RunEstimate large = EstimateRunOn(plan, Quick(), Chosen(Fakes(1, {.device_bytes = kLarge})));
  EXPECT_EQ(large.device, "fake:0 (host memory)");
  EXPECT_EQ(large.device_why, "the test");
  EXPECT_EQ(large.n_streamed_tensors + large.n_kept_tensors, 0u);
  EXPECT_EQ(large.bytes_to_device, MergedInputBytes(plan));
  EXPECT_LE(large.device_memory_bytes, kLarge);
  EXPECT_EQ(large.device_memory_needed_bytes, SmallestDeviceBytes(plan, FakeDevice()));
  const RunEstimate middle = EstimateRunOn(plan, Quick(), Chosen(Fakes(1, {.device_bytes = kMiddle})));
  EXPECT_GT(middle.n_kept_tensors, 0u);
  EXPECT_EQ(middle.bytes_to_device, MergedInputBytes(plan));
  const RunEstimate small = EstimateRunOn(plan, Quick(), Chosen(Fakes(1, {.device_bytes = kSmall})));
  EXPECT_GT(small.n_streamed_tensors, 0u);
  EXPECT_EQ(small.bytes_to_device - MergedInputBytes(plan), small.bytes_read_again);
  const RunEstimate cpu = EstimateRun(plan, Quick());
  EXPECT_EQ(cpu.bytes_to_device + cpu.device_memory_bytes + cpu.device_memory_needed_bytes, 0u);
}

TEST_F(DevicesTest, TensorsInMemory) {
  MergeJob job;
  job.method = static_cast<uint32_t>(FindMethod("linear") - Methods().data());
  job.inputs = {{DType::kF32, 0}, {DType::kF32, 1}};
  job.shape = {3};
  job.n_elems = 3;
  job.params = {{{1, 3}}, {{1}}};  // weight, normalize
  const float a[] = {1, 2, -8}, b[] = {5, 2, 0};
  const ConstTensor inputs[] = {{a, DType::kF32}, {b, DType::kF32}};
  FakeDevice device;
  const std::vector<std::byte> merged = MergeTensorsOn(job, inputs, device);
  ASSERT_EQ(merged.size(), 12u);
  float values[3];
  std::memcpy(values, merged.data(), sizeof values);
  EXPECT_EQ(values[0], 4);
  EXPECT_EQ(values[1], 2);
  EXPECT_EQ(values[2], -2);
  EXPECT_EQ(device.n_whole, 1u);
  FakeDevice full({.most_device_bytes = 10});
  EXPECT_EQ(CodeOf([&] { MergeTensorsOn(job, inputs, full); }), "DEV-MEMORY");
}

}  // namespace
}  // namespace gpumerge::test
