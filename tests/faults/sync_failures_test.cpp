// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A sync or close that fails is not tried again: the file goes, with all that the journal says of it, and nothing else.
#include "src/io/sized_files.h"
#include "tests/faults/disk_fixture.h"
#include "tests/support/output_helpers.h"

#include <cerrno>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

uint64_t CountCalls(const SimulatedDisk& disk, const std::string& name, const std::string& path) {
  const std::vector<DiskCall> calls = disk.calls();
  return static_cast<uint64_t>(std::count_if(
      calls.begin(), calls.end(), [&](const DiskCall& call) { return call.name == name && call.path == path; }));
}

TEST(SyncFailures, FileIsRemovedAndTheSyncNotTriedAgain) {
  for (const bool is_last_write : {false, true}) {
    SimulatedDisk disk("/disk");
    disk.Inject({.at = {.name = "Fdatasync", .path = "/disk/shard", .nth = 1}, .error_number = EIO});
    const ReplacedSystemCalls replaced(disk);
    SizedFiles files(Sync::kFull);
    const int other = files.Create("/disk/other", 4), shard = files.Create("/disk/shard", 4);
    files.WriteAt(other, 0, "ab", 2);
    files.WriteAt(shard, 0, "ab", 2);
    const Diagnostic refused = RefusalOf([&] {
      if (is_last_write) files.WriteAt(shard, 2, "cd", 2);
      files.SyncAll();
    });
    EXPECT_EQ(refused.code, ErrorCode::kOutFsync);
    EXPECT_EQ(Info(refused.code).exit_status, 8);
    EXPECT_EQ(refused.where, "/disk/shard");
    EXPECT_TRUE(files.IsLost(shard));
    EXPECT_FALSE(files.IsLost(other));
    files.SyncAll();
    EXPECT_EQ(CountCalls(disk, "Fdatasync", "/disk/shard"), 1u);
    EXPECT_EQ(CountCalls(disk, "Fdatasync", "/disk/other"), 1u);
    EXPECT_FALSE(disk.Files("/disk").contains("shard"));
    EXPECT_TRUE(disk.Files("/disk").contains("other"));
  }
}

TEST(SyncFailures, TheOtherFilesAreSyncedAllTheSame) {
  SimulatedDisk disk("/disk");
  disk.Inject({.at = {.name = "Fdatasync", .path = "/disk/first", .nth = 1}, .error_number = EIO});
  const ReplacedSystemCalls replaced(disk);
  SizedFiles files(Sync::kFull);
  for (const char* path : {"/disk/first", "/disk/second"}) files.WriteAt(files.Create(path, 4), 0, "ab", 2);
  EXPECT_EQ(RefusalOf([&] { files.SyncAll(); }).where, "/disk/first");
  EXPECT_EQ(CountCalls(disk, "Fdatasync", "/disk/second"), 1u);
}

TEST(SyncFailures, WritingIsBegunEarlyAndNobodyReliesOnIt) {
  const std::string data(200'000, 'x');
  for (const Sync sync : {Sync::kFull, Sync::kNone}) {
    SimulatedDisk disk("/disk");
    disk.Inject({.at = {.name = "SyncFileRange", .path = "/disk/shard", .nth = 1}, .error_number = EIO});
    const ReplacedSystemCalls replaced(disk);
    SizedFiles files(sync);
    const int shard = files.Create("/disk/shard", 2 * data.size() + 2);
    files.WriteAt(shard, 0, data.data(), data.size());
    files.WriteAt(shard, data.size(), data.data(), data.size());
    files.WriteAt(shard, 2 * data.size(), "ab", 2);
    EXPECT_FALSE(files.IsLost(shard));
    EXPECT_EQ(CountCalls(disk, "SyncFileRange", "/disk/shard"), sync == Sync::kFull ? 2u : 0u);
    EXPECT_EQ(CountCalls(disk, "Fdatasync", "/disk/shard"), sync == Sync::kFull ? 1u : 0u);
    EXPECT_EQ(disk.Files("/disk").at("shard"), data + data + "ab");
  }
}

TEST(SyncFailures, FileThatCannotBeClosedIsRemoved) {
  SimulatedDisk disk("/disk");
  disk.Inject({.at = {.name = "Close", .path = "/disk/shard", .nth = 2}, .error_number = EDQUOT});  // 1: after Create
  const ReplacedSystemCalls replaced(disk);
  SizedFiles files(Sync::kNone);
  const int shard = files.Create("/disk/shard", 2);
  const Diagnostic refused = RefusalOf([&] { files.WriteAt(shard, 0, "ab", 2); });
  EXPECT_EQ(refused.code, ErrorCode::kOutIo);
  EXPECT_THAT(refused.message, HasSubstr("EDQUOT"));
  EXPECT_FALSE(disk.Files("/disk").contains("shard"));
}

using SyncFailuresOfARun = DiskFixture;

TEST_F(SyncFailuresOfARun, OtherShardsStayFinished) {
  // With one flush for each tensor, and with none before a shard is complete: then all is pending.
  for (const uint64_t batch_bytes : {uint64_t{1}, uint64_t{1} << 30}) {
    RunOptions options = Options(AllScenes().front());
    options.max_batch_bytes = batch_bytes;
    const Scene scene = AllScenes().front();
    const auto disk = StartDisk(scene, scratch.path());
    const auto plan = [&] {
      const ReplacedSystemCalls replaced(*disk);
      return MakePlan(scene, scratch.path());
    }();
    // The last sync of a shard: the other one is complete by then.
    const auto good = Copy(*disk, scene);
    ASSERT_FALSE(Run(plan, options, good.get()).has_value());
    DiskCall last;
    for (const DiskCall& call : good->calls())
      if (call.name == "Fdatasync" && call.path.find("/model-0000") != std::string::npos) last = call;
    const uint32_t broken = last.path.ends_with(plan.shards.at(0).file_name) ? 0 : 1;
    disk->Inject({.at = last, .error_number = EIO});
    const std::optional<Diagnostic> failed = Run(plan, options, disk.get());
    ASSERT_TRUE(failed.has_value());
    EXPECT_EQ(failed->code, ErrorCode::kOutFsync);
    EXPECT_THAT(failed->help, HasSubstr("resumable"));
    EXPECT_FALSE(disk->Files("/proc/disk/.out.gpumerge-tmp").contains(plan.shards.at(broken).file_name));
    uint64_t n_others = 0;
    for (const PlanItem& item : plan.items) n_others += item.shard != broken ? 1u : 0u;
    ASSERT_GT(n_others, 0u);
    RunStats stats;
    {
      const ReplacedSystemCalls replaced(*disk);
      stats = RunMerge(plan, options);
    }
    EXPECT_EQ(stats.totals.tensors_resumed, n_others);
  }
}

// The program still sees what the disk has lost.
TEST_F(SyncFailuresOfARun, WhatWasPendingIsNotRecordedWhenItsShardCannotEvenBeRemoved) {
  const Scene scene{.name = "one batch", .batch_bytes = 1 << 30};
  const auto disk = StartDisk(scene, scratch.path());
  const auto plan = [&] {
    const ReplacedSystemCalls replaced(*disk);
    return MakePlan(scene, scratch.path());
  }();
  const std::string shard = "/proc/disk/.out.gpumerge-tmp/" + plan.shards.at(1).file_name;
  disk->Inject({.at = {.name = "Fdatasync", .path = shard, .nth = 1}, .error_number = EIO});
  disk->Inject({.at = {.name = "Unlink", .path = shard, .nth = 1}, .error_number = EIO});
  ASSERT_TRUE(Run(plan, Options(scene), disk.get()).has_value());
  const std::string journal = disk->Files("/proc/disk").at(".out.gpumerge-tmp/journal.gpj");
  EXPECT_THAT(journal, HasSubstr(plan.shards.at(0).file_name));
  EXPECT_THAT(journal, ::testing::Not(HasSubstr(plan.shards.at(1).file_name)));
}

}  // namespace
}  // namespace gpumerge::test
