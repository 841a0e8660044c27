// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `overflow:`: results too large for the output's type, type by type and in whole merges.
#include "src/run/overflow.h"

#include "tests/run/run_fixture.h"

#include <gmock/gmock.h>

#include <cstring>

namespace gpumerge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Stored>
std::vector<Stored> Settled(DType dtype, OverflowPolicy policy, std::vector<Stored> values, uint64_t n_values,
                            uint64_t n_nan) {
  Overflowed found;
  SettleOverflow(dtype, policy, reinterpret_cast<std::byte*>(values.data()), values.size(), &found);
  EXPECT_EQ(found.n_values, n_values);
  EXPECT_EQ(found.n_nan, n_nan);
  return values;
}

TEST(SettleOverflow, SaturatesWithTheSign) {
  const OverflowPolicy saturate = OverflowPolicy::kSaturate;
  EXPECT_THAT(Settled<uint16_t>(DType::kF16, saturate, {0x7c00, 0xfc00, 0x7bff, 0x8000}, 2, 0),
              ElementsAre(0x7bff, 0xfbff, 0x7bff, 0x8000));
  EXPECT_THAT(Settled<uint16_t>(DType::kBF16, saturate, {0x7f80, 0xff80, 0x7fc0}, 2, 1),
              ElementsAre(0x7f7f, 0xff7f, 0x7fc0));
  EXPECT_THAT(Settled<uint8_t>(DType::kF8E4M3, saturate, {0x7f, 0xff, 0x7e, 0x00}, 2, 0),
              ElementsAre(0x7e, 0xfe, 0x7e, 0x00));
  EXPECT_THAT(Settled<uint8_t>(DType::kF8E5M2, saturate, {0x7c, 0xfc, 0x7d}, 2, 1), ElementsAre(0x7b, 0xfb, 0x7d));
  EXPECT_THAT(Settled<uint32_t>(DType::kF32, saturate, {0x7f800000, 0xff800000, 1}, 2, 0),
              ElementsAre(0x7f7fffffu, 0xff7fffffu, 1u));
  EXPECT_THAT(Settled<uint64_t>(DType::kF64, saturate, {0x7ff0000000000000}, 1, 0), ElementsAre(0x7fefffffffffffff));
}

TEST(SettleOverflow, InfinityIsCountedAndStays) {
  EXPECT_THAT(Settled<uint16_t>(DType::kF16, OverflowPolicy::kInf, {0x7c00, 0xfc00, 0x3c00}, 2, 0),
              ElementsAre(0x7c00, 0xfc00, 0x3c00));
}

class OverflowMerge : public RunFixture {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b"})
      WriteModel(scratch / name,
                 {ValueTensor("model.norm.weight", DType::kF32, {4}, {40000, -40000, 1, 200}),
                  ValueTensor("model.other.weight", DType::kF32, {1}, {3})},
                 "");
  }
  std::string Recipe(const std::string& more) const {
    return "merge_method: linear\nparameters: {weight: 1, normalize: false}\nmodels:\n- model: " + (scratch / "a") +
           "\n- model: " + (scratch / "b") + "\n" + more;
  }
  // The first tensor's bytes in the output.
  std::string Bytes(const std::string& more) const {
    const auto files = Merge(Recipe(more), Quick());
    const std::string& file = files.at("model.safetensors");
    const SafetensorsHeader header =
        ParseSafetensorsHeader(file.substr(8, ParseHeaderLength(file.substr(0, 8), file.size(), "")), file.size(), "");
    const HeaderTensor& tensor = header.tensors[0].name == "model.norm.weight" ? header.tensors[0] : header.tensors[1];
    return file.substr(header.data_begin_bytes + tensor.offset_bytes, tensor.size_bytes);
  }
};

TEST_F(OverflowMerge, IsAnErrorUnlessTheRecipeAllowsIt) {
  try {
    Merge(Recipe("out_dtype: float16\n"), Quick());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNumOverflow);
    EXPECT_THAT(error.what(), HasSubstr("model.norm.weight"));
  }
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
}

TEST_F(OverflowMerge, SaturatesOrBecomesInfinite) {
  EXPECT_EQ(Bytes("out_dtype: float16\noverflow: saturate\n"), std::string("\xff\x7b\xff\xfb\x00\x40\x40\x5e", 8));
  EXPECT_EQ(Bytes("out_dtype: float16\noverflow: inf\n"), std::string("\x00\x7c\x00\xfc\x00\x40\x40\x5e", 8));
  EXPECT_EQ(Bytes("out_dtype: float8_e4m3fn\noverflow: saturate\n"), std::string("\x7e\xfe\x40\x7c", 4));
}

TEST_F(OverflowMerge, TheReportCountsThem) {
  const auto files = Merge(Recipe("out_dtype: float16\noverflow: saturate\n"), Quick());
  EXPECT_THAT(files.at("gpumerge_report.json"), HasSubstr("\"saturated\":2"));
  const RunStats stats = RunMerge(MakePlan(Recipe("out_dtype: float16\noverflow: inf\n"), "out"), Quick());
  ASSERT_EQ(stats.warnings.size(), 1u);
  EXPECT_THAT(stats.warnings[0].message, HasSubstr("2 values of 1 tensor were too large for the output's type"));
  RunOptions checked = Quick();
  checked.selfcheck_percent = 100;
  EXPECT_EQ(Merge(Recipe("out_dtype: float16\noverflow: saturate\n"), checked), files);
}

}  // namespace
}  // namespace gpumerge::test
