// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// NaN and infinity by policy: in every method, at every end of a tensor, on every executor; in copies; and what else
// only the values show: buffers and whole numbers that differ. `strict` makes each of them an error.
#include "src/run/non_finite.h"
#include "tests/run/run_fixture.h"
#include "tests/support/errors.h"

#include "gpumerge/method.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <limits>

namespace gpumerge::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kInf = std::numeric_limits<double>::infinity();

template <class Stored>
uint64_t CountIn(DType dtype, const std::vector<Stored>& values) {
  return CountNonFinite(dtype, reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(Stored));
}

template <class Stored>
std::vector<Stored> Alike(DType dtype, std::vector<Stored> values) {
  MakeNansAlike(dtype, reinterpret_cast<std::byte*>(values.data()), values.size());
  return values;
}

TEST(NonFiniteValues, AreCountedInEveryType) {
  EXPECT_EQ(CountIn<uint16_t>(DType::kBF16, {0x7f80, 0xff80, 0x7f81, 0xffff, 0x7f7f, 0x8000}), 4u);
  EXPECT_EQ(CountIn<uint16_t>(DType::kF16, {0x7c00, 0xfc01, 0x7bff}), 2u);
  EXPECT_EQ(CountIn<uint32_t>(DType::kF32, {0x7f800000, 0x7f7fffff, 0xffc00000}), 2u);
  EXPECT_EQ(CountIn<uint64_t>(DType::kF64, {0x7ff0000000000000, 0x7fefffffffffffff}), 1u);
  EXPECT_EQ(CountIn<uint8_t>(DType::kF8E5M2, {0x7c, 0x7b, 0xff}), 2u);
  EXPECT_EQ(CountIn<uint8_t>(DType::kF8E4M3, {0x7f, 0xff, 0x7e}), 2u);
  EXPECT_EQ(CountIn<uint32_t>(DType::kC64, {0x7f800000, 0x7f7fffff, 0, 0xffc00000}), 2u);
  EXPECT_EQ(CountIn<uint32_t>(DType::kI32, {0x7f800000}), 0u);
}

// Against a count one by one, at every place of a piece, among all patterns.
template <class Stored>
void CountsLikeOneByOne(DType dtype, Stored magnitude, Stored infinity) {
  uint64_t state = 1;
  for (size_t size = 0; size < 200; ++size) {
    std::vector<Stored> values(size);
    uint64_t expected = 0;
    for (Stored& value : values) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      // Mostly finite, and often just below infinity.
      const auto noise = static_cast<Stored>(state >> 33);
      value = state >> 60 == 0 ? static_cast<Stored>(infinity | noise) : static_cast<Stored>(noise % infinity);
      if (state >> 61 == 3) value = static_cast<Stored>(infinity - 1);
      if ((state >> 20) % 2 == 0) value = static_cast<Stored>(value | static_cast<Stored>(~magnitude));
      expected += (value & magnitude) >= infinity ? 1u : 0u;
    }
    ASSERT_EQ(CountIn<Stored>(dtype, values), expected) << Info(dtype).name << " " << size;
  }
}

TEST(NonFiniteValues, AreCountedAnywhere) {
  CountsLikeOneByOne<uint64_t>(DType::kF64, 0x7fffffffffffffff, 0x7ff0000000000000);
  CountsLikeOneByOne<uint32_t>(DType::kF32, 0x7fffffff, 0x7f800000);
  CountsLikeOneByOne<uint16_t>(DType::kBF16, 0x7fff, 0x7f80);
  CountsLikeOneByOne<uint16_t>(DType::kF16, 0x7fff, 0x7c00);
  CountsLikeOneByOne<uint8_t>(DType::kF8E5M2, 0x7f, 0x7c);
  CountsLikeOneByOne<uint8_t>(DType::kF8E4M3, 0x7f, 0x7f);
}

TEST(NonFiniteValues, EveryNanIsWrittenAlike) {
  EXPECT_THAT(Alike<uint16_t>(DType::kBF16, {0x7f80, 0xff80, 0x7f81, 0xffff, 0x3f80}),
              ElementsAre(0x7f80, 0xff80, 0x7fc0, 0x7fc0, 0x3f80));
  EXPECT_THAT(Alike<uint16_t>(DType::kF16, {0x7c01, 0xfe00, 0xfc00}), ElementsAre(0x7e00, 0x7e00, 0xfc00));
  EXPECT_THAT(Alike<uint32_t>(DType::kF32, {0xffc00001}), ElementsAre(0x7fc00000u));
  EXPECT_THAT(Alike<uint64_t>(DType::kF64, {0xfff8000000000001}), ElementsAre(0x7ff8000000000000u));
  EXPECT_THAT(Alike<uint8_t>(DType::kF8E5M2, {0xfd, 0xfc}), ElementsAre(0x7e, 0xfc));
  EXPECT_THAT(Alike<uint8_t>(DType::kF8E4M3, {0xff, 0xfe}), ElementsAre(0x7f, 0xfe));
}

class NonFiniteMerge : public RunFixture {
 protected:
  static constexpr uint64_t kElems = 9000;  // three blocks

  // Models base, a, b, c; what is planted goes into b.
  void WriteWith(const std::vector<std::pair<uint64_t, double>>& planted) {
    for (const char* name : {"base", "a", "b", "c"}) {
      TestTensor tensor = PatternTensor("x.weight", DType::kBF16, {90, 100}, static_cast<uint64_t>(name[0]));
      for (const auto& [at, value] : planted) {
        std::string bytes;
        AppendValue(DType::kBF16, value, &bytes);
        if (name[0] == 'b' && name[1] == 0) tensor.bytes.replace(2 * at, 2, bytes);
      }
      WriteModel(scratch / name, {tensor}, "");
    }
  }

  std::string RecipeOf(const MethodInfo& method, const std::string& more) const {
    std::string text = "merge_method: " + std::string(method.name) + "\n";
    if (method.base == BaseUse::kRequired) text += "base_model: " + (scratch / "base") + "\n";
    text += "models:\n";
    uint32_t n_models = 0;
    for (const char* name : {"b", "a", "c"})
      if (n_models++ < std::max(std::min(method.max_models, 3u), 1u)) text += "  - model: " + (scratch / name) + "\n";
    text += "parameters:\n  {";
    for (const ParamSpec& spec : method.params)
      if (!spec.default_value) text += std::string(spec.name) + ": 0.5, ";
    if (method.name == "passthrough") text += "scale: 0.5";
    return text + "}\n" + more;
  }

  std::map<std::string, std::string> MergeWith(const std::string& recipe, Device device, uint32_t threads,
                                               uint64_t chunk) {
    RunOptions options = Quick();
    options.device = device;
    options.threads = threads;
    options.max_chunk_elems = chunk;
    return Merge(recipe, options);
  }
};

TEST_F(NonFiniteMerge, EveryMethodRefusesThemAndSaysWhere) {
  for (const auto& [at, value] : {std::pair(uint64_t{0}, double(NAN)), {kElems / 2 + 7, kInf}, {kElems - 1, -kInf}}) {
    WriteWith({{at, value}});
    for (const MethodRow& row : Methods()) {
      SCOPED_TRACE(row.info->name);
      const Diagnostic error = FirstDiagnosticOf([&] { Merge(RecipeOf(*row.info, ""), Quick()); });
      EXPECT_EQ(error.code, ErrorCode::kNumNonFiniteIn);
      EXPECT_THAT(error.found, HasSubstr("1 non-finite values, the first at element " + std::to_string(at) + " "));
      EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
    }
  }
}

TEST_F(NonFiniteMerge, EveryMethodTakesThemWhereTheRecipeSaysSoAndAllExecutorsAgree) {
  WriteWith({{0, NAN}, {1, kInf}, {kElems / 2, -kInf}, {kElems - 1, NAN}});
  for (const MethodRow& row : Methods()) {
    SCOPED_TRACE(row.info->name);
    const std::string recipe = RecipeOf(*row.info, "nonfinite: allow\n");
    const auto expected = MergeWith(recipe, Device::kReference, 1, 0);
    EXPECT_THAT(expected.at("gpumerge_report.json"),
                AllOf(HasSubstr("\"nonfinite_inputs\":["), HasSubstr("NUM-NAN-IN")));
    EXPECT_EQ(MergeWith(recipe, Device::kCpu, 1, 0), expected);
    EXPECT_EQ(MergeWith(recipe, Device::kCpu, 3, kBlockElems), expected);
  }
}

TEST_F(NonFiniteMerge, PropagatesAsArithmeticDoes) {
  WriteWith({{3, NAN}, {4, kInf}});
  const std::string recipe =
      "merge_method: linear\nnonfinite: allow\nout_dtype: float32\nparameters: {weight: 1}\nmodels: "
      "[{model: " +
      (scratch / "a") + "}, {model: " + (scratch / "b") + "}]\n";
  RunOptions checked = Quick();
  checked.selfcheck_percent = 100;
  const auto files = Merge(recipe, checked);
  const std::string& file = files.at("model.safetensors");
  uint32_t bits[5];
  std::memcpy(bits, file.data() + file.size() - 4 * kElems, sizeof bits);
  EXPECT_EQ(bits[3], 0x7fc00000u);
  EXPECT_EQ(bits[4], 0x7f800000u);
  EXPECT_TRUE(std::isfinite(std::bit_cast<float>(bits[2])));
  EXPECT_THAT(files.at("gpumerge_report.json"), HasSubstr("\"nonfinite_inputs\":[0,2]"));
  const RunStats stats = RunMerge(MakePlan(recipe, "out"), Quick());
  ASSERT_EQ(stats.warnings.size(), 1u);
  EXPECT_THAT(stats.warnings[0].message,
              HasSubstr("1 tensor that is merged with NaN or infinity in the inputs, 2 values"));
  RunOptions strict = Quick();
  strict.strict = true;
  std::filesystem::remove_all(scratch / "out");
  EXPECT_EQ(CodeOf([&] { RunMerge(MakePlan(recipe, "out"), strict); }), "NUM-NAN-IN");
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
}

TEST_F(NonFiniteMerge, AnOverflowIsStillAnError) {
  WriteWith({{3, NAN}, {5, 3e38}});
  const std::string recipe = RecipeOf(*FindMethod("linear")->info, "nonfinite: allow\nout_dtype: float16\n");
  EXPECT_EQ(CodeOf([&] { Merge(recipe, Quick()); }), "NUM-OVERFLOW");
  const auto files = Merge(recipe + "overflow: saturate\n", Quick());
  EXPECT_THAT(files.at("gpumerge_report.json"), AllOf(HasSubstr("\"saturated\":1"), HasSubstr("\"nonfinite_inputs\"")));
}

// Infinity minus infinity of finite inputs is no NaN that came in.
TEST_F(NonFiniteMerge, ANanThatTheArithmeticMadeIsAnError) {
  for (const char* name : {"b", "a"})
    WriteModel(scratch / name, {ValueTensor("x.weight", DType::kF32, {2}, {3e38, 1})}, "");
  const std::string recipe = "merge_method: linear\nmodels:\n  - model: " + (scratch / "b") +
                             "\n    parameters: {weight: 2}\n  - model: " + (scratch / "a") +
                             "\n    parameters: {weight: -3}\nparameters: {normalize: false}\nnonfinite: allow\n";
  for (const char* policy : {"error", "inf", "saturate"})
    EXPECT_EQ(CodeOf([&] { Merge(recipe + "overflow: " + policy + "\n", Quick()); }), "NUM-OVERFLOW") << policy;
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
}

// Its NaN is also what overflow makes.
TEST_F(NonFiniteMerge, Float8WithoutInfinityCannotKeepNanAndSaturate) {
  WriteWith({{3, NAN}});
  const std::string recipe =
      RecipeOf(*FindMethod("linear")->info, "nonfinite: allow\nout_dtype: float8_e4m3fn\noverflow: ");
  EXPECT_EQ(CodeOf([&] { MakePlan(recipe + "saturate\n", "out"); }), "CFG-CHOICE");
  EXPECT_EQ(Merge(recipe + "inf\n", Quick()).count("model.safetensors"), 1u);
}

TEST_F(NonFiniteMerge, CopiesKeepEveryBitAndWarn) {
  WriteWith({{3, NAN}, {4, kInf}, {5, -kInf}});
  const std::string recipe = "merge_method: passthrough\nmodels: [{model: " + (scratch / "b") + "}]\n";
  const RunStats stats = RunMerge(MakePlan(recipe, "out"), Quick());
  ASSERT_EQ(stats.warnings.size(), 1u);
  EXPECT_EQ(stats.warnings[0].code, ErrorCode::kNumNonFiniteIn);
  EXPECT_THAT(stats.warnings[0].message,
              HasSubstr("1 tensor that is copied with NaN or infinity in the inputs, 3 values"));
  const auto files = Contents(scratch / "out");
  const std::string in = ReadTextFile(scratch / "b/model.safetensors");
  EXPECT_EQ(files.at("model.safetensors").substr(files.at("model.safetensors").size() - 2 * kElems),
            in.substr(in.size() - 2 * kElems));
  EXPECT_THAT(files.at("gpumerge_report.json"), HasSubstr("\"nonfinite_inputs\":[3]"));
  RunOptions strict = Quick();
  strict.strict = true;
  std::filesystem::remove_all(scratch / "out");
  EXPECT_EQ(CodeOf([&] { RunMerge(MakePlan(recipe, "out"), strict); }), "NUM-NAN-IN");
}

TEST_F(NonFiniteMerge, BuffersAndWholeNumbersThatDifferAreReported) {
  const auto write = [&](const std::string& name, char id, double frequency) {
    WriteModel(
        scratch / name,
        {PatternTensor("x.weight", DType::kBF16, {4}), ValueTensor("rotary.inv_freq", DType::kF32, {2}, {1, frequency}),
         TestTensor{"same.inv_freq", DType::kF32, {1}, std::string(4, '\0')},
         TestTensor{"ids", DType::kI32, {2}, std::string(8, id)}},
        "");
  };
  write("base", '\1', 0.5);
  write("a", '\2', 0.5);
  write("b", '\3', 0.25);
  const std::string recipe = "merge_method: task_arithmetic\nbase_model: " + (scratch / "base") +
                             "\nparameters: {weight: 1}\nmodels: [{model: " + (scratch / "a") +
                             "}, {model: " + (scratch / "b") + "}]\n";
  EXPECT_EQ(CodeOf([&] { Merge(recipe, Quick()); }), "MM-INTDIFF");
  const RunStats stats = RunMerge(MakePlan(recipe + "int_policy: base\n", "out"), Quick());
  ASSERT_EQ(stats.warnings.size(), 1u);
  EXPECT_EQ(stats.warnings[0].code, ErrorCode::kMmBuffer);
  EXPECT_THAT(stats.warnings[0].message, HasSubstr("2 tensors of buffers or whole numbers differ between the models"));
  const std::string report = Contents(scratch / "out").at("gpumerge_report.json");
  EXPECT_THAT(report, AllOf(HasSubstr("\"differing_inputs\":2"), HasSubstr("\"differing_inputs\":1")));
  EXPECT_THAT(Contents(scratch / "out").at("model.safetensors"), HasSubstr(std::string(8, '\1')));
}

TEST_F(NonFiniteMerge, DroppedTensorsAreListed) {
  WriteModel(scratch / "a", {PatternTensor("x", DType::kBF16, {4})}, "");
  WriteModel(scratch / "b", {PatternTensor("x", DType::kBF16, {4}), PatternTensor("z", DType::kBF16, {4})}, "");
  const auto files =
      Merge("merge_method: linear\nextra: drop\nparameters: {weight: 1}\nmodels: [{model: " + (scratch / "a") +
                "}, {model: " + (scratch / "b") + "}]\n",
            Quick());
  EXPECT_THAT(files.at("gpumerge_report.json"), HasSubstr("\"tensor\": \"z\""));
  EXPECT_THAT(files.at("model.safetensors"), Not(HasSubstr("\"z\"")));
}

}  // namespace
}  // namespace gpumerge::test
