// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The options of ties and its relatives, on examples worked out by hand: who votes with what, who wins an even vote,
// what divides, and which elements trimming keeps.
#define GM_TARGET on_sign_election_test
#include "kernels/sign_election.h"

#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

using Choices = std::vector<std::pair<std::string_view, std::string_view>>;

TestJob WithChoices(JobSpec spec, const Choices& choices) {
  for (const auto& [param, choice] : choices) spec.params[std::string(param)] = {Choice(spec.method, param, choice)};
  return MakeJob(spec);
}

void ExpectMerged(const TestJob& test, const std::vector<float>& expected) {
  for (const auto& backend : EveryBackend())
    EXPECT_EQ(RunJob(*backend, test), expected) << NameOf(*backend) << ": " << Describe(test);
}

// Three models of weights 2, 1, 1. Weighted sums: 0, -1, 2, 0, -1; plain sums: -1, -2, 0, 0, 0; counts: 1, 1, 0, 0, 0.
JobSpec Quarrel(std::string_view method) {
  return {.method = method,
          .inputs = {{0, 0, 0, 0, 0}, {1, 1, 2, 0, -1}, {-3, 1, -2, 0, 1}, {1, -4, 0, 0, 0}},
          .params = {{"weight", {2, 1, 1}}, {"normalize", {1}}}};
}

TEST(SignElection, VotesAndDivisors) {
  struct Case {
    Choices choices;
    std::vector<float> merged;
  };
  const Case cases[] = {
      {{}, {1, -4, 2, 0, -1}},
      {{{"elect_on", "raw"}}, {-3, -4, 2, 0, 1}},
      {{{"elect_on", "raw"}, {"zero_sign", "zero"}}, {-3, -4, 0, 0, 0}},
      {{{"elect_on", "raw"}, {"zero_sign", "majority"}}, {-3, -4, -2, 0, -1}},
      {{{"sign", "count"}}, {1, 1, 2, 0, 1}},
      {{{"sign", "count"}, {"zero_sign", "zero"}}, {1, 1, 0, 0, 0}},
      {{{"sign", "count"}, {"elect_on", "raw"}, {"zero_sign", "majority"}}, {1, 1, 2, 0, 1}},
      {{{"divide_by", "count"}}, {1.5, -4, 4, 0, -2}},
      {{{"zero_sign", "zero"}}, {0, -4, 2, 0, -1}},
      {{{"zero_sign", "majority"}}, {-3, -4, 2, 0, -1}},
  };
  for (const char* method : {"ties", "dare_ties"})
    for (const Case& c : cases) ExpectMerged(WithChoices(Quarrel(method), c.choices), c.merged);
}

TEST(SignElection, WithoutNormalizeTheSumOfThoseThatAgree) {
  JobSpec spec = Quarrel("ties");
  spec.params["normalize"] = {0};
  ExpectMerged(WithChoices(spec, {{"divide_by", "count"}}), {3, -4, 4, 0, -2});
  ExpectMerged(WithChoices(spec, {{"elect_on", "raw"}}), {-3, -4, 4, 0, 1});
}

TEST(SignElection, RawVotesDoNotSeeANegativeWeight) {
  const JobSpec spec{
      .method = "ties", .inputs = {{10, 10}, {13, 13}, {12, 9}}, .params = {{"weight", {-1, 1}}, {"normalize", {0}}}};
  // Differences 3, 3 and 2, -1; weighted -3, -3 and 2, -1.
  ExpectMerged(WithChoices(spec, {}), {7, 6});
  ExpectMerged(WithChoices(spec, {{"elect_on", "raw"}}), {9, 7});
}

TEST(SignElection, MajorityIsZeroWhenTheElementsBalance) {
  const JobSpec spec{.method = "ties",
                     .inputs = {{0, 0, 0}, {5, -1, 2}, {1, -1, -2}},
                     .params = {{"weight", {1, 1}}, {"normalize", {0}}}};
  ExpectMerged(WithChoices(spec, {{"zero_sign", "majority"}}), {6, -2, 0});
}

TEST(SignElection, TheGeneralElementGivesTheDefaultsBits) {
  std::mt19937_64 random(11);
  JobSpec spec{.method = "ties", .inputs = {}, .params = {{"weight", {1, 1, 1}}, {"density", {0.5, 0.7, 0.3}}}};
  for (int i = 0; i < 4; ++i) {
    std::vector<float> values(5000);
    for (float& value : values) value = TestValue(random, 1e-3f);
    spec.inputs.push_back(values);
  }
  const auto reference = MakeReferenceBackend();
  const std::vector<float> expected = RunJob(*reference, WithChoices(spec, {}));
  // With weights of one it does not matter what votes and what divides.
  for (const auto& backend : EveryBackend())
    for (const uint64_t chunk : {uint64_t{0}, uint64_t{4096}}) {
      if (chunk > 0 && !backend->Info().can_stream) continue;
      EXPECT_EQ(BitsOf(RunJob(*backend, WithChoices(spec, {{"elect_on", "raw"}, {"divide_by", "count"}}), chunk)),
                BitsOf(expected));
    }
}

// Each combination, streamed and whole, with several instruction sets: the reference's bits.
TEST(SignElection, EveryCombinationOnEveryBackend) {
  std::mt19937_64 random(13);
  JobSpec spec{.method = "",
               .inputs = {},
               .params = {{"weight", {1, -0.5, 0.7}}, {"density", {0.5, 0.7, 0.3}}, {"epsilon", {0.1, 0.2, 0.25}}}};
  for (int i = 0; i < 4; ++i) {
    std::vector<float> values(18 * 512);
    for (float& value : values) value = TestValue(random, 1e-3f);
    spec.inputs.push_back(values);
  }
  const auto backends = EveryBackend();  // the reference first
  for (const std::string_view method : {"ties", "dare_ties", "breadcrumbs_ties", "della"}) {
    for (uint32_t combination = 0; combination < 24; ++combination) {
      spec.method = method;
      spec.params["sign"] = {combination % 2 * 1.0};
      spec.params["elect_on"] = {combination / 2 % 2 * 1.0};
      spec.params["divide_by"] = {combination / 4 % 2 * 1.0};
      spec.params["zero_sign"] = {combination / 8 * 1.0};
      spec.params["normalize"] = {combination % 5 % 2 * 1.0};
      TestJob test = MakeJob(spec);
      test.job.shape = {18, 512};
      const std::vector<uint32_t> expected = BitsOf(RunJob(*backends[0], test));
      for (size_t b = 1; b < backends.size(); ++b) {
        EXPECT_EQ(BitsOf(RunJob(*backends[b], test)), expected) << NameOf(*backends[b]) << ": " << Describe(test);
        EXPECT_EQ(BitsOf(RunJob(*backends[b], test, 4096)), expected) << NameOf(*backends[b]) << ": " << Describe(test);
      }
    }
  }
}

// Magnitudes 1 2 2 2 3.
JobSpec FiveDeltas() {
  return {.method = "ties", .inputs = {{0, 0, 0, 0, 0}, {1, -2, 2, 2, -3}}, .params = {{"weight", {1}}}};
}

TEST(Trim, TieBreak) {
  JobSpec spec = FiveDeltas();
  spec.params["density"] = {0.4};
  ExpectMerged(WithChoices(spec, {}), {0, -2, 0, 0, -3});
  ExpectMerged(WithChoices(spec, {{"tie_break", "keep_all"}}), {0, -2, 2, 2, -3});
  // Rescaled by what is kept: 10 / 9.
  ExpectMerged(WithChoices(spec, {{"tie_break", "keep_all"}, {"rescale", "l1"}}),
               {0, -2 * static_cast<float>(10.0 / 9), 2 * static_cast<float>(10.0 / 9),
                2 * static_cast<float>(10.0 / 9), -3 * static_cast<float>(10.0 / 9)});
  spec.params["density"] = {0};
  ExpectMerged(WithChoices(spec, {{"tie_break", "keep_all"}}), {0, 0, 0, 0, 0});
}

TEST(Trim, ScopeModelTakesTheSelectionsItIsGiven) {
  JobSpec spec = FiveDeltas();
  spec.params["density"] = {0.4};
  TestJob test = WithChoices(spec, {{"trim_scope", "model"}});
  const PassList passes = Methods()[test.job.method].passes(test.job);
  ASSERT_EQ(passes.size(), 1u);
  EXPECT_EQ(passes[0].kind, PassKind::kMap);
  ExpectMerged(test, {1, -2, 2, 2, -3});  // none there yet
  const uint32_t two = std::bit_cast<uint32_t>(2.0f);
  test.job.model_selections = {{two, 3}};
  ExpectMerged(test, {0, -2, 2, 0, -3});
  test.job.model_selections = {{two, 0}};
  ExpectMerged(test, {0, 0, 0, 0, -3});
  test.job.model_selections = {{0xffffffffu, 0}};
  ExpectMerged(test, {0, 0, 0, 0, 0});
  TestJob all = WithChoices(spec, {{"trim_scope", "model"}, {"tie_break", "keep_all"}});
  all.job.model_selections = {{two, 0}};
  ExpectMerged(all, {0, -2, 2, 2, -3});
  all.job.model_selections = {{0xffffffffu, 0}};
  ExpectMerged(all, {0, 0, 0, 0, 0});
}

TEST(Trim, ScopeModelElectsTheModelsMajority) {
  TestJob test =
      WithChoices(Quarrel("ties"), {{"trim_scope", "model"}, {"elect_on", "raw"}, {"zero_sign", "majority"}});
  EXPECT_EQ(Methods()[test.job.method].passes(test.job).size(), 1u);
  test.job.model_majority = 1;
  ExpectMerged(test, {-3, -4, 2, 0, 1});
  test.job.model_majority = -1;
  ExpectMerged(test, {-3, -4, -2, 0, -1});
  test.job.model_majority = 0;
  ExpectMerged(test, {-3, -4, 0, 0, 0});
}

// What the run over the whole model sums up: each element's elected sign under the selections found.
TEST(Trim, SignsForTheModelsMajority) {
  TestJob test =
      WithChoices(Quarrel("ties"), {{"trim_scope", "model"}, {"elect_on", "raw"}, {"zero_sign", "majority"}});
  const auto signs = [&] {
    auto sign = on_sign_election_test::ModelWideSign(test.job);
    std::vector<double> all;
    sign.MoveTo(0);
    for (uint32_t i = 0; i < 5; ++i) {
      float x[4];
      for (size_t input = 0; input < 4; ++input) x[input] = Widened(DType::kF32, test.inputs[input])[i];
      sign({{x, 1}, {nullptr, 1}, i}, &all.emplace_back());
    }
    return all;
  };
  EXPECT_EQ(signs(), (std::vector<double>{-1, -1, 0, 0, 0}));
  // Of the second model only the elements of magnitude 3 and more, of the third none.
  test.job.model_selections = {{0, 5}, {std::bit_cast<uint32_t>(2.5f), 0}, {0xffffffffu, 0}};
  EXPECT_EQ(signs(), (std::vector<double>{-1, 1, 1, 0, -1}));
}

TEST(Trim, ScopeModelRefusesVotesThatNormsOfATensorChange) {
  const auto refused = [](const Choices& choices) {
    const TestJob test = WithChoices(Quarrel("ties"), choices);
    return Methods()[test.job.method].check(test.job).has_value();
  };
  EXPECT_TRUE(refused({{"trim_scope", "model"}, {"zero_sign", "majority"}, {"rescale", "true"}}));
  EXPECT_TRUE(refused({{"trim_scope", "model"}, {"zero_sign", "majority"}, {"rescale", "linf"}}));
  EXPECT_FALSE(refused({{"trim_scope", "model"}, {"zero_sign", "majority"}, {"rescale", "inv_density"}}));
  EXPECT_FALSE(refused({{"trim_scope", "model"}, {"rescale", "l1"}}));
  EXPECT_FALSE(refused({{"zero_sign", "majority"}, {"rescale", "l1"}}));
}

TEST(SignElection, WeightsMaySumToZeroWhereTheyDoNotDivide) {
  JobSpec spec = Quarrel("ties");
  spec.params["weight"] = {1, -2, 1};
  const auto refused = [&](const Choices& choices) {
    const TestJob test = WithChoices(spec, choices);
    return Methods()[test.job.method].check(test.job).has_value();
  };
  EXPECT_TRUE(refused({}));
  EXPECT_FALSE(refused({{"divide_by", "count"}}));
}

}  // namespace
}  // namespace gpumerge
