// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `gpumerge inspect`: directories, files and indexes, with and without config.json.
#include "src/plan/inspect.h"

#include "tests/plan/plan_fixture.h"

#include <nlohmann/json.hpp>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;
using InspectTest = PlanTest;

TEST_F(InspectTest, ADirectoryAsText) {
  Write("a", {.n_layers = 2, .with_head = false});
  const std::string text = InspectModel(dir_ / "a", {}, false);
  EXPECT_THAT(text, HasSubstr("type       llama\n"));
  EXPECT_THAT(text, HasSubstr("size       472 parameters in 8 tensors, 944 B\n"));
  EXPECT_THAT(text, HasSubstr("layers     2 in model.layers.\n"));
  EXPECT_THAT(text, HasSubstr("vocabulary 16 rows in model.embed_tokens.weight (vocab_size: 16)\n"));
  EXPECT_THAT(text, HasSubstr("head       none stored (tie_word_embeddings: true)\n"));
  EXPECT_THAT(text, HasSubstr("\n  model.layers.1.mlp.up_proj.weight       BF16      [12, 8]\n"));
  EXPECT_THAT(text, HasSubstr("    format: pt\n"));
}

TEST_F(InspectTest, ADirectoryAsJson) {
  std::vector<TestTensor> tensors = TinyTensors({.n_layers = 2});
  tensors.push_back(PatternTensor("model.ids", DType::kI64, {3}));
  WriteModel(dir_ / "a", tensors, TinyConfig({.n_layers = 2}), 3);
  for (const std::string& reference : {dir_ / "a", dir_ / "a/model.safetensors.index.json"}) {
    const nlohmann::json json = nlohmann::json::parse(InspectModel(reference, {}, true));
    EXPECT_EQ(json["files"].size(), 3u);
    EXPECT_EQ(json["files"][0]["metadata"]["format"], "pt");
    EXPECT_EQ(json["types"]["BF16"]["tensors"], 9);
    EXPECT_EQ(json["types"]["I64"]["bytes"], 24);
    EXPECT_EQ(json["layers"], 2);
    EXPECT_EQ(json["layer_prefix"], "model.layers.");
    EXPECT_EQ(json["head"], "lm_head.weight");
    EXPECT_EQ(json["tie_word_embeddings"], false);
    EXPECT_EQ(json["tensors"].size(), 10u);
    EXPECT_EQ(json["tensors"][0]["name"], "lm_head.weight");
  }
}

TEST_F(InspectTest, ASingleFileWithoutConfig) {
  Write("a", TinyTensors({.n_layers = 2}), "");
  const std::string text = InspectModel(dir_ / "a/model.safetensors", {}, false);
  EXPECT_THAT(text, HasSubstr("no config.json (it merges into weights alone)"));
  EXPECT_THAT(text, HasSubstr("layers     2 in model.layers."));
}

TEST_F(InspectTest, TheModelsOfThisRepository) {
  const std::string directory = std::string(GPUMERGE_SOURCE_DIR) + "/tests/models/base";
  const nlohmann::json json = nlohmann::json::parse(InspectModel(directory, {}, true));
  EXPECT_EQ(json["layers"], 4);
  EXPECT_EQ(json["tensors"].size(), 38u);
  EXPECT_EQ(json["tie_word_embeddings"], true);
  EXPECT_EQ(json["vocab_size"], 256);
}

TEST_F(InspectTest, NoSuchModel) { EXPECT_THROW(InspectModel(dir_ / "nothing", {}, false), Error); }

}  // namespace
}  // namespace gpumerge::test
