// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tied heads: flag, stored head or none, in every mixture; and what the output's config.json says.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class HeadsTest : public PlanTest {
 protected:
  // flag: "true", "false" or "" for none.
  void WriteModelWithFlag(const std::string& name, bool with_head, const std::string& flag) {
    const TinyModel model{.n_layers = 1, .with_head = with_head};
    std::string config = TinyConfig(model);
    const size_t begin = config.find("  \"tie_word_embeddings\"");
    const size_t end = config.find('\n', begin) + 1;
    config.replace(begin, end - begin, flag.empty() ? "" : "  \"tie_word_embeddings\": " + flag + ",\n");
    Write(name, TinyTensors(model), config);
  }
};

TEST_F(HeadsTest, AllTied) {
  WriteModelWithFlag("a", false, "true");
  WriteModelWithFlag("b", false, "true");
  const Plan plan = MakePlan(kLinearOfTwo);
  EXPECT_THAT(Names(plan), Not(::testing::Contains("lm_head.weight")));
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"tie_word_embeddings\": true"));
  EXPECT_TRUE(plan.warnings.empty());
}

TEST_F(HeadsTest, AllUntied) {
  WriteModelWithFlag("a", true, "false");
  WriteModelWithFlag("b", true, "false");
  const Plan plan = MakePlan(kLinearOfTwo);
  EXPECT_EQ(Item(plan, "lm_head.weight").inputs[1].tensor, "lm_head.weight");
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"tie_word_embeddings\": false"));
  EXPECT_TRUE(plan.warnings.empty());
}

TEST_F(HeadsTest, ATiedModelsEmbeddingIsItsHead) {
  WriteModelWithFlag("a", false, "true");
  WriteModelWithFlag("b", true, "false");
  const Plan plan = MakePlan(R"(
merge_method: linear
models:
  - {model: $D/a, parameters: {weight: [{filter: lm_head, value: 3}, {value: 1}]}}
  - {model: $D/b, parameters: {weight: 1}}
)");
  const PlanItem& head = Item(plan, "lm_head.weight");
  EXPECT_EQ(head.inputs[0].tensor, "model.embed_tokens.weight");
  EXPECT_EQ(head.inputs[1].tensor, "lm_head.weight");
  EXPECT_EQ(head.job.PerModel("weight", 0), 3.0) << "filters see the head's name";
  EXPECT_EQ(Item(plan, "model.embed_tokens.weight").job.PerModel("weight", 0), 1.0);
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"tie_word_embeddings\": false"));
}

TEST_F(HeadsTest, ATiedBaseOfAnUntiedModel) {
  WriteModelWithFlag("a", true, "false");
  WriteModelWithFlag("b", false, "true");
  const Plan plan =
      MakePlan("merge_method: ties\nbase_model: $D/b\nmodels: [{model: $D/a, parameters: {weight: 1}}]\n");
  EXPECT_EQ(Item(plan, "lm_head.weight").inputs[0].tensor, "model.embed_tokens.weight");
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"tie_word_embeddings\": false"));
}

TEST_F(HeadsTest, SaidToBeTiedYetStored) {
  WriteModelWithFlag("a", true, "true");
  WriteModelWithFlag("b", true, "false");
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-TIE"));
  EXPECT_THAT(plan.warnings[0].message, HasSubstr("yet it stores a head \"lm_head.weight\""));
  EXPECT_EQ(Item(plan, "lm_head.weight").inputs[0].tensor, "lm_head.weight");
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"tie_word_embeddings\": false"));
}

TEST_F(HeadsTest, NeitherTiedNorStored) {
  WriteModelWithFlag("a", true, "false");
  WriteModelWithFlag("b", false, "false");
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-HEADMISSING");
  EXPECT_EQ(problem.message, Expand("the model \"$D/b\" has no output head"));
  WriteModelWithFlag("a", false, "false");
  EXPECT_THAT(Codes(Problems(kLinearOfTwo)), ElementsAre("MM-HEADMISSING", "MM-HEADMISSING"));
}

TEST_F(HeadsTest, AnEncoderNeedsNoHead) {
  for (const char* name : {"a", "b"}) {
    std::string config = TinyConfig({.n_layers = 1});
    config.replace(config.find("LlamaForCausalLM"), 16, "LlamaModel");
    Write(name, TinyTensors({.n_layers = 1, .with_head = false}), config);
  }
  EXPECT_TRUE(Problems(kLinearOfTwo).empty());
}

TEST_F(HeadsTest, AnAliasInTheFilesMetadataTies) {
  WriteModelWithFlag("a", true, "false");
  WriteModelWithFlag("b", false, "false");
  WriteSafetensors(dir_ / "b/model.safetensors", TinyTensors({.n_layers = 1, .with_head = false}),
                   {{"format", "pt"}, {"lm_head.weight", "model.embed_tokens.weight"}});
  EXPECT_EQ(Item(MakePlan(kLinearOfTwo), "lm_head.weight").inputs[1].tensor, "model.embed_tokens.weight");
  WriteSafetensors(dir_ / "a/model.safetensors", TinyTensors({.n_layers = 1, .with_head = false}),
                   {{"lm_head.weight", "model.embed_tokens.weight"}});
  EXPECT_THAT(TextFile(MakePlan(kLinearOfTwo), "config.json"), HasSubstr("\"tie_word_embeddings\": true"));
}

TEST_F(HeadsTest, NothingSaidIsTakenAsTiedWithAWarning) {
  WriteModelWithFlag("a", true, "");
  WriteModelWithFlag("b", false, "");
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-TIE"));
  EXPECT_THAT(plan.warnings[0].message, HasSubstr("its embedding is taken as its head"));
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"tie_word_embeddings\": false"));
}

TEST_F(HeadsTest, NestedFlags) {
  for (const char* name : {"a", "b"}) {
    const bool tied = *name == 'a';
    const std::string config = std::string("{\"text_config\": {\"num_hidden_layers\": 1, \"tie_word_embeddings\": ") +
                               (tied ? "true" : "false") + "}}";
    Write(name, TinyTensors({.n_layers = 1, .with_head = !tied}), config);
  }
  EXPECT_THAT(TextFile(MakePlan(kLinearOfTwo), "config.json"), HasSubstr("\"tie_word_embeddings\": false}}"));
}

TEST_F(HeadsTest, NothingSaidAndNoHeadAnywhereWarns) {
  WriteModelWithFlag("a", false, "");
  WriteModelWithFlag("b", false, "true");
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-TIE"));
  EXPECT_EQ(plan.warnings[0].message, Expand("\"$D/a\" has no head and no tie_word_embeddings; it is taken as tied"));
  EXPECT_THAT(Names(plan), Not(::testing::Contains("lm_head.weight")));
}

}  // namespace
}  // namespace gpumerge::test
