// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole outputs, every file of them, are the same bytes for any pair of settings that no output may depend on. What a
// command line can set is also varied there (tests/cli/same_bytes_test.py); chunks can only be set here.
#include "src/cpu/isa.h"
#include "tests/run/run_fixture.h"
#include "tests/support/pairwise.h"

#include <fmt/format.h>

#include <random>

namespace gpumerge::test {
namespace {

struct Case {
  const char* name;
  const char* head;    // of the recipe, without models
  const char* models;  // names
  bool is_weighted = true;
};

std::ostream& operator<<(std::ostream& out, const Case& of) { return out << of.name; }

class SameBytes : public RunFixture, public ::testing::WithParamInterface<Case> {
 protected:
  // Sizes around those at which work is cut; few magnitudes among the differences, so that selections share out ties.
  void WriteTies() {
    const std::map<std::string, std::vector<uint64_t>> shapes = {
        {"model.embed_tokens.weight", {300, 1009}}, {"model.layers.0.mlp.weight", {65537}},
        {"model.layers.0.norm.weight", {63}},       {"model.layers.1.mlp.weight", {257, 255}},
        {"model.layers.1.norm.weight", {4096}},     {"model.norm.weight", {1}}};
    for (const char* name : {"base", "a", "b", "c"}) {
      std::vector<TestTensor> tensors;
      for (const auto& [tensor, shape] : shapes) {
        std::mt19937 of_base(1), of_model(static_cast<unsigned char>(name[0]));
        std::vector<double> values(CountElems(shape));
        for (double& value : values)
          value = (static_cast<double>(of_base() % 65) - 32 +
                   (name[1] == '\0' ? static_cast<double>(of_model() % 7) - 3 : 0)) /
                  64;
        tensors.push_back(
            ValueTensor(tensor, tensor.ends_with("norm.weight") ? DType::kF16 : DType::kBF16, shape, values));
      }
      WriteModel(scratch / name, tensors, kConfigJson);
    }
  }

  std::string RecipeOf(const Case& of) const {
    std::string recipe = fmt::format("merge_method: {}\nseed: 7\ndtype: bfloat16\nshard_size: 140K\n", of.head);
    if (const size_t base = recipe.find("BASE"); base != std::string::npos) recipe.replace(base, 4, scratch / "base");
    recipe += "models:\n";
    for (const char* name = of.models; *name != '\0'; ++name)
      recipe += fmt::format("  - model: {}{}\n", scratch / std::string(1, *name),
                            of.is_weighted ? "\n    parameters: {weight: 0.6}" : "");
    return recipe;
  }
};

TEST_P(SameBytes, ForPairsOfExecutorThreadsAndChunks) {
  WriteTies();
  std::vector<std::string> executors = {"reference"};
  for (const CpuIsaMethods* isa : UsableIsas()) executors.emplace_back(isa->isa);
  const std::vector<uint32_t> threads = {1, 2, 3, 7};
  const std::vector<uint64_t> chunks = {0, kBlockElems, 5 * kBlockElems, 16 * kBlockElems};
  std::map<std::string, std::string> expected;
  for (const std::vector<size_t>& row : testing::Pairwise({executors.size(), threads.size(), chunks.size()})) {
    RunOptions options = Quick();
    options.verify = Verify::kHeader;
    options.device = row[0] == 0 ? Device::kReference : Device::kCpu;
    if (row[0] > 0) options.cpu_isa = executors[row[0]];
    options.threads = threads[row[1]];
    options.max_chunk_elems = chunks[row[2]];
    const auto files = Merge(RecipeOf(GetParam()), options);
    if (expected.empty()) expected = files;
    ASSERT_TRUE(files.contains("model-00003-of-00003.safetensors"));
    for (const auto& [name, contents] : expected)
      ASSERT_TRUE(files.contains(name) && files.at(name) == contents)
          << name << " differs: " << executors[row[0]] << ", " << options.threads << " threads, chunks of "
          << options.max_chunk_elems;
    ASSERT_EQ(files.size(), expected.size());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Recipes, SameBytes,
    ::testing::Values(
        Case{"linear", "linear", "abc"}, Case{"slerp", "slerp\nbase_model: BASE\nparameters: {t: 0.3}", "a", false},
        Case{"ties", "ties\nbase_model: BASE\nparameters: {density: 0.37}", "abc"},
        Case{"ties_model", "ties\nbase_model: BASE\nparameters: {density: 0.37, trim_scope: model}", "abc"},
        Case{"dare_ties", "dare_ties\nbase_model: BASE\nparameters: {density: 0.37, rescale: l2}", "abc"},
        Case{"della", "della\nbase_model: BASE\nparameters: {density: 0.5, epsilon: 0.2}", "abc"},
        Case{"breadcrumbs", "breadcrumbs\nbase_model: BASE\nparameters: {density: 0.6, gamma: 0.05}", "abc"},
        Case{"sce", "sce\nbase_model: BASE\nparameters: {select_topk: 0.3}", "abc", false},
        Case{"model_stock", "model_stock\nbase_model: BASE\nparameters: {filter_wise: true}", "abc", false},
        Case{"nuslerp_columns", "nuslerp\nbase_model: BASE\nparameters: {nuslerp_flatten: false}", "ab"},
        Case{"nuslerp_rows", "nuslerp\nparameters: {nuslerp_flatten: false, nuslerp_row_wise: true}", "ab"},
        Case{"karcher", "karcher", "abc", false}, Case{"multislerp", "multislerp\nbase_model: BASE", "abc"},
        Case{"arcee_fusion", "arcee_fusion\nbase_model: BASE", "a", false},
        Case{"ramplus_tl", "ramplus_tl\nbase_model: BASE", "abc", false}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace gpumerge::test
