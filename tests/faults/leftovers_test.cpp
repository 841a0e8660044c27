// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// An interrupted run's work when calls of the next run fail, or the file system lacks something: nothing that is
// finished is thrown away because it could not be looked at once.
#include "src/io/output_files.h"
#include "tests/faults/disk_fixture.h"
#include "tests/support/output_helpers.h"

#include <cerrno>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kStaging = "/proc/disk/.out.gpumerge-tmp";
constexpr const char* kLock = "/proc/disk/.out.gpumerge.lock";

class Interrupted : public DiskFixture {
 protected:
  void SetUp() override {
    DiskFixture::SetUp();
    start = StartDisk(scene, scratch.path());
    const ReplacedSystemCalls replaced(*start);
    plan = MakePlan(scene, scratch.path());
  }

  // With all tensors finished. What is said of it.
  std::optional<Diagnostic> Stop(SimulatedDisk* disk) const {
    RunOptions options = Options(scene);
    options.on_progress = [](const Progress& progress) { return progress.phase != Progress::Phase::kVerifying; };
    return Run(plan, options, disk);
  }

  void ExpectAllIsResumed(SimulatedDisk* disk, Resume resume = Resume::kCheck) const {
    RunOptions options = Options(scene);
    options.resume = resume;
    uint64_t n_resumed = 0;
    const std::optional<Diagnostic> failed = Run(plan, options, disk, &n_resumed);
    EXPECT_FALSE(failed.has_value()) << failed->message;
    EXPECT_EQ(n_resumed, plan.items.size());
  }

  const Scene scene{.name = "fresh"};
  std::unique_ptr<SimulatedDisk> start;
  Plan plan;
};

TEST_F(Interrupted, WhatCannotBeLookedAtOnceIsKept) {
  const std::string journal = std::string(kStaging) + "/journal.gpj",
                    shard = kStaging + ("/" + plan.shards[0].file_name);
  // The first look at a shard only counts what the run holds.
  const std::vector<DiskCall> failing = {{.name = "Lstat", .path = shard, .nth = 2},
                                         {.name = "Pread", .path = journal, .nth = 1},
                                         {.name = "Open", .path = journal, .nth = 1}};
  for (const DiskCall& call : failing) {
    const auto stopped = Copy(*start, scene);
    ASSERT_EQ(Stop(stopped.get())->code, ErrorCode::kCancelled);
    const auto disk = Copy(*stopped, scene);
    disk->Inject({.at = call, .error_number = EIO});
    const std::optional<Diagnostic> failed = Run(plan, Options(scene), disk.get());
    ASSERT_TRUE(failed.has_value()) << call.name;
    EXPECT_EQ(failed->code, ErrorCode::kOutIo) << call.name << failed->message;
    EXPECT_EQ(failed->where, call.path);
    ExpectAllIsResumed(disk.get());
  }
}

TEST_F(Interrupted, WhereThereAreNoLocksTheNextRunHasToBeTold) {
  const auto disk = Copy(*start, scene);
  disk->Inject({.at = {.name = "Flock", .path = kLock, .nth = 1}, .error_number = ENOSYS, .repeats = true});
  const std::optional<Diagnostic> stopped = Stop(disk.get());
  EXPECT_THAT(stopped->help, HasSubstr("resumable: run the same command again with --resume=trust"));
  const std::optional<Diagnostic> refused = Run(plan, Options(scene), disk.get());
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, ErrorCode::kOutLocked);
  EXPECT_THAT(refused->help, HasSubstr("--resume=trust"));
  ExpectAllIsResumed(disk.get(), Resume::kTrust);
}

TEST_F(Interrupted, WhereThereAreNoLocksRestartBeginsAnew) {
  const auto disk = Copy(*start, scene);
  disk->Inject({.at = {.name = "Flock", .path = kLock, .nth = 1}, .error_number = ENOLCK, .repeats = true});
  Stop(disk.get());
  RunOptions options = Options(scene);
  options.resume = Resume::kNever;
  EXPECT_FALSE(Run(plan, options, disk.get()).has_value());
}

TEST_F(Interrupted, ALockFileThatMayOnlyBeReadLocks) {
  const auto disk = Copy(*start, scene);
  disk->PutFile(kLock, "pid 1 on host x since then\n");
  disk->Inject({.at = {.name = "Open", .path = kLock, .nth = 1}, .error_number = EACCES});
  const std::optional<Diagnostic> failed = Run(plan, Options(scene), disk.get());
  EXPECT_FALSE(failed.has_value()) << failed->message;
}

TEST(MissingParents, ThatAnotherRunMakesMeanwhileAreNoError) {
  SimulatedDisk disk("/disk");
  disk.SetHook([&](uint64_t) {
    if (disk.calls().back().name == "Mkdir") disk.PutFile("/disk/new/deep/theirs", "x");
  });
  const ReplacedSystemCalls replaced(disk);
  EXPECT_EQ(MakeDirectories("/disk/new/deep"), std::vector<std::string>());
  disk.SetHook(nullptr);
  disk.PutFile("/disk/file", "x");
  EXPECT_EQ(MakeDirectories("/disk/a/b"), (std::vector<std::string>{"/disk/a", "/disk/a/b"}));
}

}  // namespace
}  // namespace gpumerge::test
