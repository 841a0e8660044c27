// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Every call of a merge fails once, with every error that a disk gives: the run goes on where it may, or ends with an
// error of the right kind and the old output in place; and running the same command again gives the same bytes.
#include "src/io/journal.h"
#include "tests/faults/disk_fixture.h"

#include <fmt/format.h>

#include <cerrno>

namespace gpumerge::test {
namespace {

struct Fault {
  const char* name;
  int error_number;  // 0 = a short read or write
  bool repeats = false;
  bool is_late = false;
};

const std::vector<Fault> kFaults = {{"ENOSPC", ENOSPC},
                                    {"EIO", EIO},
                                    {"EDQUOT", EDQUOT},
                                    {"EINTR", EINTR},
                                    {"a short read or write", 0},
                                    {"EIO from then on", EIO, true},
                                    {"ENOSPC from then on", ENOSPC, true},
                                    {"short reads and writes from then on", 0, true},
                                    {"EIO although it was done", EIO, false, true}};

class FailingCalls : public DiskFixture, public ::testing::WithParamInterface<Scene> {
 protected:
  void SetUp() override {
    DiskFixture::SetUp();
    scene = GetParam();
    // In place the models would be inside the output.
    const std::string models = scene.is_in_place ? scratch.path() : kModelsOnDisk;
    start = StartDisk(scene, models);
    const auto disk = Copy(*start, scene);
    {
      const ReplacedSystemCalls replaced(*disk);
      plan = MakePlan(scene, models);
    }
    // What planning asked is not part of the run.
    start = StartDisk(scene, models);
    const auto good = Copy(*start, scene);
    ASSERT_FALSE(Run(plan, Options(scene), good.get()).has_value());
    expected = Output(*good, scene);
    calls = good->calls();
  }

  static bool Applies(const Fault& fault, const DiskCall& call) {
    const bool moves = call.name == "Pread" || call.name == "Pwrite";
    const bool syncs = call.name == "Fsync" || call.name == "Fdatasync";
    if (fault.error_number == 0) return moves;
    if (fault.is_late) return syncs || call.name == "Close";
    if (fault.error_number == EINTR) return moves || syncs || call.name == "Fallocate" || call.name == "Ftruncate";
    // What only looks fails in one way, and reading never for want of space.
    return call.is_change || fault.error_number == EIO;
  }

  std::string Wrong(const Fault& fault, uint64_t call, uint64_t* n_errors) const {
    const auto disk = Copy(*start, scene);
    disk->Inject({.at = calls[call - 1],
                  .error_number = fault.error_number,
                  .repeats = fault.repeats,
                  .is_late = fault.is_late});
    const std::optional<Diagnostic> diagnostic = Run(plan, Options(scene), disk.get());
    std::string half = HalfOutput(*disk, scene, expected);
    if (!half.empty()) return half;
    for (const uint64_t seed : {1u, 2u}) {
      half = HalfOutput(*disk->AfterPowerCut(Unsynced::kKeepSome, seed), scene, expected);
      if (!half.empty()) return "after a power cut " + half;
    }
    if (!diagnostic) return IsGood(*disk);
    if (!scene.exchanges && !fault.repeats && Output(*disk, scene).empty()) return "the old output is not put back";
    ++*n_errors;
    const std::string text = fmt::format("{}: {}", Info(diagnostic->code).code, diagnostic->message);
    const int exit = Info(diagnostic->code).exit_status;
    if (fault.error_number == 0) return "a short read or write is an error: " + text;
    if (fault.error_number == EINTR && !calls[call - 1].name.starts_with("F")) return "EINTR is an error: " + text;
    const bool is_input = calls[call - 1].path.starts_with(kModelsOnDisk);
    const bool may_be_input = is_input || fault.repeats, may_be_output = !is_input || fault.repeats;
    const bool is_right = (may_be_input && (exit == 4 || exit == 5)) || (may_be_output && exit == 8);
    if (!is_right) return fmt::format("exit status {}: {}", exit, text);
    // The program has ended; what the kernel keeps in memory may be more than what the disk has.
    auto again = Copy(*disk, scene);
    uint64_t n_resumed = 0;
    const std::optional<Diagnostic> second = Run(plan, Options(scene), again.get(), &n_resumed);
    const bool was_there = second && second->code == ErrorCode::kOutExists && !scene.overwrites;
    if (second && !was_there) return fmt::format("{}, and running again: {}", text, second->message);
    const uint64_t n_recorded = CountRecorded(*disk, calls[call - 1]);
    if (!second && !fault.repeats && n_resumed < n_recorded)
      return fmt::format("{}, and {} of {} finished tensors were kept", text, n_resumed, n_recorded);
    const std::string wrong = was_there && Output(*again, scene) == expected ? "" : IsGood(*again);
    return wrong.empty() ? "" : fmt::format("{}, and running again: {}", text, wrong);
  }

  // Tensors that the journal had when the fault came, and that it has not damaged.
  uint64_t CountRecorded(const SimulatedDisk& disk, const DiskCall& call) const {
    const auto before = disk.AtFirstFault()->AfterPowerCut(Unsynced::kDropAll, 0);
    const Files files = before->Files("/proc/disk");
    const auto journal =
        files.find((scene.is_in_place ? ".gpumerge-tmp/" : ".out.gpumerge-tmp/") + std::string(kJournalFile));
    if (journal == files.end()) return 0;
    const bool may_lose = call.name == "Fdatasync" || call.name == "Close";
    uint64_t n = 0;
    const std::optional<Journal> parsed = ParseJournal(journal->second);
    if (!parsed) return 0;
    for (const JournalRecord& record : parsed->records) n += may_lose && call.path.ends_with(record.shard) ? 0u : 1u;
    return n;
  }

  // What a run has left that reported no error.
  std::string IsGood(const SimulatedDisk& disk) const {
    if (Output(disk, scene) != expected) return "it is reported as done:" + Listing(Output(disk, scene), expected);
    if (Output(*disk.AfterPowerCut(Unsynced::kDropAll, 0), scene) != expected)
      return "what is reported as done is not durable";
    return "";
  }

  Scene scene;
  std::unique_ptr<SimulatedDisk> start;
  Plan plan;
  Files expected;
  std::vector<DiskCall> calls;
};

TEST_P(FailingCalls, EndWellOrAreReported) {
  uint64_t n_faults = 0, n_errors = 0;
  std::map<std::string, int> wrongs;  // what is wrong: how often
  for (const Fault& fault : kFaults) {
    for (uint64_t call = 1; call <= calls.size(); ++call) {
      if (!Applies(fault, calls[call - 1])) continue;
      ++n_faults;
      const std::string wrong = Wrong(fault, call, &n_errors);
      if (wrong.empty() || wrongs[wrong]++ != 0) continue;
      ADD_FAILURE() << scene.name << ", call " << call << " (" << calls[call - 1].name << " " << calls[call - 1].path
                    << ") gets " << fault.name << ": " << wrong;
    }
  }
  for (const auto& [wrong, times] : wrongs) std::printf("%d times: %s\n", times, wrong.c_str());
  std::printf("%s: %zu calls, %lu faults, %lu of them reported\n", scene.name.c_str(), calls.size(), n_faults,
              n_errors);
  EXPECT_GT(n_errors, 100u);
}

INSTANTIATE_TEST_SUITE_P(Scenes, FailingCalls, ::testing::ValuesIn(AllScenes()), SceneName);

}  // namespace
}  // namespace gpumerge::test
