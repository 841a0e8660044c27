// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Methods that look at single changes: nearswap, ram, ramplus_tl, arcee_fusion. Examples by hand, and relations that
// they share with other methods.
#include "tests/support/metamorphic.h"

#include <cmath>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using Params = std::map<std::string, std::vector<double>>;

void ExpectBits(const JobSpec& spec, const std::vector<float>& expected) {
  for (const auto& backend : BothBackends())
    EXPECT_EQ(BitsOf(RunJob(*backend, MakeJob(spec))), BitsOf(expected)) << TextOf(spec) << " on " << NameOf(*backend);
}

TEST(Nearswap, FadesWithTheDistance) {
  const std::vector<float> base = {1, 1, 1, -1}, model = {1.5f, 1.25f, 3, -1.5f};
  ExpectBits({.method = "nearswap", .inputs = {base, model}, .params = {{"t", {0.25}}}}, {1.25f, 1.25f, 1.25f, -1.25f});
  ExpectBits({.method = "nearswap", .inputs = {base, model}, .params = {{"t", {0}}}}, base);
  ExpectBits({.method = "nearswap", .inputs = {base, model}, .params = {{"t", {-3}}}}, base);
  ExpectBits({.method = "nearswap", .inputs = {base, model}, .params = {{"t", {2}}}}, model);
}

TEST(Nearswap, DistancesCountAsAMillionthAtLeast) {
  const float t = 5e-7f, w = t / 1e-6f;
  ExpectBits({.method = "nearswap", .inputs = {{0, 0}, {1e-7f, -0.0f}}, .params = {{"t", {t}}}}, {w * 1e-7f, 0});
}

TEST(Ram, AveragesOverThoseThatChangedTheElement) {
  const std::vector<std::vector<float>> inputs = {
      {0, 10, 0, 0, 1}, {1, 12, 0, 1e-6f, 2}, {3, 10, 0, 0, 2}, {0, 10, 5, 0, 5}};
  ExpectBits({.method = "ram", .inputs = inputs}, {2, 12, 5, 0, 1 + (1 / 3.0f + 1 / 3.0f + 4 / 3.0f)});
  ExpectBits({.method = "ram", .inputs = {inputs[0], inputs[1]}}, {1, 12, 0, 0, 2});
  ExpectBits({.method = "ram", .inputs = inputs, .params = {{"epsilon", {1}}}}, {3, 12, 5, 0, 5});
}

// epsilon is compared as a double: the float nearest to 1e-3 lies above it.
TEST(Ram, EpsilonIsExclusiveAndNotRounded) {
  const Params params{{"epsilon", {1e-3}}};
  const float above = 1e-3f, below = std::nextafter(1e-3f, 0.0f);
  ExpectBits({.method = "ram", .inputs = {{0, 0}, {above, below}}, .params = params}, {above, 0});
  ExpectBits({.method = "ram", .inputs = {{0, 0}, {0.25f, -0.25f}}, .params = {{"epsilon", {0.25}}}}, {0, 0});
}

TEST(RamplusTl, GrowsWhatOneModelChangedAlone) {
  // Model 0: one shared, two of its own. Model 1: one shared, none of its own.
  const std::vector<std::vector<float>> inputs = {{0, 0, 0, 0}, {2, 4, -4, 0}, {4, 0, 0, 0}};
  ExpectBits({.method = "ramplus_tl", .inputs = inputs, .params = {{"r", {0.5}}, {"alpha", {9}}}}, {3, 5, -5, 0});
  ExpectBits({.method = "ramplus_tl", .inputs = inputs, .params = {{"r", {0.5}}, {"alpha", {0.25}}}},
             {3, 4.5, -4.5, 0});
  ExpectBits({.method = "ramplus_tl", .inputs = inputs}, {3, 4 * 1.02f, -4 * 1.02f, 0});
  ExpectBits({.method = "ramplus_tl", .inputs = {inputs[0], inputs[1]}, .params = {{"r", {0.5}}}}, {2, 4, -4, 0});
}

// In one row all changes have the same factor, so that their sizes decide: 1 to 5.
TEST(ArceeFusion, ThresholdFromExactQuartiles) {
  const std::vector<float> base = {0, 0, 0, 0, 0}, model = {0.3f, -0.1f, 0.5f, -0.4f, 0.2f};
  const auto fused = [&](double iqr_factor) {
    return JobSpec{.method = "arcee_fusion", .inputs = {base, model}, .params = {{"iqr_factor", {iqr_factor}}}};
  };
  ExpectBits(fused(0), {0.3f, 0, 0.5f, -0.4f, 0});        // the median itself is taken
  ExpectBits(fused(0.4), {0, 0, 0.5f, -0.4f, 0});         // 3 + 0.4 * (4 - 2)
  ExpectBits(fused(0.9), {0, 0, 0.5f, 0, 0});             // 4.8
  ExpectBits(fused(1.5), base);                           // 6
  ExpectBits(fused(-0.9), {0.3f, 0, 0.5f, -0.4f, 0.2f});  // 1.2
}

// Importance in long double from the formula, with the C library.
std::vector<long double> Importance(const std::vector<float>& base, const std::vector<float>& model, size_t row_elems) {
  std::vector<long double> importance;
  for (size_t row = 0; row < base.size(); row += row_elems) {
    const auto softmax = [&](const std::vector<float>& x) {
      std::vector<long double> p;
      long double sum = 0;
      for (size_t i = 0; i < row_elems; ++i) sum += std::exp(static_cast<long double>(x[row + i]));
      for (size_t i = 0; i < row_elems; ++i) p.push_back(std::exp(static_cast<long double>(x[row + i])) / sum + 1e-8L);
      return p;
    };
    const std::vector<long double> p = softmax(model), q = softmax(base);
    long double divergence = 0;
    for (size_t i = 0; i < row_elems; ++i) divergence += p[i] * std::log(p[i] / q[i]);
    for (size_t i = 0; i < row_elems; ++i)
      importance.push_back(std::fabs(static_cast<long double>(model[row + i]) - base[row + i]) * divergence);
  }
  return importance;
}

TEST(ArceeFusion, RowsWeighTheirChanges) {
  std::mt19937_64 random(11);
  std::normal_distribution<float> normal(0, 1);
  for (const auto& [rows, row_elems] : {std::pair<size_t, size_t>{7, 33}, {40, 5}, {3, 4100}}) {
    std::vector<float> base(rows * row_elems), model(rows * row_elems);
    for (size_t i = 0; i < base.size(); ++i) {
      base[i] = normal(random) - 3;
      model[i] = base[i] + 0.1f * normal(random) * static_cast<float>(i / row_elems + 1);
    }
    const std::vector<long double> importance = Importance(base, model, row_elems);
    std::vector<long double> sorted = importance;
    std::sort(sorted.begin(), sorted.end());
    const size_t last = sorted.size() - 1;
    const long double threshold = sorted[last / 2] + 1.5L * (sorted[last * 3 / 4] - sorted[last / 4]);
    std::vector<float> expected = base;
    size_t n_taken = 0;
    for (size_t i = 0; i < base.size(); ++i) {
      if (importance[i] < threshold) continue;
      expected[i] = base[i] + (model[i] - base[i]);
      ++n_taken;
    }
    EXPECT_GT(n_taken, base.size() / 50);
    EXPECT_LT(n_taken, base.size() / 2);
    ExpectBits({.method = "arcee_fusion", .inputs = {base, model}, .shape = {rows, row_elems}}, expected);
  }
}

TEST(ArceeFusion, LargeValuesDoNotOverflow) {
  const std::vector<float> base = {900, -900, 3e38f, -3e38f}, model = {901, -900, 3e38f, -2e38f};
  for (const auto& backend : BothBackends()) {
    const TestResult result =
        RunTestJob(*backend, MakeJob({.method = "arcee_fusion", .inputs = {base, model}, .shape = {2, 2}}), 0);
    EXPECT_FALSE(result.state->OutputOverflow().has_value());
  }
}

// Every method of two models and a base that has no random draws.
rc::Gen<JobSpec> OfBaseAndModels() {
  return rc::gen::exec([] {
    JobSpec spec{.method = *rc::gen::element<std::string_view>("nuslerp", "multislerp", "model_stock", "nearswap",
                                                               "ram", "ramplus_tl", "arcee_fusion"),
                 .inputs = {},
                 .params = {{"t", {*rc::gen::element(0.5, 0.01, 1e-7)}}, {"weight", {0.3, 0.9}}},
                 .with_base = true};
    const uint64_t rows = *rc::gen::inRange<uint64_t>(1, 5), columns = *rc::gen::inRange<uint64_t>(1, 70);
    const size_t n_models = spec.method == "nearswap" || spec.method == "arcee_fusion" ? 1 : 2;
    for (size_t i = 0; i <= n_models; ++i) spec.inputs.push_back(*GridValues(rows * columns));
    spec.shape = {rows, columns};
    const double by_group = *rc::gen::element(0.0, 1.0);
    spec.params["filter_wise"] = {by_group};
    spec.params["nuslerp_flatten"] = {1 - by_group};
    spec.params["singular"] = {1};
    return spec;
  });
}

TEST(OfBaseAndModels, CopiesOfTheBaseLeaveTheBase) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *OfBaseAndModels();
    for (std::vector<float>& input : spec.inputs) input = spec.inputs[0];
    SameNumbers(spec, spec.inputs[0]);
  }));
}

TEST(OfBaseAndModels, StoredTypeOfEqualValuesDoesNotMatter) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *OfBaseAndModels();
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    spec.dtypes = {DType::kBF16, DType::kF16, DType::kF64};
    SameBits(spec, merged);
  }));
}

TEST(OfBaseAndModels, FlippingAllSignsFlipsTheResult) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *OfBaseAndModels();
    RC_PRE(spec.method != "arcee_fusion");  // softmax has a sign
    std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    for (float& value : merged) value = -value;
    for (std::vector<float>& input : spec.inputs)
      for (float& value : input) value = -value;
    SameNumbers(spec, merged);
  }));
}

TEST(OfBaseAndModels, ElementwiseOnesMayBeSplit) {
  EXPECT_TRUE(rc::check([] {
    JobSpec spec = *OfBaseAndModels();
    RC_PRE(spec.method == "nearswap" || spec.method == "ram");
    const std::vector<float> merged = RunJob(*BothBackends()[0], MakeJob(spec));
    const size_t n = *rc::gen::inRange<size_t>(0, merged.size() + 1);
    spec.shape = {};
    for (std::vector<float>& input : spec.inputs) input.resize(n);
    SameBits(spec, {merged.begin(), merged.begin() + static_cast<ptrdiff_t>(n)});
  }));
}

}  // namespace
}  // namespace gpumerge
