// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Element types: what is merged, what is copied, what is promoted with a warning, what is refused.
#include "tests/plan/plan_fixture.h"

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using TypesTest = PlanTest;

TEST_F(TypesTest, FloatingAgainstInteger) {
  std::vector<TestTensor> floats = TinyTensors({}), integers = floats;
  floats.push_back(PatternTensor("mask", DType::kF32, {4}));
  integers.push_back(PatternTensor("mask", DType::kI32, {4}));
  Write("a", floats, TinyConfig({}));
  Write("b", integers, TinyConfig({}));
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-DTYPECLASS");
  EXPECT_EQ(problem.found, Expand("F32 in \"$D/a\", I32 in \"$D/b\""));
}

TEST_F(TypesTest, IntegersOfDifferentTypes) {
  std::vector<TestTensor> a = TinyTensors({}), b = a;
  a.push_back(PatternTensor("ids", DType::kI64, {4}));
  b.push_back(PatternTensor("ids", DType::kI32, {4}));
  Write("a", a, TinyConfig({}));
  Write("b", b, TinyConfig({}));
  EXPECT_EQ(Info(Problem(kLinearOfTwo).code).code, "MM-INTDIFF");
}

TEST_F(TypesTest, IntegersAndBoolsAreCopiedWhateverTheOutputType) {
  std::vector<TestTensor> tensors = TinyTensors({});
  tensors.push_back(PatternTensor("ids", DType::kI64, {4}));
  tensors.push_back(PatternTensor("mask", DType::kBool, {4}));
  Write("a", tensors, TinyConfig({}));
  Write("b", tensors, TinyConfig({}));
  const Plan plan = MakePlan(std::string(kLinearOfTwo) + "dtype: float32\n");
  const PlanItem& ids = Item(plan, "ids");
  EXPECT_EQ(ids.action, PlanAction::kCopy);
  EXPECT_EQ(ids.reason, "integer tensor: all models must agree");
  EXPECT_EQ(ids.job.out_dtype, DType::kI64);
  EXPECT_EQ(ids.inputs.size(), 2u);
  EXPECT_TRUE(ids.passes.empty());
  EXPECT_EQ(Item(plan, "mask").reason, "bool tensor: all models must agree");
  EXPECT_EQ(Item(plan, "lm_head.weight").job.out_dtype, DType::kF32);
  EXPECT_EQ(Item(plan, "lm_head.weight").size_bytes, 512u);
}

TEST_F(TypesTest, OpaqueTypesAreOnlyCopied) {
  std::vector<TestTensor> tensors = TinyTensors({});
  tensors.push_back({"exponents", DType::kF8E8M0, {4}, "abcd"});
  Write("a", tensors, TinyConfig({}));
  Write("b", tensors, TinyConfig({}));
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "DT-UNSUPPORTED");
  EXPECT_EQ(problem.message, "tensor \"exponents\": F8_E8M0 can be copied, not merged");

  const Plan plan = MakePlan("merge_method: passthrough\nmodels: [{model: $D/a}]\n");
  EXPECT_EQ(Item(plan, "exponents").action, PlanAction::kCopy);
  EXPECT_EQ(Item(plan, "exponents").reason, "passthrough: the bytes of one model");
}

TEST_F(TypesTest, DifferentFloatingTypesArePromotedWithAWarning) {
  Write("a", {.dtype = DType::kBF16});
  Write("b", {.dtype = DType::kF16});
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-PROMOTED"));
  EXPECT_THAT(plan.warnings[0].message, HasSubstr("15 tensors are stored in different types"));
  EXPECT_EQ(plan.warnings[0].found, Expand("BF16 in \"$D/a\", F16 in \"$D/b\""));
  EXPECT_EQ(plan.items[0].job.out_dtype, DType::kF32);
  EXPECT_THAT(TextFile(plan, "config.json"), HasSubstr("\"torch_dtype\": \"float32\""));

  const Plan asked = MakePlan(std::string(kLinearOfTwo) + "dtype: float32\nout_dtype: bfloat16\n");
  EXPECT_TRUE(asked.warnings.empty());
  EXPECT_EQ(asked.items[0].job.out_dtype, DType::kBF16);
  EXPECT_THAT(TextFile(asked, "config.json"), HasSubstr("\"torch_dtype\": \"bfloat16\""));
}

TEST_F(TypesTest, Float64IsMergedInFloat32WithAWarning) {
  Write("a", {.dtype = DType::kF64});
  Write("b", {.dtype = DType::kF64});
  const Plan plan = MakePlan(kLinearOfTwo);
  ASSERT_THAT(Codes(plan.warnings), ElementsAre("MM-F64"));
  EXPECT_EQ(plan.items[0].job.out_dtype, DType::kF64);
}

TEST_F(TypesTest, StrictMakesWarningsErrors) {
  Write("a", {.dtype = DType::kBF16});
  Write("b", {.dtype = DType::kF16});
  EXPECT_THAT(Codes(Problems(kLinearOfTwo, /*strict=*/true)), ElementsAre("MM-PROMOTED"));
}

TEST_F(TypesTest, QuantisedCheckpointsAreCopiedOrRefused) {
  Write("a", {});
  std::vector<TestTensor> tensors = TinyTensors({});
  tensors.push_back(PatternTensor("model.layers.0.mlp.up_proj.weight_scale_inv", DType::kF32, {1}));
  Write("b", tensors, TinyConfig({}));
  Write("c", tensors, TinyConfig({}));
  const Diagnostic problem = [&] {
    const std::string yaml =
        "merge_method: linear\nmodels:\n  - {model: $D/b, parameters: {weight: 1}}\n"
        "  - {model: $D/c, parameters: {weight: 1}}\n";
    const std::vector<Diagnostic> problems = Problems(yaml);
    EXPECT_THAT(Codes(problems), ElementsAre("MM-QUANT", "MM-QUANT"));
    return problems.at(0);
  }();
  EXPECT_EQ(problem.found, "the tensor \"model.layers.0.mlp.up_proj.weight_scale_inv\"");
  EXPECT_TRUE(Problems("merge_method: passthrough\nmodels: [{model: $D/b}]\n").empty());
}

TEST_F(TypesTest, CopiedLayersMustBeStoredAsTheOutputsConfigSays) {
  std::string quantised = TinyConfig({}), spaced = TinyConfig({});
  quantised.insert(quantised.find("  \"rms"), "  \"quantization_config\": {\"quant_method\": \"fp8\"},\n");
  spaced.insert(spaced.find("  \"rms"), "  \"quantization_config\":{\"quant_method\":\"fp8\"},\n");
  Write("plain", {});
  Write("a", TinyTensors({}), quantised);
  Write("b", TinyTensors({}), spaced);
  const auto slices = [&](const std::string& first, const std::string& second) {
    return "merge_method: passthrough\nslices:\n  - sources: [{model: $D/" + first +
           ", layer_range: [0, 2]}]\n  - sources: [{model: $D/" + second + ", layer_range: [2, 4]}]\n";
  };
  EXPECT_TRUE(Problems(slices("a", "b")).empty());
  const Diagnostic codes = Problem(slices("plain", "a"));
  EXPECT_EQ(Info(codes.code).code, "MM-QUANT");
  EXPECT_EQ(codes.found, "{\"quant_method\":\"fp8\"}");
  EXPECT_EQ(codes.expected, Expand("no quantization_config in \"$D/plain\""));
  EXPECT_EQ(Info(Problem(slices("a", "plain")).code).code, "MM-QUANT");
}

TEST_F(TypesTest, QuantisationInTheConfig) {
  Write("a", {});
  std::string config = TinyConfig({});
  config.insert(config.find("  \"rms"), "  \"quantization_config\": {\"quant_method\": \"fp8\"},\n");
  Write("b", TinyTensors({}), config);
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(Info(problem.code).code, "MM-QUANT");
  EXPECT_EQ(problem.found, "quantization_config in its config.json");
}

}  // namespace
}  // namespace gpumerge::test
