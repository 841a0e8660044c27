// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// breadcrumbs and della: which elements of a difference stay, on examples worked out by hand and against plain
// recomputations with a sort.
#define GM_TARGET on_sparsifiers_test
#include "kernels/philox.h"
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

void ExpectMerged(const TestJob& test, const std::vector<float>& expected) {
  for (const auto& backend : EveryBackend())
    EXPECT_EQ(RunJob(*backend, test), expected) << NameOf(*backend) << ": " << Describe(test);
}

// One model on a base of zeros, weight 1.
JobSpec OneModel(std::string_view method, std::vector<float> deltas, double density) {
  return {.method = method,
          .inputs = {std::vector<float>(deltas.size(), 0.0f), deltas},
          .params = {{"weight", {1}}, {"density", {density}}}};
}

TEST(Breadcrumbs, KeepsABand) {
  const std::vector<float> deltas = {3, -10, 1, 7, -5, 9, 2, -8, 4, 6};
  struct Case {
    double density, gamma;
    float smallest, largest;  // kept, by magnitude
  };
  const Case cases[] = {
      {0.5, 0.1, 5, 9},  {0.5, 0, 6, 10},   {0.5, 0.01, 6, 10},  // trunc(0.01 * 10) = 0
      {0.95, 0.1, 1, 9}, {0.95, 0.3, 1, 9},                      // never fewer than density asks for
      {0.05, 0.1, 9, 9},                                         // at least one
      {0.2, 0.8, 1, 2},  {0.2, 1, 1, 2},    {1, 0.5, 1, 10},    {0, 0.1, 11, 0},
  };
  for (const Case& c : cases) {
    std::vector<float> expected = deltas;
    for (float& value : expected)
      if (std::fabs(value) < c.smallest || std::fabs(value) > c.largest) value = 0;
    for (const char* method : {"breadcrumbs", "breadcrumbs_ties"}) {
      JobSpec spec = OneModel(method, deltas, c.density);
      spec.params["gamma"] = {c.gamma};
      ExpectMerged(MakeJob(spec), expected);
    }
  }
}

TEST(Breadcrumbs, EqualOnesByTheirPlace) {
  JobSpec spec = OneModel("breadcrumbs", {2, -2, 2, -2}, 0.5);
  spec.params["gamma"] = {0.25};
  ExpectMerged(MakeJob(spec), {0, -2, 2, 0});
  spec.params["gamma"] = {0};
  ExpectMerged(MakeJob(spec), {0, 0, 2, -2});
}

TEST(Breadcrumbs, Rescales) {
  JobSpec spec = OneModel("breadcrumbs", {1, -2, 4, 8}, 0.5);
  spec.params["gamma"] = {0.25};  // keeps 2 and 4
  const auto rescaled = [&](std::string_view rescale, float factor) {
    spec.params["rescale"] = {Choice("breadcrumbs", "rescale", rescale)};
    ExpectMerged(MakeJob(spec), {0, -2 * factor, 4 * factor, 0});
  };
  rescaled("false", 1);
  rescaled("true", 2.5);
  rescaled("l1", 2.5);
  rescaled("linf", 2);
  rescaled("l2", static_cast<float>(std::sqrt(85.0) / std::sqrt(20.0)));
  rescaled("inv_density", 2);
}

TEST(Breadcrumbs, EveryModelHasItsOwnBand) {
  const JobSpec spec{.method = "breadcrumbs",
                     .inputs = {{0, 0, 0, 0}, {1, 2, 3, 4}, {40, 30, 20, 10}, {100, 200, 300, 400}},
                     .params = {{"weight", {1, 1, 1}}, {"density", {0.5, 0.25, 1}}, {"gamma", {0.25, 0.5, 0.5}}}};
  ExpectMerged(MakeJob(spec), {100, 202, 323, 400});
}

TEST(Breadcrumbs, AsASortWouldChoose) {
  std::mt19937_64 random(3);
  std::vector<float> deltas(20000);
  for (float& value : deltas) value = TestValue(random, 1e-3f);
  JobSpec spec = OneModel("breadcrumbs", deltas, 0.3);
  spec.params["gamma"] = {0.07};
  std::vector<size_t> order(deltas.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return std::fabs(deltas[a]) < std::fabs(deltas[b]); });
  std::vector<float> expected(deltas.size(), 0.0f);
  for (size_t place = 20000 - 1400 - 6000; place < 20000 - 1400; ++place) expected[order[place]] = deltas[order[place]];
  ExpectMerged(MakeJob(spec), expected);
}

// The definition again: ranks by a stable sort of each row, probabilities in double, Philox words.
std::vector<float> DellaByDefinition(const TestJob& test, size_t row_elems, double density, double epsilon) {
  using on_sparsifiers_test::MakePhiloxKey;
  const std::vector<float> deltas = Widened(DType::kF32, test.inputs[1]);
  std::vector<float> merged(deltas.size(), 0.0f);
  for (size_t row = 0; row < deltas.size(); row += row_elems) {
    std::vector<size_t> order(row_elems);
    std::iota(order.begin(), order.end(), row);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return std::fabs(deltas[a]) < std::fabs(deltas[b]); });
    for (size_t rank = 0; rank < row_elems; ++rank) {
      const size_t i = order[rank];
      const double q =
          row_elems == 1
              ? density
              : density - epsilon + static_cast<double>(rank) / static_cast<double>(row_elems - 1) * 2 * epsilon;
      uint32_t words[4];
      on_sparsifiers_test::Philox(MakePhiloxKey(test.job.seed, test.job.name_hash), 0, static_cast<uint32_t>(i / 4),
                                  words);
      if (words[i % 4] < static_cast<uint64_t>(std::ceil(q * 0x1p32))) merged[i] = deltas[i] / static_cast<float>(q);
    }
  }
  return merged;
}

TEST(Della, AsTheDefinitionSays) {
  std::mt19937_64 random(5);
  for (const size_t row_elems : {size_t{1}, size_t{2}, size_t{7}, size_t{300}, size_t{8400}}) {
    std::vector<float> deltas(8400);
    for (float& value : deltas) value = TestValue(random, 1e-3f);
    JobSpec spec = OneModel("della_linear", deltas, 0.45);
    spec.params["epsilon"] = {0.3};
    spec.seed = row_elems;
    TestJob test = MakeJob(spec);
    test.job.shape = {8400 / row_elems, row_elems};
    ExpectMerged(test, DellaByDefinition(test, row_elems, 0.45, 0.3));
    test.job.shape = {1, 8400 / row_elems, 1, row_elems};
    ExpectMerged(test, DellaByDefinition(test, row_elems, 0.45, 0.3));
  }
}

TEST(Della, LargeElementsStayMoreOften) {
  constexpr size_t kRows = 20000;
  std::vector<float> deltas;
  for (size_t row = 0; row < kRows; ++row) deltas.insert(deltas.end(), {-3, 1, 2});
  JobSpec spec = OneModel("della_linear", deltas, 0.5);
  spec.params["epsilon"] = {0.3};
  spec.params["rescale"] = {Choice("della_linear", "rescale", "false")};
  TestJob test = MakeJob(spec);
  test.job.shape = {kRows, 3};
  const std::vector<float> merged = RunJob(*MakeReferenceBackend(), test);
  const double expected[] = {0.8, 0.2, 0.5};
  for (size_t column = 0; column < 3; ++column) {
    size_t n_kept = 0;
    for (size_t row = 0; row < kRows; ++row) n_kept += merged[3 * row + column] != 0 ? 1u : 0u;
    const double p = expected[column], sigma = std::sqrt(p * (1 - p) * kRows);
    EXPECT_NEAR(static_cast<double>(n_kept), p * kRows, 5 * sigma);
  }
}

// Without a spread of probabilities DELLA is DARE, down to the draws.
TEST(Della, WithEpsilonZeroIsDare) {
  std::mt19937_64 random(9);
  JobSpec spec{.method = "", .inputs = {}, .params = {{"weight", {0.5, 2, 1}}, {"density", {0.5, 1, 0.25}}}};
  for (int i = 0; i < 4; ++i) {
    std::vector<float> values(5000);
    for (float& value : values) value = TestValue(random, 1e-3f);
    spec.inputs.push_back(values);
  }
  spec.params["epsilon"] = {0, 0, 0};
  spec.params["normalize"] = {1};
  const std::pair<std::string_view, std::string_view> pairs[] = {{"della_linear", "dare_linear"},
                                                                 {"della", "dare_ties"}};
  for (const auto& [della, dare] : pairs) {
    for (const char* rescale : {"true", "inv_density", "false", "l1", "l2", "linf"}) {
      spec.method = dare;
      spec.params["rescale"] = {Choice(dare, "rescale", rescale)};
      const std::vector<float> expected = RunJob(*MakeReferenceBackend(), MakeJob(spec));
      spec.method = della;
      for (const auto& backend : EveryBackend())
        EXPECT_EQ(BitsOf(RunJob(*backend, MakeJob(spec))), BitsOf(expected)) << della << " " << rescale;
    }
  }
}

TEST(Della, DensitiesAtTheEnds) {
  const std::vector<float> deltas = {1, -2, 3, -4};
  ExpectMerged(MakeJob(OneModel("della", deltas, 1)), deltas);
  ExpectMerged(MakeJob(OneModel("della", deltas, 0)), {0, 0, 0, 0});
  const JobSpec both{.method = "della_linear",
                     .inputs = {{0, 0}, {1, -2}, {10, 20}},
                     .params = {{"weight", {1, 1}}, {"density", {1, 0}}}};
  ExpectMerged(MakeJob(both), {1, -2});
}

TEST(Della, ProbabilitiesBetweenZeroAndOne) {
  const auto refused = [](double density, double epsilon) {
    JobSpec spec = OneModel("della", {1, 2}, density);
    spec.params["epsilon"] = {epsilon};
    const TestJob test = MakeJob(spec);
    const auto problem = Methods()[test.job.method].check(test.job);
    if (problem) {
      EXPECT_EQ(problem->code, ErrorCode::kCfgRange);
      EXPECT_NE(problem->help.find("epsilon"), std::string::npos);
    }
    return problem.has_value();
  };
  EXPECT_TRUE(refused(0.1, 0.15));
  EXPECT_TRUE(refused(0.15, 0.15));
  EXPECT_TRUE(refused(0.85, 0.15));
  EXPECT_TRUE(refused(0.9, -0.2));
  EXPECT_FALSE(refused(0.5, 0.15));
  EXPECT_FALSE(refused(0.5, -0.15));
  EXPECT_FALSE(refused(0.5, 0));
  EXPECT_FALSE(refused(1, 0.15));
  EXPECT_FALSE(refused(0, 0.15));
}

}  // namespace
}  // namespace gpumerge
