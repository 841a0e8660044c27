// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// An error anywhere ends a run on devices, the first one is told, and nothing is left under way: the fake devices check
// that themselves.
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

// Every place where a run with two devices and the CPU can fail, at several moments.
class DevicesFail : public DeviceFixture {
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

}  // namespace
}  // namespace gpumerge::test
