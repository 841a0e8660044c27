// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Models that try to lead a merge elsewhere or to make it hang: links, FIFOs, devices, directories in place of files.
#include "src/io/contained_open.h"
#include "src/io/model_files.h"
#include "tests/support/errors.h"
#include "tests/support/forwarded_calls.h"
#include "tests/support/model_writer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;
using test::CodeOf;
using test::FirstDiagnosticOf;
using test::PatternTensor;
using test::WriteSafetensors;
using test::WriteTextFile;

const std::string kCommit(40, 'a');

ModelLocation Locate(const std::string& path, const std::string& cache = "") {
  ModelRef reference;
  reference.text = path;
  return LocateModel(reference, cache, "");
}

// An openat2 that fails so: as kernels without it, and sandboxes that refuse it. 0: it works.
class FailingOpenBeneath : public test::ForwardedCalls {
 public:
  explicit FailingOpenBeneath(int error_number) : error_number_(error_number) {}
  int OpenBeneath(const char* root, const char* below, int flags) override {
    if (error_number_ == 0) return ForwardedCalls::OpenBeneath(root, below, flags);
    errno = error_number_;
    return -1;
  }

 private:
  const int error_number_;
};

class ModelSafetyTest : public ::testing::TestWithParam<int> {
 protected:
  ModelSafetyTest() {
    fs::create_directories(dir_);
    WriteSafetensors(scratch_ / "outside/secret.safetensors", {PatternTensor("a", DType::kF32, {2})});
    ::alarm(60);  // what blocks ends the test
  }
  ~ModelSafetyTest() override { ::alarm(0); }

  std::string File(const std::string& name) const { return dir_ + "/" + name; }
  void WriteGood(const std::string& name) const {
    WriteSafetensors(File(name), {PatternTensor("a", DType::kF32, {2})});
  }
  // model.safetensors.index.json with one tensor in that shard.
  void WriteIndexOf(const std::string& shard) const {
    WriteTextFile(File("model.safetensors.index.json"), "{\"weight_map\":{\"a\":\"" + shard + "\"}}");
  }
  std::string CodeOfOpen() const {
    return CodeOf([&] { OpenModel(Locate(dir_)); });
  }

  FailingOpenBeneath calls_{GetParam()};
  const ReplacedSystemCalls replaced_{calls_};
  test::ScratchDir scratch_;
  const std::string dir_ = scratch_ / "model";
};

TEST_P(ModelSafetyTest, TraversalInTheIndexIsRefused) {
  for (const char* shard : {"../outside/secret.safetensors", "/etc/passwd", "a/../../outside/secret.safetensors",
                            "..\\\\x.safetensors", "./x.safetensors", ""}) {
    WriteIndexOf(shard);
    EXPECT_EQ(CodeOfOpen(), "IX-TRAVERSAL") << shard;
  }
}

TEST_P(ModelSafetyTest, LinksMayNotLeaveTheDirectory) {
  WriteIndexOf("x.safetensors");
  fs::create_symlink("../outside/secret.safetensors", File("x.safetensors"));
  const Diagnostic d = FirstDiagnosticOf([&] { OpenModel(Locate(dir_)); });
  EXPECT_EQ(d.code, ErrorCode::kInSymlink);
  EXPECT_EQ(d.where, File("x.safetensors"));
  EXPECT_EQ(d.found, scratch_ / "outside/secret.safetensors");
  fs::remove(File("x.safetensors"));
  fs::create_symlink(scratch_ / "outside/secret.safetensors", File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-SYMLINK") << "absolute";
  fs::create_directory_symlink("../outside", File("sub"));
  WriteIndexOf("sub/secret.safetensors");
  EXPECT_EQ(CodeOfOpen(), "IN-SYMLINK") << "a directory on the way";
}

TEST_P(ModelSafetyTest, ASingleFileMayNotBeALinkOutsideUnlessNamed) {
  fs::create_symlink("../outside/secret.safetensors", File("model.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-SYMLINK");
  EXPECT_EQ(OpenModel(Locate(File("model.safetensors"))).tensors.size(), 1u);
}

TEST_P(ModelSafetyTest, LinksMayLeaveWhenTheRootAllowsIt) {
  WriteIndexOf("x.safetensors");
  fs::create_symlink("../outside/secret.safetensors", File("x.safetensors"));
  ModelLocation location = Locate(dir_);
  location.follow_symlinks = true;
  EXPECT_EQ(OpenModel(location).tensors.size(), 1u);
  fs::remove(File("x.safetensors"));
  fs::create_symlink("/dev/zero", File("x.safetensors"));
  EXPECT_EQ(CodeOf([&] { OpenModel(location); }), "IN-NOTREG");
}

TEST_P(ModelSafetyTest, LinksInsideTheDirectoryAreFine) {
  WriteGood("real/weights.safetensors");
  WriteIndexOf("x.safetensors");
  fs::create_symlink("real/weights.safetensors", File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "");
  fs::remove(File("x.safetensors"));
  fs::create_symlink(File("real/weights.safetensors"), File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "") << "absolute";
}

TEST_P(ModelSafetyTest, TheModelDirectoryItselfMayBeALink) {
  WriteGood("model.safetensors");
  fs::create_directory_symlink(dir_, scratch_ / "alias");
  const ModelFiles model = OpenModel(Locate(scratch_ / "alias"));
  EXPECT_EQ(model.location.directory, dir_);
  EXPECT_EQ(model.location.name, "alias");
}

TEST_P(ModelSafetyTest, LinkLoopsAndDeadLinks) {
  WriteIndexOf("x.safetensors");
  fs::create_symlink("x.safetensors", File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-SYMLINK");
  fs::remove(File("x.safetensors"));
  fs::create_symlink("gone.safetensors", File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-INCOMPLETE");
  fs::remove(File("model.safetensors.index.json"));
  fs::create_symlink("gone.safetensors", File("model.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-INCOMPLETE");
}

TEST_P(ModelSafetyTest, ProcessFilesAreRefused) {
  WriteIndexOf("x.safetensors");
  fs::create_symlink("/proc/self/fd/0", File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-SYMLINK");
}

TEST_P(ModelSafetyTest, SpecialFilesNeverHang) {
  WriteIndexOf("x.safetensors");
  ASSERT_EQ(::mkfifo(File("x.safetensors").c_str(), 0600), 0);
  EXPECT_EQ(CodeOfOpen(), "IN-NOTREG");
  fs::remove(File("x.safetensors"));
  fs::create_directory(File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-NOTREG");
  fs::remove(File("x.safetensors"));
  fs::create_symlink("/dev/zero", File("x.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-SYMLINK");
  fs::remove(File("model.safetensors.index.json"));

  ASSERT_EQ(::mkfifo(File("model.safetensors").c_str(), 0600), 0);
  EXPECT_EQ(CodeOfOpen(), "IN-NOTREG");
  EXPECT_EQ(CodeOf([&] { OpenModel(Locate(File("model.safetensors"))); }), "IN-NOTREG");
  EXPECT_EQ(CodeOf([&] { OpenModel(Locate("/dev/zero")); }), "IN-NOTREG");
  fs::remove(File("model.safetensors"));
  fs::create_directory(File("model.safetensors"));
  EXPECT_EQ(CodeOfOpen(), "IN-NOTREG");
}

TEST_P(ModelSafetyTest, ASpecialConfigIsRefused) {
  WriteGood("model.safetensors");
  ASSERT_EQ(::mkfifo(File("config.json").c_str(), 0600), 0);
  EXPECT_EQ(CodeOfOpen(), "IN-NOTREG");
  fs::remove(File("config.json"));
  fs::create_symlink("/etc/hostname", File("config.json"));
  EXPECT_EQ(CodeOfOpen(), "IN-SYMLINK");
  fs::remove(File("config.json"));
  fs::create_symlink("gone", File("config.json"));
  EXPECT_EQ(CodeOfOpen(), "IN-INCOMPLETE");
}

TEST_P(ModelSafetyTest, SideFilesThatCannotBeCopiedAreKnownWithTheirReason) {
  WriteGood("model.safetensors");
  WriteTextFile(File("tokenizer.json"), "{}");
  fs::create_symlink("tokenizer.json", File("inside.json"));
  fs::create_symlink("/etc/hostname", File("vocab.json"));
  fs::create_symlink("gone", File("merges.txt"));
  fs::create_directory(File("onnx"));
  ASSERT_EQ(::mkfifo(File("pipe").c_str(), 0600), 0);
  const ModelFiles model = OpenModel(Locate(dir_));
  EXPECT_EQ(model.side_files, (std::vector<std::string>{"inside.json", "tokenizer.json"}));
  std::map<std::string, ErrorCode> codes;
  for (const auto& [name, problem] : model.unusable) codes[name] = problem.code;
  EXPECT_EQ(codes, (std::map<std::string, ErrorCode>{{"merges.txt", ErrorCode::kInIncomplete},
                                                     {"onnx", ErrorCode::kInNotRegular},
                                                     {"pipe", ErrorCode::kInNotRegular},
                                                     {"vocab.json", ErrorCode::kInSymlink}}));
  ASSERT_EQ(model.warnings.size(), 3u);
  EXPECT_EQ(model.warnings[0].where, File("merges.txt"));
  EXPECT_EQ(model.warnings[1].where, File("pipe"));
  EXPECT_EQ(model.warnings[2].where, File("vocab.json"));
}

// snapshots/<commit>/file -> ../../blobs/<hash>, as huggingface_hub makes it.
class HubTreeTest : public ModelSafetyTest {
 protected:
  HubTreeTest() {
    WriteSafetensors(repo_ + "/blobs/1111", {PatternTensor("a", DType::kF32, {2})});
    WriteTextFile(repo_ + "/blobs/2222", "{}");
    WriteTextFile(repo_ + "/refs/main", kCommit);
    fs::create_directories(snapshot_);
    fs::create_symlink("../../blobs/1111", snapshot_ + "/model.safetensors");
    fs::create_symlink("../../blobs/2222", snapshot_ + "/config.json");
    fs::create_symlink("../../blobs/2222", snapshot_ + "/tokenizer.json");
  }
  std::string CodeOfHub() const {
    return CodeOf([&] { OpenModel(Locate("org/name", scratch_ / "cache")); });
  }

  const std::string repo_ = scratch_ / "cache/models--org--name";
  const std::string snapshot_ = repo_ + "/snapshots/" + kCommit;
};

TEST_P(HubTreeTest, BlobsAreInsideTheRepository) {
  for (const ModelFiles& model : {OpenModel(Locate("org/name", scratch_ / "cache")), OpenModel(Locate(snapshot_))}) {
    EXPECT_EQ(model.tensors.size(), 1u);
    EXPECT_EQ(model.config_json, "{}");
    EXPECT_EQ(model.side_files, std::vector<std::string>{"tokenizer.json"});
    EXPECT_TRUE(model.warnings.empty());
    EXPECT_EQ(model.files[0].path, snapshot_ + "/model.safetensors");
  }
}

TEST_P(HubTreeTest, AnotherRepositoryIsOutside) {
  WriteSafetensors(scratch_ / "cache/models--org--other/blobs/3333", {PatternTensor("a", DType::kF32, {2})});
  fs::remove(snapshot_ + "/model.safetensors");
  fs::create_symlink("../../../models--org--other/blobs/3333", snapshot_ + "/model.safetensors");
  EXPECT_EQ(CodeOfHub(), "IN-SYMLINK");
}

TEST_P(HubTreeTest, AnUnfinishedBlobIsIncomplete) {
  fs::rename(repo_ + "/blobs/1111", repo_ + "/blobs/1111.incomplete");
  const Diagnostic d = FirstDiagnosticOf([&] { OpenModel(Locate("org/name", scratch_ / "cache")); });
  EXPECT_EQ(d.code, ErrorCode::kInIncomplete);
  EXPECT_NE(d.found.find("1 unfinished download"), std::string::npos) << d.found;
  ModelLocation followed = Locate(snapshot_);
  followed.follow_symlinks = true;
  const std::string found = FirstDiagnosticOf([&] { OpenModel(followed); }).found;
  EXPECT_NE(found.find("1 unfinished download"), std::string::npos) << found;
  fs::remove(snapshot_ + "/model.safetensors");
  EXPECT_EQ(CodeOfHub(), "IN-INCOMPLETE");
}

std::string NameOfError(const ::testing::TestParamInfo<int>& info) {
  return info.param == 0 ? "Openat2" : ::strerrorname_np(info.param);
}
INSTANTIATE_TEST_SUITE_P(, ModelSafetyTest, ::testing::Values(0, ENOSYS, EPERM, EAGAIN), NameOfError);
INSTANTIATE_TEST_SUITE_P(, HubTreeTest, ::testing::Values(0, ENOSYS, EPERM, EAGAIN), NameOfError);

TEST(LiesBelow, ComparesWholeComponents) {
  EXPECT_TRUE(LiesBelow("/a/b", "/a"));
  EXPECT_TRUE(LiesBelow("/a", "/a"));
  EXPECT_TRUE(LiesBelow("/anything", "/"));
  EXPECT_FALSE(LiesBelow("/ab", "/a"));
  EXPECT_FALSE(LiesBelow("/", "/a"));
}

}  // namespace
}  // namespace gpumerge
