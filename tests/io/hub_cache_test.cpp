// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Model references: what is local, what is a hub name, and which revision of the cache it means.
#include "src/io/hub_cache.h"

#include "src/io/model_files.h"
#include "tests/support/errors.h"
#include "tests/support/model_writer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;
using test::CodeOf;
using test::FirstDiagnosticOf;
using test::TextOf;
using test::WriteTextFile;

const std::string kCommitA(40, 'a');
const std::string kCommitB = "0123456789abcdef0123456789abcdef01234567";

ModelRef Ref(const std::string& text) {
  ModelRef reference;
  reference.text = text;
  return reference;
}

// Sets and restores environment variables and the working directory.
class Surroundings {
 public:
  Surroundings() : directory_(fs::current_path()) {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      old_.push_back(value == nullptr ? std::nullopt : std::optional<std::string>(value));
      ::unsetenv(name);
    }
  }
  ~Surroundings() {
    for (size_t i = 0; i < old_.size(); ++i) {
      if (old_[i])
        ::setenv(kNames[i], old_[i]->c_str(), 1);
      else
        ::unsetenv(kNames[i]);
    }
    fs::current_path(directory_);
  }
  void Set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  void Unset(const char* name) { ::unsetenv(name); }

 private:
  static constexpr const char* kNames[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME",
                                           "GM_TEST_VAR"};
  fs::path directory_;
  std::vector<std::optional<std::string>> old_;
};

class HubCacheTest : public ::testing::Test {
 protected:
  HubCacheTest() {
    surroundings_.Set("HOME", scratch_ / "home");
    fs::create_directories(scratch_ / "work");
    fs::current_path(scratch_ / "work");
  }

  std::string Repo(const std::string& id) const {
    std::string folder = id;
    return scratch_ / "cache/models--" + folder.replace(folder.find('/'), 1, "--");
  }
  void AddRef(const std::string& id, const std::string& name, const std::string& commit) const {
    WriteTextFile(Repo(id) + "/refs/" + name, commit);
  }
  void AddSnapshot(const std::string& id, const std::string& commit) const {
    fs::create_directories(Repo(id) + "/snapshots/" + commit);
  }
  ModelLocation Locate(const std::string& text) const {
    return LocateModel(Ref(text), scratch_ / "cache", "recipe.yaml:3:7");
  }
  std::string CodeOfLocate(const std::string& text) const {
    return CodeOf([&] { Locate(text); });
  }

  test::ScratchDir scratch_;
  Surroundings surroundings_;
};

TEST_F(HubCacheTest, EnvironmentPrecedence) {
  const auto set = [&](const char* name, const std::string& value) { surroundings_.Set(name, value); };
  EXPECT_EQ(HubCacheRoot(""), scratch_ / "home/.cache/huggingface/hub");
  set("XDG_CACHE_HOME", "/xdg");
  EXPECT_EQ(HubCacheRoot(""), "/xdg/huggingface/hub");
  set("HF_HOME", "/hf");
  EXPECT_EQ(HubCacheRoot(""), "/hf/hub");
  set("HUGGINGFACE_HUB_CACHE", "/old");
  EXPECT_EQ(HubCacheRoot(""), "/old");
  set("HF_HUB_CACHE", "/new");
  EXPECT_EQ(HubCacheRoot(""), "/new");
  EXPECT_EQ(HubCacheRoot("/flag"), "/flag");
  set("HF_HUB_CACHE", "");
  EXPECT_EQ(HubCacheRoot(""), "/old") << "an empty variable counts as unset";
}

TEST_F(HubCacheTest, ExpandsHomeAndVariables) {
  surroundings_.Set("GM_TEST_VAR", "v");
  surroundings_.Set("HF_HUB_CACHE", "~/a/$GM_TEST_VAR/${GM_TEST_VAR}x/$NOT_SET_AT_ALL/$");
  EXPECT_EQ(HubCacheRoot(""), scratch_ / "home/a/v/vx/$NOT_SET_AT_ALL/$");
  surroundings_.Set("HF_HUB_CACHE", "/a~/${unclosed");
  EXPECT_EQ(HubCacheRoot(""), "/a~/${unclosed");
  EXPECT_EQ(HubCacheRoot("~/c"), scratch_ / "home/c");
}

TEST_F(HubCacheTest, FindsMainTagsNestedRefsAndCommits) {
  AddSnapshot("org/name", kCommitA);
  AddSnapshot("org/name", kCommitB);
  AddRef("org/name", "main", kCommitA);
  AddRef("org/name", "v1.0", kCommitB + "\n");
  AddRef("org/name", "refs/pr/1", kCommitB);
  const std::string a = Repo("org/name") + "/snapshots/" + kCommitA, b = Repo("org/name") + "/snapshots/" + kCommitB;
  EXPECT_EQ(Locate("org/name").directory, a);
  EXPECT_EQ(Locate("org/name@main").directory, a);
  EXPECT_EQ(Locate("org/name@v1.0").directory, b);
  EXPECT_EQ(Locate("org/name@refs/pr/1").directory, b);
  EXPECT_EQ(Locate("org/name@" + kCommitB).directory, b);
  const ModelLocation location = Locate("org/name@v1.0");
  EXPECT_TRUE(location.is_hub);
  EXPECT_EQ(location.name, "org/name");
  EXPECT_EQ(location.weights_path, "");
  EXPECT_EQ(location.containment_root, Repo("org/name"));
  EXPECT_EQ(location.how, "hub cache " + Repo("org/name") + ", revision v1.0 = " + kCommitB);
}

TEST_F(HubCacheTest, ARefThatCannotBeReadIsNoMiss) {
  AddSnapshot("org/name", kCommitA);
  AddRef("org/name", "refs/pr/1", kCommitA);
  fs::create_directories(Repo("org/name") + "/refs");
  ASSERT_EQ(::mkfifo((Repo("org/name") + "/refs/main").c_str(), 0600), 0);
  EXPECT_EQ(CodeOf([&] { Locate("org/name"); }), "IN-NOTREG");
  EXPECT_EQ(CodeOf([&] { Locate("org/name@refs/pr"); }), "HUB-MISS");
}

TEST_F(HubCacheTest, TheMappingFormHasARevision) {
  AddSnapshot("org/name", kCommitB);
  AddRef("org/name", "dev", kCommitB);
  ModelRef reference = Ref("org/name");
  reference.literal_path = true;
  reference.revision = "dev";
  EXPECT_EQ(LocateModel(reference, scratch_ / "cache", "").directory, Repo("org/name") + "/snapshots/" + kCommitB);
  reference.text = "org/name@dev";  // literal: '@' is part of the name
  reference.revision.reset();
  EXPECT_EQ(CodeOf([&] { LocateModel(reference, scratch_ / "cache", ""); }), "IN-MISSING");
}

TEST_F(HubCacheTest, AMissListsWhatIsCached) {
  AddSnapshot("org/name", kCommitA);
  AddSnapshot("org/name", kCommitB);
  AddRef("org/name", "main", kCommitA);
  AddRef("org/name", "dangling", std::string(40, 'c'));
  WriteTextFile(Repo("org/name") + "/blobs/1234.incomplete", "x");
  const Diagnostic d = FirstDiagnosticOf([&] { Locate("org/name@v2"); });
  EXPECT_EQ(d.code, ErrorCode::kHubMiss);
  EXPECT_EQ(d.where, "recipe.yaml:3:7");
  const std::string text = TextOf(d);
  for (const std::string& part :
       {std::string("\"v2\""), "main -> " + kCommitA, "snapshot " + kCommitB, std::string("1 unfinished download"),
        Repo("org/name"), std::string("hf download org/name --revision v2")})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  EXPECT_EQ(CodeOfLocate("org/name@dangling"), "HUB-MISS");
  EXPECT_EQ(CodeOfLocate("org/name@" + std::string(40, 'd')), "HUB-MISS");
}

TEST_F(HubCacheTest, NoOtherSnapshotIsGuessed) {
  AddSnapshot("org/name", kCommitA);  // no refs at all
  EXPECT_EQ(CodeOfLocate("org/name"), "HUB-MISS");
  EXPECT_EQ(CodeOfLocate("org/name@aaaa"), "HUB-MISS");
  EXPECT_EQ(CodeOfLocate("org/other"), "HUB-MISS");
}

TEST_F(HubCacheTest, ARefCannotLeadElsewhere) {
  AddSnapshot("org/name", kCommitA);
  fs::create_directories(Repo("org/name") + "/elsewhere");
  AddRef("org/name", "main", "../elsewhere");
  AddRef("org/name", "big", std::string(5000, 'a'));
  EXPECT_EQ(CodeOfLocate("org/name"), "HUB-MISS");
  EXPECT_EQ(CodeOfLocate("org/name@big"), "HUB-MISS");
}

TEST_F(HubCacheTest, MalformedRevisions) {
  AddSnapshot("org/name", kCommitA);
  for (const char* revision : {"", "../../x", "a/../b", "/main", "a//b", "main/", "a b", "a:b", ".", "a/..", "x..y"})
    EXPECT_EQ(CodeOfLocate(std::string("org/name@") + revision), "REF-SYNTAX") << revision;
  EXPECT_EQ(CodeOfLocate("org/name@a@b"), "REF-SYNTAX");
}

TEST_F(HubCacheTest, HubIds) {
  for (const char* id : {"org/name", "a/b", "meta-llama/Llama-3.1-8B", "a_b/c.d", "1/2"})
    EXPECT_TRUE(IsHubId(id)) << id;
  for (const char* id :
       {"", "name", "/name", "org/", "a/b/c", "./name", "../name", "~/name", "org/na me", "org/-x", "org/x-", "org/.x",
        "org/x.", "org/a--b", "org/a..b", "org/x.git", "org/n\xc3\xa4me", "org\\x"})
    EXPECT_FALSE(IsHubId(id)) << id;
  EXPECT_TRUE(IsHubId("o/" + std::string(96, 'x')));
  EXPECT_FALSE(IsHubId("o/" + std::string(97, 'x')));
}

TEST_F(HubCacheTest, WhatExistsIsLocal) {
  AddSnapshot("org/name", kCommitA);
  AddRef("org/name", "main", kCommitA);
  fs::create_directories("org/name");
  const ModelLocation location = Locate("org/name");
  EXPECT_FALSE(location.is_hub);
  EXPECT_EQ(location.directory, scratch_ / "work/org/name");
  EXPECT_EQ(location.name, "name");
  EXPECT_EQ(location.containment_root, location.directory);
  EXPECT_EQ(CodeOfLocate("org/name@main"), "REF-REV-LOCAL");
  ModelRef mapping = Ref("org/name");
  mapping.revision = "main";
  EXPECT_EQ(CodeOf([&] { LocateModel(mapping, "", ""); }), "REF-REV-LOCAL");
}

TEST_F(HubCacheTest, OddLocalNames) {
  for (const char* name : {"a+b", "a@b", "c++", "x@y@z", "with space", "org/a+b"}) {
    fs::create_directories(name);
    EXPECT_EQ(Locate(name).directory, scratch_ / (std::string("work/") + name)) << name;
  }
  fs::create_directories(scratch_ / "home/m");
  EXPECT_EQ(Locate("~/m").directory, scratch_ / "home/m");
  fs::create_directories("d/e");
  EXPECT_EQ(Locate("d/e/").name, "e");
  EXPECT_EQ(Locate("d/e/..").name, "d");
  EXPECT_EQ(Locate("./d/../d/e/.").name, "e");
  EXPECT_EQ(Locate(".").name, "work");
}

TEST_F(HubCacheTest, MissingPathsAreNotHubNames) {
  for (const char* text : {"./org/name", "/org/name", "../org/name", "~/name", "name", "a/b/c", "org/na me", "/x@main",
                           "./x@main", "c++/m", "/home/u@corp/m"}) {
    const Diagnostic d = FirstDiagnosticOf([&] { Locate(text); });
    EXPECT_EQ(d.code, ErrorCode::kInMissing) << text;
    EXPECT_EQ(d.where, "recipe.yaml:3:7");
  }
  EXPECT_EQ(FirstDiagnosticOf([&] { Locate("name"); }).found, "looked for " + scratch_ / "work/name");
  EXPECT_EQ(CodeOfLocate("org/name"), "HUB-MISS");
}

TEST_F(HubCacheTest, EmptyAndLoraReferences) {
  EXPECT_EQ(CodeOfLocate(""), "REF-SYNTAX");
  EXPECT_EQ(CodeOfLocate(std::string("a\0b", 3)), "REF-SYNTAX");
  EXPECT_EQ(CodeOfLocate("@main"), "REF-SYNTAX");
  EXPECT_EQ(CodeOfLocate("org/name+org/lora"), "CFG-UNSUPPORTED");
  fs::create_directories("base");
  EXPECT_EQ(CodeOfLocate("base+adapter"), "CFG-UNSUPPORTED");
}

TEST_F(HubCacheTest, FilesAreLocatedByTheirDirectory) {
  WriteTextFile("m/model.safetensors", "x");
  const ModelLocation location = Locate("m/model.safetensors");
  EXPECT_EQ(location.directory, scratch_ / "work/m");
  EXPECT_EQ(location.weights_path, scratch_ / "work/m/model.safetensors");
  EXPECT_EQ(location.name, "m");
  WriteTextFile("m/other.safetensors", "x");
  EXPECT_EQ(Locate("m/other.safetensors").name, "other.safetensors");
  fs::current_path("m");
  EXPECT_EQ(Locate("model.safetensors").name, "m");
  EXPECT_EQ(Locate("model.safetensors").directory, scratch_ / "work/m");
}

TEST_F(HubCacheTest, APathIntoTheCacheKeepsItsRepository) {
  AddSnapshot("org/name", kCommitA);
  const std::string snapshot = Repo("org/name") + "/snapshots/" + kCommitA;
  EXPECT_EQ(Locate(snapshot).containment_root, Repo("org/name"));
  EXPECT_FALSE(Locate(snapshot).is_hub);
  EXPECT_EQ(HubRepoOf("/data/snapshots/x/models--a--b/snapshots/c"), "/data/snapshots/x/models--a--b");
  EXPECT_EQ(HubRepoOf("/data/snapshots/c"), std::nullopt);
  EXPECT_EQ(HubRepoOf("/data/models--a--b"), std::nullopt);
}

}  // namespace
}  // namespace gpumerge
