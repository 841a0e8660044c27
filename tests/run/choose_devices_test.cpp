// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which devices a run takes, for every way in which GPUs may be there or not.
#include "src/run/device.h"
#include "tests/run/fake_device.h"
#include "tests/support/errors.h"

#include <gmock/gmock.h>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

const Diagnostic kBusy{.code = ErrorCode::kDeviceBusy, .message = "another process has it"};
const Diagnostic kNoDriver{.code = ErrorCode::kDeviceDriver, .message = "there is no driver"};

// n GPUs, of which those in `busy` cannot be used and those in `fails` cannot be opened.
GpuSource Gpus(uint32_t n, std::vector<uint32_t> busy = {}, std::vector<uint32_t> fails = {}) {
  const auto has = [](const std::vector<uint32_t>& list, uint32_t i) {
    return std::find(list.begin(), list.end(), i) != list.end();
  };
  GpuSource gpus;
  gpus.survey = [=] {
    GpuSurvey survey;
    if (n == 0) survey.problem = kNoDriver;
    for (uint32_t i = 0; i < n; ++i) {
      survey.gpus.emplace_back().index = i;
      survey.gpus.back().name = "Card " + std::to_string(i);
      if (has(busy, i)) survey.gpus.back().problem = kBusy;
    }
    return survey;
  };
  gpus.make = [=](uint32_t gpu, uint64_t vram_bytes) -> std::unique_ptr<Backend> {
    if (has(fails, gpu)) throw Error({.code = ErrorCode::kDeviceFailed, .message = "it does not start"});
    return std::make_unique<FakeDevice>(
        FakeOptions{.name = "cuda:" + std::to_string(gpu), .device_bytes = vram_bytes == 0 ? 1 << 20 : vram_bytes});
  };
  return gpus;
}

RunOptions Asks(Device device, std::vector<uint32_t> gpus = {}) {
  RunOptions options;
  options.device = device;
  options.gpus = std::move(gpus);
  return options;
}

std::vector<std::string> Names(const ChosenDevices& chosen) {
  std::vector<std::string> names;
  for (const Backend* backend : chosen.pointers()) names.push_back(backend->Info().name);
  return names;
}

using List = std::vector<std::string>;

TEST(ChooseDevicesTest, AutoTakesWhatWorks) {
  EXPECT_EQ(Names(ChooseDevices(Asks(Device::kAuto), Gpus(2))), (List{"cuda:0", "cuda:1"}));
  const ChosenDevices second = ChooseDevices(Asks(Device::kAuto), Gpus(3, {0}, {2}));
  EXPECT_EQ(Names(second), List{"cuda:1"});
  EXPECT_THAT(second.why, HasSubstr("GPU 0: another process has it"));
  EXPECT_THAT(second.why, HasSubstr("GPU 2: it does not start"));
  for (const GpuSource& none : {Gpus(0), Gpus(1, {0}), Gpus(1, {}, {0})})
    EXPECT_EQ(Names(ChooseDevices(Asks(Device::kAuto), none)), List{"cpu"});
  EXPECT_EQ(ChooseDevices(Asks(Device::kAuto), Gpus(0)).why, "no GPU: there is no driver");
  EXPECT_THAT(ChooseDevices(Asks(Device::kAuto), Gpus(1, {}, {0})).why, HasSubstr("it does not start"));
  GpuSource one = Gpus(3);
  one.most_gpus = 1;
  EXPECT_EQ(Names(ChooseDevices(Asks(Device::kAuto), one)), List{"cuda:0"});
}

TEST(ChooseDevicesTest, CudaTakesWhatWasAskedForOrSaysWhyNot) {
  EXPECT_EQ(Names(ChooseDevices(Asks(Device::kCuda), Gpus(2, {0}))), List{"cuda:1"});
  EXPECT_EQ(Names(ChooseDevices(Asks(Device::kCuda, {2, 0, 2}), Gpus(3))), (List{"cuda:2", "cuda:0"}));
  EXPECT_EQ(CodeOf([] { ChooseDevices(Asks(Device::kCuda), Gpus(0)); }), "DEV-DRIVER");
  EXPECT_EQ(CodeOf([] { ChooseDevices(Asks(Device::kCuda), Gpus(1, {0})); }), "DEV-BUSY");
  EXPECT_EQ(CodeOf([] { ChooseDevices(Asks(Device::kCuda, {0}), Gpus(2, {0})); }), "DEV-BUSY");
  EXPECT_EQ(CodeOf([] { ChooseDevices(Asks(Device::kCuda), Gpus(1, {}, {0})); }), "DEV-FAILED");
  const Diagnostic error = FirstDiagnosticOf([] { ChooseDevices(Asks(Device::kCuda, {1, 5}), Gpus(2)); });
  EXPECT_EQ(error.code, ErrorCode::kDeviceUnavailable);
  EXPECT_EQ(error.message, "there is no GPU 5");
  EXPECT_EQ(error.found, "0 (Card 0), 1 (Card 1)");
}

TEST(ChooseDevicesTest, HybridAddsTheCpu) {
  EXPECT_EQ(Names(ChooseDevices(Asks(Device::kHybrid), Gpus(2))), (List{"cuda:0", "cuda:1", "cpu"}));
  EXPECT_EQ(CodeOf([] { ChooseDevices(Asks(Device::kHybrid), Gpus(0)); }), "DEV-DRIVER");
}

TEST(ChooseDevicesTest, VramIsHandedOn) {
  RunOptions options = Asks(Device::kCuda);
  options.vram_bytes = 12345;
  EXPECT_EQ(ChooseDevices(options, Gpus(1)).backends[0]->Info().device_bytes, 12345u);
}

TEST(ChooseDevicesTest, CpuAndReferenceAskNoGpu) {
  GpuSource gpus;
  gpus.survey = []() -> GpuSurvey { throw std::logic_error("nobody asked"); };
  EXPECT_EQ(Names(ChooseDevices(Asks(Device::kCpu), gpus)), List{"cpu"});
  EXPECT_EQ(Names(ChooseDevices(Asks(Device::kReference), gpus)), List{"reference"});
}

TEST(ChooseDevicesTest, TextJoinsThem) {
  FakeDevice a({.name = "cuda:0"}), b({.name = "cuda:1"});
  Backend* const both[] = {&a, &b};
  EXPECT_EQ(DeviceText(both), "cuda:0 (host memory) + cuda:1 (host memory)");
}

}  // namespace
}  // namespace gpumerge::test
