// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Merges on devices with memory of their own: the output is the CPU's for any number of them, any memory and any chunk,
// and an error anywhere ends the run with nothing left under way.
#include "src/base/text.h"
#include "src/run/device_layout.h"
#include "src/run/layout.h"
#include "src/run/pipeline.h"
#include "tests/run/device_fixture.h"
#include "tests/support/errors.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kSmall = 400'000, kMiddle = 4'000'000, kLarge = 64 << 20;

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
  // Runs the plan on the backends, memory as RunMerge would give it. The output goes to `sink`.
  static PipelineResult RunOn(
      const Plan& plan, const RunOptions& options, const std::vector<Backend*>& backends,
      const OutputSink& sink = [](uint32_t, uint64_t, const std::byte*, uint64_t) {}) {
    const RunMemory memory = AllocateMemory(plan, options, backends);
    return RunPipeline(plan, {0, plan.items.size()}, backends,
                       {memory.layout.units, memory.staging, 3, 0, options.on_progress}, sink);
  }
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

// Every place where a run with two devices and the CPU can fail, at several moments.
class DevicesFail : public DevicesTest {
 protected:
  // Runs and expects that text in the error. The fakes themselves check that nothing is left under way.
  static void ExpectFailure(
      const Plan& plan, const FakeOptions& failing, const std::string& text,
      const OutputSink& sink = [](uint32_t, uint64_t, const std::byte*, uint64_t) {}) {
    for (const bool first : {true, false}) {
      RunOptions options = Quick();
      options.max_chunk_elems = kBlockElems;
      FakeDevice bad(failing), good({.name = "good", .device_bytes = kMiddle, .has_thread = true});
      const auto cpu = MakeCpuBackend(1, "");
      const std::vector<Backend*> backends =
          first ? std::vector<Backend*>{&bad, &good, cpu.get()} : std::vector<Backend*>{&good, &bad, cpu.get()};
      EXPECT_THAT(FirstDiagnosticOf([&] { RunOn(plan, options, backends, sink); }).message, HasSubstr(text));
    }
  }
};

TEST_F(DevicesFail, InSubmitWaitAndNewState) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  for (const bool has_thread : {false, true}) {
    const FakeOptions fake{.name = "bad", .device_bytes = kMiddle, .has_thread = has_thread};
    for (const uint64_t at : {0u, 1u, 5u, 11u}) {
      FakeOptions failing = fake;
      failing.fail_submit = at;
      failing.fail_wait = at;  // those that are under way fail too, when they are waited for: that is no news
      ExpectFailure(plan, failing, "bad failed in ");
      failing.fail_submit = kNever;
      ExpectFailure(plan, failing, "bad failed in Wait");
    }
    FakeOptions failing = fake;
    failing.fail_new_state = 0;
    ExpectFailure(plan, failing, "bad failed in NewState");
  }
}

TEST_F(DevicesFail, InTheSink) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  for (const int at : {0, 1, 9}) {
    std::atomic<int> calls = 0;
    ExpectFailure(plan, {.name = "bad", .device_bytes = kMiddle}, "disk full",
                  [&](uint32_t, uint64_t, const std::byte*, uint64_t) {
                    if (calls++ % 10 == at) throw Error({.code = ErrorCode::kOutIo, .message = "disk full"});
                  });
  }
}

TEST_F(DevicesFail, InAReader) {
  for (const uint64_t at : {0u, 1u}) {
    WriteModels(1);
    const Plan plan = MakePlan(Recipe("ties"), "out");
    FakeDevice device({.device_bytes = kMiddle, .on_new_state = [&](uint64_t call) {
                         if (call == at) std::filesystem::resize_file(scratch / "c/model.safetensors", 3000);
                       }});
    RunOptions options = Quick();
    options.max_chunk_elems = kBlockElems;
    EXPECT_EQ(CodeOf([&] { RunOn(plan, options, {&device}); }), "IN-TRUNCATED");
  }
}

TEST_F(DevicesFail, TheFirstErrorWins) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  std::promise<void> second_begins, sink_fails;
  const auto wait_for = [](std::promise<void>& promise) {
    EXPECT_EQ(promise.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  };
  // The second tensor begins when outputs of the first are on their way; it fails after the sink.
  FakeDevice device({.device_bytes = kLarge, .on_new_state = [&](uint64_t call) {
                       if (call == 0) return;
                       second_begins.set_value();
                       wait_for(sink_fails);
                       std::this_thread::sleep_for(std::chrono::milliseconds(100));
                       throw Error({.code = ErrorCode::kDeviceFailed, .message = "too late"});
                     }});
  RunOptions options = Quick();
  options.max_chunk_elems = kBlockElems;
  const auto full = [&](uint32_t, uint64_t, const std::byte*, uint64_t) {
    wait_for(second_begins);
    sink_fails.set_value();
    throw Error({.code = ErrorCode::kOutIo, .message = "disk full"});
  };
  EXPECT_EQ(FirstDiagnosticOf([&] { RunOn(plan, options, {&device}, full); }).message, "disk full");
}

TEST_F(DevicesFail, WhenTheUserStopsIt) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  for (const bool has_thread : {false, true}) {
    FakeDevice device({.device_bytes = kMiddle, .has_thread = has_thread});
    RunOptions options = Quick();
    options.max_chunk_elems = kBlockElems;
    options.on_progress = [](const Progress&) { return false; };
    // The writer waits for the first report, so that the run is in the middle of its work.
    std::atomic<int> writes = 0;
    const auto slow = [&](uint32_t, uint64_t, const std::byte*, uint64_t) {
      if (++writes > 1) std::this_thread::sleep_for(std::chrono::milliseconds(150));
    };
    EXPECT_EQ(CodeOf([&] { RunOn(plan, options, {&device}, slow); }), "CANCELLED");
  }
}

TEST_F(DevicesFail, OnBadValuesOfAKeptTensor) {
  WriteModels(1);
  std::vector<TestTensor> tensors = Tensors('b', DType::kBF16);
  std::string nan;
  AppendValue(DType::kBF16, std::nan(""), &nan);
  tensors[0].bytes.replace(2 * 60'001, 2, nan);
  WriteModel(scratch / "b", tensors, kConfigJson);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  FakeDevice device({.device_bytes = kMiddle});
  const Diagnostic error = FirstDiagnosticOf([&] { RunOn(plan, Quick(), {&device}); });
  EXPECT_EQ(error.code, ErrorCode::kNumNonFiniteIn);
  EXPECT_THAT(error.found, HasSubstr("element 60001 = [60, 1]"));
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
