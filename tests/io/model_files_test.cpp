// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Opening models: what is read from good ones, and what is said about incomplete, contradictory and damaged ones.
// Hostile links and special files are in model_safety_test.cpp.
#include "src/io/model_files.h"

#include "src/base/file_identity.h"
#include "tests/support/errors.h"
#include "tests/support/model_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace gpumerge {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using test::CodeOf;
using test::DiagnosticsOf;
using test::FirstDiagnosticOf;
using test::PatternTensor;
using test::TextOf;
using test::WriteSafetensors;
using test::WriteTextFile;

ModelFiles Open(const std::string& path) {
  ModelRef reference;
  reference.text = path;
  return OpenModel(LocateModel(reference, "", ""));
}

std::string CodeOfOpen(const std::string& path) {
  return CodeOf([&] { Open(path); });
}

std::vector<std::string> CodesOfOpen(const std::string& path) {
  std::vector<std::string> codes;
  for (const Diagnostic& d : DiagnosticsOf([&] { Open(path); })) codes.emplace_back(Info(d.code).code);
  return codes;
}

// An index without metadata; pairs of tensor and shard.
void WriteIndex(const std::string& dir, const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string json = "{\"weight_map\":{";
  for (const auto& [tensor, shard] : entries) {
    if (json.back() == '"') json += ',';
    json.append("\"").append(tensor).append("\":\"").append(shard).append("\"");
  }
  WriteTextFile(dir + "/model.safetensors.index.json", json + "}}");
}

test::TestTensor Small(const std::string& name) { return PatternTensor(name, DType::kF32, {2}); }

class ModelFilesTest : public ::testing::Test {
 protected:
  ModelFilesTest() { fs::create_directories(dir_); }
  std::string File(const std::string& name) const { return dir_ + "/" + name; }

  test::ScratchDir scratch_;
  const std::string dir_ = scratch_ / "model";
};

TEST_F(ModelFilesTest, ReadsASingleFile) {
  WriteSafetensors(File("model.safetensors"),
                   {PatternTensor("z", DType::kBF16, {2, 3}), PatternTensor("a", DType::kF32, {})});
  WriteTextFile(File("config.json"), "{}\n");
  const ModelFiles model = Open(dir_);
  ASSERT_EQ(model.files.size(), 1u);
  EXPECT_EQ(model.files[0].path, File("model.safetensors"));
  EXPECT_EQ(model.files[0].identity.size_bytes, fs::file_size(File("model.safetensors")));
  EXPECT_EQ(model.files[0].metadata.at(0), (std::pair<std::string, std::string>("format", "pt")));
  ASSERT_EQ(model.tensors.size(), 2u);
  EXPECT_EQ(model.tensors[0].name, "a");
  EXPECT_EQ(model.tensors[1].name, "z");
  EXPECT_EQ(model.tensors[1].dtype, DType::kBF16);
  EXPECT_EQ(model.tensors[1].shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(model.tensors[1].offset_bytes, model.files[0].data_begin_bytes);
  EXPECT_EQ(model.tensors[1].size_bytes, 12u);
  EXPECT_EQ(model.tensors[0].offset_bytes, model.files[0].data_begin_bytes + 12);
  EXPECT_EQ(model.tensors[0].offset_bytes + model.tensors[0].size_bytes, model.files[0].identity.size_bytes);
  EXPECT_EQ(model.config_json, "{}\n");
  EXPECT_TRUE(model.warnings.empty());
  EXPECT_EQ(model.Find("a"), &model.tensors[0]);
  EXPECT_EQ(model.Find("b"), nullptr);
  EXPECT_EQ(model.Find(""), nullptr);
  EXPECT_EQ(model.Find("zz"), nullptr);
}

TEST_F(ModelFilesTest, ReadsShardsAsOneSortedTable) {
  test::WriteTinyModel(dir_, {}, 3);
  const ModelFiles model = Open(dir_);
  ASSERT_EQ(model.files.size(), 3u);
  EXPECT_EQ(model.files[1].path, File("model-00002-of-00003.safetensors"));
  EXPECT_EQ(model.tensors.size(), 15u);
  EXPECT_TRUE(std::is_sorted(model.tensors.begin(), model.tensors.end(),
                             [](const ModelTensor& a, const ModelTensor& b) { return a.name < b.name; }));
  EXPECT_EQ(model.Find("model.embed_tokens.weight")->file, 0u);
  EXPECT_EQ(model.Find("lm_head.weight")->file, 2u);
  const ModelTensor* norm = model.Find("model.norm.weight");
  EXPECT_EQ(norm->file, 2u);
  const std::string bytes = test::ReadTextFile(model.files[2].path);
  EXPECT_EQ(bytes.substr(norm->offset_bytes, norm->size_bytes),
            PatternTensor("model.norm.weight", DType::kBF16, {8}).bytes);
  EXPECT_TRUE(model.warnings.empty());
  EXPECT_EQ(Open(File("model.safetensors.index.json")).tensors.size(), 15u) << "the index itself may be named";
  EXPECT_EQ(Open(File("model-00002-of-00003.safetensors")).tensors.size(), 5u) << "and so may one shard";
}

TEST_F(ModelFilesTest, ReadsTheRepositorysModels) {
  const ModelFiles model = Open(std::string(GPUMERGE_SOURCE_DIR) + "/tests/models/base");
  EXPECT_GT(model.tensors.size(), 10u);
  EXPECT_TRUE(model.config_json.has_value());
  EXPECT_NE(std::find(model.side_files.begin(), model.side_files.end(), "tokenizer.json"), model.side_files.end());
}

TEST_F(ModelFilesTest, SideFilesAreTheRest) {
  WriteSafetensors(File("model.safetensors"), {Small("a")});
  for (const char* name : {"config.json", "tokenizer.json", "LICENSE", "pytorch_model.bin", ".gitattributes", "x.gguf",
                           "extra.safetensors", "pytorch_model.bin.index.json", "chat_template.jinja", "code.py"})
    WriteTextFile(File(name), "{}");
  fs::create_directories(File("subdirectory"));
  EXPECT_EQ(Open(dir_).side_files,
            (std::vector<std::string>{"LICENSE", "chat_template.jinja", "code.py", "tokenizer.json"}));
}

TEST_F(ModelFilesTest, TakesAnyCaseAndDecidesByContent) {
  WriteSafetensors(File("Model.SAFETENSORS"), {Small("a")});
  EXPECT_EQ(Open(dir_).tensors.size(), 1u);
  WriteSafetensors(File("weights.bin"), {Small("a"), Small("b")});
  EXPECT_EQ(Open(File("weights.bin")).tensors.size(), 2u);
}

TEST_F(ModelFilesTest, PicklesAreRefusedByContent) {
  WriteTextFile(File("model.safetensors"), "PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0zipped"s);
  EXPECT_EQ(CodeOfOpen(dir_), "PKL-OFF");
  WriteTextFile(File("model.safetensors"), "\x80\x02}q\0(X\x05\0\0\0hello"s);
  EXPECT_EQ(CodeOfOpen(dir_), "PKL-OFF");
}

TEST_F(ModelFilesTest, AHeaderLengthMayLookLikeAPickle) {
  // 0x80 0x02 as a length: 640 bytes.
  std::string json = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  json.resize(640, ' ');
  WriteTextFile(File("model.safetensors"), "\x80\x02\0\0\0\0\0\0"s + json + "x");
  EXPECT_EQ(Open(dir_).tensors.size(), 1u);
}

TEST_F(ModelFilesTest, PickleDirectoriesAreRefusedByName) {
  WriteTextFile(File("pytorch_model.bin"), "x");
  const Diagnostic d = FirstDiagnosticOf([&] { Open(dir_); });
  EXPECT_EQ(d.code, ErrorCode::kInPickle);
  EXPECT_EQ(d.found, "pytorch_model.bin");
  EXPECT_NE(d.help.find("convert"), std::string::npos);
}

TEST_F(ModelFilesTest, DirectoriesWithoutAModel) {
  EXPECT_EQ(CodeOfOpen(dir_), "IN-INCOMPLETE");
  WriteSafetensors(File("adapter_model.safetensors"), {Small("a")});
  EXPECT_NE(TextOf(FirstDiagnosticOf([&] { Open(dir_); })).find("adapter_model.safetensors"), std::string::npos);
  WriteSafetensors(File("model-00001-of-00002.safetensors"), {Small("a")});
  const Diagnostic d = FirstDiagnosticOf([&] { Open(dir_); });
  EXPECT_EQ(d.code, ErrorCode::kInIncomplete);
  EXPECT_EQ(d.message, "the model has shards but no index");
}

TEST_F(ModelFilesTest, DownloadsThatStoppedHalfWayAreMentioned) {
  WriteTextFile(File("config.json"), "{}");
  WriteTextFile(File(".cache/huggingface/download/model.safetensors.1234.incomplete"), "x");
  const Diagnostic d = FirstDiagnosticOf([&] { Open(dir_); });
  EXPECT_EQ(d.code, ErrorCode::kInIncomplete);
  EXPECT_NE(d.found.find("1 unfinished download"), std::string::npos) << d.found;
}

TEST_F(ModelFilesTest, AllMissingShardsAreListed) {
  test::WriteTinyModel(dir_, {}, 4);
  fs::remove(File("model-00002-of-00004.safetensors"));
  fs::remove(File("model-00004-of-00004.safetensors"));
  fs::create_symlink("nowhere", File("model-00004-of-00004.safetensors"));
  const std::vector<Diagnostic> diagnostics = DiagnosticsOf([&] { Open(dir_); });
  ASSERT_EQ(diagnostics.size(), 1u);
  EXPECT_EQ(diagnostics[0].code, ErrorCode::kInIncomplete);
  EXPECT_EQ(diagnostics[0].message, "2 of the 4 files that the index names do not exist");
  EXPECT_EQ(diagnostics[0].found, "missing: model-00002-of-00004.safetensors, model-00004-of-00004.safetensors");
}

TEST_F(ModelFilesTest, AllDefectsOfAllShardsAreReported) {
  test::WriteTinyModel(dir_, {}, 4);
  fs::remove(File("model-00001-of-00004.safetensors"));
  const std::string truncated = File("model-00002-of-00004.safetensors");
  fs::resize_file(truncated, fs::file_size(truncated) - 7);
  WriteTextFile(File("model-00003-of-00004.safetensors"), "version https://git-lfs.github.com/spec/v1\n");
  EXPECT_EQ(CodesOfOpen(dir_), (std::vector<std::string>{"IN-INCOMPLETE", "ST-TRUNCATED", "ST-HDRLEN"}));
  const std::vector<Diagnostic> diagnostics = DiagnosticsOf([&] { Open(dir_); });
  EXPECT_EQ(diagnostics[1].where, truncated);
  EXPECT_NE(diagnostics[1].message.find(": 7 bytes"), std::string::npos) << diagnostics[1].message;
  EXPECT_NE(diagnostics[2].help.find("git lfs pull"), std::string::npos);
}

TEST_F(ModelFilesTest, TruncationOfAFileAtEveryOffset) {
  WriteSafetensors(File("model.safetensors"), {Small("a"), Small("b")});
  const std::string whole = test::ReadTextFile(File("model.safetensors"));
  for (size_t size = 0; size < whole.size(); ++size) {
    WriteTextFile(File("model.safetensors"), std::string_view(whole).substr(0, size));
    EXPECT_EQ(CodeOfOpen(dir_), "ST-TRUNCATED") << size;
  }
  WriteTextFile(File("model.safetensors"), whole);
  EXPECT_EQ(CodeOfOpen(dir_), "");
}

TEST_F(ModelFilesTest, IndexAndShardsMustAgree) {
  WriteSafetensors(File("x.safetensors"), {Small("a"), Small("b")});
  WriteSafetensors(File("y.safetensors"), {Small("c")});
  const std::string x = "x.safetensors", y = "y.safetensors";
  WriteIndex(dir_, {{"a", x}, {"b", x}, {"c", y}});
  EXPECT_EQ(CodeOfOpen(dir_), "");
  WriteIndex(dir_, {{"a", x}, {"b", x}, {"c", y}, {"d", y}});
  EXPECT_EQ(CodesOfOpen(dir_), std::vector<std::string>{"IX-MISSING"});
  EXPECT_EQ(FirstDiagnosticOf([&] { Open(dir_); }).message,
            "tensor \"d\" is not in \"y.safetensors\", where the index says it is");
  WriteIndex(dir_, {{"a", x}, {"c", y}});
  EXPECT_EQ(CodesOfOpen(dir_), std::vector<std::string>{"IX-UNLISTED"});
  WriteIndex(dir_, {{"a", x}, {"b", y}, {"c", y}});
  const Diagnostic elsewhere = FirstDiagnosticOf([&] { Open(dir_); });
  EXPECT_EQ(elsewhere.code, ErrorCode::kIndexMissing);
  EXPECT_EQ(elsewhere.found, "it is in \"x.safetensors\"");
  WriteSafetensors(File(y), {Small("b"), Small("c")});
  WriteIndex(dir_, {{"a", x}, {"b", x}, {"c", y}});
  const Diagnostic twice = FirstDiagnosticOf([&] { Open(dir_); });
  EXPECT_EQ(twice.code, ErrorCode::kIndexTwice);
  EXPECT_EQ(twice.found, "in \"x.safetensors\" and \"y.safetensors\"");
  WriteIndex(dir_, {{"a", x}, {"c", y}, {"e", y}});
  EXPECT_EQ(CodesOfOpen(dir_), (std::vector<std::string>{"IX-UNLISTED", "IX-UNLISTED", "IX-MISSING"}));
}

TEST_F(ModelFilesTest, ManyDisagreementsAreCounted) {
  std::vector<test::TestTensor> tensors;
  for (int i = 0; i < 50; ++i) tensors.push_back(Small("t" + std::to_string(i)));
  WriteSafetensors(File("x.safetensors"), tensors);
  WriteIndex(dir_, {{"t0", "x.safetensors"}});
  const std::vector<Diagnostic> diagnostics = DiagnosticsOf([&] { Open(dir_); });
  ASSERT_EQ(diagnostics.size(), 11u);
  EXPECT_EQ(diagnostics[10].message.substr(0, 8), "39 more:");
}

TEST_F(ModelFilesTest, AWrongTotalSizeIsAWarning) {
  WriteSafetensors(File("x.safetensors"), {Small("a")});
  WriteTextFile(File("model.safetensors.index.json"),
                R"({"metadata":{"total_size":9},"weight_map":{"a":"x.safetensors"}})");
  const ModelFiles model = Open(dir_);
  ASSERT_EQ(model.warnings.size(), 1u);
  EXPECT_EQ(model.warnings[0].code, ErrorCode::kIndexSize);
  EXPECT_EQ(model.warnings[0].found, "9");
  EXPECT_EQ(model.warnings[0].expected, "8");
}

TEST_F(ModelFilesTest, ASingleFileBesideAnIndexMustBeTheSame) {
  WriteSafetensors(File("model.safetensors"), {Small("a"), Small("b")});
  WriteIndex(dir_, {{"a", "model.safetensors"}, {"b", "model.safetensors"}});
  EXPECT_TRUE(Open(dir_).warnings.empty()) << "an index of that very file";

  WriteSafetensors(File("x.safetensors"), {PatternTensor("a", DType::kF32, {2}, 77), Small("b")});
  WriteIndex(dir_, {{"a", "x.safetensors"}, {"b", "x.safetensors"}});
  const ModelFiles model = Open(dir_);
  ASSERT_EQ(model.warnings.size(), 1u);
  EXPECT_EQ(model.warnings[0].code, ErrorCode::kIndexAmbiguous);
  ASSERT_EQ(model.files.size(), 1u);
  EXPECT_EQ(model.files[0].path, File("model.safetensors"));

  const auto replace = [&](const std::vector<test::TestTensor>& tensors) {
    WriteSafetensors(File("x.safetensors"), tensors);
    std::vector<std::pair<std::string, std::string>> entries;
    for (const auto& tensor : tensors) entries.emplace_back(tensor.name, "x.safetensors");
    WriteIndex(dir_, entries);
    return CodeOfOpen(dir_);
  };
  EXPECT_EQ(replace({Small("a")}), "IX-AMBIGUOUS");
  EXPECT_EQ(replace({Small("a"), Small("b"), Small("c")}), "IX-AMBIGUOUS");
  EXPECT_EQ(replace({Small("a"), PatternTensor("b", DType::kF32, {1, 2})}), "IX-AMBIGUOUS");
  EXPECT_EQ(replace({Small("a"), PatternTensor("b", DType::kBF16, {4})}), "IX-AMBIGUOUS");
  EXPECT_EQ(CodeOfOpen(File("model.safetensors")), "") << "naming the file resolves it";
  EXPECT_EQ(CodeOfOpen(File("model.safetensors.index.json")), "");
}

TEST_F(ModelFilesTest, IdentityFollowsChanges) {
  WriteSafetensors(File("model.safetensors"), {Small("a")});
  const ModelFiles model = Open(dir_);
  EXPECT_EQ(IdentifyFile(model.files[0].path), model.files[0].identity);
  const std::string contents = test::ReadTextFile(model.files[0].path);
  WriteTextFile(File("new"), contents);
  fs::rename(File("new"), model.files[0].path);
  EXPECT_NE(IdentifyFile(model.files[0].path), model.files[0].identity) << "same bytes, another file";
  fs::remove(model.files[0].path);
  EXPECT_EQ(IdentifyFile(model.files[0].path), std::nullopt);
}

TEST_F(ModelFilesTest, ATooLargeConfigIsRefused) {
  WriteSafetensors(File("model.safetensors"), {Small("a")});
  WriteTextFile(File("config.json"), std::string((16 << 20) + 1, ' '));
  EXPECT_EQ(CodeOfOpen(dir_), "ST-LIMIT");
}

}  // namespace
}  // namespace gpumerge
