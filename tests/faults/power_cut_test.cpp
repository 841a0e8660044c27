// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The power is cut before every change that a merge makes, and what no sync protected is lost, kept, or kept in parts:
// there is the old output or the whole new one, and running the same command again gives the bytes of an uninterrupted
// run.
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
    changes = disk->calls();
    std::erase_if(changes, [](const DiskCall& call) { return !call.is_change; });
    finished = disk->AfterPowerCut(Unsynced::kDropAll, 0);
  }

  static std::string Failure(const std::optional<Diagnostic>& diagnostic) {
    return diagnostic ? fmt::format("{}: {} ({})", Info(diagnostic->code).code, diagnostic->message, diagnostic->where)
                      : "";
  }

  // Runs the same command again and looks at what there is then, also after another power cut. A journal can be
  // trusted: what it says is done was durable before it said so.
  std::string WrongAfterRunningAgain(std::unique_ptr<SimulatedDisk> disk, bool trusts) {
    MakeAs(scene, disk.get());
    RunOptions options = Options(scene);
    if (trusts) {
      options.resume = Resume::kTrust;
      options.verify = Verify::kHeader;
    }
    const std::optional<Diagnostic> diagnostic = Run(plan, options, disk.get(), &n_resumed);
    // Where the output had become complete already.
    const bool is_refused = diagnostic && diagnostic->code == ErrorCode::kOutExists && !scene.overwrites;
    if (diagnostic && !is_refused) return "running again: " + Failure(diagnostic);
    if (Output(*disk, scene) != expected) return "running again gave" + Listing(Output(*disk, scene), expected);
    if (!is_refused && !Leftovers(*disk).empty()) return "left over: " + Leftovers(*disk).front();
    if (!is_refused && Output(*disk->AfterPowerCut(Unsynced::kDropAll, 0), scene) != expected)
      return "what is reported as done is not durable";
    return "";
  }

  Scene scene;
  std::unique_ptr<SimulatedDisk> start, finished;
  Plan plan;
  Files expected;
  std::vector<DiskCall> changes;
  uint64_t n_resumed = 0;
};

TEST_P(PowerCut, WhatIsReportedAsDoneIsDurable) { EXPECT_EQ(Output(*finished, scene), expected); }

TEST_P(PowerCut, LeavesTheOldOutputOrTheNewOneAtEveryChange) {
  uint64_t n_cuts = 0, n_new = 0;
  std::map<std::string, int> wrongs;  // what is wrong: how often
  // Between two changes the disk is the same.
  for (uint64_t change = 1; change <= changes.size() + 1; ++change) {
    const auto disk = Copy(*start, scene);
    disk->StopAtChange(change);
    Run(plan, Options(scene), disk.get());
    const auto report = [&](const char* policy, const std::string& wrong) {
      if (wrong.empty() || wrongs[wrong]++ != 0) return;
      const DiskCall call = change <= changes.size() ? changes[change - 1] : DiskCall{};
      ADD_FAILURE() << scene.name << ", power cut before change " << change << " (" << call.name << " " << call.path
                    << "), unsynced state " << policy << ": " << wrong;
    };
    const std::pair<const char*, Unsynced> policies[] = {
        {"dropped", Unsynced::kDropAll}, {"kept", Unsynced::kKeepAll}, {"kept in parts", Unsynced::kKeepSome}};
    for (const auto& [policy, unsynced] : policies) {
      for (uint64_t seed = 0; seed < (unsynced == Unsynced::kKeepSome ? 4u : 1u); ++seed) {
        auto after = disk->AfterPowerCut(unsynced, change * 16 + seed);
        ++n_cuts;
        n_new += Output(*after, scene) == expected ? 1u : 0u;
        report(policy, HalfOutput(*after, scene, expected));
        report(policy, WrongAfterRunningAgain(std::move(after), (change + seed) % 2 == 0));
      }
    }
  }
  for (const auto& [wrong, times] : wrongs) std::printf("%d times: %s\n", times, wrong.c_str());
  std::printf("%s: %zu changes, %lu states after power cuts, %lu of them with the new output, %lu tensors resumed\n",
              scene.name.c_str(), changes.size(), n_cuts, n_new, n_resumed);
  EXPECT_GT(n_cuts, 200u);
  EXPECT_GT(n_new, 0u);
  EXPECT_GT(n_resumed, 0u);
}

INSTANTIATE_TEST_SUITE_P(Scenes, PowerCut, ::testing::ValuesIn(AllScenes()), SceneName);

}  // namespace
}  // namespace gpumerge::test
