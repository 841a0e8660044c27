// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs that were stopped and go on: the same bytes, nothing done twice that was finished, nothing taken over that is
// not of the same merge or not what was written.
#include "src/base/file.h"
#include "src/io/journal.h"
#include "tests/run/run_fixture.h"
#include "tests/support/output_helpers.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <optional>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

class ResumeTest : public RunFixture {
 protected:
  void SetUp() override {
    WriteModels(1);
    recipe = Recipe("ties") + "shard_size: 70K\n";
    expected = Merge(recipe, Quick());
    std::filesystem::remove_all(scratch / "out");
  }

  // Done but for its publishing. What is said of it.
  Diagnostic Stop() {
    RunOptions options = Quick();
    options.on_progress = [](const Progress& progress) { return progress.phase != Progress::Phase::kVerifying; };
    return RefusalOf([&] { RunMerge(MakePlan(recipe, "out"), options); });
  }

  std::string staging() const { return scratch / ".out.gpumerge-tmp"; }
  std::string journal() const { return staging() + "/" + kJournalFile; }

  // As if the run had been killed when n tensors were finished.
  void KeepRecords(size_t n) {
    std::string text = ReadTextFile(journal());
    size_t end = text.find('\n') + 1;
    for (size_t i = 0; i < n; ++i) end = text.find('\n', end) + 1;
    WriteTextFile(journal(), text.substr(0, end) + text.substr(end, 40));
  }

  std::string FirstShard() const {
    for (const std::string& name : Names(staging()))
      if (name.starts_with("model-")) return staging() + "/" + name;
    return {};
  }

  // Another byte in the data of the output's tensor.
  void Damage(const std::string& tensor) {
    const Plan plan = MakePlan(recipe, "out");
    for (const PlanItem& item : plan.items) {
      if (item.name != tensor || item.stage) continue;
      const std::string path = staging() + "/" + plan.shards[item.shard].file_name;
      std::string contents = ReadTextFile(path);
      contents[item.offset_bytes + 3] = static_cast<char>(contents[item.offset_bytes + 3] ^ 4);
      WriteTextFile(path, contents);
      return;
    }
    FAIL() << "there is no tensor " << tensor;
  }

  RunStats Resume(gpumerge::Resume how = gpumerge::Resume::kCheck) {
    RunOptions options = Quick();
    options.resume = how;
    return RunMerge(MakePlan(recipe, "out"), options);
  }

  void ExpectDone() {
    EXPECT_EQ(Contents(scratch / "out"), expected);
    for (const std::string& name : Names(scratch.path())) EXPECT_FALSE(name.starts_with(".")) << name;
  }

  static constexpr uint64_t kTensors = 8;
  std::string recipe;
  std::map<std::string, std::string> expected;
};

TEST_F(ResumeTest, StoppedAtTheEndIsOnlyPublished) {
  const Diagnostic stopped = Stop();
  EXPECT_EQ(stopped.code, ErrorCode::kCancelled);
  EXPECT_THAT(stopped.help, HasSubstr("resumable: run the same command again; 8 of 8 tensors are finished"));
  EXPECT_FALSE(PathExists(scratch / "out"));
  const RunStats stats = Resume();
  EXPECT_EQ(stats.totals.tensors_resumed, kTensors);
  EXPECT_EQ(stats.totals.tensors_done, kTensors);
  EXPECT_EQ(stats.totals.bytes_read, 0u);
  EXPECT_EQ(stats.totals.bytes_written, 0u);
  ExpectDone();
}

TEST_F(ResumeTest, AtEveryRecordGoesOnFromThere) {
  for (size_t n = 0; n <= kTensors; ++n) {
    Stop();
    KeepRecords(n);
    const RunStats stats = Resume(n % 2 == 0 ? gpumerge::Resume::kCheck : gpumerge::Resume::kTrust);
    EXPECT_EQ(stats.totals.tensors_resumed, n);
    EXPECT_EQ(stats.totals.tensors_done, kTensors);
    ExpectDone();
    std::filesystem::remove_all(scratch / "out");
  }
}

TEST_F(ResumeTest, OtherThreadsMemoryAndDeviceGoOnAsWell) {
  Stop();
  KeepRecords(3);
  RunOptions options = Quick();
  options.threads = 3;
  options.device = Device::kReference;
  options.sync = Sync::kFull;
  options.max_chunk_elems = kBlockElems;
  EXPECT_EQ(RunMerge(MakePlan(recipe, "out"), options).totals.tensors_resumed, 3u);
  ExpectDone();
}

TEST_F(ResumeTest, DamagedTensorIsMadeAgain) {
  Stop();
  Damage("model.embed_tokens.weight");
  const RunStats stats = Resume();
  EXPECT_EQ(stats.totals.tensors_resumed, kTensors - 1);
  ASSERT_FALSE(stats.warnings.empty());
  EXPECT_EQ(stats.warnings.front().code, ErrorCode::kOutVerify);
  EXPECT_THAT(stats.warnings.front().message, HasSubstr("1 tensor"));
  ExpectDone();
}

TEST_F(ResumeTest, TrustedDamageIsFoundBeforePublishing) {
  Stop();
  Damage("model.embed_tokens.weight");
  const Diagnostic refused = RefusalOf([&] { Resume(gpumerge::Resume::kTrust); });
  EXPECT_EQ(refused.code, ErrorCode::kOutVerify);
  EXPECT_THAT(refused.message, HasSubstr("model.embed_tokens.weight"));
  EXPECT_FALSE(PathExists(scratch / "out"));
  EXPECT_EQ(Resume().totals.tensors_resumed, kTensors - 1);
  ExpectDone();
}

TEST_F(ResumeTest, MissingOrCutShardIsMadeAgain) {
  for (const bool is_missing : {true, false}) {
    Stop();
    const std::string first = FirstShard();
    if (is_missing)
      std::filesystem::remove(first);
    else
      std::filesystem::resize_file(first, std::filesystem::file_size(first) - 1);
    EXPECT_LT(Resume(gpumerge::Resume::kTrust).totals.tensors_resumed, kTensors);
    ExpectDone();
    std::filesystem::remove_all(scratch / "out");
  }
}

TEST_F(ResumeTest, AnotherMergeIsRefusedByNameAndKept) {
  Stop();
  const std::string before = ReadTextFile(journal()), of_this = recipe;
  const auto refused = [&](const std::string& field) {
    const Diagnostic refusal = RefusalOf([&] { Resume(); });
    EXPECT_EQ(refusal.code, ErrorCode::kResMismatch);
    EXPECT_EQ(Info(refusal.code).exit_status, 9);
    EXPECT_THAT(refusal.message, HasSubstr("`" + field));
    EXPECT_THAT(refusal.help, HasSubstr("--restart"));
    EXPECT_EQ(ReadTextFile(journal()), before);
  };
  recipe += "dtype: float32\n";
  refused("recipe`");
  recipe = Recipe("linear") + "shard_size: 70K\n";
  refused("inputs");
  recipe = of_this;
  const std::string input = scratch / "a/model.safetensors";
  const auto time = std::filesystem::last_write_time(input);
  std::filesystem::last_write_time(input, time + std::chrono::seconds(1));
  refused("inputs[");
  std::filesystem::last_write_time(input, time);
  EXPECT_EQ(Resume().totals.tensors_resumed, kTensors);
  ExpectDone();
}

TEST_F(ResumeTest, RestartThrowsAwayWhateverIsThere) {
  Stop();
  recipe += "dtype: float32\n";
  EXPECT_EQ(Resume(gpumerge::Resume::kNever).totals.tensors_resumed, 0u);
  EXPECT_TRUE(PathExists(scratch / "out/config.json"));
  EXPECT_FALSE(PathExists(staging()));
}

TEST_F(ResumeTest, UnreadableJournalIsRefused) {
  for (const std::string& text : {std::string(), std::string("x"), std::string(5000, '\0')}) {
    Stop();
    WriteTextFile(journal(), text);
    const Diagnostic refused = RefusalOf([&] { Resume(); });
    EXPECT_EQ(refused.code, ErrorCode::kResMismatch);
    EXPECT_THAT(refused.message, HasSubstr("cannot be read"));
    EXPECT_EQ(Resume(gpumerge::Resume::kNever).totals.tensors_resumed, 0u);
    ExpectDone();
    std::filesystem::remove_all(scratch / "out");
  }
}

TEST_F(ResumeTest, StagingWithoutAJournalIsBegunAnew) {
  Stop();
  std::filesystem::remove(journal());
  EXPECT_EQ(Resume().totals.tensors_resumed, 0u);
  ExpectDone();
}

TEST_F(ResumeTest, StrangersInStagingDoNotGetIntoTheOutput) {
  Stop();
  WriteTextFile(staging() + "/model-99999-of-99999.safetensors", "x");
  WriteTextFile(staging() + "/pytorch_model.bin", "x");
  std::filesystem::create_directory(staging() + "/config.json.part");
  std::filesystem::create_symlink("/etc/passwd", staging() + "/tokenizer.json");
  Resume();
  ExpectDone();
}

TEST_F(ResumeTest, DataErrorKeepsNothing) {
  std::vector<TestTensor> tensors = Tensors('a', DType::kBF16);
  tensors.back().bytes.assign(tensors.back().bytes.size(), char{-1});  // NaN
  WriteModel(scratch / "a", tensors, kConfigJson, 1);
  EXPECT_EQ(RefusalOf([&] { RunMerge(MakePlan(recipe, "out"), Quick()); }).code, ErrorCode::kNumNonFiniteIn);
  EXPECT_FALSE(PathExists(staging()));
}

TEST_F(ResumeTest, StoppedBeforeAnythingIsFinishedLeavesNothing) {
  RunOptions options = Quick();
  options.on_progress = [](const Progress&) { return false; };
  Plan plan = MakePlan(recipe, "out");
  const Diagnostic stopped = RefusalOf([&] { RunMerge(plan, options); });
  EXPECT_EQ(stopped.code, ErrorCode::kCancelled);
  EXPECT_THAT(stopped.help, HasSubstr("run the same command again"));
  const bool is_kept = PathExists(staging());
  EXPECT_THAT(stopped.help, HasSubstr(is_kept ? "resumable" : "no tensor was finished yet"));
  Resume();
  ExpectDone();
}

TEST_F(ResumeTest, StagesAreMadeAgainOnlyForWhatReadsThem) {
  recipe = "name: soup\nmerge_method: linear\nmodels:\n  - {model: " + (scratch / "a") +
           ", parameters: {weight: 0.3}}\n  - {model: " + (scratch / "b") +
           ", parameters: {weight: 0.7}}\n---\nmerge_method: slerp\nbase_model: soup\nparameters: {t: 0.4}\nmodels:\n"
           "  - model: soup\n  - model: " +
           (scratch / "c") + "\n";
  expected = Merge(recipe, Quick());
  std::filesystem::remove_all(scratch / "out");
  const size_t n_records = MakePlan(recipe, "out").items.size();
  for (size_t n = 0; n <= n_records; ++n) {
    Stop();
    KeepRecords(n);
    const RunStats stats = Resume();
    EXPECT_LE(stats.totals.tensors_resumed, n);
    if (n == n_records) {
      EXPECT_EQ(stats.totals.bytes_read, 0u);
    }
    ExpectDone();
    std::filesystem::remove_all(scratch / "out");
  }
}

TEST_F(ResumeTest, WhatChangesAfterItWasWrittenIsNotPublished) {
  for (const std::string what : {"tensor", "header", "config.json", "gpumerge_report.json"}) {
    RunOptions options = Quick();
    options.on_progress = [&](const Progress& progress) {
      if (progress.phase != Progress::Phase::kVerifying) return true;
      if (what == "tensor" && progress.bytes_to_check == 0) Damage("model.norm.weight");
      if (what == "header" && progress.bytes_to_check == 0) {
        const std::string path = FirstShard();
        std::string contents = ReadTextFile(path);
        contents[contents.find("F16")] = 'f';
        WriteTextFile(path, contents);
      }
      if (progress.bytes_to_check > 0 && what.ends_with(".json")) WriteTextFile(staging() + "/" + what, "{}");
      return true;
    };
    EXPECT_EQ(RefusalOf([&] { RunMerge(MakePlan(recipe, "out"), options); }).code, ErrorCode::kOutVerify) << what;
    EXPECT_FALSE(PathExists(scratch / "out")) << what;
    Resume();
    ExpectDone();
    std::filesystem::remove_all(scratch / "out");
  }
}

TEST_F(ResumeTest, VerifyingTheHeaderOnlyDoesNotReadTheTensors) {
  uint64_t bytes_checked = 0;
  RunOptions options = Quick();
  options.on_progress = [&](const Progress& progress) { return bytes_checked += progress.bytes_checked, true; };
  options.verify = Verify::kHeader;
  RunMerge(MakePlan(recipe, "out"), options);
  EXPECT_EQ(bytes_checked, 0u);
  ExpectDone();
  options.verify = Verify::kFull;
  RunMerge(MakePlan(recipe, "out"), options);
  EXPECT_GT(bytes_checked, 0u);
  ExpectDone();
}

TEST_F(ResumeTest, TargetThatAppearsMeanwhileCostsNoWork) {
  RunOptions options = Quick();
  options.overwrite = false;
  options.on_progress = [&](const Progress& progress) {
    if (progress.phase == Progress::Phase::kVerifying) WriteTextFile(scratch / "out/somebody's", "x");
    return true;
  };
  const Plan plan = MakePlan(recipe, "out");
  const Diagnostic refused = RefusalOf([&] { RunMerge(plan, options); });
  EXPECT_EQ(refused.code, ErrorCode::kOutExists);
  EXPECT_THAT(refused.help, HasSubstr("resumable"));
  std::filesystem::remove_all(scratch / "out");
  EXPECT_EQ(Resume().totals.tensors_resumed, kTensors);
  ExpectDone();
}

}  // namespace
}  // namespace gpumerge::test
