// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Plans of recipes of several documents: what reads what, where it lies, and how it is shown.
#include "src/plan/explain.h"
#include "tests/plan/plan_fixture.h"

#include <nlohmann/json.hpp>

#include <filesystem>

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::string_view kTwoStages = R"(
name: first
merge_method: linear
models:
  - {model: $D/a, parameters: {weight: 0.5}}
  - {model: $D/b, parameters: {weight: 0.5}}
dtype: float16
---
name: second
merge_method: dare_linear
seed: 3
base_model: $D/a
models:
  - {model: first, parameters: {weight: 0.5, density: 0.5}}
dtype: float32
---
merge_method: linear
models:
  - {model: second, parameters: {weight: 0.5}}
  - {model: first, parameters: {weight: 0.5}}
dtype: bfloat16
)";

class DocumentsPlanTest : public PlanTest {
 protected:
  DocumentsPlanTest() {
    Write("a", TinyModel{});
    Write("b", TinyModel{});
  }
};

TEST_F(DocumentsPlanTest, ItemsReadWhatEarlierOnesMake) {
  const Plan plan = MakePlan(kTwoStages);
  ASSERT_THAT(plan.stages, SizeIs(2));
  EXPECT_EQ(plan.stages[0].name, "first");
  EXPECT_EQ(plan.stages[1].method, "dare_linear");
  const uint64_t n_tensors = Totals(plan).n_tensors;
  EXPECT_EQ(plan.items.size(), 3 * n_tensors);
  EXPECT_EQ(Totals(plan).n_stage_tensors, 2 * n_tensors);
  uint64_t end = 0, n_of_stages = 0;
  for (uint64_t i = 0; i < plan.items.size(); ++i) {
    const PlanItem& item = plan.items[i];
    for (size_t j = 0; j < item.inputs.size(); ++j) {
      const PlanInput& input = item.inputs[j];
      EXPECT_EQ(input.item.has_value(), plan.models[input.model].stage.has_value());
      if (!input.item) continue;
      ASSERT_LT(*input.item, i) << "made before it is read";
      const PlanItem& made = plan.items[*input.item];
      EXPECT_EQ(made.stage, plan.models[input.model].stage);
      EXPECT_EQ(made.name, input.tensor);
      EXPECT_EQ(made.job.out_dtype, item.job.inputs[j].dtype) << "rounded as if it were written";
      EXPECT_EQ(made.offset_bytes, input.offset_bytes);
      EXPECT_EQ(made.size_bytes, input.size_bytes);
    }
    if (!item.stage) continue;
    EXPECT_GE(item.offset_bytes, end) << "places do not overlap";
    EXPECT_EQ(item.offset_bytes % 4096, 0u);
    end = item.offset_bytes + item.size_bytes;
    ++n_of_stages;
  }
  EXPECT_EQ(n_of_stages, 2 * n_tensors);
}

TEST_F(DocumentsPlanTest, EveryModelAndFileIsListedOnce) {
  const Plan plan = MakePlan(kTwoStages);
  std::vector<std::string> names;
  for (const PlanModel& model : plan.models) names.push_back(model.name);
  EXPECT_THAT(names, ElementsAre("second", "first", "a", "b"));
  EXPECT_THAT(plan.files, SizeIs(2));
  EXPECT_THAT(plan.stages[0].models, ElementsAre(2u, 3u));
  EXPECT_THAT(plan.stages[1].models, ElementsAre(1u, 2u)) << "the base last, as in a plan of its own";
}

TEST_F(DocumentsPlanTest, ConfigAndTokenizerAreTheDonorsThroughTheStages) {
  WriteTextFile(dir_ / "a/tokenizer_config.json", "{\"of\": \"a\"}");
  const Plan plan = MakePlan(kTwoStages);
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("bfloat16"));
  ASSERT_THAT(plan.copied_files, SizeIs(1));
  EXPECT_EQ(std::filesystem::path(plan.copied_files[0].source_path).parent_path(), dir_ / "a");
  EXPECT_THAT(TextFile(plan, "README.md"), Not(HasSubstr("\n- second")));
  EXPECT_THAT(TextFile(plan, "gpumerge_config.yaml"), HasSubstr("name: second\n"));
}

TEST_F(DocumentsPlanTest, SeedsOfStagesDiffer) {
  const Plan plan = MakePlan(kTwoStages);
  std::string renamed(kTwoStages);
  for (size_t at = renamed.find("second"); at != std::string::npos; at = renamed.find("second", at))
    renamed.replace(at, 6, "latter");
  const Plan other = MakePlan(renamed);
  for (uint64_t i = 0; i < plan.items.size(); ++i)
    if (plan.items[i].stage == 1u && plan.items[i].action == PlanAction::kMerge) {
      EXPECT_NE(plan.items[i].job.seed, other.items[i].job.seed);
      EXPECT_NE(plan.items[i].job.seed, 3u);
    }
  EXPECT_NE(PlanHash(plan), PlanHash(other));
}

TEST_F(DocumentsPlanTest, TextAndJsonNameTheStages) {
  const Plan plan = MakePlan(kTwoStages);
  RunEstimate estimate;
  estimate.scratch_bytes = 12'345;
  const std::string text = ExplainPlan(plan, estimate);
  EXPECT_THAT(text, HasSubstr("linear merge of 2 models in 3 stages"));
  EXPECT_THAT(text, HasSubstr("  second  dare_linear of models 1, 2, seed 3; "));
  EXPECT_THAT(text, HasSubstr("stage first: linear"));
  EXPECT_THAT(text, HasSubstr("scratch  12.35 kB at most"));
  const auto json = nlohmann::json::parse(PlanToJson(plan, estimate));
  EXPECT_EQ(json["stages"][1]["name"], "second");
  EXPECT_EQ(json["run"]["scratch_bytes"], 12'345);
  EXPECT_EQ(json["tensors"][0]["stage"], "first");
  EXPECT_TRUE(json["tensors"][0]["file"].is_null());
  EXPECT_EQ(json["tensors"][1]["inputs"][1]["item"], 0) << "the base first, then the stage";
}

TEST_F(DocumentsPlanTest, AStageThatIsNotWholeIsMadeAsFarAsItIsRead) {
  const Plan plan = MakePlan(R"(
name: first
merge_method: linear
models: [{model: $D/a, parameters: {weight: 1}}]
---
merge_method: passthrough
slices:
  - sources: [{model: first, layer_range: [0, 1]}]
  - sources: [{model: first, layer_range: [0, 1]}]
)");
  for (const PlanItem& item : plan.items)
    if (item.stage) {
      EXPECT_NE(item.layer, 1u) << item.name;
    }
  for (const PlanPart& part : CutPlan(plan, 3))
    for (uint64_t i = part.first; i < part.last; ++i)
      for (const PlanInput& input : plan.items[i].inputs)
        if (input.item) {
          EXPECT_GE(*input.item, part.first);
        }
}

TEST_F(DocumentsPlanTest, ACycleMadeByAProgramIsRefused) {
  MergeConfig config = Config(kTwoStages);
  config.stages[0].models[0].model = config.models[0].model;  // first reads second
  try {
    PlanOptions options;
    options.output_dir = dir_ / "out";
    PlanMerge(config, options);
    FAIL() << "planned";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kYamlDocs);
  }
}

TEST_F(DocumentsPlanTest, SplitIntoRecipesOfTheirOwn) {
  const std::vector<MergeConfig> documents = SplitStages(Config(kTwoStages), "kept");
  ASSERT_THAT(documents, SizeIs(3));
  EXPECT_EQ(documents[0].output, "kept/first");
  EXPECT_EQ(documents[1].models[0].model.text, "kept/first");
  EXPECT_FALSE(documents[1].models[0].model.is_stage);
  EXPECT_EQ(documents[1].name, "second") << "part of the seed";
  EXPECT_EQ(documents[2].models[0].model.text, "kept/second");
  EXPECT_THAT(documents[2].stages, SizeIs(0));
}

}  // namespace
}  // namespace gpumerge::test
