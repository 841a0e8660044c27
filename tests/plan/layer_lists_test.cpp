// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What config.json says layer by layer follows the layers of the slices, or is refused by name.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

// Layers 0, 1, 2 of a, then 1, 2, 3 of b.
constexpr std::string_view kStack = R"(
merge_method: passthrough
slices:
  - sources: [{model: $D/a, layer_range: [0, 3]}]
  - sources: [{model: $D/b, layer_range: [1, 4]}]
)";

class LayerListsTest : public PlanTest {
 protected:
  // Models a and b with these lines more in their config.json.
  void WriteWith(const std::string& lines_a, const std::string& lines_b) {
    for (const auto& [name, lines] : {std::pair{"a", lines_a}, std::pair{"b", lines_b}}) {
      Write(name, {});
      std::string config = TinyConfig({});
      config.insert(config.find("  \"model_type\""), lines);
      WriteTextFile(dir_ / name + "/config.json", config);
    }
  }
  void WriteWith(const std::string& lines) { WriteWith(lines, lines); }
  std::string ConfigOf(std::string_view recipe) { return TextFile(MakePlan(recipe), "config.json"); }
};

TEST_F(LayerListsTest, AListWithOneEntryALayerIsResliced) {
  WriteWith("  \"layer_types\": [\"full\", \"sliding\", \"full\", \"sliding\"],\n  \"eos_token_id\": [1, 2, 3, 4],\n");
  const Plan plan = MakePlan(kStack);
  const std::string& config = TextFile(plan, "config.json");
  EXPECT_THAT(config,
              HasSubstr("\"layer_types\": [\"full\", \"sliding\", \"full\", \"sliding\", \"full\", \"sliding\"]"));
  EXPECT_THAT(config, HasSubstr("\"eos_token_id\": [1, 2, 3, 4]"));
  EXPECT_THAT(config, HasSubstr("\"num_hidden_layers\": 6"));
  EXPECT_THAT(plan.notes, ::testing::Contains("config.json: layer_types follows the layers of the slices"));
}

TEST_F(LayerListsTest, EveryLayerKeepsWhatItsOwnModelSays) {
  WriteWith("  \"kinds\": [\"a0\", \"a1\", \"a2\", \"a3\"],\n", "  \"kinds\": [\"b0\", \"b1\", \"b2\", \"b3\"],\n");
  EXPECT_THAT(ConfigOf(kStack), HasSubstr("[\"a0\", \"a1\", \"a2\", \"b1\", \"b2\", \"b3\"]"));
}

TEST_F(LayerListsTest, TheFormOfTheListStays) {
  WriteWith("  \"kinds\": [\n    1,\n    2,\n    3,\n    4\n  ],\n");
  EXPECT_THAT(ConfigOf(kStack), HasSubstr("\"kinds\": [\n    1,\n    2,\n    3,\n    2,\n    3,\n    4\n  ],\n"));
}

TEST_F(LayerListsTest, ListsOfLayerNumbersAreNumberedAnew) {
  WriteWith("  \"mlp_only_layers\": [1, 3],\n");
  EXPECT_THAT(ConfigOf(kStack), HasSubstr("\"mlp_only_layers\": [1, 3, 5]"));
  WriteWith("  \"mlp_only_layers\": [],\n");
  EXPECT_THAT(ConfigOf(kStack), HasSubstr("\"mlp_only_layers\": []"));
}

TEST_F(LayerListsTest, LayersInPlaceChangeNothing) {
  WriteWith(
      "  \"layer_types\": [\"full\", \"sliding\", \"full\", \"sliding\"],\n  \"attention_types\": [[\"x\", 4]],\n");
  const std::string before = ReadTextFile(dir_ / "a/config.json");
  EXPECT_EQ(ConfigOf(R"(
merge_method: passthrough
slices:
  - sources: [{model: $D/a, layer_range: [0, 2]}]
  - sources: [{model: $D/b, layer_range: [2, 4]}]
)"),
            before);
}

TEST_F(LayerListsTest, PeriodsMayBeKeptOrAreRefused) {
  WriteWith("  \"sliding_window_pattern\": 2,\n");
  // 0 1 2 | 1 2 3: layer 3 of the output was layer 1, both odd.
  EXPECT_THAT(ConfigOf(kStack), HasSubstr("\"sliding_window_pattern\": 2"));
  const std::string shifted = R"(
merge_method: passthrough
slices:
  - sources: [{model: $D/a, layer_range: [0, 2]}]
  - sources: [{model: $D/b, layer_range: [1, 4]}]
)";
  const Diagnostic problem = Problem(shifted);
  EXPECT_EQ(Info(problem.code).code, "CFG-LAYERLIST");
  EXPECT_THAT(problem.message, HasSubstr("sliding_window_pattern (layer 2 of the output is of another kind"));
  // A list that says the same layer by layer is used instead.
  WriteWith("  \"sliding_window_pattern\": 2,\n  \"layer_types\": [0, 1, 0, 1],\n");
  EXPECT_THAT(ConfigOf(shifted), HasSubstr("\"layer_types\": [0, 1, 1, 0, 1]"));
}

TEST_F(LayerListsTest, ThresholdsMoveWithTheLayers) {
  WriteWith("  \"first_k_dense_replace\": 1,\n");
  EXPECT_THAT(ConfigOf(kStack), HasSubstr("\"first_k_dense_replace\": 1"));
  EXPECT_THAT(ConfigOf("merge_method: passthrough\nslices: [{sources: [{model: $D/a, layer_range: [1, 4]}]}]\n"),
              HasSubstr("\"first_k_dense_replace\": 0"));
  const Diagnostic problem = Problem(
      "merge_method: passthrough\nslices:\n- sources: [{model: $D/a, layer_range: [1, 3]}]\n"
      "- sources: [{model: $D/a, layer_range: [0, 2]}]\n");
  EXPECT_THAT(problem.message, HasSubstr("first_k_dense_replace"));
}

TEST_F(LayerListsTest, WhatCannotBeToldIsRefusedByName) {
  WriteWith("  \"attention_types\": [[[\"global\", \"local\"], 2]],\n  \"special_layers\": [0, 2],\n");
  const Diagnostic problem = Problem(kStack);
  EXPECT_EQ(Info(problem.code).code, "CFG-LAYERLIST");
  EXPECT_THAT(problem.message, HasSubstr("attention_types"));
  EXPECT_THAT(problem.message, HasSubstr("special_layers"));
}

TEST_F(LayerListsTest, LayersOfDifferentKindsAreWorthAWarning) {
  WriteWith("  \"layer_types\": [\"full\", \"sliding\", \"full\", \"sliding\"],\n");
  const Plan plan = MakePlan(R"(
merge_method: linear
parameters: {weight: 1}
slices:
  - sources: [{model: $D/a, layer_range: [1, 3]}, {model: $D/b, layer_range: [0, 2]}]
)");
  ASSERT_THAT(Codes(plan.warnings), ::testing::Contains("CFG-LAYERLIST"));
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("[\"sliding\", \"full\"]"));
}

}  // namespace
}  // namespace gpumerge::test
