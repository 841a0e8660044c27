// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The power is cut before every call of a merge, and what no sync protected is lost, kept, or kept in parts: there is
// the old output or the whole new one, and running the same command again gives the bytes of an uninterrupted run.
#include "tests/faults/disk_fixture.h"

#include <fmt/format.h>

namespace gpumerge::test {
namespace {

class PowerCut : public DiskFixture, public ::testing::WithParamInterface<Scene> {
 protected:
  void SetUp() override {
    DiskFixture::SetUp();
    scene = GetParam();
    start = StartDisk(scene, scratch.path());
    const auto disk = Copy(*start, scene);
    {
      const ReplacedSystemCalls replaced(*disk);
      plan = MakePlan(scene, scratch.path());
    }
    ASSERT_EQ(Failure(Run(plan, Options(scene), disk.get())), "");
    expected = Output(*disk, scene);
    ASSERT_EQ(plan.shards.size(), 2u);
    ASSERT_EQ(expected.count("config.json") + expected.count("tokenizer.json"), 2u);
    calls = disk->calls();
    finished = disk->AfterPowerCut(Unsynced::kDropAll, 0);
  }

  static std::string Failure(const std::optional<Diagnostic>& diagnostic) {
    return diagnostic ? fmt::format("{}: {} ({})", Info(diagnostic->code).code, diagnostic->message, diagnostic->where)
                      : "";
  }

  // Runs the same command again and looks at what there is then, also after another power cut.
  std::string WrongAfterRunningAgain(std::unique_ptr<SimulatedDisk> disk) const {
    if (!scene.exchanges) disk->SetNoExchange();
    const std::optional<Diagnostic> diagnostic = Run(plan, Options(scene), disk.get());
    // Where the output had become complete already.
    const bool is_refused = diagnostic && diagnostic->code == ErrorCode::kOutExists && !scene.overwrites;
    if (diagnostic && !is_refused) return "running again: " + Failure(diagnostic);
    if (Output(*disk, scene) != expected) return "running again gave another output";
    if (!is_refused && !Leftovers(*disk).empty()) return "left over: " + Leftovers(*disk).front();
    if (!is_refused && Output(*disk->AfterPowerCut(Unsynced::kDropAll, 0), scene) != expected)
      return "what is reported as done is not durable";
    return "";
  }

  Scene scene;
  std::unique_ptr<SimulatedDisk> start, finished;
  Plan plan;
  Files expected;
  std::vector<DiskCall> calls;
};

TEST_P(PowerCut, WhatIsReportedAsDoneIsDurable) { EXPECT_EQ(Output(*finished, scene), expected); }

TEST_P(PowerCut, LeavesTheOldOutputOrTheNewOneAtEveryCall) {
  uint64_t n_cuts = 0, n_new = 0;
  std::map<std::string, int> wrongs;  // what is wrong: how often
  const auto report = [&](uint64_t call, const char* policy, const std::string& wrong) {
    if (!wrong.empty() && wrongs[wrong]++ == 0)
      ADD_FAILURE() << scene.name << ", power cut before call " << call << " (" << calls[call - 1].name << " "
                    << calls[call - 1].path << "), unsynced state " << policy << ": " << wrong;
  };
  for (uint64_t call = 1; call <= calls.size(); ++call) {
    if (!calls[call - 1].is_change) continue;  // the disk is as before the next call
    const auto disk = Copy(*start, scene);
    disk->StopAt(call);
    Run(plan, Options(scene), disk.get());
    const std::pair<const char*, Unsynced> policies[] = {
        {"dropped", Unsynced::kDropAll}, {"kept", Unsynced::kKeepAll}, {"kept in parts", Unsynced::kKeepSome}};
    for (const auto& [policy, unsynced] : policies) {
      for (uint64_t seed = 0; seed < (unsynced == Unsynced::kKeepSome ? 3u : 1u); ++seed) {
        auto after = disk->AfterPowerCut(unsynced, call * 16 + seed);
        ++n_cuts;
        n_new += Output(*after, scene) == expected ? 1u : 0u;
        report(call, policy, HalfOutput(*after, scene, expected));
        report(call, policy, WrongAfterRunningAgain(std::move(after)));
      }
    }
  }
  for (const auto& [wrong, times] : wrongs) std::printf("%d times: %s\n", times, wrong.c_str());
  std::printf("%s: %zu calls, %lu states after power cuts, %lu of them with the new output\n", scene.name.c_str(),
              calls.size(), n_cuts, n_new);
  EXPECT_GT(n_cuts, 100u);
  EXPECT_GT(n_new, 0u);
}

INSTANTIATE_TEST_SUITE_P(Scenes, PowerCut, ::testing::ValuesIn(AllScenes()), SceneName);

}  // namespace
}  // namespace gpumerge::test
