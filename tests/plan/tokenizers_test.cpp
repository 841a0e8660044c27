// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tokenizers are compared token by token, and one model's files are copied.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class TokenizersTest : public PlanTest {
 protected:
  void SetUp() override {
    Write("a", {.n_layers = 1});
    Write("b", {.n_layers = 1});
  }
  void Tokenizer(const std::string& model, const std::string& vocabulary, const std::string& added = "") {
    WriteTextFile(
        dir_ / model + "/tokenizer.json",
        "{\"added_tokens\": [" + added + "], \"model\": {\"type\": \"BPE\", \"vocab\": {" + vocabulary + "}}}");
  }
  static std::vector<std::string> Copied(const Plan& plan) {
    std::vector<std::string> names;
    for (const PlanCopiedFile& file : plan.copied_files) names.push_back(file.file_name);
    return names;
  }
};

TEST_F(TokenizersTest, EqualMapsInAnyOrder) {
  Tokenizer("a", "\"x\": 0, \"y\": 1");
  Tokenizer("b", "\"y\": 1, \"x\": 0");
  EXPECT_TRUE(Problems(kLinearOfTwo).empty());
}

TEST_F(TokenizersTest, DifferentMapsOfEqualSize) {
  Tokenizer("a", "\"x\": 0, \"y\": 1, \"old\": 2");
  Tokenizer("b", "\"x\": 1, \"y\": 0, \"new\": 2");
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-TOKENIZER");
  EXPECT_EQ(Info(problem.code).exit_status, 6);
  EXPECT_EQ(
      problem.found,
      "1 token only in the first: old; 1 token only in the second: new; 2 tokens with different ids: x (0 and 1), "
      "y (1 and 0)");
}

TEST_F(TokenizersTest, AddedTokensCount) {
  Tokenizer("a", "\"x\": 0");
  Tokenizer("b", "\"x\": 0", "{\"id\": 1, \"content\": \"<think>\"}");
  EXPECT_THAT(Problem(kLinearOfTwo).found, HasSubstr("1 token only in the second: <think>"));
}

TEST_F(TokenizersTest, SentencePieceFilesAreComparedByteForByte) {
  WriteTextFile(dir_ / "a/tokenizer.model", "pieces");
  WriteTextFile(dir_ / "b/tokenizer.model", "pieces");
  EXPECT_TRUE(Problems(kLinearOfTwo).empty());
  WriteTextFile(dir_ / "b/tokenizer.model", "others");
  EXPECT_EQ(Problem(kLinearOfTwo).found, "tokenizer.model files that differ");
}

TEST_F(TokenizersTest, DifferentFormatsWarn) {
  WriteTextFile(dir_ / "a/tokenizer.model", "pieces");
  Tokenizer("b", "\"x\": 0");
  EXPECT_THAT(Codes(MakePlan(kLinearOfTwo).warnings), ElementsAre("MM-TOKENIZER"));
}

TEST_F(TokenizersTest, AModelWithoutATokenizerIsNoted) {
  Tokenizer("a", "\"x\": 0");
  EXPECT_THAT(MakePlan(kLinearOfTwo).notes,
              ElementsAre(Expand("\"$D/b\" has no tokenizer files; its tokens are taken to be those of \"$D/a\"")));
}

TEST_F(TokenizersTest, FilesOfTheDonorOrOfTokenizerSource) {
  for (const std::string model : {"a", "b"}) {
    Tokenizer(model, "\"x\": 0");
    for (const char* file : {"generation_config.json", "chat_template.jinja", "special_tokens_map.json",
                             "modeling_x.py", "README.md", "training_args.bin"})
      WriteTextFile(dir_ / model + "/" + file, model);
  }
  const Plan plan = MakePlan(kLinearOfTwo);
  EXPECT_THAT(Copied(plan), ElementsAre("chat_template.jinja", "generation_config.json", "special_tokens_map.json",
                                        "tokenizer.json"));
  for (const PlanCopiedFile& file : plan.copied_files) EXPECT_EQ(file.source_path, dir_ / "a/" + file.file_name);

  const Plan other = MakePlan(std::string(kLinearOfTwo) + "tokenizer_source: $D/b\n");
  EXPECT_EQ(other.copied_files[0].source_path, dir_ / "b/chat_template.jinja");
  EXPECT_EQ(other.copied_files[1].source_path, dir_ / "a/generation_config.json");
}

TEST_F(TokenizersTest, VocabularySizesAreReportedOnce) {
  Write("b", {.n_layers = 1, .vocab_size = 17});
  Tokenizer("a", "\"x\": 0");
  Tokenizer("b", "\"x\": 0, \"y\": 1");
  EXPECT_THAT(Codes(Problems(kLinearOfTwo)), ElementsAre("MM-VOCAB"));
}

}  // namespace
}  // namespace gpumerge::test
