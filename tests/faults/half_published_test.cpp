// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A run is killed while it moves the files of an output one by one, and then somebody does something with the target:
// what the next run finishes is a whole output, and nobody else's files go.
#include "tests/faults/disk_fixture.h"

#include <new>
#include <unistd.h>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTarget = "/proc/disk/out";

class HalfPublished : public DiskFixture {
 protected:
  // Killed when n_moved files of the new output have been moved.
  std::unique_ptr<SimulatedDisk> Killed(const Scene& given, size_t n_moved) {
    scene = given;
    const auto start = StartDisk(scene, scratch.path());
    const auto good = Copy(*start, scene);
    {
      const ReplacedSystemCalls replaced(*good);
      plan = MakePlan(scene, scratch.path());
    }
    EXPECT_FALSE(Run(plan, Options(scene), good.get()).has_value());
    expected = Output(*good, scene);
    uint64_t n_changes = 0, stop_at = 0;
    for (const DiskCall& call : good->calls()) {
      n_changes += call.is_change ? 1u : 0u;
      if (call.name == "Rename" && call.path.starts_with(scene.target() + "/") && n_moved-- == 0) stop_at = n_changes;
    }
    EXPECT_GT(stop_at, 0u);
    // In the run that is killed the changes of planning are not counted.
    const auto disk = Copy(*start, scene);
    uint64_t n_planned = 0;
    {
      const ReplacedSystemCalls replaced(*disk);
      MakePlan(scene, scratch.path());
    }
    for (const DiskCall& call : disk->calls()) n_planned += call.is_change ? 1u : 0u;
    EXPECT_EQ(n_planned, 0u);
    disk->StopAtChange(stop_at);
    EXPECT_TRUE(Run(plan, Options(scene), disk.get()).has_value());
    return Copy(*disk, scene);
  }

  static void Empty(SimulatedDisk* disk, const std::string& directory) {
    for (const auto& [name, contents] : disk->Files(directory))
      ASSERT_EQ(disk->Unlink((directory + "/" + name).c_str()), 0) << name;
  }

  std::optional<Diagnostic> RunAgain(SimulatedDisk* disk, bool overwrite = false, Resume resume = Resume::kCheck) {
    RunOptions options = Options(scene);
    options.overwrite = overwrite;
    options.resume = resume;
    return Run(plan, options, disk);
  }

  // Without the lock, which the killed run left and the next one takes along.
  static Files Everything(const SimulatedDisk& disk) {
    Files files = disk.Files("/proc/disk");
    std::erase_if(files, [](const auto& file) { return file.first.ends_with(".lock"); });
    return files;
  }

  static void ExpectSame(const Files& found, const Files& wanted) {
    EXPECT_TRUE(found == wanted) << Listing(found, wanted) << " instead of" << Listing(wanted, wanted);
  }

  const Scene fresh{.name = "file by file", .renames_directories = false};
  const Scene replacing{.name = "file by file, overwrite", .overwrites = true, .renames_directories = false};
  Scene scene;
  Plan plan;
  Files expected;
};

TEST_F(HalfPublished, IsFinishedByTheNextRun) {
  for (const size_t n_moved : {0u, 1u, 3u}) {
    const auto disk = Killed(fresh, n_moved);
    EXPECT_FALSE(disk->Files(kTarget).contains("config.json"));
    uint64_t n_resumed = 0;
    const auto failed = Run(plan, Options(scene), disk.get(), &n_resumed);
    EXPECT_FALSE(failed.has_value()) << failed->message;
    EXPECT_EQ(n_resumed, plan.items.size());
    ExpectSame(Output(*disk, scene), expected);
    ExpectSame(Output(*disk->AfterPowerCut(Unsynced::kDropAll, 0), scene), expected);
    EXPECT_EQ(Leftovers(*disk), std::vector<std::string>());
  }
}

TEST_F(HalfPublished, IsFinishedAndNotReplacedByAnotherMerge) {
  const auto disk = Killed(fresh, 3);
  plan.text_files.front().contents += " ";
  const auto refused = RunAgain(disk.get());
  ASSERT_TRUE(refused.has_value());
  EXPECT_THAT(refused->message, HasSubstr("complete and is in place now"));
  ExpectSame(Output(*disk, scene), expected);
}

TEST_F(HalfPublished, WhenMovedFilesHaveGoneAllIsMadeAnew) {
  for (const bool removes_target : {false, true}) {
    for (const Resume resume : {Resume::kCheck, Resume::kNever}) {
      const auto disk = Killed(fresh, 3);
      Empty(disk.get(), kTarget);
      if (removes_target) {
        ASSERT_EQ(disk->Rmdir(kTarget), 0);
      }
      const auto failed = RunAgain(disk.get(), false, resume);
      EXPECT_FALSE(failed.has_value()) << failed->message;
      ExpectSame(Output(*disk, scene), expected);
      EXPECT_EQ(Leftovers(*disk), std::vector<std::string>());
    }
  }
}

TEST_F(HalfPublished, WhatCouldNotBeFinishedIsSaid) {
  const auto disk = Killed(fresh, 3);
  Empty(disk.get(), kTarget);
  const ReplacedSystemCalls replaced(*disk);
  const RunStats stats = RunMerge(plan, Options(scene));
  ASSERT_FALSE(stats.warnings.empty());
  EXPECT_EQ(stats.warnings.front().code, ErrorCode::kResMismatch);
  EXPECT_THAT(stats.warnings.front().message, HasSubstr("a file of it has gone"));
}

TEST_F(HalfPublished, ATargetThatHasGoneIsMadeWhenAllIsStaged) {
  const auto disk = Killed(fresh, 0);
  ASSERT_EQ(disk->Rmdir(kTarget), 0);
  const auto failed = RunAgain(disk.get());
  EXPECT_FALSE(failed.has_value()) << failed->message;
  ExpectSame(Output(*disk, scene), expected);
}

TEST_F(HalfPublished, AFileOfAnotherSizeIsNotTakenForTheOutputs) {
  const auto disk = Killed(fresh, 5);
  disk->PutFile(std::string(kTarget) + "/model-00001-of-00002.safetensors", "cut");
  const Files before = Everything(*disk);
  const auto refused = RunAgain(disk.get());
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::kOutExists);
  ExpectSame(Everything(*disk), before);
  // The report is there: it is an output, and may be replaced.
  const auto failed = RunAgain(disk.get(), true);
  EXPECT_FALSE(failed.has_value()) << failed->message << failed->found;
  ExpectSame(Output(*disk, scene), expected);
}

TEST_F(HalfPublished, ADamagedListIsNotBelieved) {
  const std::string path = "/proc/disk/.out.gpumerge-tmp/publishing.list";
  const auto killed = Killed(fresh, 0);
  const std::string good = killed->Files("/proc/disk").at(".out.gpumerge-tmp/publishing.list");
  for (size_t byte = 0; byte < good.size(); byte += 11) {
    for (const bool is_cut : {false, true}) {
      std::string damaged = good.substr(0, is_cut ? byte : good.size());
      if (!is_cut) damaged[byte] = static_cast<char>(damaged[byte] ^ 4);
      const auto disk = Copy(*killed, scene);
      disk->PutFile(path, damaged);
      const auto failed = RunAgain(disk.get());
      EXPECT_FALSE(failed.has_value()) << failed->message;
      ExpectSame(Output(*disk, scene), expected);
    }
  }
}

TEST_F(HalfPublished, StrangersFilesStay) {
  for (const Scene& given : {fresh, replacing}) {
    for (const bool empties : {false, true}) {
      const auto disk = Killed(given, 3);
      if (empties) Empty(disk.get(), kTarget);
      disk->PutFile(std::string(kTarget) + "/config.json", "another model's");
      disk->PutFile(std::string(kTarget) + "/precious.txt", "mine");
      const Files before = Everything(*disk);
      for (const bool overwrite : {false, true}) {
        const auto refused = RunAgain(disk.get(), overwrite);
        ASSERT_TRUE(refused.has_value());
        EXPECT_EQ(refused->code, ErrorCode::kOutExists);
        ExpectSame(Everything(*disk), before);
      }
    }
  }
}

TEST_F(HalfPublished, RestartDoesNotThrowAwayWhatStands) {
  const auto disk = Killed(fresh, 3);
  const Files before = Everything(*disk);
  const auto refused = RunAgain(disk.get(), false, Resume::kNever);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::kOutExists);
  EXPECT_THAT(refused->help, HasSubstr("without --restart"));
  ExpectSame(Everything(*disk), before);
  EXPECT_FALSE(RunAgain(disk.get(), true, Resume::kNever).has_value());
  ExpectSame(Output(*disk, scene), expected);
  EXPECT_EQ(Leftovers(*disk), std::vector<std::string>());
}

TEST_F(HalfPublished, AnOldOutputComesBackWhereNothingElseStands) {
  // All of the old output has made room, nothing of the new one is there.
  const auto disk = Killed(replacing, 0);
  ASSERT_TRUE(disk->Files(kTarget).empty());
  const auto refused = RunAgain(disk.get(), false, Resume::kNever);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::kOutExists);
  ExpectSame(Output(*disk, scene), Old(scene));
  EXPECT_FALSE(RunAgain(disk.get(), true, Resume::kNever).has_value());
  ExpectSame(Output(*disk, scene), expected);
}

TEST_F(HalfPublished, MemoryThatEndsMeanwhileLosesNothing) {
  for (const Scene& given : {fresh, replacing}) {
    const auto killed = Killed(given, 0);
    const auto disk = StartDisk(scene, scratch.path());
    disk->SetHook([&](uint64_t) {
      const DiskCall call = disk->calls().back();
      if (call.name == "Rename" && call.path == std::string(kTarget) + "/tokenizer.json") throw std::bad_alloc();
    });
    EXPECT_THROW(Run(plan, Options(scene), disk.get()), std::bad_alloc);
    EXPECT_FALSE(disk->Files(kTarget).contains("config.json"));
    disk->SetHook(nullptr);
    const auto again = RunAgain(disk.get());
    EXPECT_FALSE(again.has_value()) << again->message;
    ExpectSame(Output(*disk, scene), expected);
  }
}

TEST_F(HalfPublished, AnotherUsersWorkIsNeitherUsedNorThrownAway) {
  const auto disk = Killed(fresh, 3);
  disk->SetOwner(::geteuid() + 1);
  const Files before = Everything(*disk);
  const auto refused = RunAgain(disk.get());
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::kResMismatch);
  EXPECT_THAT(refused->found, HasSubstr(std::to_string(::geteuid() + 1)));
  ExpectSame(Everything(*disk), before);
}

TEST_F(HalfPublished, AnotherUsersJournalIsNeitherUsedNorThrownAwayUnasked) {
  scene = {.name = "fresh"};
  const auto disk = StartDisk(scene, scratch.path());
  {
    const ReplacedSystemCalls replaced(*disk);
    plan = MakePlan(scene, scratch.path());
  }
  RunOptions options = Options(scene);
  options.on_progress = [](const Progress& progress) { return progress.phase != Progress::Phase::kVerifying; };
  EXPECT_EQ(Run(plan, options, disk.get())->code, ErrorCode::kCancelled);
  disk->SetOwner(::geteuid() + 1);
  const Files before = Everything(*disk);
  const auto refused = RunAgain(disk.get());
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::kResMismatch);
  EXPECT_THAT(refused->help, HasSubstr("--restart"));
  ExpectSame(Everything(*disk), before);
  EXPECT_FALSE(RunAgain(disk.get(), false, Resume::kNever).has_value());
}

TEST_F(HalfPublished, WhatIsLeftOfAnOldOutputInPlaceGoes) {
  const Scene in_place{.name = "in place, overwrite", .is_in_place = true, .overwrites = true};
  const auto start = StartDisk(in_place, scratch.path());
  start->PutFile("/proc/disk/.gpumerge-old/model-00001-of-00003.safetensors/x", "of a killed run");
  {
    const ReplacedSystemCalls replaced(*start);
    plan = MakePlan(in_place, scratch.path());
  }
  const auto failed = Run(plan, Options(in_place), start.get());
  EXPECT_FALSE(failed.has_value()) << failed->message;
  EXPECT_EQ(Leftovers(*start), std::vector<std::string>());
}

}  // namespace
}  // namespace gpumerge::test
