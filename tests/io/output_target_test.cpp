// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What may be an output directory, and whether it overlaps an input.
#include "src/io/output_target.h"

#include "src/io/output_dir.h"
#include "tests/support/child_process.h"
#include "tests/support/model_writer.h"
#include "tests/support/output_helpers.h"

#include "gpumerge/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/mount.h>
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
using test::WriteTextFile;
using ::testing::ElementsAre;

TEST(OutputTarget, LinksToDirectoriesAreFollowedOthersRefused) {
  const ScratchDir temp;
  fs::create_directories(temp / "real/empty");
  fs::create_directory_symlink(temp / "real/empty", temp / "link");
  Publish(temp / "link", false);
  EXPECT_TRUE(fs::is_symlink(temp / "link"));
  EXPECT_THAT(Names(temp / "real/empty"), ElementsAre("config.json", "gpumerge_report.json", "model.safetensors"));
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
  WriteTextFile(temp / "work/gpumerge_report.json", "x");
  CheckOutputTarget(temp / "work", true);
}

TEST(OutputTarget, OverwriteReplacesOnlyTheOutputOfAMerge) {
  const ScratchDir temp;
  for (const char* name : {"thesis.tex", "b.txt", "a/photo.jpg", "d.txt", "c.txt"})
    WriteTextFile(temp / (std::string("mine/") + name), "precious");
  const Diagnostic refusal = RefusalOf([&] { Publish(temp / "mine", true); });
  EXPECT_EQ(refusal.code, ErrorCode::kOutExists);
  EXPECT_EQ(refusal.message, "--overwrite would delete a directory that is not the output of a merge");
  EXPECT_EQ(refusal.found, "a, b.txt, c.txt and 2 more");
  EXPECT_EQ(refusal.help, "remove the directory by hand if it is not needed, or choose another --out");
  EXPECT_EQ(ReadTextFile(temp / "mine/thesis.tex"), "precious");
  WriteTextFile(temp / "model/config.json", "{}");
  EXPECT_EQ(RefusalOf([&] { CheckOutputTarget(temp / "model", true); }).found, "config.json");
  fs::create_directory(temp / "empty");
  Publish(temp / "empty", true);
  Publish(temp / "empty", true);
}

TEST(OutputTarget, WhatAnInterruptedRunHoldsIsCounted) {
  const ScratchDir temp;
  EXPECT_EQ(StagedBytes(temp / "out"), 0u);
  EXPECT_FALSE(InChild([&] {
    OutputDir out(temp / "out", false, Sync::kNone);
    out.CreateSized("model.safetensors", 100'000);
    ::raise(SIGKILL);
    return true;
  }));
  const uint64_t staged_bytes = StagedBytes(temp / "out");
  EXPECT_GE(staged_bytes, 100'000u);
  EXPECT_LT(staged_bytes, 200'000u);
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
  GM_RUN_ON_TMPFS(temp / "mounted", "size=1m", [&] {
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
