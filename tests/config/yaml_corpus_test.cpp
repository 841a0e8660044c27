// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Hostile and odd YAML ends in a clean error with the right code, or is accepted; nothing crashes or hangs.
#include "tests/support/yaml_corpus.h"

#include "tests/support/recipe_text.h"

#include <gtest/gtest.h>

#include <random>

namespace gpumerge {
namespace {

using testing::ErrorsOf;
using testing::ParseText;
using testing::RecipeWithWeight;

class YamlCorpus : public ::testing::TestWithParam<testing::YamlCase> {};

TEST_P(YamlCorpus, EndsInACleanError) {
  const auto parsed = ParseText(GetParam().text);
  ASSERT_FALSE(parsed.ok);
  const ErrorCodeInfo& first = Info(parsed.errors.front().code);
  EXPECT_EQ(first.exit_status, 3);
  EXPECT_LE(parsed.errors.size(), 50u);
  for (const Diagnostic& error : parsed.errors) EXPECT_FALSE(error.message.empty());
  if (!GetParam().code.empty()) {
    EXPECT_EQ(first.code, GetParam().code) << parsed.errors.front().message;
  }
}

INSTANTIATE_TEST_SUITE_P(All, YamlCorpus, ::testing::ValuesIn(testing::YamlCorpus()),
                         [](const auto& test) { return test.param.name; });

TEST(YamlCorpusScalars, ANumberIsAcceptedOrRefusedByName) {
  for (const testing::ScalarCase& scalar : testing::NumberCorpus()) {
    const auto parsed = ParseText(RecipeWithWeight(scalar.text));
    const std::string code = parsed.ok ? "" : std::string(Info(parsed.errors.front().code).code);
    EXPECT_EQ(code, scalar.code) << "weight: " << scalar.text;
  }
}

TEST(YamlCorpusScalars, BooleansAreAcceptedOrRefusedByName) {
  const std::vector<testing::ScalarCase> cases{{"true", ""},
                                               {"True", ""},
                                               {"FALSE", ""},
                                               {"0", ""},
                                               {"1", ""},
                                               {"1.0", ""},
                                               {"\"true\"", ""},
                                               {"yes", "YAML-AMBIG"},
                                               {"No", "YAML-AMBIG"},
                                               {"on", "YAML-AMBIG"},
                                               {"OFF", "YAML-AMBIG"},
                                               {"y", "YAML-AMBIG"},
                                               {"N", "YAML-AMBIG"},
                                               {"\"yes\"", "YAML-AMBIG"},
                                               {"2", "CFG-TYPE"},
                                               {"0.5", "CFG-TYPE"},
                                               {"maybe", "CFG-TYPE"},
                                               {"~", "CFG-TYPE"},
                                               {"01", "YAML-AMBIG"}};
  for (const testing::ScalarCase& scalar : cases) {
    const auto parsed = ParseText(RecipeWithWeight("1") + "parameters: {normalize: " + scalar.text + "}\n");
    const std::string code = parsed.ok ? "" : std::string(Info(parsed.errors.front().code).code);
    EXPECT_EQ(code, scalar.code) << "normalize: " << scalar.text;
  }
}

// Every prefix and thousands of small damages of a real recipe: an Error with exit status 3, or a config. Anything else
// would end this process.
TEST(YamlCorpusDamage, NothingButAnErrorComesOutOfADamagedRecipe) {
  const std::string recipe =
      "merge_method: ties\nbase_model: &b org/base\nslices:\n- sources:\n  - model: *b\n    layer_range: [0, 4]\n"
      "  - {model: org/a, layer_range: [0, 4], parameters: {weight: [{filter: mlp, value: [0, 1e-1]}, {value: .5}]}}\n"
      "parameters: {density: 0.5, normalize: true, rescale: l1}\ndtype: \"bfloat16\"\nseed: 7 # seed\noutput: |\n  x\n";
  ASSERT_TRUE(ParseText(recipe).ok);
  for (size_t size = 0; size < recipe.size(); ++size) ParseText(recipe.substr(0, size));
  constexpr std::string_view kInserts = "[]{}:,-&*!|>'\"%@`#? \n\t~01\xff\\";
  std::mt19937 random(1);
  size_t n_refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = recipe;
    for (int n = 0; n < 3; ++n) {
      const size_t at = random() % damaged.size();
      const char insert = kInserts[random() % kInserts.size()];
      if (random() % 3 == 0) {
        damaged.erase(at, 1 + random() % 4);
      } else {
        damaged.insert(damaged.begin() + static_cast<std::ptrdiff_t>(at), insert);
      }
    }
    const auto parsed = ParseText(damaged);
    if (!parsed.ok) {
      ++n_refused;
      ASSERT_EQ(Info(parsed.errors.front().code).exit_status, 3) << damaged;
    }
  }
  EXPECT_GT(n_refused, 2500u);
}

}  // namespace
}  // namespace gpumerge
