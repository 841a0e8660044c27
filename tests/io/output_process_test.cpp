// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Output directories and the process: locks, kills, umask, limits, full disks, mounts.
#include "src/base/file_identity.h"
#include "src/io/output_dir.h"
#include "tests/support/child_process.h"
#include "tests/support/model_writer.h"
#include "tests/support/output_helpers.h"

#include "gpumerge/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;
using test::InChild;
using test::Names;
using test::Publish;
using test::ReadTextFile;
using test::RefusalOf;
using test::ScratchDir;
using test::StartChild;
using test::WaitForChild;
using test::WriteSmallOutput;
using test::WriteTextFile;
using ::testing::ElementsAre;

TEST(OutputDir, ManyThreadsAndMoreFilesThanDescriptors) {
  const ScratchDir temp;
  ASSERT_TRUE(InChild([&] {
    const rlimit few{.rlim_cur = 64, .rlim_max = 64};
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return false;
    constexpr int kFiles = 200;
    OutputDir out(temp / "out", false, Sync::kNone);
    for (int i = 0; i < kFiles; ++i) out.CreateSized(std::to_string(i), 4000);
    std::atomic<int> next = 0;
    const auto work = [&] {
      for (int i = next++; i < kFiles * 4; i = next++) {
        const std::string data(1000, static_cast<char>('a' + i % 26));
        out.WriteAt(i / 4, static_cast<uint64_t>(i % 4) * 1000, data.data(), data.size());
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    out.Publish();
    return true;
  }));
  for (const int file : {0, 77, 199}) {
    std::string expected;
    for (int part = 0; part < 4; ++part) expected += std::string(1000, static_cast<char>('a' + (file * 4 + part) % 26));
    EXPECT_EQ(ReadTextFile(temp / ("out/" + std::to_string(file))), expected);
  }
}

TEST(OutputDir, SecondWriterIsLockedOut) {
  const ScratchDir temp;
  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
  {
    OutputDir first(temp / "out", false, Sync::kNone);
    first.WriteFile("config.json", "first");
    first.WriteFile(kMergeReportFile, "first");
    const auto is_refused = [&] {
      const Diagnostic refusal = RefusalOf([&] { OutputDir(temp / "out", true, Sync::kNone); });
      const std::string holder =
          "another run writes this output: pid " + std::to_string(::getppid()) + " on host " + host;
      return refusal.code == ErrorCode::kOutLocked && refusal.message.starts_with(holder + " since 20");
    };
    EXPECT_TRUE(InChild(is_refused));
    EXPECT_EQ(ReadTextFile(first.staging_path() + "/config.json"), "first");
    EXPECT_TRUE(fs::exists(temp / ".out.gpumerge.lock"));
    // Another output in the same directory is another lock.
    EXPECT_TRUE(InChild([&] { return Publish(temp / "other", false), true; }));
    first.Publish();
  }
  EXPECT_THAT(Names(temp.path()), ElementsAre("other", "out"));
  EXPECT_TRUE(InChild([&] { return Publish(temp / "out", true), true; }));
}

TEST(OutputDir, OfManyWritersAtOnceNoneIsMixed) {
  const ScratchDir temp;
  constexpr int kWriters = 6;
  const auto write = [&](int id) {
    for (int round = 0; round < 25; ++round) {
      try {
        OutputDir out(temp / "out", true, Sync::kNone);
        for (const char* name : {"a", "b", "c", kMergeReportFile}) out.WriteFile(name, std::to_string(id));
        out.Publish();
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kOutLocked) return false;
      }
    }
    return true;
  };
  std::vector<pid_t> children;
  for (int id = 0; id < kWriters; ++id) children.push_back(StartChild([&] { return write(id); }));
  for (const pid_t child : children) EXPECT_TRUE(WaitForChild(child));
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
  EXPECT_EQ(ReadTextFile(temp / "out/a"), ReadTextFile(temp / "out/b"));
  EXPECT_EQ(ReadTextFile(temp / "out/a"), ReadTextFile(temp / "out/c"));
}

TEST(OutputDir, KilledRunIsCleanedUpByTheNext) {
  const ScratchDir temp;
  EXPECT_FALSE(InChild([&] {
    OutputDir out(temp / "out", false, Sync::kNone);
    out.WriteFile("stale.safetensors", "x");
    ::raise(SIGKILL);
    return true;
  }));
  EXPECT_THAT(Names(temp.path()), ElementsAre(".out.gpumerge-tmp", ".out.gpumerge.lock"));
  Publish(temp / "out", false);
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
  EXPECT_THAT(Names(temp / "out"), ElementsAre("config.json", "gpumerge_report.json", "model.safetensors"));
}

TEST(OutputDir, ModesFollowTheUmask) {
  struct Case {
    mode_t mask, file_mode, dir_mode;
  };
  for (const Case& c : {Case{022, 0644, 0755}, Case{027, 0640, 0750}, Case{077, 0600, 0700}, Case{002, 0664, 0775}}) {
    const ScratchDir temp;
    ASSERT_TRUE(InChild([&] {
      ::umask(c.mask);
      WriteTextFile(temp / "source", "x");
      ::chmod((temp / "source").c_str(), 0400);
      OutputDir out(temp / "out", false, Sync::kNone);
      WriteSmallOutput(&out);
      out.CopyFile("copy", temp / "source", *IdentifyFile(temp / "source"));
      out.Publish();
      return true;
    }));
    const auto mode = [&](const std::string& path) {
      struct stat status {};
      EXPECT_EQ(::stat(path.c_str(), &status), 0);
      return status.st_mode & 07777;
    };
    EXPECT_EQ(mode(temp / "out"), c.dir_mode);
    for (const char* name : {"out/model.safetensors", "out/config.json", "out/copy"})
      EXPECT_EQ(mode(temp / name), c.file_mode) << name;
  }
}

TEST(OutputDir, FileSizeLimitIsAnErrorAndLeavesNothing) {
  const ScratchDir temp;
  const std::string big(5000, 'x');
  const std::vector<std::function<void(OutputDir*)>> writers{
      [&](OutputDir* out) { out->CreateSized("model.safetensors", 5000); },
      [&](OutputDir* out) { out->WriteFile("config.json", big); },
      [&](OutputDir* out) { out->CopyFile("copy", temp / "source", *IdentifyFile(temp / "source")); },
  };
  WriteTextFile(temp / "source", big);
  for (const auto& writer : writers) {
    EXPECT_TRUE(InChild([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{.rlim_cur = 4096, .rlim_max = 4096};
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
      const Diagnostic refusal = RefusalOf([&] {
        OutputDir out(temp / "out", false, Sync::kNone);
        writer(&out);
      });
      return refusal.code == ErrorCode::kOutIo && refusal.message.find("EFBIG") != std::string::npos;
    }));
    EXPECT_THAT(Names(temp.path()), ElementsAre("source"));
  }
}

TEST(OutputDir, FullDiskIsNamedAndLeavesNothing) {
  const ScratchDir temp;
  GM_RUN_ON_TMPFS(temp.path(), "size=1m", [&] {
    const Diagnostic reserve = RefusalOf([&] {
      OutputDir out(temp / "out", false, Sync::kFull);
      out.CreateSized("model.safetensors", 10'000'000);
    });
    const Diagnostic write = RefusalOf([&] {
      OutputDir out(temp / "out", false, Sync::kFull);
      out.WriteFile("config.json", std::string(10'000'000, 'x'));
    });
    return reserve.code == ErrorCode::kOutSpace && reserve.message.find("ENOSPC") != std::string::npos &&
           write.code == ErrorCode::kOutIo && write.message.find("ENOSPC") != std::string::npos &&
           Names(temp.path()).empty() && FreeDiskBytes(temp / "a/b/c") == 1 << 20;
  });
}

TEST(OutputDir, MountPointIsFilledInPlace) {
  const ScratchDir temp;
  GM_RUN_ON_TMPFS(temp.path(), "size=1m", [&] {
    CheckOutputTarget(temp.path(), false);
    {
      OutputDir out(temp.path(), false, Sync::kFull);
      if (out.staging_path() != temp / ".gpumerge-tmp") return false;
      WriteSmallOutput(&out);
      out.Publish();
    }
    return Names(temp.path()) == std::vector<std::string>{"config.json", "gpumerge_report.json", "model.safetensors"} &&
           ReadTextFile(temp / "model.safetensors") == "abcdef";
  });
}

TEST(OutputDir, MountPointIsReplacedInPlace) {
  const ScratchDir temp;
  GM_RUN_ON_TMPFS(temp.path(), "size=1m", [&] {
    for (const char* name : {"config.json", "gpumerge_report.json", "stale.safetensors", "sub/file"})
      WriteTextFile(temp / name, "old");
    if (RefusalOf([&] { CheckOutputTarget(temp.path(), false); }).code != ErrorCode::kOutExists) return false;
    const auto old_names = Names(temp.path());
    try {
      OutputDir out(temp.path(), true, Sync::kNone);
      WriteSmallOutput(&out);
      throw std::runtime_error("merge failed");
    } catch (const std::runtime_error&) {
    }
    if (Names(temp.path()) != old_names) return false;
    Publish(temp.path(), true);
    return Names(temp.path()) == std::vector<std::string>{"config.json", "gpumerge_report.json", "model.safetensors"} &&
           ReadTextFile(temp / "config.json") == "{}";
  });
}

TEST(OutputDir, EmptyWorkingDirectoryIsFilledInPlace) {
  const ScratchDir temp;
  fs::create_directory(temp / "here");
  EXPECT_TRUE(InChild([&] {
    if (::chdir((temp / "here").c_str()) != 0) return false;
    Publish(".", false);
    // Still the directory that a shell stands in.
    return fs::exists("config.json");
  }));
  EXPECT_THAT(Names(temp / "here"), ElementsAre("config.json", "gpumerge_report.json", "model.safetensors"));
}

}  // namespace
}  // namespace gpumerge
