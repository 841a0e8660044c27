// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Element types to float and back, against the formats' definitions (tests/support/number_formats.h): every pattern of
// every small type, and for storing every rounding boundary. Through the scalar and the tile code.
#define GM_TARGET on_convert_test
#include "src/cpu/tile.h"
#include "src/reference/executor.h"
#include "tests/support/number_formats.h"

#include <gtest/gtest.h>

#include <vector>

namespace gpumerge {
namespace {

using testing::Decode;
using testing::FormatOf;
using testing::NearestEven;
using testing::NumberFormat;

class SmallType : public ::testing::TestWithParam<DType> {
 protected:
  const NumberFormat format_ = FormatOf(GetParam());
  const uint64_t elem_bytes_ = ElementBytes(GetParam());

  // All patterns, one after the other, as a tensor.
  std::vector<std::byte> AllPatterns() const {
    std::vector<std::byte> bytes(2 * format_.n_magnitudes() * elem_bytes_);
    for (uint32_t pattern = 0; pattern < 2 * format_.n_magnitudes(); ++pattern)
      std::memcpy(bytes.data() + pattern * elem_bytes_, &pattern, elem_bytes_);
    return bytes;
  }

  void ExpectPattern(float widened, uint32_t pattern) const {
    const double expected = Decode(format_, pattern);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(widened)) << pattern;
      EXPECT_EQ(std::signbit(widened), pattern >= format_.n_magnitudes()) << pattern;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(widened), std::bit_cast<uint32_t>(static_cast<float>(expected))) << pattern;
    }
  }

  uint32_t PatternAt(const std::vector<std::byte>& tensor, uint64_t i) const {
    uint32_t pattern = 0;
    std::memcpy(&pattern, tensor.data() + i * elem_bytes_, elem_bytes_);
    return pattern;
  }
};

TEST_P(SmallType, LoadWidensEveryPatternExactly) {
  const std::vector<std::byte> tensor = AllPatterns();
  for (uint32_t pattern = 0; pattern < 2 * format_.n_magnitudes(); ++pattern)
    ExpectPattern(on_convert_test::Load(GetParam(), tensor.data(), pattern), pattern);
}

TEST_P(SmallType, LoadTileWidensEveryPatternExactly) {
  const std::vector<std::byte> tensor = AllPatterns();
  const uint32_t n = std::min(kTileElems, 2 * format_.n_magnitudes());
  std::vector<float> tile(kTileElems);
  for (uint32_t first = 0; first < 2 * format_.n_magnitudes(); first += n) {
    const uint32_t largest = on_convert_test::LoadTile(GetParam(), tensor.data() + first * elem_bytes_, n, tile.data());
    uint32_t expected_largest = 0;
    for (uint32_t j = 0; j < n; ++j) {
      ExpectPattern(tile[j], first + j);
      expected_largest = std::max(expected_largest, std::bit_cast<uint32_t>(tile[j]) & 0x7fffffffu);
    }
    EXPECT_EQ(largest, expected_largest);
  }
}

// Both signs of: every value of the type, the middle of each neighbouring pair, the floats on both sides of all of
// these, and floats all over the range.
std::vector<float> ValuesToRound(const NumberFormat& format) {
  std::vector<float> values;
  const float infinity = std::numeric_limits<float>::infinity();
  const auto add_around = [&](double value) {
    const float f = static_cast<float>(value);
    for (const float near : {std::nextafter(f, 0.0f), f, std::nextafter(f, infinity)})
      for (const float sign : {1.0f, -1.0f}) values.push_back(sign * near);
  };
  for (uint32_t pattern = 0; pattern < format.first_special(); ++pattern) {
    const double value = testing::MagnitudeOf(format, pattern), next = testing::MagnitudeOf(format, pattern + 1);
    add_around(value);
    add_around((value + next) / 2);
  }
  for (uint64_t bits = 0; bits < 0xffffffffu; bits += 65'521) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (!std::isnan(value)) values.push_back(value);
  }
  for (const float value : {infinity, std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min()})
    for (const float sign : {1.0f, -1.0f}) values.push_back(sign * value);
  return values;
}

TEST_P(SmallType, StoreRoundsToNearestEven) {
  const NearestEven nearest(format_);
  std::vector<std::byte> stored(8);
  for (const float value : ValuesToRound(format_)) {
    const bool finite = on_convert_test::Store(GetParam(), value, stored.data(), 1 % elem_bytes_);
    const uint32_t expected = nearest.Pattern(value);
    ASSERT_EQ(PatternAt(stored, 1 % elem_bytes_), expected) << std::hexfloat << value;
    ASSERT_EQ(finite, std::isfinite(Decode(format_, expected))) << std::hexfloat << value;
  }
}

TEST_P(SmallType, StoreTileRoundsToNearestEven) {
  const NearestEven nearest(format_);
  const std::vector<float> values = ValuesToRound(format_);
  const uint32_t overflow_bits = on_convert_test::OverflowBits(GetParam());
  std::vector<std::byte> stored(kTileElems * elem_bytes_);
  for (size_t first = 0; first < values.size(); first += kTileElems) {
    const uint32_t n = static_cast<uint32_t>(std::min<size_t>(kTileElems, values.size() - first));
    on_convert_test::StoreTile(GetParam(), values.data() + first, n, stored.data());
    for (uint32_t j = 0; j < n; ++j) {
      const float value = values[first + j];
      const uint32_t expected = nearest.Pattern(value);
      ASSERT_EQ(PatternAt(stored, j), expected) << std::hexfloat << value;
      ASSERT_EQ((std::bit_cast<uint32_t>(value) & 0x7fffffffu) < overflow_bits,
                std::isfinite(Decode(format_, expected)))
          << std::hexfloat << value;
    }
  }
}

TEST_P(SmallType, StoreKeepsNan) {
  std::vector<std::byte> stored(4 + 8);  // StoreTile has code for types of up to 8 bytes
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xffc00000u, 0xff800001u, 0xffffffffu}) {
    EXPECT_FALSE(on_convert_test::Store(GetParam(), std::bit_cast<float>(bits), stored.data(), 0));
    EXPECT_TRUE(std::isnan(Decode(format_, PatternAt(stored, 0)))) << std::hex << bits;
    const float value = std::bit_cast<float>(bits);
    on_convert_test::StoreTile(GetParam(), &value, 1, stored.data() + 4);
    EXPECT_TRUE(std::isnan(Decode(format_, PatternAt(stored, 4 / elem_bytes_)))) << std::hex << bits;
  }
}

TEST_P(SmallType, EveryValueSurvivesWideningAndStoring) {
  const std::vector<std::byte> tensor = AllPatterns();
  std::vector<std::byte> stored(8);
  for (uint32_t pattern = 0; pattern < 2 * format_.n_magnitudes(); ++pattern) {
    if (std::isnan(Decode(format_, pattern))) continue;
    on_convert_test::Store(GetParam(), on_convert_test::Load(GetParam(), tensor.data(), pattern), stored.data(), 0);
    ASSERT_EQ(PatternAt(stored, 0), pattern);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SmallType, ::testing::Values(DType::kBF16, DType::kF16, DType::kF8E4M3, DType::kF8E5M2),
                         [](const auto& row) { return std::string(Info(row.param).name); });

// The definitions that the tests above compare with, pinned to what the formats' papers list.
TEST(NumberFormats, KnownValues) {
  EXPECT_EQ(Decode(FormatOf(DType::kBF16), 0x3f80), 1.0);
  EXPECT_EQ(Decode(FormatOf(DType::kBF16), 0x0001), 0x1p-133);
  EXPECT_EQ(Decode(FormatOf(DType::kF16), 0x7bff), 65504.0);
  EXPECT_EQ(Decode(FormatOf(DType::kF16), 0x0001), 0x1p-24);
  EXPECT_EQ(Decode(FormatOf(DType::kF16), 0xfc00), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(Decode(FormatOf(DType::kF8E4M3), 0x7e), 448.0);
  EXPECT_TRUE(std::isnan(Decode(FormatOf(DType::kF8E4M3), 0x7f)));
  EXPECT_EQ(Decode(FormatOf(DType::kF8E4M3), 0x01), 0x1p-9);
  EXPECT_EQ(Decode(FormatOf(DType::kF8E5M2), 0x7b), 57344.0);
  EXPECT_EQ(Decode(FormatOf(DType::kF8E5M2), 0x01), 0x1p-16);
  EXPECT_EQ(NearestEven(FormatOf(DType::kF16)).Pattern(65519.996), 0x7bffu);
  EXPECT_EQ(NearestEven(FormatOf(DType::kF16)).Pattern(65520.0), 0x7c00u);
  EXPECT_EQ(NearestEven(FormatOf(DType::kF8E4M3)).Pattern(464.0), 0x7eu);
  EXPECT_EQ(NearestEven(FormatOf(DType::kF8E4M3)).Pattern(-464.1), 0xffu);
  EXPECT_EQ(NearestEven(FormatOf(DType::kF8E5M2)).Pattern(61440.0), 0x7cu);
}

TEST(WideTypes, FloatsKeepTheirBits) {
  for (const uint32_t bits : {0u, 0x80000000u, 1u, 0x80000001u, 0x3f800001u, 0x7f7fffffu, 0x7f800000u, 0x7fc12345u}) {
    const float value = std::bit_cast<float>(bits);
    std::vector<std::byte> stored(4);
    EXPECT_EQ(on_convert_test::Store(DType::kF32, value, stored.data(), 0), std::isfinite(value));
    const float loaded = on_convert_test::Load(DType::kF32, stored.data(), 0);
    EXPECT_EQ(std::bit_cast<uint32_t>(loaded), bits);
  }
}

TEST(WideTypes, DoublesRoundOnceOnLoading) {
  const std::pair<double, float> cases[] = {
      {1.0, 1.0f},
      {0.1, 0.1f},
      {1 + 0x1p-24, 1.0f},                    // halfway: even
      {1 + 0x1p-24 + 0x1p-52, 1 + 0x1p-23f},  // just above
      {1 + 3 * 0x1p-24, 1 + 0x1p-22f},        // halfway: even is up
      {0x1p-150, 0.0f},                       // half the smallest
      {-0x1.0000000000001p-150, -0x1p-149f},
      {0x1p-126 - 0x1p-150, 0x1p-126f},
      {0x1.fffffefffffffp127, 0x1.fffffep127f},
      {0x1.ffffffp127, std::numeric_limits<float>::infinity()},
      {-1e300, -std::numeric_limits<float>::infinity()},
      {-0.0, -0.0f},
  };
  for (const auto& [stored, expected] : cases) {
    const std::byte* bytes = reinterpret_cast<const std::byte*>(&stored);
    const float loaded = on_convert_test::Load(DType::kF64, bytes, 0);
    EXPECT_EQ(std::bit_cast<uint32_t>(loaded), std::bit_cast<uint32_t>(expected)) << std::hexfloat << stored;
    std::vector<float> tile(kTileElems);
    on_convert_test::LoadTile(DType::kF64, bytes, 1, tile.data());
    EXPECT_EQ(std::bit_cast<uint32_t>(tile[0]), std::bit_cast<uint32_t>(expected)) << std::hexfloat << stored;
  }
}

TEST(WideTypes, DoublesHoldFloatsExactly) {
  for (const float value : {0.1f, -0.0f, 0x1p-149f, 0x1.fffffep127f}) {
    double stored = 0;
    EXPECT_TRUE(on_convert_test::Store(DType::kF64, value, reinterpret_cast<std::byte*>(&stored), 0));
    EXPECT_EQ(std::bit_cast<uint64_t>(stored), std::bit_cast<uint64_t>(static_cast<double>(value)));
  }
}

TEST(LoadTile, ClearsTheRestOfThePack) {
  std::vector<float> stored(100, 3.0f), tile(kTileElems, 7.0f);
  on_convert_test::LoadTile(DType::kF32, reinterpret_cast<const std::byte*>(stored.data()), 70, tile.data());
  EXPECT_EQ(tile[69], 3.0f);
  for (size_t j = 70; j < 128; ++j) EXPECT_EQ(tile[j], 0.0f) << j;
}

TEST(OtherTypes, HaveNoArithmetic) {
  std::byte bytes[8] = {};
  EXPECT_THROW(on_convert_test::Load(DType::kI32, bytes, 0), Error);
  EXPECT_THROW(on_convert_test::Store(DType::kBool, 1.0f, bytes, 0), Error);
}

}  // namespace
}  // namespace gpumerge
