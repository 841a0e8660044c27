// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Levels, filters and gradients: which value a tensor gets.
#include "src/config/resolve.h"

#include "tests/support/recipe_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using testing::InShort;
using ::testing::IsEmpty;
using testing::ParseText;

constexpr std::string_view kChoices[] = {"false", "true", "l1"};
const ParamSpec kWeight{.name = "weight", .scope = ParamScope::kPerInput, .min = -9, .max = 9};
const ParamSpec kDensity{.name = "density", .default_value = 1.0, .min = 0, .max = 1};
const ParamSpec kFlag{.name = "flag", .type = ParamType::kBool, .default_value = 0.0};
const ParamSpec kChoice{.name = "choice", .type = ParamType::kChoice, .default_value = 0.0, .choices = kChoices};

ConditionalValue Always(std::vector<Scalar> values) { return {{}, {}, std::move(values)}; }
ConditionalValue When(std::string filter, std::vector<Scalar> values) {
  return {std::move(filter), {}, std::move(values)};
}
Scalar Value(std::variant<double, bool, std::string> value) { return {std::move(value), {}}; }

std::vector<Scalar> Gradient(std::initializer_list<double> numbers) {
  std::vector<Scalar> values;
  for (double number : numbers) values.push_back(Value(number));
  return values;
}

std::optional<double> Resolve(const ParamSpec& spec, const Settings& settings, std::string_view tensor, double t = 0) {
  return ResolveParameter(spec, {{&settings, nullptr, nullptr}}, {tensor, t}, nullptr);
}

TEST(Resolve, InnerLevelsWin) {
  const Settings model{{"weight", {}, {Always(Gradient({1}))}}};
  const Settings slice{{"weight", {}, {Always(Gradient({2}))}}};
  const Settings top{{"weight", {}, {Always(Gradient({3}))}}, {"density", {}, {Always(Gradient({0.5}))}}};
  EXPECT_EQ(ResolveParameter(kWeight, {{&model, &slice, &top}}, {"x", 0}, nullptr), 1.0);
  EXPECT_EQ(ResolveParameter(kWeight, {{nullptr, &slice, &top}}, {"x", 0}, nullptr), 2.0);
  EXPECT_EQ(ResolveParameter(kWeight, {{nullptr, nullptr, &top}}, {"x", 0}, nullptr), 3.0);
  EXPECT_EQ(ResolveParameter(kDensity, {{&model, &slice, &top}}, {"x", 0}, nullptr), 0.5);
  EXPECT_EQ(ResolveParameter(kDensity, {{&model, nullptr, nullptr}}, {"x", 0}, nullptr), 1.0);
  EXPECT_EQ(ResolveParameter(kWeight, {}, {"x", 0}, nullptr), std::nullopt);
}

TEST(Resolve, TheFirstMatchingFilterDecides) {
  const Settings settings{{"weight",
                           {},
                           {When("mlp", Gradient({1})), When("attn", Gradient({2})), When("*", Gradient({3})),
                            When("norm", Gradient({4}))}}};
  EXPECT_EQ(Resolve(kWeight, settings, "model.layers.0.mlp.up_proj.weight"), 1.0);
  EXPECT_EQ(Resolve(kWeight, settings, "model.layers.0.linear_attn.weight"), 2.0);  // substrings, as in mergekit
  EXPECT_EQ(Resolve(kWeight, settings, "model.layers.0.mlp.attn"), 1.0);
  EXPECT_EQ(Resolve(kWeight, settings, "model.norm.weight"), 3.0);
}

TEST(Resolve, ALevelThatYieldsNothingFallsThrough) {
  const Settings no_match{{"weight", {}, {When("mlp", Gradient({1}))}}};
  const Settings empty_list{{"weight", {}, {}}};
  // The first match decides even when its value is empty: then the level has nothing.
  const Settings empty_value{{"weight", {}, {When("norm", {}), Always(Gradient({5}))}}};
  const Settings top{{"weight", {}, {Always(Gradient({2}))}}};
  for (const Settings* inner : {&no_match, &empty_list, &empty_value})
    EXPECT_EQ(ResolveParameter(kWeight, {{inner, nullptr, &top}}, {"norm", 0}, nullptr), 2.0);
  EXPECT_EQ(Resolve(kWeight, empty_value, "mlp"), 5.0);
  EXPECT_EQ(Resolve(kWeight, no_match, "norm"), std::nullopt);
}

TEST(Resolve, NumbersAreInterpolated) {
  const Settings settings{{"weight", {}, {Always(Gradient({0, 1}))}}};
  EXPECT_EQ(Resolve(kWeight, settings, "x", 0), 0.0);
  EXPECT_EQ(Resolve(kWeight, settings, "x", 1.0 / 3), 1.0 / 3);
  EXPECT_EQ(Resolve(kWeight, settings, "x", 1), 1.0);
  const Settings five{{"weight", {}, {Always(Gradient({0, 0.5, 0.3, 0.7, 1}))}}};
  // x = 0.4 * 4 = 1.6: between 0.5 and 0.3.
  EXPECT_EQ(Resolve(kWeight, five, "x", 0.4), (1 - (1.6 - 1)) * 0.5 + (1.6 - 1) * 0.3);
  EXPECT_EQ(Resolve(kWeight, five, "x", 1), 1.0);
  EXPECT_EQ(Resolve(kWeight, {{"weight", {}, {Always(Gradient({7}))}}}, "x", 0.9), 7.0);
}

TEST(Resolve, BooleansAndChoicesAreSteps) {
  const Settings flags{{"flag", {}, {Always({Value(false), Value(true), Value(false)})}}};
  EXPECT_EQ(Resolve(kFlag, flags, "x", 0), 0.0);
  EXPECT_EQ(Resolve(kFlag, flags, "x", 0.49), 0.0);
  EXPECT_EQ(Resolve(kFlag, flags, "x", 0.5), 1.0);
  EXPECT_EQ(Resolve(kFlag, flags, "x", 0.99), 1.0);
  EXPECT_EQ(Resolve(kFlag, flags, "x", 1), 0.0);
  const Settings choices{{"choice", {}, {Always({Value("l1"), Value(true), Value("false")})}}};
  EXPECT_EQ(Resolve(kChoice, choices, "x", 0), 2.0);
  EXPECT_EQ(Resolve(kChoice, choices, "x", 0.5), 1.0);
  EXPECT_EQ(Resolve(kChoice, choices, "x", 1), 0.0);
}

TEST(Resolve, AGradientStaysWithinItsNeighbours) {
  EXPECT_TRUE(rc::check("interpolated values lie between the gradient's extremes", [] {
    const auto numbers = *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(-1000, 1000)));
    const double t = *rc::gen::inRange(0, 1'000'001) / 1e6;
    std::vector<Scalar> values;
    for (int number : numbers) values.push_back(Value(number / 16.0));
    const auto value = Resolve(kWeight, {{"weight", {}, {Always(values)}}}, "x", t);
    const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
    RC_ASSERT(value.has_value());
    RC_ASSERT(*value >= *low / 16.0 - 1e-12 && *value <= *high / 16.0 + 1e-12);
  }));
}

TEST(FilterUse, FiltersThatMatchNothingAreNamedInFileOrder) {
  const auto parsed = ParseText(
      "merge_method: ties\n"
      "parameters:\n"
      "  lambda: {filter: never_one, value: 1}\n"
      "base_model: b\n"
      "models:\n"
      "- model: a\n"
      "  parameters:\n"
      "    weight: [{filter: mlp, value: 1}, {filter: mlp.up, value: 2}, {filter: never_two, value: 3}, {filter: '*', "
      "value: 4}]\n"
      "    density: [{value: 1}]\n");
  ASSERT_TRUE(parsed.ok);
  const MergeConfig& config = parsed.config;
  FilterUse use;
  const ParamSpec lambda{.name = "lambda", .default_value = 1.0, .min = -9, .max = 9};
  for (const char* tensor : {"embed", "layers.0.mlp.up", "layers.0.attn"}) {
    ResolveParameter(kWeight, {{&config.models[0].parameters, nullptr, &config.parameters}}, {tensor, 0}, &use);
    ResolveParameter(lambda, {{nullptr, nullptr, &config.parameters}}, {tensor, 0}, &use);
  }
  // mlp.up never decides, mlp being first, but it does match.
  const auto unused = UnusedFilters(config, use);
  ASSERT_EQ(unused.size(), 2u);
  EXPECT_EQ(unused[0]->filter, "never_one");
  EXPECT_EQ(unused[1]->filter, "never_two");
  const auto warnings = UnusedFilterWarnings(config, use);
  EXPECT_THAT(InShort(warnings), ElementsAre("CFG-FILTER r:3:20", "CFG-FILTER r:8:76"));
  EXPECT_EQ(warnings[0].message, "filter 'never_one' of parameter 'lambda' matches no tensor");
}

TEST(FilterUse, AFilterBehindADecidingInnerLevelStillMatches) {
  const auto parsed = ParseText(
      "merge_method: linear\nparameters: {weight: [{filter: mlp, value: 2}]}\nmodels: [{model: a, parameters: {weight: "
      "1}}]\n");
  ASSERT_TRUE(parsed.ok);
  FilterUse use;
  EXPECT_EQ(ResolveParameter(kWeight, {{&parsed.config.models[0].parameters, nullptr, &parsed.config.parameters}},
                             {"mlp", 0}, &use),
            1.0);
  EXPECT_THAT(UnusedFilters(parsed.config, use), IsEmpty());
}

}  // namespace
}  // namespace gpumerge
