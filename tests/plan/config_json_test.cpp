// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The output's config.json, and what differences between the models' are worth.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ConfigJsonTest : public PlanTest {
 protected:
  // A one-layer model whose config.json has these lines besides.
  void WriteWith(const std::string& name, const std::string& lines, TinyModel model = {.n_layers = 1}) {
    std::string config = TinyConfig(model);
    config.insert(2, lines);
    Write(name, TinyTensors(model), config);
  }
};

TEST_F(ConfigJsonTest, WhatIsTrueKeepsItsBytes) {
  const std::string odd =
      "{\"zeta\":1e-05,  \"vocab_size\" : 16, \"x\": Infinity,\n\n\"torch_dtype\":\"bfloat16\", \"num_hidden_layers\": "
      "4,"
      "\"tie_word_embeddings\": false}";
  Write("a", TinyTensors({}), odd);
  Write("b", TinyTensors({.seed = 1}), odd);
  EXPECT_EQ(TextFile(MakePlan(kLinearOfTwo), "config.json"), odd);
}

TEST_F(ConfigJsonTest, TheOutputsTypeInEitherSpelling) {
  WriteWith("a", "  \"dtype\": \"bfloat16\",\n");
  WriteWith("b", "  \"dtype\": \"bfloat16\",\n");
  const std::string config = TextFile(MakePlan(std::string(kLinearOfTwo) + "dtype: float16\n"), "config.json");
  EXPECT_THAT(config, HasSubstr("\"dtype\": \"float16\""));
  EXPECT_THAT(config, HasSubstr("\"torch_dtype\": \"float16\""));
}

TEST_F(ConfigJsonTest, TheTypeIsAddedWhereItWasNotStated) {
  for (const char* name : {"a", "b"}) Write(name, TinyTensors({.n_layers = 1}), "{\n  \"num_hidden_layers\": 1\n}\n");
  EXPECT_EQ(TextFile(MakePlan(std::string(kLinearOfTwo) + "dtype: float32\n"), "config.json"),
            "{\n  \"num_hidden_layers\": 1,\n  \"torch_dtype\": \"float32\"\n}\n");
}

TEST_F(ConfigJsonTest, VocabularyIsThatOfTheTensor) {
  for (const char* name : {"a", "b"})
    Write(name, TinyTensors({.n_layers = 1, .vocab_size = 24}), TinyConfig({.n_layers = 1, .vocab_size = 20}));
  const Plan plan = MakePlan(kLinearOfTwo);
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"vocab_size\": 24"));
  EXPECT_THAT(plan.notes, ::testing::Contains("config.json: vocab_size is set from 20 to 24, the rows of "
                                              "model.embed_tokens.weight"));
}

TEST_F(ConfigJsonTest, DifferencesInTheForwardPassWarn) {
  WriteWith("a", "  \"rope_theta\": 10000.0,\n  \"new_knob\": 1,\n  \"_name_or_path\": \"x\",\n");
  WriteWith("b",
            "  \"rope_theta\": 1000000.0,\n  \"new_knob\": 2,\n  \"_name_or_path\": \"y\",\n  \"use_cache\": true,\n");
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-CONFIG"));
  EXPECT_EQ(plan.warnings[0].found, "rope_theta: 1000000.0 and 10000.0, new_knob: 2 and 1");
  EXPECT_EQ(plan.warnings[0].where, dir_ / "b/config.json");
}

TEST_F(ConfigJsonTest, SpellingsOfOneValueDoNotWarn) {
  WriteWith("a", "  \"rope_theta\": 10000.0,\n  \"list\": [1, 2],\n  \"sliding_window\": null,\n  \"flag\": false,\n");
  WriteWith("b", "  \"rope_parameters\": {\"rope_theta\": 1e4, \"rope_type\": \"default\"},\n  \"list\": [1,2],\n");
  EXPECT_TRUE(MakePlan(kLinearOfTwo).warnings.empty());
}

TEST_F(ConfigJsonTest, NestedDifferencesAreNamedByTheirPath) {
  WriteWith("a", "  \"text_config\": {\"rope_scaling\": {\"factor\": 8.0, \"type\": \"linear\"}, \"dtype\": \"x\"},\n");
  WriteWith("b", "  \"text_config\": {\"rope_scaling\": {\"factor\": 4.0, \"type\": \"linear\"}, \"dtype\": \"y\"},\n");
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-CONFIG"));
  EXPECT_EQ(plan.warnings[0].found, "text_config.rope_scaling.factor: 4.0 and 8.0");
}

TEST_F(ConfigJsonTest, AnotherModelTypeIsRefused) {
  WriteWith("a", "");
  std::string config = TinyConfig({.n_layers = 1});
  config.replace(config.find("\"llama\""), 7, "\"qwen2\"");
  Write("b", TinyTensors({.n_layers = 1}), config);
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "CFG-JSON");
  EXPECT_EQ(problem.found, "model_type \"llama\" and \"qwen2\"");
}

TEST_F(ConfigJsonTest, AnotherArchitectureOfTheSameTypeWarns) {
  WriteWith("a", "");
  std::string config = TinyConfig({.n_layers = 1});
  config.replace(config.find("LlamaForCausalLM"), 16, "LlamaForOtherLM");
  Write("b", TinyTensors({.n_layers = 1}), config);
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-CONFIG"));
  EXPECT_EQ(plan.warnings[0].found, "architectures: [\"LlamaForOtherLM\"] and [\"LlamaForCausalLM\"]");
}

TEST_F(ConfigJsonTest, RemoteCodeWarns) {
  WriteWith("a", "  \"auto_map\": {\"AutoModel\": \"modeling_x.X\"},\n");
  WriteWith("b", "");
  EXPECT_THAT(Codes(MakePlan(kLinearOfTwo).warnings), ElementsAre("CFG-REMOTECODE"));
}

TEST_F(ConfigJsonTest, MalformedJson) {
  WriteWith("a", "");
  Write("b", TinyTensors({.n_layers = 1}), "{\"num_hidden_layers\": 1,,}");
  EXPECT_EQ(Info(Problem(kLinearOfTwo).code).code, "JSON-SYNTAX");
}

TEST_F(ConfigJsonTest, MoreLayersStatedThanHeldIsRefused) {
  Write("a", TinyTensors({}), TinyConfig({}));
  Write("b", TinyTensors({}), TinyConfig({.n_layers = 6}));
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "CFG-JSON");
  EXPECT_EQ(problem.message, "config.json says 6 layers, the weights hold 4");
  EXPECT_EQ(problem.where, dir_ / "b/config.json");
  EXPECT_THAT(problem.help, HasSubstr("fix config.json, or set layer_pattern"));
  EXPECT_TRUE(Problems(std::string(kLinearOfTwo) + "layer_pattern: model.layers.\n").empty());
}

TEST_F(ConfigJsonTest, NotAnObjectIsRefused) {
  WriteWith("a", "");
  for (const std::string text : {"[]", " [1]", "null", "\"x\"", "3"}) {
    Write("b", TinyTensors({.n_layers = 1}), text);
    const Diagnostic problem = Problem(kLinearOfTwo);
    EXPECT_EQ(Info(problem.code).code, "CFG-JSON") << text;
    EXPECT_EQ(problem.message, Expand("the config.json of \"$D/b\" is not an object"));
  }
}

}  // namespace
}  // namespace gpumerge::test
