// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Methods of directions and angles on examples that can be done by hand: nuslerp, multislerp, karcher, model_stock.
#include "tests/support/metamorphic.h"

#include <cmath>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using Params = std::map<std::string, std::vector<double>>;

// On the reference and on the CPU, up to rounding of float32.
void ExpectNear(const JobSpec& spec, const std::vector<double>& expected) {
  for (const auto& backend : BothBackends()) {
    const TestJob test = MakeJob(spec);
    const TestResult result = RunTestJob(*backend, test, 0);
    const std::vector<float> found = Widened(spec.out_dtype, result.output);
    ASSERT_EQ(found.size(), expected.size());
    EXPECT_EQ(result.state->Problem(), nullptr) << TextOf(spec);
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 4e-7 * std::fabs(expected[i]) + 1e-12)
          << TextOf(spec) << " element " << i << " on " << NameOf(*backend);
  }
}

void ExpectNoResult(const JobSpec& spec) {
  for (const auto& backend : BothBackends()) {
    const TestResult result = RunTestJob(*backend, MakeJob(spec), 0);
    ASSERT_NE(result.state->Problem(), nullptr) << TextOf(spec) << " on " << NameOf(*backend);
    EXPECT_FALSE(result.state->Problem()->message.empty() || result.state->Problem()->help.empty());
  }
}

const double kSin22 = std::sin(M_PI / 8), kSin67 = std::sin(3 * M_PI / 8);

TEST(Nuslerp, WholeTensor) {
  const Params params{{"weight", {1, 3}}};
  ExpectNear({.method = "nuslerp", .inputs = {{1, 0}, {0, 2}}, .params = params}, {kSin22, 2 * kSin67});
  ExpectNear({.method = "nuslerp", .inputs = {{1, 1}, {2, 1}, {1, 3}}, .params = params, .with_base = true},
             {1 + kSin22, 1 + 2 * kSin67});
  // Proportional and opposite vectors have no arc.
  ExpectNear({.method = "nuslerp", .inputs = {{1, -2, 3}, {2, -4, 6}}, .params = params}, {1.75, -3.5, 5.25});
  ExpectNear({.method = "nuslerp", .inputs = {{1, -2, 3}, {-3, 6, -9}}, .params = params}, {-2, 4, -6});
  // A zero vector has no direction: 90 degrees.
  ExpectNear({.method = "nuslerp", .inputs = {{0, 0}, {3, 4}}, .params = params}, {3 * kSin67, 4 * kSin67});
}

TEST(Nuslerp, WeightsThatCancelMeanHalfOfEach) {
  ExpectNear({.method = "nuslerp", .inputs = {{2, 0}, {0, 2}}, .params = {{"weight", {1, -1}}}}, {M_SQRT2, M_SQRT2});
  // Extrapolation: t = -1.
  ExpectNear(
      {.method = "nuslerp", .inputs = {{1, 0}, {std::sqrt(0.5f), std::sqrt(0.5f)}}, .params = {{"weight", {2, -1}}}},
      {std::sqrt(0.5), -std::sqrt(0.5)});
}

TEST(Nuslerp, RowsAndColumns) {
  Params params{{"weight", {1, 3}}, {"nuslerp_flatten", {0}}};
  ExpectNear({.method = "nuslerp", .inputs = {{1, 0, 1, 1}, {0, 2, 2, 2}}, .params = params, .shape = {2, 2}},
             {kSin22, 2 * kSin67, 1.75, 1.75});
  ExpectNear({.method = "nuslerp", .inputs = {{1, 0, 0}, {0, 2, 0}}, .params = params, .shape = {3, 1}},
             {kSin22, 2 * kSin67, 0});
  params["nuslerp_row_wise"] = {1};
  ExpectNear({.method = "nuslerp", .inputs = {{1, 1, 0, 1}, {0, 2, 2, 2}}, .params = params, .shape = {2, 2}},
             {kSin22, 1.75, 2 * kSin67, 1.75});
}

TEST(Nuslerp, RowsAreMergedAloneAndColumnsAreRowsOfTheTranspose) {
  EXPECT_TRUE(rc::check([] {
    const size_t rows = *rc::gen::inRange<size_t>(1, 6), columns = *rc::gen::inRange<size_t>(1, 80);
    JobSpec spec{.method = "nuslerp",
                 .inputs = {*GridValues(rows * columns), *GridValues(rows * columns), *GridValues(rows * columns)},
                 .params = {{"weight", *Weights(2)}, {"nuslerp_flatten", {0}}},
                 .with_base = true,
                 .shape = {rows, columns}};
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    JobSpec transposed = spec;
    transposed.shape = {columns, rows};
    transposed.params["nuslerp_row_wise"] = {1};
    std::vector<float> expected = merged;
    const auto transpose = [&](const std::vector<float>& from, std::vector<float>& to) {
      for (size_t i = 0; i < from.size(); ++i) to[i % columns * rows + i / columns] = from[i];
    };
    for (size_t i = 0; i < spec.inputs.size(); ++i) transpose(spec.inputs[i], transposed.inputs[i]);
    transpose(merged, expected);
    SameBits(transposed, expected);  // sums of grid values are exact in any order

    JobSpec alone = spec;
    alone.shape = {};
    alone.params["nuslerp_flatten"] = {1};
    const auto row = static_cast<ptrdiff_t>(*rc::gen::inRange<size_t>(0, rows) * columns);
    const auto part = [&](const std::vector<float>& v) {
      return std::vector<float>(v.begin() + row, v.begin() + row + static_cast<ptrdiff_t>(columns));
    };
    for (std::vector<float>& input : alone.inputs) input = part(input);
    SameBits(alone, part(merged));
  }));
}

TEST(Multislerp, MeanDirectionAndMeanLength) {
  ExpectNear({.method = "multislerp", .inputs = {{2, 0}, {0, 4}}, .params = {{"weight", {1, 1}}}},
             {3 * M_SQRT1_2, 3 * M_SQRT1_2});
  ExpectNear({.method = "multislerp",
              .inputs = {{3, 0, 0}, {0, 3, 0}, {0, 0, 6}},
              .params = {{"weight", {2, 2, 1}}, {"normalize_weights", {0}}}},
             {12, 12, 6});  // (2, 2, 1) / 3 times 2 * 3 + 2 * 3 + 6
  ExpectNear({.method = "multislerp",
              .inputs = {{1, -1}, {3, -1}, {1, 3}},
              .params = {{"weight", {0.5, 0.5}}},
              .with_base = true},
             {1 + 3 * M_SQRT1_2, -1 + 3 * M_SQRT1_2});
}

TEST(Multislerp, OneModelIsReturnedAsItIs) {
  const std::vector<float> model = {0.1f, -0.0f, 3e-42f};
  for (const auto& backend : BothBackends()) {
    const Params params{{"weight", {0.3}}};
    EXPECT_EQ(BitsOf(RunJob(*backend, MakeJob({.method = "multislerp", .inputs = {model}, .params = params}))),
              BitsOf(model));
    const JobSpec with_base{.method = "multislerp", .inputs = {{7, 7, 7}, model}, .params = params, .with_base = true};
    EXPECT_EQ(BitsOf(RunJob(*backend, MakeJob(with_base))), BitsOf(model));
  }
}

TEST(Multislerp, DirectionsThatCancelOut) {
  const std::vector<float> a = {1, -2, 3}, b = {-2, 4, -6}, zero = {0, 0, 0};
  ExpectNear({.method = "multislerp", .inputs = {a, b}, .params = {{"weight", {1, 1}}}}, {-0.5, 1, -1.5});
  ExpectNoResult({.method = "multislerp", .inputs = {a, b, zero}, .params = {{"weight", {1, 1, 1}}}});
  ExpectNear({.method = "multislerp", .inputs = {zero, zero, zero}, .params = {{"weight", {1, 1, 1}}}}, {0, 0, 0});
  ExpectNear({.method = "multislerp", .inputs = {a, a, a, a}, .params = {{"weight", {1, 2, 3}}}, .with_base = true},
             {1, -2, 3});
  const TestJob refused = MakeJob({.method = "multislerp", .inputs = {a, b}, .params = {{"weight", {1, -1}}}});
  const auto problem = Methods()[refused.job.method].check(refused.job);
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->code, ErrorCode::kNumZeroSum);
  EXPECT_NE(problem->help.find("normalize_weights: false"), std::string::npos);
}

TEST(Karcher, MeanOnTheSphere) {
  ExpectNear({.method = "karcher", .inputs = {{1, 0}, {0, 3}}}, {M_SQRT2, M_SQRT2});
  ExpectNear({.method = "karcher", .inputs = {{3, 0, 0}, {0, 3, 0}, {0, 0, 3}}},
             {std::sqrt(3.0), std::sqrt(3.0), std::sqrt(3.0)});
  // No steps: the normalised mean of the unit vectors (1, 0), (1, 0), (0, 1).
  ExpectNear({.method = "karcher", .inputs = {{5, 0}, {5, 0}, {0, 5}}, .params = {{"max_iter", {0}}}},
             {5 * 2 / std::sqrt(5.0), 5 / std::sqrt(5.0)});
  // The mean of angles on a great circle: 0, 0 and 90 degrees give 30.
  ExpectNear(
      {.method = "karcher", .inputs = {{5, 0}, {5, 0}, {0, 5}}, .params = {{"tol", {1e-9}}, {"max_iter", {100}}}},
      {5 * std::cos(M_PI / 6), 2.5});
}

TEST(Karcher, ShortModelsCountWithTheirLengthOnly) {
  ExpectNear({.method = "karcher", .inputs = {{5e-6f, 0}, {0, 3}}}, {0, (3 + 5e-6) / 2});
  ExpectNear({.method = "karcher", .inputs = {{4e-6f, 0}, {0, 2e-6f}}}, {2e-6, 1e-6});
  ExpectNear({.method = "karcher", .inputs = {{0, 0}, {0, 0}, {0, 0}}}, {0, 0});
}

TEST(Karcher, OppositeModelsHaveNoMean) {
  ExpectNoResult({.method = "karcher", .inputs = {{1, -2, 3}, {-2, 4, -6}}});
  // One beside them decides where the mean lies.
  ExpectNear({.method = "karcher", .inputs = {{1, 0}, {-1, 0}, {0, 1}}}, {0, 1});
}

TEST(ModelStock, BetweenBaseAndMean) {
  const std::vector<float> base = {0, 0}, east = {1, 0}, north = {0, 1}, tilted = {0.5f, std::sqrt(0.75f)};
  ExpectNear({.method = "model_stock", .inputs = {base, east, north}}, {0, 0});                       // cos 0: t = 0
  ExpectNear({.method = "model_stock", .inputs = {base, east, tilted}}, {0.5, std::sqrt(0.75) / 3});  // t = 2/3
  ExpectNear({.method = "model_stock", .inputs = {base, tilted, tilted, tilted}}, {0.5, std::sqrt(0.75)});
  // Cosines 1, 1/2 and 1/2 of three pairs: c = 2/3, t = 2 / (7/3) = 6/7.
  ExpectNear({.method = "model_stock", .inputs = {{10, 20}, {11, 20}, {11, 20}, {10.5, 20 + std::sqrt(0.75f)}}},
             {10 + 2.5 / 3 * 6 / 7, 20 + std::sqrt(0.75) / 3 * 6 / 7});
}

TEST(ModelStock, EveryRowHasItsAngle) {
  ExpectNear({.method = "model_stock",
              .inputs = {{0, 0, 1, 1}, {1, 0, 2, 1}, {0, 1, 2, 1}},
              .params = {{"filter_wise", {1}}},
              .shape = {2, 2}},
             {0, 0, 2, 1});
}

TEST(ModelStock, OppositeDifferences) {
  const std::vector<std::vector<float>> opposite = {{5, 5}, {6, 5}, {3, 5}}, rows = {{5, 5}, {6, 6}, {3, 6}};
  const Params base{{"singular", {Choice("model_stock", "singular", "base")}}};
  ExpectNoResult({.method = "model_stock", .inputs = opposite});
  ExpectNear({.method = "model_stock", .inputs = opposite, .params = base}, {5, 5});
  Params by_row{{"filter_wise", {1}}};
  ExpectNoResult({.method = "model_stock", .inputs = rows, .params = by_row, .shape = {2, 1}});
  by_row.insert(*base.begin());
  ExpectNear({.method = "model_stock", .inputs = rows, .params = by_row, .shape = {2, 1}}, {5, 6});
}

TEST(ModelStock, SafeguardsAreParameters) {
  const std::vector<std::vector<float>> small = {{0, 0}, {1e-4f, 0}, {1e-4f, 0}};
  ExpectNear({.method = "model_stock", .inputs = small}, {1e-4, 0});
  ExpectNear({.method = "model_stock", .inputs = small, .params = {{"norm_floor", {1e-6}}}}, {1e-4 * 0.02 / 1.01, 0});
  const std::vector<std::vector<float>> apart = {{0, 0}, {1, 0}, {-0.5f, std::sqrt(0.75f)}};  // cos -1/2: t = -2
  ExpectNear({.method = "model_stock", .inputs = apart}, {-0.5, -std::sqrt(0.75)});
  ExpectNear({.method = "model_stock", .inputs = apart, .params = {{"clamp_t", {1}}}}, {0, 0});
  ExpectNear({.method = "model_stock", .inputs = {{3, 4}, {3, 4}, {5, 9}}}, {3, 4});  // no direction: cos 0
}

}  // namespace
}  // namespace gpumerge
