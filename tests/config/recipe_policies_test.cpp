// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Keys of recipes that say what is to happen, presets, modules, filters by pattern, chat templates.
#include "src/config/chat_template.h"
#include "src/config/emit.h"
#include "src/config/filter.h"
#include "src/config/resolve.h"
#include "tests/support/recipe_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gpumerge {
namespace {

using ::testing::ElementsAre;
using testing::ErrorsOf;
using ::testing::HasSubstr;
using testing::InShort;
using ::testing::IsEmpty;
using testing::ParseText;
using testing::Ties;

TEST(Filters, AreAPartOfTheName) {
  EXPECT_TRUE(FilterMatches("mlp", "model.layers.0.mlp.up_proj.weight"));
  EXPECT_TRUE(FilterMatches("*", "anything"));
  EXPECT_FALSE(FilterMatches("m*p", "model.layers.0.mlp.up_proj.weight"));
}

TEST(Filters, GlobsAreTheWholeName) {
  const auto matches = [](std::string_view pattern, std::string_view name) {
    return FilterMatches("glob:" + std::string(pattern), name);
  };
  EXPECT_TRUE(matches("*.mlp.*", "model.layers.0.mlp.up_proj.weight"));
  EXPECT_FALSE(matches("mlp.*", "model.layers.0.mlp.up_proj.weight"));
  EXPECT_TRUE(matches("model.layers.[0-3].*", "model.layers.2.x"));
  EXPECT_FALSE(matches("model.layers.[!0-3].*", "model.layers.2.x"));
  EXPECT_TRUE(matches("model.layers.[!0-3].*", "model.layers.7.x"));
  EXPECT_FALSE(matches("model.layers.?.*", "model.layers.12.x"));
  EXPECT_TRUE(matches("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches("a*b*c", "a-b-b-d"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("[]]x", "]x"));
  EXPECT_FALSE(matches("a", "ab"));
  // No pattern takes long.
  EXPECT_FALSE(matches("*a*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST(Filters, RegularExpressionsAreAPartOfTheName) {
  const auto matches = [](std::string_view pattern, std::string_view name) {
    return FilterMatches("regex:" + std::string(pattern), name);
  };
  EXPECT_TRUE(matches(R"(layers\.(0|1)\.)", "model.layers.1.mlp"));
  EXPECT_FALSE(matches(R"(layers\.(0|1)\.)", "model.layers.11.mlp"));
  EXPECT_TRUE(matches("^lm_head", "lm_head.weight"));
  EXPECT_FALSE(matches("^head", "lm_head.weight"));
  EXPECT_FALSE(matches("(a+)+$", std::string(200, 'a') + "b"));
}

TEST(Filters, MalformedOnesAreErrorsWithTheirPlace) {
  const auto recipe = [](std::string_view filter) {
    return Ties(fmt::format("parameters: {{lambda: [{{filter: '{}', value: 1}}]}}\n", filter));
  };
  EXPECT_THAT(ErrorsOf(recipe("regex:a(")), ElementsAre("CFG-FILTER r:8:32"));
  EXPECT_THAT(ErrorsOf(recipe("regex:")), ElementsAre("CFG-FILTER r:8:32"));
  EXPECT_THAT(ErrorsOf(recipe("glob:[a")), ElementsAre("CFG-FILTER r:8:32"));
  EXPECT_THAT(ErrorsOf(recipe("glob:*.[a-c]")), IsEmpty());
  EXPECT_THAT(ErrorsOf(recipe("regex:a.c")), IsEmpty());
}

TEST(Policies, MissingAndOverflow) {
  const auto parsed = ParseText(Ties("missing: present\noverflow: saturate\n"));
  ASSERT_TRUE(parsed.ok);
  EXPECT_EQ(parsed.config.missing, MissingPolicy::kPresent);
  EXPECT_EQ(parsed.config.overflow, OverflowPolicy::kSaturate);
  EXPECT_THAT(EmitConfig(parsed.config), HasSubstr("missing: present\noverflow: saturate\nseed: 0\n"));
  EXPECT_EQ(ParseText(Ties("missing: base\noverflow: inf\n")).config.missing, MissingPolicy::kBase);
  EXPECT_EQ(ParseText(Ties("")).config.overflow, OverflowPolicy::kError);
  const auto wrong = ParseText(Ties("missing: presen\noverflow: [inf]\n"));
  ASSERT_THAT(InShort(wrong.errors), ElementsAre("CFG-TYPE r:8:10", "CFG-TYPE r:9:11"));
  EXPECT_THAT(wrong.errors[0].help, HasSubstr("'present'"));
}

TEST(Policies, WhatIsAllowedByName) {
  const std::string text =
      "nonfinite: allow\nint_policy: base\nextra: drop\nfloat8: plain\non_mismatch:\n  - {filter: lm_head, value: "
      "base}\n  - {value: error}\n";
  const auto parsed = ParseText(Ties(text));
  ASSERT_TRUE(parsed.ok) << ::testing::PrintToString(InShort(parsed.errors));
  EXPECT_EQ(parsed.config.nonfinite, NonFinitePolicy::kAllow);
  EXPECT_EQ(parsed.config.int_policy, IntPolicy::kBase);
  EXPECT_EQ(parsed.config.extra, ExtraPolicy::kDrop);
  EXPECT_EQ(parsed.config.float8, Float8Policy::kPlain);
  ASSERT_EQ(parsed.config.on_mismatch.size(), 2u);
  EXPECT_EQ(parsed.config.on_mismatch[0].filter, "lm_head");
  EXPECT_THAT(EmitConfig(parsed.config), HasSubstr(text));
  const auto plain = ParseText(Ties("on_mismatch: base\n"));
  EXPECT_THAT(EmitConfig(plain.config), HasSubstr("on_mismatch: base\n"));
  EXPECT_EQ(ParseText(Ties("")).config.nonfinite, NonFinitePolicy::kError);
}

TEST(Policies, WhatIsWrongWithThem) {
  EXPECT_THAT(ErrorsOf(Ties("nonfinite: alow\n")), ElementsAre("CFG-TYPE r:8:12"));
  EXPECT_THAT(ErrorsOf(Ties("int_policy: mean\n")), ElementsAre("CFG-TYPE r:8:13"));
  EXPECT_THAT(ErrorsOf(Ties("extra: keep\n")), ElementsAre("CFG-TYPE r:8:8"));
  EXPECT_THAT(ErrorsOf(Ties("float8: true\n")), ElementsAre("CFG-TYPE r:8:9"));
  EXPECT_THAT(ErrorsOf(Ties("on_mismatch: crop\n")), ElementsAre("CFG-TYPE r:8:14"));
  EXPECT_THAT(ErrorsOf(Ties("on_mismatch: [base, error]\n")), ElementsAre("CFG-TYPE r:8:14"));
  EXPECT_THAT(ErrorsOf(Ties("on_mismatch: [{filter: 'regex:(', value: base}]\n")), ElementsAre("CFG-FILTER r:8:24"));
  EXPECT_THAT(ErrorsOf(Ties("on_mismatch: [{filter: x}]\n")), ElementsAre("CFG-MISSING r:8:15"));
}

TEST(Presets, StandForOrdinaryParameters) {
  const MethodInfo& ties = *FindMethod("ties")->info;
  ASSERT_FALSE(ties.presets.empty());
  for (const MethodRow& row : Methods()) {
    for (const Preset& preset : row.info->presets) {
      EXPECT_FALSE(preset.help.empty()) << row.info->name << " " << preset.name;
      for (const PresetValue& value : preset.values) {
        const auto is_it = [&](const ParamSpec& spec) { return spec.name == value.param; };
        const auto spec = std::find_if(row.info->params.begin(), row.info->params.end(), is_it);
        ASSERT_NE(spec, row.info->params.end()) << row.info->name << " has no " << value.param;
        ResolveLevels levels;
        const Settings settings{{"preset", {}, {{{}, {}, {Scalar{std::string(preset.name), {}}}}}}};
        levels.levels[1] = &settings;
        levels.presets = row.info->presets;
        EXPECT_EQ(ResolveParameter(*spec, levels, {"x", 0}, nullptr), value.value);
        // What is given wins, on whatever level.
        const Settings given{{std::string(spec->name), {}, {{{}, {}, {Scalar{true, {}}}}}}};
        if (spec->type != ParamType::kBool) continue;
        levels.levels[2] = &given;
        EXPECT_EQ(ResolveParameter(*spec, levels, {"x", 0}, nullptr), 1.0);
      }
    }
  }
}

TEST(Presets, AreReadAndWritten) {
  const auto parsed = ParseText(Ties("parameters: {preset: mergekit, lambda: 2}\n"));
  ASSERT_TRUE(parsed.ok) << ::testing::PrintToString(InShort(parsed.errors));
  EXPECT_THAT(EmitConfig(parsed.config), HasSubstr("parameters:\n  preset: mergekit\n  lambda: 2\n"));
  const auto unknown = ParseText(Ties("parameters: {preset: mergkit}\n"));
  ASSERT_THAT(InShort(unknown.errors), ElementsAre("CFG-TYPE r:8:22"));
  EXPECT_THAT(unknown.errors[0].expected, HasSubstr("'mergekit'"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\n"
                       "parameters: {preset: mergekit}\n"),
              ElementsAre("CFG-PARAM r:3:14"));
  EXPECT_THAT(ErrorsOf("merge_method: ties\nbase_model: b\nmodels:\n"
                       "- {model: a, parameters: {weight: 1, preset: mergekit}}\n"),
              ElementsAre("CFG-PARAM r:4:38"));
}

TEST(WholeNumbers, AreReadLaxly) {
  const auto recipe = [](std::string_view value) {
    return fmt::format("merge_method: karcher\nmodels: [{{model: a}}, {{model: b}}]\nparameters: {{max_iter: {}}}\n",
                       value);
  };
  EXPECT_THAT(ErrorsOf(recipe("10")), IsEmpty());
  EXPECT_THAT(ErrorsOf(recipe("10.0")), IsEmpty());
  EXPECT_THAT(ErrorsOf(recipe("[5, 10]")), IsEmpty());
  EXPECT_THAT(ErrorsOf(recipe("7.5")), ElementsAre("CFG-TYPE r:3:24"));
}

TEST(Modules, AreReadWithTheirInputs) {
  const auto parsed = ParseText(
      "merge_method: linear\nparameters: {weight: 1}\nmodules:\n  text:\n    models: [{model: a}]\n    prefix: t.\n"
      "  vision:\n    slices: [{sources: [{model: a, layer_range: [0, 1]}]}]\n  rest: {drop: true}\n");
  ASSERT_TRUE(parsed.ok) << ::testing::PrintToString(InShort(parsed.errors));
  ASSERT_EQ(parsed.config.modules.size(), 3u);
  EXPECT_THAT(parsed.config.modules[0].prefixes, ElementsAre("t."));
  EXPECT_EQ(parsed.config.modules[1].slices.size(), 1u);
  EXPECT_TRUE(parsed.config.modules[2].drop);
  const std::string emitted = EmitConfig(parsed.config);
  EXPECT_EQ(EmitConfig(ParseText(emitted).config), emitted);
}

TEST(Modules, WhatIsWrongWithThem) {
  const std::string head = "merge_method: linear\nparameters: {weight: 1}\nmodules:\n";
  EXPECT_THAT(ErrorsOf(head + "  text: {}\n"), ElementsAre("CFG-CHOICE r:4:3"));
  EXPECT_THAT(ErrorsOf(head + "  text: {drop: true, models: [{model: a}]}\n"), ElementsAre("CFG-CHOICE r:4:22"));
  EXPECT_THAT(ErrorsOf(head + "  text: {model: [{model: a}]}\n"),
              ElementsAre("CFG-CHOICE r:4:3", "CFG-UNKNOWN r:4:10"));
  EXPECT_THAT(ErrorsOf(head + "  text: {models: [{model: a}]}\nmodels: [{model: a}]\n"),
              ElementsAre("CFG-CHOICE r:3:1"));
  EXPECT_THAT(
      ErrorsOf("merge_method: slerp\nbase_model: a\nmodules:\n  text: {models: [{model: a}, {model: b}, {model: c}],"
               " parameters: {t: 1}}\n"),
      ElementsAre("CFG-RANGE r:4:3"));
  EXPECT_THAT(ErrorsOf("merge_method: linear\nmodules:\n  text: {models: [{model: a}]}\n"),
              ElementsAre("CFG-MISSING r:3:27"));
}

TEST(ChatTemplates, TextsAreChecked) {
  EXPECT_EQ(ChatTemplateDefect("auto"), "");
  EXPECT_EQ(ChatTemplateDefect("{% if a %}{{ 'x}}' }}{% else %}{# {% #}{% endif %}"), "");
  EXPECT_EQ(ChatTemplateDefect("{%- set x = 1 -%}{% raw %}{% if %}{% endraw %}"), "");
  EXPECT_NE(ChatTemplateDefect("hello"), "");
  EXPECT_EQ(ChatTemplateDefect("{{ x"), "'{{' is not closed");
  EXPECT_EQ(ChatTemplateDefect("{% if a %}"), "'if' has no 'endif'");
  EXPECT_EQ(ChatTemplateDefect("{% for a in b %}{% endif %}"), "'endif' without 'if'");
  EXPECT_EQ(ChatTemplateDefect("{% else %}{{ 1 }}"), "'else' without 'if'");
  EXPECT_THAT(ErrorsOf(Ties("chat_template: vicuna\n")), ElementsAre("CFG-TYPE r:8:16"));
  EXPECT_THAT(ErrorsOf(Ties("chat_template: chatml\n")), IsEmpty());
}

}  // namespace
}  // namespace gpumerge
