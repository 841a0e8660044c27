// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Conversions inside whole jobs, on every executor and instruction set: a passthrough of every pattern of a type, and
// of floats around every rounding boundary.
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

const DType kSmall[] = {DType::kBF16, DType::kF16, DType::kF8E4M3, DType::kF8E5M2};

TestJob PassthroughOf(DType in, std::vector<std::byte> tensor, DType out) {
  TestJob test = MakeJob({.method = "passthrough", .inputs = {{}}, .dtypes = {in}, .out_dtype = out});
  test.job.n_elems = tensor.size() / ElementBytes(in);
  test.job.shape = {test.job.n_elems};
  test.inputs = {std::move(tensor)};
  return test;
}

TEST(ConvertJobs, WidenEveryPattern) {
  const auto backends = EveryBackend();
  for (const DType in : kSmall) {
    const NumberFormat format = FormatOf(in);
    const uint64_t elem_bytes = ElementBytes(in);
    std::vector<std::byte> tensor(2 * format.n_magnitudes() * elem_bytes);
    for (uint32_t pattern = 0; pattern < 2 * format.n_magnitudes(); ++pattern)
      std::memcpy(tensor.data() + pattern * elem_bytes, &pattern, elem_bytes);
    const TestJob test = PassthroughOf(in, tensor, DType::kF32);
    for (const auto& backend : backends) {
      const std::vector<float> result = RunJob(*backend, test);
      for (uint32_t pattern = 0; pattern < result.size(); ++pattern) {
        const double expected = Decode(format, pattern);
        if (std::isnan(expected)) {
          ASSERT_TRUE(std::isnan(result[pattern])) << NameOf(*backend) << " " << Info(in).name << " " << pattern;
        } else {
          ASSERT_EQ(BitsOf({result[pattern]}), BitsOf({static_cast<float>(expected)}))
              << NameOf(*backend) << " " << Info(in).name << " " << pattern;
        }
      }
    }
  }
}

// Around the middle of neighbours, all over the type's range; an odd number of elements.
std::vector<float> Boundaries(const NumberFormat& format) {
  std::vector<float> values = {0.0f, -0.0f, 1e-45f, -1e-45f, 3e38f};
  const uint32_t step = format.n_magnitudes() > 2048 ? 7 : 1;
  const uint32_t last = format.first_special() - 1;
  for (uint32_t pattern = last % step; pattern <= last; pattern += step) {
    const float middle = static_cast<float>((MagnitudeOf(format, pattern) + MagnitudeOf(format, pattern + 1)) / 2);
    for (const float near :
         {std::nextafter(middle, 0.0f), middle, std::nextafter(middle, std::numeric_limits<float>::infinity())}) {
      values.push_back(near);
      values.push_back(-near);
    }
  }
  return values;
}

TEST(ConvertJobs, RoundToNearestEven) {
  const auto backends = EveryBackend();
  for (const DType out : kSmall) {
    const std::vector<float> values = Boundaries(FormatOf(out));
    const std::vector<std::byte> expected = Stored(out, values);
    const TestJob test = PassthroughOf(DType::kF32, Stored(DType::kF32, values), out);
    uint64_t n_overflows = 0;
    for (const float value : values)
      n_overflows += std::isfinite(Decode(FormatOf(out), NearestEven::Of(out).Pattern(value))) ? 0u : 1u;
    ASSERT_GE(n_overflows,
              3u);  // at least the last middle's upper neighbour and 3e38, or in bf16 the last middle itself
    for (const auto& backend : backends) {
      const TestResult result = RunTestJob(*backend, test, 0);
      for (size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(std::memcmp(result.output.data() + i * ElementBytes(out), expected.data() + i * ElementBytes(out),
                              ElementBytes(out)),
                  0)
            << NameOf(*backend) << " " << Info(out).name << " " << std::hexfloat << values[i];
      ASSERT_TRUE(result.state->OutputOverflow().has_value());
      EXPECT_EQ(result.state->OutputOverflow()->count, n_overflows) << NameOf(*backend) << " " << Info(out).name;
    }
  }
}

TEST(ConvertJobs, OverflowIsFoundWhereItBegins) {
  struct Case {
    DType out;
    float largest_kept, smallest_lost;
  };
  const Case cases[] = {
      {DType::kF16, std::nextafter(65520.0f, 0.0f), 65520.0f},
      {DType::kF8E4M3, 464.0f, std::nextafter(464.0f, 1e9f)},
      {DType::kF8E5M2, std::nextafter(61440.0f, 0.0f), 61440.0f},
      {DType::kBF16, std::nextafter(0x1.ffp127f, 0.0f), 0x1.ffp127f},
  };
  for (const Case& c : cases) {
    for (const auto& backend : EveryBackend()) {
      std::vector<float> values(4200, 1.0f);
      values[4100] = c.largest_kept;
      values[17] = -c.largest_kept;
      TestJob test = PassthroughOf(DType::kF32, Stored(DType::kF32, values), c.out);
      EXPECT_FALSE(RunTestJob(*backend, test, 0).state->OutputOverflow().has_value()) << Info(c.out).name;
      values[4100] = -c.smallest_lost;
      values[4199] = c.smallest_lost;
      test = PassthroughOf(DType::kF32, Stored(DType::kF32, values), c.out);
      const TestResult result = RunTestJob(*backend, test, 0);
      const auto overflow = result.state->OutputOverflow();
      ASSERT_TRUE(overflow.has_value()) << Info(c.out).name << " " << NameOf(*backend);
      EXPECT_EQ(overflow->first_index, 4100u);
      EXPECT_EQ(overflow->count, 2u);
      EXPECT_EQ(overflow->largest_finite, c.smallest_lost);
      EXPECT_FALSE(result.state->InputNonFinite(0).has_value());
    }
  }
}

}  // namespace
}  // namespace gpumerge
