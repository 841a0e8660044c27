// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The simulated disk itself: what a power cut leaves of it, its faults, its locks.
#include "tests/support/simulated_disk.h"

#include "src/base/file.h"

#include "gpumerge/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <set>
#include <string>
#include <sys/file.h>
#include <thread>

namespace gpumerge::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class SimulatedDiskTest : public ::testing::Test {
 protected:
  int Create(const std::string& path) { return disk.Open(path.c_str(), O_RDWR | O_CREAT, 0666); }
  void Write(int fd, const std::string& text, off_t offset_bytes = 0) {
    ASSERT_EQ(disk.Pwrite(fd, text.data(), text.size(), offset_bytes), static_cast<ssize_t>(text.size()));
  }
  void SyncDirectory(const char* path) {
    const int fd = disk.Open(path, O_RDONLY | O_DIRECTORY, 0);
    ASSERT_EQ(disk.Fsync(fd), 0);
    disk.Close(fd);
  }
  std::map<std::string, std::string> Durable() const {
    return disk.AfterPowerCut(Unsynced::kDropAll, 0)->Files("/disk");
  }
  std::map<std::string, std::string> Kept() const { return disk.AfterPowerCut(Unsynced::kKeepAll, 0)->Files("/disk"); }

  SimulatedDisk disk{"/disk"};
};

TEST_F(SimulatedDiskTest, DataIsDurableAfterFdatasyncAndANameAfterFsyncOfItsDirectory) {
  const int fd = Create("/disk/a");
  Write(fd, "one");
  EXPECT_THAT(Durable(), IsEmpty());
  EXPECT_THAT(Kept(), ElementsAre(Pair("a", "one")));
  EXPECT_EQ(disk.Fdatasync(fd), 0);
  EXPECT_THAT(Durable(), IsEmpty());  // of a file without a name
  SyncDirectory("/disk");
  EXPECT_THAT(Durable(), ElementsAre(Pair("a", "one")));
  Write(fd, "two", 3);
  EXPECT_THAT(Durable(), ElementsAre(Pair("a", "one")));
  EXPECT_THAT(Kept(), ElementsAre(Pair("a", "onetwo")));
  EXPECT_EQ(disk.Fsync(fd), 0);
  EXPECT_THAT(Durable(), ElementsAre(Pair("a", "onetwo")));
}

TEST_F(SimulatedDiskTest, ANameCanBeDurableBeforeItsData) {
  const int fd = Create("/disk/a");
  Write(fd, "data");
  SyncDirectory("/disk");
  EXPECT_THAT(Durable(), ElementsAre(Pair("a", "")));
}

TEST_F(SimulatedDiskTest, ARenameIsAllOrNothing) {
  disk.PutFile("/disk/new/x", "new");
  disk.PutFile("/disk/old/x", "old");
  ASSERT_EQ(disk.Rename("/disk/new", "/disk/old", RENAME_EXCHANGE), 0);
  EXPECT_THAT(disk.Files("/disk/old"), ElementsAre(Pair("x", "new")));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto after = disk.AfterPowerCut(Unsynced::kKeepSome, seed);
    seen.insert(after->Files("/disk/old").at("x") + " " + after->Files("/disk/new").at("x"));
  }
  EXPECT_THAT(seen, UnorderedElementsAre("new old", "old new"));
  SyncDirectory("/disk");
  EXPECT_THAT(Durable(), Contains(Pair("old/x", "new")));
}

TEST_F(SimulatedDiskTest, WhatANameDependsOnIsDurableWithIt) {
  ASSERT_EQ(disk.Mkdir("/disk/a", 0777), 0);
  Create("/disk/a/x");
  ASSERT_EQ(disk.Mkdir("/disk/b", 0777), 0);
  ASSERT_EQ(disk.Rename("/disk/a/x", "/disk/b/y", 0), 0);
  SyncDirectory("/disk/b");
  EXPECT_THAT(Durable(), IsEmpty());  // nobody synced the directories' own names
  SyncDirectory("/disk");
  EXPECT_THAT(Durable(), UnorderedElementsAre(Key("a/"), Key("b/"), Key("b/y")));
}

TEST_F(SimulatedDiskTest, AnUnsyncedUnlinkMayNotHappen) {
  disk.PutFile("/disk/a", "text");
  ASSERT_EQ(disk.Unlink("/disk/a"), 0);
  EXPECT_THAT(disk.Files("/disk"), IsEmpty());
  EXPECT_THAT(Durable(), ElementsAre(Pair("a", "text")));
}

TEST_F(SimulatedDiskTest, KeepingSomeTearsWritesAtSectors) {
  const std::string zeros(64, '0'), ones(64, '1');
  disk.PutFile("/disk/a", zeros);
  const int fd = disk.Open("/disk/a", O_WRONLY, 0);
  Write(fd, ones);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const std::string after = disk.AfterPowerCut(Unsynced::kKeepSome, seed)->Files("/disk").at("a");
    ASSERT_EQ(after.size(), 64u);
    for (size_t sector = 0; sector < 4; ++sector)
      EXPECT_THAT(after.substr(sector * 16, 16), ::testing::AnyOf(std::string(16, '0'), std::string(16, '1')));
    seen.insert(after);
  }
  EXPECT_EQ(seen.size(), 16u);  // each sector with or without each other
}

TEST_F(SimulatedDiskTest, AFailedSyncLosesWhatProgramsGoOnSeeing) {
  const int fd = Create("/disk/a");
  SyncDirectory("/disk");
  Write(fd, "lost");
  disk.Inject({.call = disk.calls().size() + 1, .error_number = EIO});
  EXPECT_EQ(disk.Fdatasync(fd), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(disk.Fdatasync(fd), 0);  // whoever asks again is told that all is well
  EXPECT_THAT(disk.Files("/disk"), ElementsAre(Pair("a", "lost")));
  EXPECT_THAT(disk.AfterKill()->Files("/disk"), ElementsAre(Pair("a", "lost")));
  EXPECT_THAT(Kept(), ElementsAre(Pair("a", "")));
}

TEST_F(SimulatedDiskTest, FaultsComeAtTheirCall) {
  disk.PutFile("/disk/a", "0123456789");
  const int fd = disk.Open("/disk/a", O_RDWR, 0);  // call 1
  disk.Inject({.call = 2});
  disk.Inject({.call = 3, .error_number = EINTR});
  disk.Inject({.call = 4});
  disk.Inject({.call = 6, .error_number = EDQUOT, .repeats = true});
  std::array<char, 10> data{};
  EXPECT_EQ(disk.Pread(fd, data.data(), 10, 0), 5);
  EXPECT_EQ(disk.Pread(fd, data.data(), 10, 0), -1);
  EXPECT_EQ(errno, EINTR);
  EXPECT_EQ(disk.Pwrite(fd, "abcdef", 6, 0), 3);
  EXPECT_EQ(disk.Pwrite(fd, "abcdef", 6, 0), 6);
  EXPECT_EQ(disk.Pwrite(fd, "abcdef", 6, 0), -1);
  EXPECT_EQ(disk.Pread(fd, data.data(), 10, 0), 10);  // calls of another name go on
  EXPECT_EQ(disk.Pwrite(fd, "abcdef", 6, 0), -1);
  EXPECT_EQ(errno, EDQUOT);
  EXPECT_EQ(disk.calls()[3].name, "Pwrite");
  EXPECT_EQ(disk.calls()[3].path, "/disk/a");
}

TEST_F(SimulatedDiskTest, WholeFunctionsGoOnAfterInterruptionsAndShortWrites) {
  const ReplacedSystemCalls replaced(disk);
  const int fd = Create("/disk/a");
  disk.Inject({.call = 2});
  disk.Inject({.call = 3, .error_number = EINTR});
  WriteFully(fd, 0, "0123456789", 10, "/disk/a");
  EXPECT_EQ(disk.Files("/disk").at("a"), "0123456789");
  EXPECT_EQ(disk.calls().size(), 4u);
  EXPECT_THROW(WriteFully(fd + 1, 0, "x", 1, "/disk/a"), Error);
}

TEST_F(SimulatedDiskTest, NothingChangesOnceItIsStopped) {
  const int fd = Create("/disk/a");
  Write(fd, "one");
  disk.StopAt(3);
  EXPECT_EQ(disk.Pwrite(fd, "two", 3, 0), -1);
  EXPECT_EQ(disk.Fsync(fd), -1);
  EXPECT_EQ(disk.Unlink("/disk/a"), -1);
  EXPECT_THAT(disk.Files("/disk"), ElementsAre(Pair("a", "one")));
  EXPECT_THAT(Kept(), ElementsAre(Pair("a", "one")));
}

TEST_F(SimulatedDiskTest, AFullDiskTakesWhatFits) {
  disk.SetSize(10);
  const int a = Create("/disk/a"), b = Create("/disk/b");
  EXPECT_EQ(disk.Fallocate(a, 0, 0, 6), 0);
  EXPECT_EQ(disk.Fallocate(b, 0, 0, 5), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(disk.Pwrite(b, "01234", 5, 0), 4);
  EXPECT_EQ(disk.Pwrite(b, "4", 1, 4), -1);
  EXPECT_EQ(errno, ENOSPC);
  struct statvfs status {};
  EXPECT_EQ(disk.Statvfs("/disk/a", &status), 0);
  EXPECT_EQ(status.f_bavail * status.f_frsize, 0u);
  EXPECT_EQ(disk.Unlink("/disk/a"), 0);
  EXPECT_EQ(disk.UsedBytes(), 10u);  // still open
  EXPECT_EQ(disk.Close(a), 0);
  EXPECT_EQ(disk.UsedBytes(), 4u);
}

TEST_F(SimulatedDiskTest, ALockEndsWithItsDescriptorOrItsProcess) {
  const int a = Create("/disk/lock"), b = Create("/disk/lock");
  EXPECT_EQ(disk.Flock(a, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(disk.Flock(b, LOCK_SH | LOCK_NB), -1);
  EXPECT_EQ(errno, EWOULDBLOCK);
  const auto after = disk.AfterKill();
  const int c = after->Open("/disk/lock", O_RDWR, 0);
  EXPECT_EQ(after->Flock(c, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(after->Flock(a, LOCK_EX | LOCK_NB), -1);
  EXPECT_EQ(errno, EBADF);
  std::thread waits([&] { EXPECT_EQ(disk.Flock(b, LOCK_EX), 0); });
  EXPECT_EQ(disk.Close(a), 0);
  waits.join();
  const int d = disk.Open("/disk/lock", O_RDWR, 0);
  EXPECT_EQ(disk.Flock(d, LOCK_EX | LOCK_NB), -1);
}

TEST_F(SimulatedDiskTest, ManyThreadsMayUseIt) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string path = "/disk/" + std::to_string(t) + "-" + std::to_string(i);
        const int fd = Create(path);
        Write(fd, path);
        EXPECT_EQ(disk.Fdatasync(fd), 0);
        EXPECT_EQ(disk.Close(fd), 0);
        SyncDirectory("/disk");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto durable = Durable();
  EXPECT_EQ(durable.size(), 200u);
  for (const auto& [name, contents] : durable) EXPECT_EQ(contents, "/disk/" + name);
}

TEST_F(SimulatedDiskTest, OtherPathsAreTheKernels) {
  struct stat status {};
  EXPECT_EQ(disk.Stat("/proc/self/status", &status), 0);
  EXPECT_EQ(disk.Stat("/diskette", &status), -1);
  EXPECT_EQ(disk.Rename("/disk/a", "/tmp/a", 0), -1);
  EXPECT_EQ(errno, EXDEV);
  EXPECT_EQ(disk.IsMountRoot("/disk"), 1);
  EXPECT_EQ(disk.RealPath("/disk/./"), "/disk");
  EXPECT_THAT(disk.calls(), ::testing::SizeIs(3));
}

}  // namespace
}  // namespace gpumerge::test
