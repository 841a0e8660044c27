// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What each method says about a job before it runs: its passes for the parameters it got, whether it is a copy, and
// what it refuses.
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <map>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using Params = std::map<std::string, std::vector<double>>;

MergeJob JobOf(std::string_view method, size_t n_inputs, Params params, size_t n_elems = 10) {
  JobSpec spec{.method = method, .inputs = {}, .params = std::move(params)};
  spec.inputs.assign(n_inputs, std::vector<float>(n_elems, 1.0f));
  return MakeJob(spec).job;
}

// "select 2, max 4, map": the passes in words.
std::string PassesOf(const MergeJob& job) {
  std::string text;
  for (const PassInfo& pass : Methods()[job.method].passes(job)) {
    if (!text.empty()) text += ", ";
    switch (pass.kind) {
      case PassKind::kSelect:
        text += "select " + std::to_string(pass.n_values);
        break;
      case PassKind::kReduce:
        text += (pass.op == ReduceOp::kSum ? "sum " : "max ") + std::to_string(pass.n_values);
        break;
      case PassKind::kReduceGroups:
        text += std::string(pass.axis == GroupAxis::kRows ? "rows " : "columns ") + std::to_string(pass.n_values);
        break;
      case PassKind::kMap:
        text += "map";
        break;
    }
    if (pass.ranks) text += " by rank";
  }
  return text;
}

TEST(Passes, ElementwiseMethodsReadOnce) {
  EXPECT_EQ(PassesOf(JobOf("linear", 3, {{"weight", {1, 2, 3}}})), "map");
  EXPECT_EQ(PassesOf(JobOf("linear", 5, {{"weight", {1, 2, 3, 4, 5}}, {"normalize", {0}}})), "map");
  EXPECT_EQ(PassesOf(JobOf("passthrough", 1, {})), "map");
  EXPECT_EQ(PassesOf(JobOf("passthrough", 1, {{"scale", {2}}})), "map");
  EXPECT_EQ(PassesOf(JobOf("task_arithmetic", 3, {{"weight", {1, 1}}})), "map");
  // Accepted and ignored.
  const double l1 = Choice("task_arithmetic", "rescale", "l1");
  EXPECT_EQ(PassesOf(JobOf("task_arithmetic", 3, {{"weight", {1, 1}}, {"density", {0.2, 0.2}}, {"rescale", {l1}}})),
            "map");
}

TEST(Passes, SlerpNeedsItsNormsOnlyBetweenTheEnds) {
  EXPECT_EQ(PassesOf(JobOf("slerp", 2, {{"t", {0}}})), "map");
  EXPECT_EQ(PassesOf(JobOf("slerp", 2, {{"t", {1}}})), "map");
  EXPECT_EQ(PassesOf(JobOf("slerp", 2, {{"t", {0.5}}})), "sum 3, map");
  EXPECT_EQ(PassesOf(JobOf("slerp", 2, {{"t", {1 + 1e-12}}})), "map");  // 1 as float32
  EXPECT_EQ(PassesOf(JobOf("slerp", 2, {{"t", {1e-12}}})), "sum 3, map");
  EXPECT_EQ(PassesOf(JobOf("slerp", 2, {{"t", {-0.0}}})), "map");
}

struct SparsifyCase {
  std::string_view method, rescale;
  std::vector<double> density;
  std::string passes;
};

TEST(Passes, SparsifyingMethods) {
  const SparsifyCase cases[] = {
      {"ties", "false", {1, 1}, "map"},
      {"ties", "l2", {1, 1}, "map"},  // nothing is trimmed: nothing to rescale
      {"ties", "false", {0.5, 1}, "select 2, map"},
      {"ties", "false", {0, 0}, "select 2, map"},
      {"ties", "inv_density", {0.5, 0.5}, "select 2, map"},
      {"ties", "true", {0.5, 0.5}, "select 2, sum 4, map"},
      {"ties", "l1", {0.5, 0.5, 1}, "select 3, sum 6, map"},
      {"ties", "l2", {0.5}, "select 1, sum 2, map"},
      {"ties", "linf", {1, 0.5}, "select 2, max 4, map"},
      {"dare_linear", "false", {0.5, 0.5}, "map"},
      {"dare_linear", "true", {0.5, 0.5}, "map"},
      {"dare_linear", "inv_density", {0.5, 0.5}, "map"},
      {"dare_linear", "l1", {0.5, 0.5}, "sum 4, map"},
      {"dare_linear", "l1", {1, 1}, "map"},
      {"dare_ties", "true", {0.5}, "map"},
      {"dare_ties", "l2", {0.5}, "sum 2, map"},
      {"dare_ties", "linf", {0.5, 0.9}, "max 4, map"},
      {"breadcrumbs", "false", {1, 1}, "map"},
      {"breadcrumbs", "inv_density", {0.5, 1}, "select 4, map"},
      {"breadcrumbs_ties", "true", {0.5, 0.5, 0.1}, "select 6, sum 6, map"},
      {"della", "true", {1, 1}, "map"},
      {"della", "true", {0.5, 1}, "map by rank"},
      {"della_linear", "l1", {0.5, 0.5}, "sum 4 by rank, map by rank"},
      {"della_linear", "linf", {0.5}, "max 2 by rank, map by rank"},
  };
  for (const SparsifyCase& c : cases) {
    const double rescale = Choice(c.method, "rescale", c.rescale);
    const Params params = {
        {"weight", std::vector<double>(c.density.size(), 1.0)}, {"density", c.density}, {"rescale", {rescale}}};
    EXPECT_EQ(PassesOf(JobOf(c.method, c.density.size() + 1, params)), c.passes)
        << c.method << " rescale " << c.rescale << " density of the first " << c.density[0];
    EXPECT_EQ(PassesOf(JobOf(c.method, c.density.size() + 1, params, 0)), c.passes) << "of an empty tensor";
  }
}

TEST(Passes, OptionsOfTheElection) {
  const auto passes_of = [](std::string_view method, const std::map<std::string, std::string_view>& choices) {
    Params params = {{"weight", {1, 1}}, {"density", {0.5, 0.5}}};
    for (const auto& [param, choice] : choices) params[param] = {Choice(method, param, choice)};
    return PassesOf(JobOf(method, 3, params));
  };
  EXPECT_EQ(passes_of("ties", {{"elect_on", "raw"}, {"divide_by", "count"}}), "select 2, map");
  EXPECT_EQ(passes_of("ties", {{"zero_sign", "majority"}}), "select 2, sum 1, map");
  EXPECT_EQ(passes_of("ties", {{"zero_sign", "majority"}, {"rescale", "l1"}}), "select 2, sum 4, sum 1, map");
  EXPECT_EQ(passes_of("ties", {{"zero_sign", "majority"}, {"trim_scope", "model"}}), "map");
  EXPECT_EQ(passes_of("ties", {{"trim_scope", "model"}, {"rescale", "l1"}}), "sum 4, map");
  EXPECT_EQ(passes_of("breadcrumbs_ties", {{"zero_sign", "majority"}}), "select 4, sum 1, map");
  EXPECT_EQ(passes_of("della", {{"zero_sign", "majority"}}), "sum 1 by rank, map by rank");
}

TEST(Passes, MethodsOfDirections) {
  const Params two{{"weight", {1, 1}}};
  EXPECT_EQ(PassesOf(JobOf("nuslerp", 2, two)), "sum 3, map");
  EXPECT_EQ(PassesOf(JobOf("nuslerp", 2, {{"weight", {1, 1}}, {"nuslerp_flatten", {0}}})), "rows 3, map");
  EXPECT_EQ(PassesOf(JobOf("nuslerp", 2, {{"weight", {1, 1}}, {"nuslerp_flatten", {0}}, {"nuslerp_row_wise", {1}}})),
            "columns 3, map");
  EXPECT_EQ(PassesOf(JobOf("multislerp", 2, two)), "sum 2, sum 1, map");
  EXPECT_EQ(PassesOf(JobOf("multislerp", 1, {{"weight", {1}}})), "map");
  // Whatever max_iter is.
  EXPECT_EQ(PassesOf(JobOf("karcher", 4, {{"max_iter", {1000}}})), "sum 10, map");
  EXPECT_EQ(PassesOf(JobOf("model_stock", 4, {})), "sum 6, map");
  EXPECT_EQ(PassesOf(JobOf("model_stock", 4, {{"filter_wise", {1}}})), "rows 6, map");
  EXPECT_EQ(PassesOf(JobOf("ram", 3, {})), "map");
  EXPECT_EQ(PassesOf(JobOf("ramplus_tl", 3, {})), "sum 4, map");
  EXPECT_EQ(PassesOf(JobOf("arcee_fusion", 2, {})), "rows 2, rows 2, rows 1, select 3, map");
}

TEST(Passes, DefaultsAreTheCheapOnes) {
  for (const char* method : {"ties", "dare_linear", "dare_ties", "task_arithmetic", "breadcrumbs", "breadcrumbs_ties",
                             "della", "della_linear"})
    EXPECT_EQ(PassesOf(JobOf(method, 3, {{"weight", {1, 1}}})), "map") << method;
}

TEST(Passes, ReadingsOfAStreamedTensor) {
  EXPECT_EQ(TotalReads({{PassKind::kMap}}), 1u);
  EXPECT_EQ(TotalReads({{PassKind::kSelect, 2}, {PassKind::kReduce, 4}, {PassKind::kMap}}), 4u);
  EXPECT_EQ(TotalReads({}), 0u);
}

TEST(IsCopy, APassthroughOfScaleOneAndAMeanOfOne) {
  const auto is_copy = [](const MergeJob& job) { return Methods()[job.method].is_copy(job); };
  EXPECT_TRUE(is_copy(JobOf("passthrough", 1, {})));
  EXPECT_TRUE(is_copy(JobOf("passthrough", 1, {{"scale", {1}}})));
  EXPECT_FALSE(is_copy(JobOf("passthrough", 1, {{"scale", {-1}}})));
  EXPECT_FALSE(is_copy(JobOf("passthrough", 1, {{"scale", {0}}})));
  EXPECT_TRUE(is_copy(JobOf("karcher", 1, {})));
  EXPECT_FALSE(is_copy(JobOf("karcher", 2, {})));
  EXPECT_TRUE(is_copy(JobOf("multislerp", 1, {{"weight", {0.3}}})));
  EXPECT_FALSE(is_copy(JobOf("linear", 1, {{"weight", {1}}})));
  EXPECT_FALSE(is_copy(JobOf("slerp", 2, {{"t", {0}}})));
  EXPECT_FALSE(is_copy(JobOf("task_arithmetic", 2, {{"weight", {0}}})));
}

bool Refused(const MergeJob& job) {
  const auto problem = Methods()[job.method].check(job);
  if (problem) {
    EXPECT_EQ(problem->code, ErrorCode::kNumZeroSum);
    EXPECT_NE(problem->message.find("weights"), std::string::npos);
    EXPECT_NE(problem->help.find("normalize: false"), std::string::npos);
  }
  return problem.has_value();
}

TEST(Check, WeightsThatSumToZeroAreRefusedWhereTheyDivide) {
  EXPECT_TRUE(Refused(JobOf("linear", 2, {{"weight", {1, -1}}})));
  EXPECT_FALSE(Refused(JobOf("linear", 2, {{"weight", {1, -1}}, {"normalize", {0}}})));
  EXPECT_FALSE(Refused(JobOf("linear", 2, {{"weight", {1, -0.999}}})));
  EXPECT_TRUE(Refused(JobOf("linear", 3, {{"weight", {0, 0, 0}}})));
  EXPECT_TRUE(Refused(JobOf("linear", 1, {{"weight", {0}}})));
  EXPECT_FALSE(Refused(JobOf("task_arithmetic", 3, {{"weight", {1, -1}}})));  // not normalized by default
  EXPECT_TRUE(Refused(JobOf("task_arithmetic", 3, {{"weight", {1, -1}}, {"normalize", {1}}})));
  EXPECT_TRUE(Refused(JobOf("dare_linear", 3, {{"weight", {0.5, -0.5}}, {"normalize", {1}}})));
  EXPECT_FALSE(Refused(JobOf("slerp", 2, {{"t", {0.5}}})));
  EXPECT_FALSE(Refused(JobOf("passthrough", 1, {{"scale", {0}}})));
}

TEST(Check, TheLimitIsRelative) {
  EXPECT_TRUE(Refused(JobOf("linear", 3, {{"weight", {1, -1, 1.9e-8}}})));
  EXPECT_FALSE(Refused(JobOf("linear", 3, {{"weight", {1, -1, 2.1e-8}}})));
  EXPECT_FALSE(Refused(JobOf("linear", 2, {{"weight", {1e-20, 1e-20}}})));
  EXPECT_TRUE(Refused(JobOf("linear", 2, {{"weight", {1e20, -1e20}}})));
  EXPECT_FALSE(Refused(JobOf("linear", 1, {{"weight", {-3}}})));
}

// The sum that divides is of weights rounded to float32, in float32: that one must not be zero.
TEST(Check, TheSumThatDividesIsTheOneLookedAt) {
  EXPECT_TRUE(Refused(JobOf("linear", 2, {{"weight", {1, -1 + 2.5e-8}}})));  // the second rounds to -1
  EXPECT_TRUE(Refused(JobOf("linear", 3, {{"weight", {2.1e-8, 1, -1}}})));   // the first is lost beside 1
  EXPECT_TRUE(Refused(JobOf("task_arithmetic", 3, {{"weight", {1, -1 + 2.5e-8}}, {"normalize", {1}}})));
}

// No weights that pass the check divide by zero.
TEST(Check, NothingThatPassesIsInfinite) {
  std::mt19937_64 random(7);
  const auto backend = MakeReferenceBackend();
  for (int round = 0; round < 2000; ++round) {
    std::vector<double> weights(3);
    for (double& weight : weights)
      weight = static_cast<double>(random() % 5) - 2 + 1e-8 * static_cast<double>(random() % 7);
    const JobSpec spec{.method = "linear", .inputs = {{1}, {-2}, {3}}, .params = {{"weight", weights}}};
    const TestJob test = MakeJob(spec);
    if (Methods()[test.job.method].check(test.job)) continue;
    EXPECT_TRUE(std::isfinite(RunJob(*backend, test)[0])) << weights[0] << " " << weights[1] << " " << weights[2];
  }
}

}  // namespace
}  // namespace gpumerge
