// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A base and three fine-tunes of a few mixed-size tensors, and merging them. For the tests of src/run.
#pragma once

#include "tests/support/model_writer.h"

#include "gpumerge/merge.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

namespace gpumerge::test {

class RunFixture : public ::testing::Test {
 protected:
  // Large enough for several chunks, small enough to be quick: (70, 1000) elements and odd ones around it.
  static std::vector<TestTensor> Tensors(uint64_t seed, DType dtype) {
    return {PatternTensor("model.embed_tokens.weight", dtype, {70, 1000}, seed),
            PatternTensor("model.layers.0.mlp.up_proj.weight", dtype, {97, 331}, seed),
            PatternTensor("model.layers.0.norm.weight", dtype, {331}, seed),
            PatternTensor("model.layers.1.mlp.up_proj.weight", dtype, {97, 331}, seed),
            PatternTensor("model.layers.1.norm.weight", dtype, {331}, seed),
            PatternTensor("model.layers.1.empty", dtype, {0, 5}, seed),
            PatternTensor("model.rotary.ids", DType::kI64, {17}, 7),  // the same in all models
            PatternTensor("model.norm.weight", dtype, {331}, seed)};
  }
  static constexpr const char* kConfigJson =
      "{\n  \"model_type\": \"llama\",\n  \"num_hidden_layers\": 2,\n  \"vocab_size\": 70,\n  \"torch_dtype\": "
      "\"bfloat16\",\n  \"tie_word_embeddings\": true\n}\n";

  void WriteModels(uint32_t n_shards) {
    for (const char* name : {"base", "a", "b", "c"})
      WriteModel(scratch / name, Tensors(static_cast<uint64_t>(name[0]), DType::kBF16), kConfigJson, n_shards);
  }

  std::string Recipe(const std::string& method) const {
    std::string text = "merge_method: " + method + "\nseed: 5\n";
    const bool two = method == "slerp", one = method == "passthrough";
    if (method != "linear" && !one) text += "base_model: " + (scratch / "base") + "\n";
    text += "models:\n";
    for (const char* name : {"a", "b", "c"}) {
      text += "  - model: " + (scratch / name) + "\n";
      if (!two && !one) text += std::string("    parameters: {weight: 0.") + (name[0] == 'a' ? "5" : "3") + "}\n";
      if (two || one) break;
    }
    if (two) text += "parameters: {t: 0.3}\n";
    if (one) text += "parameters: {scale: 0.5}\n";
    if (method == "ties" || method.starts_with("dare")) text += "parameters: {density: 0.4}\n";
    return text;
  }

  Plan MakePlan(const std::string& recipe, const std::string& out) const {
    std::vector<Diagnostic> warnings;
    PlanOptions options;
    options.output_dir = scratch / out;
    options.overwrite = true;
    return PlanMerge(ParseConfig(recipe, "recipe.yaml", &warnings), options);
  }

  static RunOptions Quick() {
    RunOptions options;
    options.sync = Sync::kNone;
    options.overwrite = true;
    return options;
  }

  // File name -> contents of a whole output directory.
  std::map<std::string, std::string> Merge(const std::string& recipe, const RunOptions& options) const {
    const RunStats stats = RunMerge(MakePlan(recipe, "out"), options);
    return Contents(stats.output_dir);
  }

  static std::map<std::string, std::string> Contents(const std::string& dir) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(dir))
      files[entry.path().filename()] = ReadTextFile(entry.path());
    return files;
  }

  ScratchDir scratch;
};

}  // namespace gpumerge::test
