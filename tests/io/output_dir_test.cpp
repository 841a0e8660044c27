// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole or not at all: what is in the target and beside it after success, refusal and exceptions.
#include "src/io/output_dir.h"

#include "src/base/file_identity.h"
#include "tests/support/model_writer.h"
#include "tests/support/output_helpers.h"

#include "gpumerge/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;
using test::Names;
using test::Publish;
using test::ReadTextFile;
using test::RefusalOf;
using test::ScratchDir;
using test::WriteSmallOutput;
using test::WriteTextFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(OutputDir, PublishesEverythingAndLeavesNothingElse) {
  const ScratchDir temp;
  for (const Sync sync : {Sync::kNone, Sync::kFull}) {
    const std::string target = temp / (sync == Sync::kFull ? "full" : "none");
    WriteTextFile(temp / "source", std::string(700'000, 'x') + "end");
    {
      OutputDir out(target, false, sync);
      EXPECT_EQ(out.staging_path(), temp.path() + "/." + fs::path(target).filename().string() + ".gpumerge-tmp");
      WriteSmallOutput(&out);
      out.CopyFile("tokenizer.json", temp / "source", *IdentifyFile(temp / "source"));
      out.CreateSized("empty.safetensors", 0);
      EXPECT_FALSE(fs::exists(target));
      out.Publish();
      EXPECT_TRUE(fs::exists(target));
    }
    EXPECT_THAT(Names(target), ElementsAre("config.json", "empty.safetensors", "gpumerge_report.json",
                                           "model.safetensors", "tokenizer.json"));
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
  EXPECT_THAT(Names(temp / "empty"), ElementsAre("config.json", "gpumerge_report.json", "model.safetensors"));
  Publish(temp / "a/b/c/", false, Sync::kFull);
  EXPECT_THAT(Names(temp / "a/b"), ElementsAre("c"));
  EXPECT_THAT(Names(temp / "a/b/c"), ElementsAre("config.json", "gpumerge_report.json", "model.safetensors"));
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
  WriteTextFile(temp / "out/gpumerge_report.json", "stale");
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
  EXPECT_THAT(Names(temp / "out"), ElementsAre("config.json", "gpumerge_report.json", "model.safetensors"));
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
}

TEST(OutputDir, FailedOverwriteKeepsTheOldOutput) {
  const ScratchDir temp;
  WriteTextFile(temp / "out/config.json", "old");
  WriteTextFile(temp / "out/gpumerge_report.json", "old");
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
  EXPECT_EQ(RefusalOf([&] { out.CopyFile("a", temp / "absent", {}); }).code, ErrorCode::kInMissing);
  EXPECT_EQ(RefusalOf([&] { out.CopyFile("b", temp.path(), {}); }).code, ErrorCode::kInNotRegular);
}

// A disk that fills up later has room for the records.
TEST(OutputDir, JournalHasItsSpace) {
  const ScratchDir temp;
  const int probe = ::open((temp / "probe").c_str(), O_WRONLY | O_CREAT, 0600);
  const bool can_reserve = ::fallocate(probe, FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
  ::close(probe);
  if (!can_reserve) GTEST_SKIP() << "this file system reserves nothing";
  OutputDir out(temp / "out", false, Sync::kNone);
  out.WriteJournal("begin\n", 1 << 20);
  struct stat journal {};
  ASSERT_EQ(::stat((temp / ".out.gpumerge-tmp/journal.gpj").c_str(), &journal), 0);
  EXPECT_EQ(journal.st_size, 6);
  EXPECT_GE(journal.st_blocks * 512, 1 << 20);
}

TEST(OutputDir, CopySourceThatChangedIsAnInputError) {
  const ScratchDir temp;
  WriteTextFile(temp / "source", "one");
  const FileIdentity before = *IdentifyFile(temp / "source");
  WriteTextFile(temp / "source", "four");
  OutputDir out(temp / "out", false, Sync::kNone);
  EXPECT_EQ(RefusalOf([&] { out.CopyFile("a", temp / "source", before); }).code, ErrorCode::kInChanged);
}

TEST(OutputDir, OldOutputOfAKilledReplacementComesBack) {
  const ScratchDir temp;
  WriteTextFile(temp / ".out.gpumerge-old/config.json", "old");
  EXPECT_EQ(RefusalOf([&] { OutputDir(temp / "out", false, Sync::kNone); }).code, ErrorCode::kOutExists);
  EXPECT_EQ(ReadTextFile(temp / "out/config.json"), "old");
  EXPECT_THAT(Names(temp.path()), ElementsAre("out"));
}

}  // namespace
}  // namespace gpumerge
