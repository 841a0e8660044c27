// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Layers are found from names alone.
#include "src/plan/layers.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

std::vector<ModelTensor> Tensors(const std::vector<std::string>& names) {
  std::vector<ModelTensor> tensors;
  for (const std::string& name : names) tensors.push_back({name, DType::kF32, {4, 2}, 0, 0, 32});
  return tensors;
}

JsonDocument Config(const std::string& text) { return JsonDocument(text, "config.json"); }

const std::vector<std::string> kTwoTowers{"text.layers.0.a", "text.layers.1.a", "text.layers.2.a", "vision.blocks.0.a",
                                          "vision.blocks.1.a"};

TEST(LayersTest, StackIsTheOneOfTheConfigsLength) {
  EXPECT_EQ(FindLayout(Tensors(kTwoTowers), Config(R"({"num_hidden_layers": 3})"), std::nullopt).stack->prefix,
            "text.layers.");
  EXPECT_EQ(FindLayout(Tensors(kTwoTowers), Config(R"({"n_layer": 2})"), std::nullopt).stack->prefix, "vision.blocks.");
  EXPECT_EQ(
      FindLayout(Tensors(kTwoTowers), Config(R"({"text_config": {"num_layers": 3}})"), std::nullopt).stack->n_layers,
      3u);
}

TEST(LayersTest, WithoutALengthTheOnlyStackIsTaken) {
  const ModelLayout gpt2 = FindLayout(Tensors({"h.0.x", "h.1.x", "wte.weight"}), Config("{}"), std::nullopt);
  EXPECT_EQ(gpt2.stack->prefix, "h.");
  EXPECT_EQ(gpt2.stack->n_layers, 2u);
  const ModelLayout two = FindLayout(Tensors(kTwoTowers), Config("{}"), std::nullopt);
  EXPECT_FALSE(two.stack.has_value());
  EXPECT_EQ(two.why_no_stack, "several stacks of layers fit: text.layers., vision.blocks.");
}

TEST(LayersTest, PatternOverrides) {
  const ModelLayout layout = FindLayout(Tensors(kTwoTowers), Config(R"({"num_hidden_layers": 3})"), "vision.blocks.");
  EXPECT_EQ(layout.stack->prefix, "vision.blocks.");
  EXPECT_EQ(layout.stack->n_layers, 2u);
  EXPECT_EQ(layout.after.size(), 3u);
  const ModelLayout none = FindLayout(Tensors(kTwoTowers), Config("{}"), "audio.");
  EXPECT_EQ(none.why_no_stack, "no tensor's name begins with \"audio.\" and a number");
}

TEST(LayersTest, ExpertsInsideLayersAreNotLayers) {
  std::vector<std::string> names;
  for (int layer = 0; layer < 2; ++layer)
    for (int expert = 0; expert < 2; ++expert)
      names.push_back("model.layers." + std::to_string(layer) + ".experts." + std::to_string(expert) + ".w");
  const ModelLayout layout = FindLayout(Tensors(names), Config(R"({"num_hidden_layers": 2})"), std::nullopt);
  EXPECT_EQ(layout.stack->prefix, "model.layers.");
  EXPECT_EQ(layout.layers[1].size(), 2u);
}

TEST(LayersTest, PredictionLayersComeAfterTheStack) {
  const std::vector<ModelTensor> tensors = Tensors({"model.layers.0.x", "model.layers.1.x", "model.layers.2.x"});
  const ModelLayout layout =
      FindLayout(tensors, Config(R"({"num_hidden_layers": 2, "num_nextn_predict_layers": 1})"), std::nullopt);
  EXPECT_EQ(layout.stack->n_layers, 2u);
  EXPECT_EQ(layout.n_beyond, 1u);
  EXPECT_EQ(layout.after[0]->name, "model.layers.2.x");
}

TEST(LayersTest, PlacesOutsideTheStack) {
  EXPECT_TRUE(IsBeforeLayers("model.embed_tokens.weight"));
  EXPECT_TRUE(IsBeforeLayers("transformer.wte.weight"));
  EXPECT_TRUE(IsBeforeLayers("transformer.wpe.weight"));
  EXPECT_TRUE(IsBeforeLayers("tok_embeddings.weight"));
  EXPECT_FALSE(IsBeforeLayers("model.norm.weight"));
  EXPECT_FALSE(IsBeforeLayers("lm_head.weight"));
  EXPECT_FALSE(IsBeforeLayers("embed_out.weight"));
}

TEST(LayersTest, HugeNumbersAreNotLayers) {
  const ModelLayout layout =
      FindLayout(Tensors({"a.18446744073709551615.b", "a.999999.b", "a.007.b"}), Config("{}"), std::nullopt);
  EXPECT_FALSE(layout.stack.has_value());
  EXPECT_EQ(layout.why_no_stack, "no tensor's name has a number between dots");
}

TEST(LayersTest, SuffixAndHeads) {
  EXPECT_EQ(LayerSuffix({"model.layers.", 30}, "model.layers.17.mlp.w"), ".mlp.w");
  const std::vector<ModelTensor> tensors =
      Tensors({"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"});
  const ModelLayout layout = FindLayout(tensors, Config("{}"), std::nullopt);
  EXPECT_EQ(FindEmbedding(layout)->name, "model.embed_tokens.weight");
  EXPECT_EQ(FindHead(layout)->name, "lm_head.weight");
}

TEST(LayersTest, HeadOfAnyNameByItsShape) {
  std::vector<ModelTensor> tensors = Tensors(
      {"transformer.embedding.word_embeddings.weight", "transformer.norm.weight", "transformer.output_layer.weight"});
  tensors[1].shape = {2};
  const ModelLayout layout = FindLayout(tensors, Config("{}"), std::nullopt);
  EXPECT_EQ(FindHead(layout)->name, "transformer.output_layer.weight");
}

TEST(LayersTest, WhatHoldsANumberIsNoHead) {
  std::vector<ModelTensor> tensors = Tensors({"model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight",
                                              "model.layers.1.lm_head.weight", "model.norm.weight"});
  tensors[3].shape = {2};
  const ModelLayout layout = FindLayout(tensors, Config(R"({"num_hidden_layers": 6})"), std::nullopt);
  ASSERT_FALSE(layout.stack.has_value());
  EXPECT_EQ(FindHead(layout), nullptr);
}

TEST(LayersTest, MoreLayersStatedThanHeld) {
  const auto shortfall = [](const std::vector<std::string>& names, const std::string& config) {
    return FindDepthShortfall(Tensors(names), Config(config));
  };
  ASSERT_TRUE(shortfall(kTwoTowers, R"({"num_hidden_layers": 6})").has_value());
  EXPECT_EQ(shortfall(kTwoTowers, R"({"num_hidden_layers": 6})")->stated, 6u);
  EXPECT_EQ(shortfall(kTwoTowers, R"({"num_hidden_layers": 6})")->held, 3u);
  EXPECT_TRUE(shortfall({"l.0.experts.7.w"}, R"({"n_layer": 4})").has_value()) << "experts are not layers";
  EXPECT_FALSE(shortfall(kTwoTowers, R"({"num_hidden_layers": 3})").has_value());
  EXPECT_FALSE(shortfall(kTwoTowers, R"({"num_hidden_layers": 2})").has_value());
  EXPECT_FALSE(shortfall({"l.0.a", "l.4.a"}, R"({"num_hidden_layers": 3})").has_value()) << "fewer than held";
  EXPECT_FALSE(shortfall(kTwoTowers, "{}").has_value());
  EXPECT_FALSE(shortfall({"a.weight"}, R"({"num_hidden_layers": 3})").has_value()) << "nothing is numbered";
}

}  // namespace
}  // namespace gpumerge
