// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a recipe may allow by name: whole numbers that differ, tensors that the base lacks, other shapes, 8-bit floats;
// and buffers, which are never merged.
#include "tests/plan/plan_fixture.h"

#include <fmt/format.h>

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PoliciesTest : public PlanTest {
 protected:
  // A model of these tensors and one float that every model has.
  void WriteWith(const std::string& name, std::vector<TestTensor> tensors) {
    tensors.push_back(PatternTensor("w.weight", DType::kF32, {4, 2}));
    Write(name, tensors, "");
  }
  static std::string Linear(std::string_view more) {
    return fmt::format(
        "merge_method: linear\nparameters: {{weight: 1}}\nmodels: [{{model: $D/a}}, {{model: $D/b}}]\n{}\n", more);
  }
  static std::string OnBase(std::string_view more) {
    return fmt::format(
        "merge_method: task_arithmetic\nbase_model: $D/base\nparameters: {{weight: 1}}\nmodels: [{{model: $D/a}}, "
        "{{model: "
        "$D/b}}]\n{}\n",
        more);
  }
  static std::vector<std::string> ModelsOf(const Plan& plan, const PlanItem& item) {
    std::vector<std::string> names;
    for (const PlanInput& input : item.inputs) names.push_back(plan.models[input.model].name);
    return names;
  }
};

TEST_F(PoliciesTest, WholeNumbersComeFromTheBaseWhereTheRecipeSaysSo) {
  WriteWith("a", {{"ids", DType::kI64, {1}, std::string(8, '\1')}});
  WriteWith("b", {{"ids", DType::kI64, {1}, std::string(8, '\2')}});
  WriteWith("base", {{"ids", DType::kI64, {1}, std::string(8, '\3')}});
  EXPECT_FALSE(Item(MakePlan(OnBase("")), "ids").may_differ);
  const Plan on_base = MakePlan(OnBase("int_policy: base"));
  const PlanItem& ids = Item(on_base, "ids");
  EXPECT_EQ(ids.action, PlanAction::kCopy);
  EXPECT_TRUE(ids.may_differ);
  EXPECT_THAT(ModelsOf(on_base, ids), ElementsAre("base", "a", "b"));
  EXPECT_EQ(ids.reason, "int_policy: base: the bytes of \"base\"");
  const Plan without = MakePlan(Linear("int_policy: base"));
  EXPECT_THAT(ModelsOf(without, Item(without, "ids")), ElementsAre("a", "b")) << "without a base the first model";
  EXPECT_NE(PlanHash(on_base), PlanHash(MakePlan(OnBase(""))));
}

TEST_F(PoliciesTest, WholeNumbersOfOtherTypesAndShapes) {
  WriteWith("a", {{"ids", DType::kI64, {1}, std::string(8, '\1')}});
  WriteWith("b", {{"ids", DType::kI32, {2}, std::string(8, '\2')}});
  EXPECT_THAT(Codes(Problems(Linear(""))), ElementsAre("MM-SHAPE"));
  const Plan plan = MakePlan(Linear("int_policy: base"));
  EXPECT_THAT(ModelsOf(plan, Item(plan, "ids")), ElementsAre("a"));
  EXPECT_EQ(Item(plan, "ids").remark, "some models have it in another type or shape");
}

TEST_F(PoliciesTest, ATensorThatIsFloatingInOneModelIsNoMatterOfIntegers) {
  WriteWith("a", {{"ids", DType::kI32, {1}, std::string(4, '\1')}});
  WriteWith("b", {{"ids", DType::kF32, {1}, std::string(4, '\0')}});
  EXPECT_THAT(Codes(Problems(Linear("int_policy: base"))), ElementsAre("MM-DTYPECLASS"));
}

TEST_F(PoliciesTest, ExtraTensorsAreDroppedByName) {
  WriteWith("a", {});
  WriteWith("b", {PatternTensor("score.weight", DType::kF32, {2}), PatternTensor("z", DType::kF32, {2})});
  WriteWith("base", {});
  EXPECT_THAT(Codes(Problems(OnBase(""))), ElementsAre("MM-EXTRA"));
  for (const char* more : {"extra: drop", "extra: drop\nmissing: present"}) {
    const Plan plan = MakePlan(OnBase(more));
    EXPECT_THAT(Names(plan), ElementsAre("w.weight"));
    ASSERT_EQ(plan.dropped.size(), 2u);
    EXPECT_EQ(plan.dropped[0].tensor, "score.weight");
    EXPECT_EQ(plan.models[plan.dropped[0].model].name, "b");
    EXPECT_THAT(plan.notes, ::testing::Contains(HasSubstr("score.weight, z")));
  }
  // What the base has and others lack is missing, not extra.
  WriteWith("base", {PatternTensor("only.base", DType::kF32, {2})});
  EXPECT_THAT(Codes(Problems(OnBase("extra: drop"))), ElementsAre("MM-MISSING", "MM-MISSING"));
}

TEST_F(PoliciesTest, TheBaseStandsInForOtherShapesWhereAFilterSaysSo) {
  WriteWith("a", {PatternTensor("head.weight", DType::kF32, {3, 2}), PatternTensor("x", DType::kF32, {2})});
  WriteWith("b", {PatternTensor("head.weight", DType::kF32, {2, 3}), PatternTensor("x", DType::kF32, {2})});
  WriteWith("base", {PatternTensor("head.weight", DType::kF32, {2, 3}), PatternTensor("x", DType::kF32, {2})});
  EXPECT_THAT(Codes(Problems(OnBase(""))), ElementsAre("MM-SHAPE"));
  EXPECT_THAT(Codes(Problems(OnBase("on_mismatch: [{filter: x, value: base}]"))), ElementsAre("MM-SHAPE"));
  EXPECT_THAT(Codes(Problems(OnBase("on_mismatch: [{filter: head, value: error}, {value: base}]"))),
              ElementsAre("MM-SHAPE"));
  EXPECT_THAT(Codes(Problems(Linear("on_mismatch: base"))), ElementsAre("MM-SHAPE")) << "there is no base";
  for (const char* more : {"on_mismatch: base", "on_mismatch: [{filter: head, value: base}]"}) {
    const Plan plan = MakePlan(OnBase(more));
    const PlanItem& head = Item(plan, "head.weight");
    EXPECT_EQ(head.action, PlanAction::kMerge);
    EXPECT_THAT(ModelsOf(plan, head), ElementsAre("base", "base", "b"));
    EXPECT_EQ(head.remark, "the base stands in for \"a\", whose shape differs");
    EXPECT_THAT(Item(plan, "x").remark, IsEmpty());
  }
}

TEST_F(PoliciesTest, BuffersAreCopiedFromTheBase) {
  const std::string name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  for (const char* model : {"a", "b", "base"})
    WriteWith(model, {PatternTensor(name, DType::kF32, {4}, static_cast<uint64_t>(model[0])),
                      PatternTensor("h.0.attn.bias", DType::kF32, {1, 1, 2, 2}),
                      PatternTensor("h.0.proj.attn.bias", DType::kF32, {4})});
  const Plan plan = MakePlan(OnBase("out_dtype: bfloat16"));
  const PlanItem& item = Item(plan, name);
  EXPECT_EQ(item.action, PlanAction::kCopy);
  EXPECT_TRUE(item.may_differ);
  EXPECT_EQ(item.job.out_dtype, DType::kF32);
  EXPECT_THAT(ModelsOf(plan, item), ElementsAre("base", "a", "b"));
  EXPECT_EQ(Item(plan, "h.0.attn.bias").action, PlanAction::kCopy);
  EXPECT_EQ(Item(plan, "h.0.proj.attn.bias").action, PlanAction::kMerge) << "a bias is a weight";
}

TEST_F(PoliciesTest, BuffersThatSomeModelsLackAreAWarning) {
  const std::string name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  WriteWith("a", {});
  WriteWith("b", {PatternTensor(name, DType::kF32, {4})});
  const Plan plan = MakePlan(Linear(""));
  EXPECT_THAT(Codes(plan.warnings), ElementsAre("MM-BUFFER"));
  EXPECT_THAT(plan.warnings[0].message, HasSubstr(name));
  EXPECT_THAT(ModelsOf(plan, Item(plan, name)), ElementsAre("b"));
  EXPECT_THAT(Codes(Problems(Linear(""), true)), ElementsAre("MM-BUFFER"));
}

TEST_F(PoliciesTest, TypesOfQuantisersAreRefused) {
  for (const DType dtype : {DType::kF8E4M3, DType::kF8E5M2}) {
    for (const char* model : {"a", "b"}) WriteWith(model, {{"q.weight", dtype, {4}, "\x38\x38\x30\x28"}});
    const std::vector<Diagnostic> problems = Problems(Linear(""));
    ASSERT_THAT(Codes(problems), ElementsAre("MM-QUANT", "MM-QUANT"));
    EXPECT_THAT(problems[0].found, HasSubstr("q.weight"));
    EXPECT_THAT(problems[0].help, HasSubstr("float8: plain"));
    EXPECT_EQ(Item(MakePlan(Linear("float8: plain")), "q.weight").action, PlanAction::kMerge);
  }
  // Scales say that they are codes, whatever the recipe calls them.
  for (const char* model : {"a", "b"})
    WriteWith(model, {{"q.weight", DType::kF8E4M3, {4}, "\x38\x38\x30\x28"},
                      PatternTensor("q.weight_scale_inv", DType::kF32, {1})});
  EXPECT_THAT(Codes(Problems(Linear("float8: plain"))), ElementsAre("MM-QUANT", "MM-QUANT"));
}

TEST_F(PoliciesTest, QuantisersAreKnownByTheirNames) {
  for (const char* ending : {".weight_scale", ".weight_scale_inv", ".scales", ".qweight", ".qzeros", ".absmax",
                             ".weight_packed", ".SCB", ".quant_state.bitsandbytes__nf4", ".gate_up_proj_blocks"}) {
    SCOPED_TRACE(ending);
    WriteWith("a", {PatternTensor("mlp" + std::string(ending), DType::kU8, {4})});
    WriteWith("b", {PatternTensor("mlp" + std::string(ending), DType::kU8, {4})});
    EXPECT_THAT(Codes(Problems(Linear(""))), ElementsAre("MM-QUANT", "MM-QUANT"));
    // Copies of one model are safe: nothing is computed.
    const Plan plan = MakePlan("merge_method: passthrough\nmodels: [{model: $D/a}]\n");
    EXPECT_EQ(Item(plan, "w.weight").action, PlanAction::kCopy);
  }
  WriteWith("a", {});
  WriteWith("b", {PatternTensor("mlp.qweight", DType::kI32, {4})});
  EXPECT_THAT(Codes(Problems(Linear("missing: present"))), ElementsAre("MM-QUANT")) << "one of two";
}

TEST_F(PoliciesTest, EightBitFloatsOfAStageAreNumbers) {
  WriteWith("a", {});
  WriteWith("b", {});
  const Plan plan = MakePlan(
      "name: first\nmerge_method: linear\nparameters: {weight: 1}\nout_dtype: float8_e4m3fn\nmodels: [{model: $D/a}, "
      "{model: $D/b}]\n---\nmerge_method: linear\nparameters: {weight: 1}\nout_dtype: float32\nmodels: [{model: "
      "first}, "
      "{model: $D/a}]\n");
  EXPECT_EQ(plan.items.size(), 2u);
}

TEST_F(PoliciesTest, NonFiniteValuesAreInEveryItem) {
  WriteWith("a", {});
  WriteWith("b", {});
  EXPECT_EQ(Item(MakePlan(Linear("")), "w.weight").nonfinite, NonFinitePolicy::kError);
  const Plan plan = MakePlan(Linear("nonfinite: allow"));
  EXPECT_EQ(Item(plan, "w.weight").nonfinite, NonFinitePolicy::kAllow);
  EXPECT_NE(PlanHash(plan), PlanHash(MakePlan(Linear(""))));
}

TEST_F(PoliciesTest, AFileThatIsCopiedHasALimit) {
  for (const char* name : {"a", "b"}) Write(name, TinyModel{.n_layers = 1});
  WriteTextFile(dir_ / "a/vocab.txt", "x");
  EXPECT_EQ(MakePlan(kLinearOfTwo).copied_files.size(), 1u);
  std::filesystem::resize_file(dir_ / "a/vocab.txt", (uint64_t{512} << 20) + 1);
  const Diagnostic problem = Problem(kLinearOfTwo);
  EXPECT_EQ(problem.code, ErrorCode::kResLimit);
  EXPECT_THAT(problem.where, HasSubstr("vocab.txt"));
}

// tie_word_embeddings true or false, a stored head or none, equal to the embedding or not.
class TiedMatrix : public PlanTest {
 protected:
  void WriteOne(const std::string& name, bool flag, bool has_head, bool is_equal) {
    const TinyModel model{.n_layers = 1, .with_head = has_head};
    std::string config = TinyConfig(model);
    const std::string key = "\"tie_word_embeddings\": ";
    const size_t begin = config.find(key) + key.size();
    config.replace(begin, config.find(',', begin) - begin, flag ? "true" : "false");
    std::vector<TestTensor> tensors = TinyTensors(model);
    if (has_head && is_equal) tensors.back().bytes = tensors.front().bytes;
    Write(name, tensors, config);
  }
};

TEST_F(TiedMatrix, EveryCaseOfFlagHeadAndEquality) {
  for (const bool flag : {false, true}) {
    for (const bool has_head : {false, true}) {
      for (const bool is_equal : {false, true}) {
        SCOPED_TRACE(fmt::format("flag {} head {} equal {}", flag, has_head, is_equal));
        WriteOne("a", flag, has_head, is_equal);
        WriteOne("b", flag, has_head, is_equal);
        if (!flag && !has_head) {  // a loader would make one up
          EXPECT_THAT(Codes(Problems(kLinearOfTwo)), ElementsAre("MM-HEADMISSING", "MM-HEADMISSING"));
          continue;
        }
        const Plan plan = MakePlan(kLinearOfTwo);
        const std::vector<std::string> names = Names(plan);
        const bool writes_head = std::find(names.begin(), names.end(), "lm_head.weight") != names.end();
        EXPECT_EQ(writes_head, has_head) << "what is stored is kept";
        EXPECT_THAT(TextFile(plan, "config.json"),
                    HasSubstr(writes_head ? "\"tie_word_embeddings\": false" : "\"tie_word_embeddings\": true"));
        if (flag && has_head)
          EXPECT_THAT(Codes(plan.warnings), ElementsAre("MM-TIE", "MM-TIE"));
        else
          EXPECT_THAT(plan.warnings, IsEmpty());
      }
    }
  }
}

TEST_F(TiedMatrix, EveryPairOfTwoSoundModels) {
  // A head of its own, or the embedding: what the output has must be what its config.json says.
  for (const bool a_has_head : {false, true}) {
    for (const bool b_has_head : {false, true}) {
      WriteOne("a", !a_has_head, a_has_head, false);
      WriteOne("b", !b_has_head, b_has_head, false);
      const Plan plan = MakePlan(kLinearOfTwo);
      const std::vector<std::string> names = Names(plan);
      const bool writes_head = std::find(names.begin(), names.end(), "lm_head.weight") != names.end();
      EXPECT_EQ(writes_head, a_has_head || b_has_head);
      EXPECT_THAT(TextFile(plan, "config.json"),
                  HasSubstr(writes_head ? "\"tie_word_embeddings\": false" : "\"tie_word_embeddings\": true"));
    }
  }
}

}  // namespace
}  // namespace gpumerge::test
