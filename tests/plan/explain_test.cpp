// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The plan as text and JSON.
#include "src/plan/explain.h"

#include "tests/plan/plan_fixture.h"

#include <nlohmann/json.hpp>

namespace gpumerge::test {
namespace {

using ::testing::HasSubstr;

class ExplainTest : public PlanTest {
 protected:
  void SetUp() override {
    for (const char* name : {"base", "one", "two"}) {
      std::vector<TestTensor> tensors = TinyTensors({.n_layers = 1, .with_head = false});
      tensors.push_back(PatternTensor("model.ids", DType::kI64, {3}));
      Write(name, tensors, TinyConfig({.n_layers = 1, .with_head = false}));
    }
  }
  static RunEstimate Estimate() { return {"cpu", "the only device", 1'000'000, 20'000, 1, 5000, 1200, 7'000'000'000}; }
  // The scratch directory's name differs from run to run, and the resolver's line is another layer's.
  std::string Normalised(Plan plan) const {
    for (PlanModel& model : plan.models) model.how = "found in " + model.directory;
    for (PlanTextFile& file : plan.text_files) file.contents = "their length is other tests' business";
    std::string text = ExplainPlan(plan, Estimate());
    for (size_t at = text.find(dir_.path()); at != std::string::npos; at = text.find(dir_.path()))
      text.replace(at, dir_.path().size(), "$D");
    return text;
  }
};

constexpr std::string_view kTies = R"(
merge_method: ties
base_model: $D/base
seed: 3
parameters: {density: 0.5}
models:
  - {model: $D/one, parameters: {weight: 0.25}}
  - {model: $D/two, parameters: {weight: [{filter: q_proj, value: 0.125}, {value: 1}]}}
)";

TEST_F(ExplainTest, GoldenText) {
  const Plan plan = MakePlan(kTies);
  EXPECT_EQ(Normalised(plan), R"(ties merge of 3 models, seed 3

models
  0  $D/one
     found in $D/one
  1  $D/two
     found in $D/two
  2  $D/base, base, gives config and tokenizer
     found in $D/base

output   $D/out (--out)
         6 tensors, 307 parameters; 5 merged, 1 copied
files    model.safetensors, README.md, config.json, gpumerge_config.yaml, gpumerge_report.json
device   cpu (the only device)
memory   1.00 MB allowed, 20.00 kB is the least that works; 1 tensor is streamed: read again for every further pass
disk     1.29 kB needed, 7.00 GB free
read     5.00 kB, 1.20 kB of it again
write    632 B of tensors

copy (integer tensor: all models must agree)
  model.ids                               [3]      I64 -> I64

ties: weight 0.25 1, density 0.5 0.5, normalize true, rescale false, lambda 1, trim_scope tensor, tie_break lowest_index, sign sum, zero_sign plus, elect_on weighted, divide_by weights; 2 passes: select map
  model.embed_tokens.weight               [16, 8]  BF16 -> BF16
  model.layers.0.input_layernorm.weight   [8]      BF16 -> BF16
  model.layers.0.mlp.up_proj.weight       [12, 8]  BF16 -> BF16
  model.norm.weight                       [8]      BF16 -> BF16

ties: weight 0.25 0.125, density 0.5 0.5, normalize true, rescale false, lambda 1, trim_scope tensor, tie_break lowest_index, sign sum, zero_sign plus, elect_on weighted, divide_by weights; 2 passes: select map
  model.layers.0.self_attn.q_proj.weight  [8, 8]   BF16 -> BF16

notes
  "$D/base" has no tokenizer files, so the output has none
)");
}

TEST_F(ExplainTest, JsonSaysTheSame) {
  const Plan plan = MakePlan(kTies);
  const nlohmann::json json = nlohmann::json::parse(PlanToJson(plan, Estimate()));
  EXPECT_EQ(json["method"], "ties");
  EXPECT_EQ(json["seed"], 3);
  EXPECT_EQ(json["plan_hash"], PlanHash(plan));
  EXPECT_EQ(json["models"].size(), 3u);
  EXPECT_EQ(json["models"][2]["base"], true);
  EXPECT_EQ(json["totals"]["tensors"], 6);
  EXPECT_EQ(json["totals"]["copied"], 1);
  EXPECT_EQ(json["totals"]["select_passes"], 5);
  EXPECT_EQ(json["totals"]["map_passes"], 5);
  EXPECT_EQ(json["totals"]["input_bytes"], 3 * (2 * (128 + 8 + 96 + 64 + 8) + 24));
  EXPECT_EQ(json["totals"]["bytes_read_streamed"], 3 * (3 * 2 * (128 + 8 + 96 + 64 + 8) + 24));
  EXPECT_EQ(json["run"]["device"], "cpu");
  EXPECT_EQ(json["tensors"].size(), 6u);
  const nlohmann::json& q_proj = *std::find_if(json["tensors"].begin(), json["tensors"].end(), [](const auto& tensor) {
    return tensor["name"] == "model.layers.0.self_attn.q_proj.weight";
  });
  EXPECT_EQ(q_proj["action"], "merge");
  EXPECT_EQ(q_proj["layer"], 0);
  EXPECT_EQ(q_proj["parameters"]["weight"], nlohmann::json::parse("[null, 0.25, 0.125]"));
  EXPECT_EQ(q_proj["parameters"]["normalize"], true);
  EXPECT_EQ(q_proj["parameters"]["rescale"], "false");
  EXPECT_EQ(q_proj["inputs"][0]["model"], 2);
  EXPECT_EQ(q_proj["inputs"][1]["bytes"], 128);
  EXPECT_EQ(json["tensors"][0]["action"], "copy");
  EXPECT_EQ(json["tensors"][0]["reason"], "integer tensor: all models must agree");
}

TEST_F(ExplainTest, NamesFromFilesAreEscaped) {
  for (const char* name : {"a", "b"}) Write(name, {PatternTensor("x\n\x1b[31m.weight", DType::kF32, {2})}, "{}");
  const std::string text = ExplainPlan(MakePlan(kLinearOfTwo), Estimate());
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("x\\n\\x1b[31m.weight"));
}

TEST_F(ExplainTest, ADiskThatIsTooSmall) {
  RunEstimate estimate = Estimate();
  estimate.disk_free_bytes = 100;
  EXPECT_THAT(ExplainPlan(MakePlan(kTies), estimate), HasSubstr("needed, 100 B free: not enough\n"));
}

// What the CPU reads again it does not read again for want of memory.
TEST_F(ExplainTest, WhatComesFromThePageCache) {
  RunEstimate estimate = Estimate();
  estimate.streams_from_cache = true;
  const Plan plan = MakePlan(kTies);
  EXPECT_THAT(ExplainPlan(plan, estimate),
              HasSubstr("works; 1 tensor is read again for every further pass, from the system's page cache\ndisk "));
  EXPECT_EQ(nlohmann::json::parse(PlanToJson(plan, estimate))["run"]["streams_from_cache"], true);
  estimate.n_streamed_tensors = 7;
  EXPECT_THAT(ExplainPlan(plan, estimate), HasSubstr("; 7 tensors are read again for every further pass, from the"));
  estimate.n_streamed_tensors = 0;
  EXPECT_THAT(ExplainPlan(plan, estimate), HasSubstr("works; no tensor is read twice\ndisk "));
}

TEST_F(ExplainTest, WhatAGpuDoes) {
  RunEstimate estimate = Estimate();
  estimate.device_memory_needed_bytes = 2'000'000;
  estimate.device_memory_bytes = 61'200'000'000;
  estimate.n_kept_tensors = 1;
  estimate.bytes_to_device = 4800;
  estimate.bytes_from_device = 608;
  const Plan plan = MakePlan(kTies);
  EXPECT_THAT(
      ExplainPlan(plan, estimate),
      HasSubstr("\ngpu      61.20 GB of its memory used, 2.00 MB is the least that works; 1 tensor comes in parts "
                "and stays there until merged\nlink     4.80 kB to it, 608 B back\ndisk "));
  const nlohmann::json json = nlohmann::json::parse(PlanToJson(plan, estimate));
  EXPECT_EQ(json["run"]["device_memory_bytes"], 61'200'000'000);
  EXPECT_EQ(json["run"]["kept_tensors"], 1);
  EXPECT_EQ(json["run"]["bytes_to_device"], 4800);
}

TEST_F(ExplainTest, RenamedLayersSayWhereTheyComeFrom) {
  const std::string text = ExplainPlan(MakePlan(R"(
merge_method: passthrough
slices:
  - sources: [{model: $D/one, layer_range: [0, 1]}]
  - sources: [{model: $D/two, layer_range: [0, 1]}]
)"),
                                       Estimate());
  EXPECT_THAT(text, HasSubstr("  from model.layers.0.mlp.up_proj.weight of model 1\n"));
}

}  // namespace
}  // namespace gpumerge::test
