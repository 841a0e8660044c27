// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole or not at all: what is in the target and beside it after success, refusal, exceptions, full disks and kills.
#include "src/io/output_dir.h"

#include "tests/support/model_writer.h"

#include "gpumerge/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;
using test::ReadTextFile;
using test::ScratchDir;
using test::WriteTextFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Names(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Diagnostic RefusalOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.diagnostics().front();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

void WriteSmallOutput(OutputDir* out) {
  const int handle = out->CreateSized("model.safetensors", 6);
  out->WriteAt(handle, 3, "def", 3);
  out->WriteAt(handle, 0, "abc", 3);
  out->WriteFile("config.json", "{}");
}

void Publish(const std::string& target, bool overwrite, Sync sync = Sync::kNone) {
  OutputDir out(target, overwrite, sync);
  WriteSmallOutput(&out);
  out.Publish();
}

// Runs in a child process; true when `body` returned without an exception and said true.
bool InChild(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    bool is_good = false;
    try {
      is_good = body();
    } catch (const std::exception& error) {
      fprintf(stderr, "in child: %s\n", error.what());
    }
    ::_exit(is_good ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(OutputDir, PublishesEverythingAndLeavesNothingElse) {
  const ScratchDir temp;
  for (const Sync sync : {Sync::kNone, Sync::kFull}) {
    const std::string target = temp / (sync == Sync::kFull ? "full" : "none");
    WriteTextFile(temp / "source", std::string(700'000, 'x') + "end");
    {
      OutputDir out(target, false, sync);
      EXPECT_EQ(out.staging_path(), temp.path() + "/." + fs::path(target).filename().string() + ".gpumerge-tmp");
      WriteSmallOutput(&out);
      out.CopyFile("tokenizer.json", temp / "source");
      out.CreateSized("empty.safetensors", 0);
      EXPECT_FALSE(fs::exists(target));
      out.Publish();
      EXPECT_TRUE(fs::exists(target));
    }
    EXPECT_THAT(Names(target), ElementsAre("config.json", "empty.safetensors", "model.safetensors", "tokenizer.json"));
    EXPECT_EQ(ReadTextFile(target + "/model.safetensors"), "abcdef");
    EXPECT_EQ(ReadTextFile(target + "/config.json"), "{}");
    EXPECT_EQ(ReadTextFile(target + "/tokenizer.json"), std::string(700'000, 'x') + "end");
    EXPECT_EQ(fs::file_size(target + "/empty.safetensors"), 0u);
  }
  EXPECT_THAT(Names(temp.path()), ElementsAre("full", "none", "source"));
}

TEST(OutputDir, EmptyTargetIsReplacedAndMissingParentsAreMade) {
  const ScratchDir temp;
  fs::create_directory(temp / "empty");
  Publish(temp / "empty", false);
  EXPECT_THAT(Names(temp / "empty"), ElementsAre("config.json", "model.safetensors"));
  Publish(temp / "a/b/c/", false, Sync::kFull);
  EXPECT_THAT(Names(temp / "a/b"), ElementsAre("c"));
  EXPECT_THAT(Names(temp / "a/b/c"), ElementsAre("config.json", "model.safetensors"));
}

TEST(OutputDir, NonEmptyTargetIsRefused) {
  const ScratchDir temp;
  WriteTextFile(temp / "out/old.safetensors", "old");
  const Diagnostic check = RefusalOf([&] { CheckOutputTarget(temp / "out", false); });
  EXPECT_EQ(check.code, ErrorCode::kOutExists);
  EXPECT_EQ(check.found, "1 entry, e.g. old.safetensors");
  EXPECT_THAT(check.help, HasSubstr("--overwrite"));
  EXPECT_EQ(RefusalOf([&] { OutputDir(temp / "out", false, Sync::kNone); }).code, ErrorCode::kOutExists);
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
  EXPECT_EQ(ReadTextFile(temp / "out/old.safetensors"), "old");
}

TEST(OutputDir, TargetFilledWhileRunningIsRefused) {
  const ScratchDir temp;
  {
    OutputDir out(temp / "out", false, Sync::kNone);
    WriteSmallOutput(&out);
    WriteTextFile(temp / "out/theirs", "x");
    EXPECT_EQ(RefusalOf([&] { out.Publish(); }).code, ErrorCode::kOutExists);
  }
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
  EXPECT_THAT(Names(temp / "out"), ElementsAre("theirs"));
}

TEST(OutputDir, OverwriteExchangesAtomically) {
  const ScratchDir temp;
  WriteTextFile(temp / "out/model-00002-of-00002.safetensors", "stale");
  WriteTextFile(temp / "out/sub/file", "stale");
  CheckOutputTarget(temp / "out", true);
  std::atomic<bool> is_done = false;
  std::atomic<uint64_t> n_missing = 0;
  // The target never disappears for somebody who looks.
  std::thread watcher([&] {
    while (!is_done) n_missing += !fs::exists(temp / "out");
  });
  for (int i = 0; i < 50; ++i) Publish(temp / "out", true);
  is_done = true;
  watcher.join();
  EXPECT_EQ(n_missing, 0u);
  EXPECT_THAT(Names(temp / "out"), ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
}

TEST(OutputDir, FailedOverwriteKeepsTheOldOutput) {
  const ScratchDir temp;
  WriteTextFile(temp / "out/config.json", "old");
  EXPECT_THROW(
      {
        OutputDir out(temp / "out", true, Sync::kNone);
        WriteSmallOutput(&out);
        throw std::runtime_error("merge failed");
      },
      std::runtime_error);
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
  EXPECT_EQ(ReadTextFile(temp / "out/config.json"), "old");
}

TEST(OutputDir, NothingIsLeftAfterAnException) {
  const ScratchDir temp;
  EXPECT_THROW(
      {
        OutputDir out(temp / "new/parent/out", false, Sync::kNone);
        const int handle = out.CreateSized("model.safetensors", 100);
        out.WriteAt(handle, 0, "abc", 3);
        throw std::runtime_error("merge failed");
      },
      std::runtime_error);
  EXPECT_THAT(Names(temp.path()), IsEmpty());
}

TEST(OutputDir, IncompleteFilesAreNotPublished) {
  const ScratchDir temp;
  {
    OutputDir out(temp / "out", false, Sync::kNone);
    const int handle = out.CreateSized("model.safetensors", 4);
    out.WriteAt(handle, 0, "abc", 3);
    const Diagnostic refusal = RefusalOf([&] { out.Publish(); });
    EXPECT_EQ(refusal.code, ErrorCode::kInternal);
    EXPECT_EQ(refusal.message, "only 3 of 4 bytes were written");
    EXPECT_EQ(RefusalOf([&] { out.WriteAt(handle, 2, "abc", 3); }).code, ErrorCode::kInternal);
    EXPECT_EQ(RefusalOf([&] { out.WriteAt(handle, UINT64_MAX, "abc", 3); }).code, ErrorCode::kInternal);
    out.WriteAt(handle, 3, "d", 1);
    EXPECT_EQ(RefusalOf([&] { out.WriteAt(handle, 3, "d", 1); }).code, ErrorCode::kInternal);
  }
  EXPECT_THAT(Names(temp.path()), IsEmpty());
}

TEST(OutputDir, FileNamesStayInside) {
  const ScratchDir temp;
  OutputDir out(temp / "out", false, Sync::kNone);
  for (const std::string name : {"", ".", "..", "../x", "a/b", "/etc/x"})
    EXPECT_EQ(RefusalOf([&] { out.WriteFile(name, "x"); }).code, ErrorCode::kInternal) << name;
  out.WriteFile("once", "x");
  EXPECT_EQ(RefusalOf([&] { out.WriteFile("once", "x"); }).code, ErrorCode::kOutIo);
}

TEST(OutputDir, UnreadableCopySourceIsAnInputError) {
  const ScratchDir temp;
  OutputDir out(temp / "out", false, Sync::kNone);
  EXPECT_EQ(RefusalOf([&] { out.CopyFile("a", temp / "absent"); }).code, ErrorCode::kInMissing);
  EXPECT_EQ(RefusalOf([&] { out.CopyFile("b", temp.path()); }).code, ErrorCode::kInNotRegular);
}

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
        for (const char* name : {"a", "b", "c"}) out.WriteFile(name, std::to_string(id));
        out.Publish();
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kOutLocked) return false;
      }
    }
    return true;
  };
  std::vector<std::thread> waiters;
  std::atomic<int> n_good = 0;
  for (int id = 0; id < kWriters; ++id) waiters.emplace_back([&, id] { n_good += InChild([&] { return write(id); }); });
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(n_good, kWriters);
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
  EXPECT_THAT(Names(temp / "out"), ElementsAre("config.json", "model.safetensors"));
}

TEST(OutputDir, OldOutputOfAKilledReplacementComesBack) {
  const ScratchDir temp;
  WriteTextFile(temp / ".out.gpumerge-old/config.json", "old");
  EXPECT_EQ(RefusalOf([&] { OutputDir(temp / "out", false, Sync::kNone); }).code, ErrorCode::kOutExists);
  EXPECT_EQ(ReadTextFile(temp / "out/config.json"), "old");
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
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
      out.CopyFile("copy", temp / "source");
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
      [&](OutputDir* out) { out->CopyFile("copy", temp / "source"); },
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

// Whether this process may mount in a namespace of its own, and does `body` there.
enum class MountResult { kGood, kBad, kNotPermitted };
MountResult OnTmpfs(const std::string& mount_point, const char* options, const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, options) != 0)
      ::_exit(2);
    bool is_good = false;
    try {
      is_good = body();
    } catch (const std::exception& error) {
      fprintf(stderr, "in child: %s\n", error.what());
    }
    ::_exit(is_good ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) == 1) return MountResult::kBad;
  return WEXITSTATUS(status) == 2 ? MountResult::kNotPermitted : MountResult::kGood;
}

#define RUN_ON_TMPFS(...)                                                                   \
  do {                                                                                      \
    const MountResult result = OnTmpfs(__VA_ARGS__);                                        \
    if (result == MountResult::kNotPermitted) GTEST_SKIP() << "this process may not mount"; \
    EXPECT_EQ(result, MountResult::kGood);                                                  \
  } while (false)

TEST(OutputDir, FullDiskIsNamedAndLeavesNothing) {
  const ScratchDir temp;
  RUN_ON_TMPFS(temp.path(), "size=1m", [&] {
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
  RUN_ON_TMPFS(temp.path(), "size=1m", [&] {
    CheckOutputTarget(temp.path(), false);
    {
      OutputDir out(temp.path(), false, Sync::kFull);
      if (out.staging_path() != temp / ".gpumerge-tmp") return false;
      WriteSmallOutput(&out);
      out.Publish();
    }
    return Names(temp.path()) == std::vector<std::string>{"config.json", "model.safetensors"} &&
           ReadTextFile(temp / "model.safetensors") == "abcdef";
  });
}

TEST(OutputDir, MountPointIsReplacedInPlace) {
  const ScratchDir temp;
  RUN_ON_TMPFS(temp.path(), "size=1m", [&] {
    for (const char* name : {"config.json", "stale.safetensors", "sub/file"}) WriteTextFile(temp / name, "old");
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
    return Names(temp.path()) == std::vector<std::string>{"config.json", "model.safetensors"} &&
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
  EXPECT_THAT(Names(temp / "here"), ElementsAre("config.json", "model.safetensors"));
}

TEST(OutputTarget, LinksToDirectoriesAreFollowedOthersRefused) {
  const ScratchDir temp;
  fs::create_directories(temp / "real/empty");
  fs::create_directory_symlink(temp / "real/empty", temp / "link");
  Publish(temp / "link", false);
  EXPECT_TRUE(fs::is_symlink(temp / "link"));
  EXPECT_THAT(Names(temp / "real/empty"), ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(Names(temp / "real"), ElementsAre("empty"));

  fs::create_symlink(temp / "nowhere", temp / "broken");
  WriteTextFile(temp / "file", "x");
  for (const char* name : {"broken", "file"}) {
    EXPECT_EQ(RefusalOf([&] { CheckOutputTarget(temp / name, true); }).code, ErrorCode::kOutExists) << name;
    EXPECT_EQ(RefusalOf([&] { OutputDir(temp / name, true, Sync::kNone); }).code, ErrorCode::kOutExists) << name;
  }
  EXPECT_EQ(RefusalOf([&] { CheckOutputTarget(temp / "file/out", false); }).code, ErrorCode::kOutIo);
  EXPECT_EQ(RefusalOf([&] { CheckOutputTarget("", false); }).code, ErrorCode::kOutIo);
  EXPECT_EQ(RefusalOf([&] { CheckOutputTarget("/", true); }).code, ErrorCode::kOutExists);
  EXPECT_EQ(ReadTextFile(temp / "file"), "x");
  CheckOutputTarget(temp / "new/deep", false);
}

TEST(OutputTarget, OverwriteSparesHomeWorkingDirectoryAndRepositories) {
  const ScratchDir temp;
  WriteTextFile(temp / "home/user/file", "x");
  WriteTextFile(temp / "work/sub/file", "x");
  WriteTextFile(temp / "repo/.git/HEAD", "x");
  const auto message = [&](const std::string& target) {
    return RefusalOf([&] { CheckOutputTarget(target, true); }).message;
  };
  EXPECT_EQ(message(temp / "repo"), "--overwrite would delete a git repository");
  EXPECT_TRUE(InChild([&] {
    if (::chdir((temp / "work/sub").c_str()) != 0 || ::setenv("HOME", (temp / "home/user").c_str(), 1) != 0)
      return false;
    return message(temp / "work") == "--overwrite would delete the working directory" &&
           message(".") == "--overwrite would delete the working directory" &&
           message(temp / "home") == "--overwrite would delete the home directory" &&
           message(temp / "home/user") == "--overwrite would delete the home directory";
  }));
  CheckOutputTarget(temp / "work", true);
}

TEST(OutputApart, OverlapIsSeenThroughLinks) {
  const ScratchDir temp;
  fs::create_directories(temp / "models/a/sub");
  fs::create_directories(temp / "models/b");
  fs::create_directories(temp / "out");
  fs::create_directory_symlink(temp / "models/a", temp / "link");
  const std::vector<std::string> inputs{temp / "models/b", temp / "models/a"};
  CheckOutputApart(temp / "out", inputs);
  CheckOutputApart(temp / "models/c", inputs);
  CheckOutputApart(temp / "models/ab/c", inputs);
  const auto message = [&](const std::string& target) {
    const Diagnostic refusal = RefusalOf([&] { CheckOutputApart(target, inputs); });
    EXPECT_EQ(refusal.code, ErrorCode::kOutInInput);
    return refusal.message;
  };
  EXPECT_EQ(message(temp / "models/a"), "the output directory is an input");
  EXPECT_EQ(message(temp / "link"), "the output directory is an input");
  EXPECT_EQ(message(temp / "link/new/out"), "the output directory lies inside an input");
  EXPECT_EQ(message(temp / "link/sub"), "the output directory lies inside an input");
  EXPECT_EQ(message(temp / "out/../models/b/x"), "the output directory lies inside an input");
  EXPECT_EQ(message(temp / "models"), "the output directory contains an input");
  EXPECT_EQ(message(temp.path()), "the output directory contains an input");
  // Every overlapping input is reported, through a link as well.
  try {
    CheckOutputApart(temp / "models", {temp / "models/b", temp / "link"});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.diagnostics().size(), 2u);
  }
}

TEST(OutputApart, OverlapIsSeenThroughBindMounts) {
  const ScratchDir temp;
  fs::create_directories(temp / "mounted");
  fs::create_directories(temp / "bound");
  RUN_ON_TMPFS(temp / "mounted", "size=1m", [&] {
    fs::create_directories(temp / "mounted/model/deep");
    if (::mount((temp / "mounted/model").c_str(), (temp / "bound").c_str(), nullptr, MS_BIND, nullptr) != 0)
      return false;
    const auto code = [&](const std::string& target, const std::string& input) {
      return RefusalOf([&] { CheckOutputApart(target, {input}); }).code;
    };
    return code(temp / "bound/out", temp / "mounted/model") == ErrorCode::kOutInInput &&
           code(temp / "mounted/model/out", temp / "bound") == ErrorCode::kOutInInput &&
           code(temp / "mounted", temp / "mounted/model/deep") == ErrorCode::kOutInInput &&
           code(temp / "mounted/model", temp / "bound/deep") == ErrorCode::kOutInInput;
  });
}

}  // namespace
}  // namespace gpumerge
