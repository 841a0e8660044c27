// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Relations between merges that hold up to the rounding of float32 arithmetic: within one unit in the last place of a
// bf16 result.
#include "tests/support/metamorphic.h"

#include <rapidcheck.h>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

// Positive values without cancellation, so that errors stay relative.
rc::Gen<std::vector<float>> PositiveValues(size_t n) {
  return rc::gen::container<std::vector<float>>(
      n, rc::gen::map(rc::gen::inRange(1, 100'000), [](int i) { return static_cast<float>(i) / 1031; }));
}

void WithinOneUlpOfBf16(JobSpec spec, const std::vector<float>& expected) {
  spec.out_dtype = DType::kBF16;
  for (const auto& backend : BothBackends()) {
    const std::vector<float> result = RunJob(*backend, MakeJob(spec));
    RC_ASSERT(result.size() == expected.size());
    for (size_t i = 0; i < result.size(); ++i) {
      const int32_t got = static_cast<int32_t>(NearestEven::Of(DType::kBF16).Pattern(result[i]));
      const int32_t wanted = static_cast<int32_t>(NearestEven::Of(DType::kBF16).Pattern(expected[i]));
      RC_LOG() << TextOf(spec) << " on " << NameOf(*backend) << " at " << i << ": " << result[i] << " for "
               << expected[i];
      RC_ASSERT(std::abs(got - wanted) <= 1);
    }
  }
}

TEST(Linear, OfCopiesIsTheModelUpToRounding) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<float> values = *PositiveValues(*Size());
    const size_t copies = *rc::gen::inRange<size_t>(1, 8);
    WithinOneUlpOfBf16({.method = "linear",
                        .inputs = std::vector<std::vector<float>>(copies, values),
                        .params = {{"weight", *Weights(copies)}}},
                       values);
  }));
}

TEST(Slerp, OfAModelWithItselfIsTheModel) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<float> values = *PositiveValues(*Size());
    const double t = static_cast<double>(*rc::gen::inRange(0, 65)) / 64;
    WithinOneUlpOfBf16({.method = "slerp", .inputs = {values, values}, .params = {{"t", {t}}}}, values);
  }));
}

TEST(Slerp, FromTheOtherEndIsTheSame) {
  EXPECT_TRUE(rc::check([] {
    const size_t n = *Size();
    const std::vector<float> a = *PositiveValues(n), b = *PositiveValues(n);
    const double t = static_cast<double>(*rc::gen::inRange(0, 65)) / 64;
    const JobSpec from_a{.method = "slerp", .inputs = {a, b}, .params = {{"t", {t}}}};
    const JobSpec from_b{.method = "slerp", .inputs = {b, a}, .params = {{"t", {1 - t}}}};
    WithinOneUlpOfBf16(from_b, RunJob(*BothBackends()[0], MakeJob(from_a)));
  }));
}

TEST(OrderOfModels, MattersByRoundingOnly) {
  EXPECT_TRUE(rc::check([] {
    const size_t n = *Size();
    JobSpec spec{
        .method = *rc::gen::element<std::string_view>("linear", "task_arithmetic", "ties", "dare_linear", "dare_ties"),
        .inputs = {}};
    const bool has_base = spec.method != "linear";
    if (has_base) spec.inputs.push_back(std::vector<float>(n, 0.0f));
    for (int m = 0; m < 4; ++m) spec.inputs.push_back(*PositiveValues(n));
    spec.params = {{"weight", *Weights(4)}, {"density", *Densities(4)}};
    spec.model_indices = {0, 1, 2, 3};
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    const ptrdiff_t shift = *rc::gen::inRange(1, 4);
    const auto rotate = [shift](auto& list, ptrdiff_t from) {
      std::rotate(list.begin() + from, list.begin() + from + shift, list.end());
    };
    rotate(spec.inputs, has_base ? 1 : 0);
    rotate(spec.params["weight"], 0);
    rotate(spec.params["density"], 0);
    rotate(spec.model_indices, 0);
    WithinOneUlpOfBf16(spec, merged);
  }));
}

TEST(Linear, InTwoStagesIsLinearWithProductsOfWeights) {
  EXPECT_TRUE(rc::check([] {
    const size_t n = *Size();
    const std::vector<float> a = *PositiveValues(n), b = *PositiveValues(n), c = *PositiveValues(n);
    const std::vector<double> w = *Weights(3);
    const std::vector<float> ab = RunJob(
        *BothBackends()[0], MakeJob({.method = "linear", .inputs = {a, b}, .params = {{"weight", {w[0], w[1]}}}}));
    const std::vector<float> abc =
        RunJob(*BothBackends()[0], MakeJob({.method = "linear", .inputs = {a, b, c}, .params = {{"weight", w}}}));
    WithinOneUlpOfBf16({.method = "linear", .inputs = {ab, c}, .params = {{"weight", {w[0] + w[1], w[2]}}}}, abc);
  }));
}

}  // namespace
}  // namespace gpumerge
