// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The config as run: canonical, and equal to its source when it is read again.
#include "src/config/emit.h"

#include "tests/support/recipe_text.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace gpumerge {
namespace {

using testing::InShort;
using testing::ParseText;

// Equality of all that counts: places, the file's name and `output` do not.
bool Same(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Scalar& x, const Scalar& y) { return x.value == y.value; });
}

bool Same(const Settings& a, const Settings& b) {
  const auto same_condition = [](const ConditionalValue& x, const ConditionalValue& y) {
    return x.filter == y.filter && Same(x.values, y.values);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const Setting& x, const Setting& y) {
    return x.name == y.name && std::equal(x.conditions.begin(), x.conditions.end(), y.conditions.begin(),
                                          y.conditions.end(), same_condition);
  });
}

bool Same(const ModelRef& a, const ModelRef& b) {
  return a.text == b.text && a.literal_path == b.literal_path && a.revision == b.revision;
}

bool Same(const std::optional<ModelRef>& a, const std::optional<ModelRef>& b) {
  return a.has_value() == b.has_value() && (!a || Same(*a, *b));
}

bool Same(const SourceEntry& a, const SourceEntry& b) {
  return Same(a.model, b.model) && a.layer_begin == b.layer_begin && a.layer_end == b.layer_end &&
         Same(a.parameters, b.parameters);
}

bool Same(const MergeConfig& a, const MergeConfig& b) {
  const auto same_model = [](const ModelEntry& x, const ModelEntry& y) {
    return Same(x.model, y.model) && Same(x.parameters, y.parameters);
  };
  const auto same_slice = [](const SliceEntry& x, const SliceEntry& y) {
    return std::equal(x.sources.begin(), x.sources.end(), y.sources.begin(), y.sources.end(),
                      [](const SourceEntry& p, const SourceEntry& q) { return Same(p, q); }) &&
           Same(x.base_model, y.base_model) && Same(x.parameters, y.parameters);
  };
  return a.merge_method == b.merge_method && Same(a.base_model, b.base_model) && Same(a.parameters, b.parameters) &&
         std::equal(a.models.begin(), a.models.end(), b.models.begin(), b.models.end(), same_model) &&
         std::equal(a.slices.begin(), a.slices.end(), b.slices.begin(), b.slices.end(), same_slice) &&
         a.dtype == b.dtype && a.out_dtype == b.out_dtype && Same(a.tokenizer_source, b.tokenizer_source) &&
         a.tokenizer_from_base == b.tokenizer_from_base && a.seed == b.seed && a.chat_template == b.chat_template &&
         a.missing == b.missing && a.overflow == b.overflow && a.shard_size_bytes == b.shard_size_bytes &&
         a.layer_pattern == b.layer_pattern;
}

TEST(EmitConfig, IsCanonical) {
  const auto parsed = ParseText(
      "dtype: torch.float16\noutput: somewhere\nparameters: {normalize: True, rescale: FALSE, lambda: \"1e-5\"}\n"
      "models:\n- {model: org/a@v1, parameters: {weight: [{filter: mlp, value: [0, .5]}, {value: 1.0}], density: "
      "[0.1]}}\n"
      "- model: {model: {path: 'C++ \"dir\"', revision: yes}}\n  parameters: {weight: 1}\n"
      "base_model: ./base\nmerge_method: ties\nshard_size: 1k\ntokenizer_source: base\nlayer_pattern: h.\n");
  ASSERT_TRUE(parsed.ok) << ::testing::PrintToString(InShort(parsed.errors));
  EXPECT_EQ(EmitConfig(parsed.config),
            "merge_method: ties\n"
            "base_model: ./base\n"
            "models:\n"
            "  - model: org/a@v1\n"
            "    parameters:\n"
            "      weight:\n"
            "        - {filter: mlp, value: [0, 0.5]}\n"
            "        - {value: 1}\n"
            "      density: 0.1\n"
            "  - model: {model: {path: \"C++ \\\"dir\\\"\", revision: \"yes\"}}\n"
            "    parameters:\n"
            "      weight: 1\n"
            "parameters:\n"
            "  normalize: true\n"
            "  rescale: false\n"
            "  lambda: 1e-05\n"
            "dtype: float16\n"
            "tokenizer_source: base\n"
            "seed: 0\n"
            "shard_size: 1000\n"
            "layer_pattern: h.\n");
}

TEST(EmitConfig, SlicesAndEmptyValues) {
  const auto parsed = ParseText(
      "merge_method: slerp\nbase_model: a\nparameters: {t: 0.5}\nslices:\n- sources:\n  - {model: a, layer_range: [0, "
      "4]}\n"
      "  - {model: b, layer_range: [4, 8]}\n  base_model: b\n  parameters: {t: [{filter: x, value: []}, {filter: '*', "
      "value: 1}]}\n"
      "- sources:\n  - {model: a, layer_range: [1, 2]}\n  - {model: b, layer_range: [1, 2]}\n  parameters: {t: []}\n");
  ASSERT_TRUE(parsed.ok) << ::testing::PrintToString(InShort(parsed.errors));
  const std::string emitted = EmitConfig(parsed.config);
  EXPECT_EQ(emitted,
            "merge_method: slerp\n"
            "base_model: a\n"
            "slices:\n"
            "  - sources:\n"
            "      - model: a\n"
            "        layer_range: [0, 4]\n"
            "      - model: b\n"
            "        layer_range: [4, 8]\n"
            "    base_model: b\n"
            "    parameters:\n"
            "      t:\n"
            "        - {filter: x, value: []}\n"
            "        - {filter: \"*\", value: 1}\n"
            "  - sources:\n"
            "      - model: a\n"
            "        layer_range: [1, 2]\n"
            "      - model: b\n"
            "        layer_range: [1, 2]\n"
            "    parameters:\n"
            "      t: []\n"
            "parameters:\n"
            "  t: 0.5\n"
            "seed: 0\n");
  EXPECT_TRUE(Same(parsed.config, ParseText(emitted).config));
}

TEST(EmitConfig, TheExampleRecipesReadBackEqual) {
  for (const auto& file : std::filesystem::directory_iterator(std::string(GPUMERGE_SOURCE_DIR) + "/configs")) {
    if (file.path().extension() != ".yaml") continue;
    const MergeConfig config = LoadConfig(file.path().string(), nullptr);
    const auto again = ParseText(EmitConfig(config));
    ASSERT_TRUE(again.ok);
    EXPECT_TRUE(Same(config, again.config)) << EmitConfig(config);
    EXPECT_EQ(EmitConfig(again.config), EmitConfig(config));
  }
}

// Text that exercises quoting: YAML's own words and signs, controls, characters of two to four bytes.
std::string ArbitraryText() {
  const std::vector<std::string> parts{"a",
                                       "Z",
                                       "0",
                                       " ",
                                       ":",
                                       "#",
                                       "-",
                                       "?",
                                       "\"",
                                       "'",
                                       "\\",
                                       "\n",
                                       "\t",
                                       "*",
                                       "&",
                                       "!",
                                       "null",
                                       "~",
                                       "yes",
                                       "1e5",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       "%",
                                       "@",
                                       "`",
                                       "\r",
                                       "\x01",
                                       "\x7f",
                                       "/",
                                       "\xc2\x85",
                                       "\xc3\xa9",
                                       "\xe2\x80\xa8",
                                       "\xf0\x9f\x98\x80",
                                       "<<",
                                       "|",
                                       ">",
                                       ".5"};
  std::string text = *rc::gen::elementOf(parts);
  for (int n = *rc::gen::inRange(0, 6); n > 0; --n) text += *rc::gen::elementOf(parts);
  return text;
}

ModelRef ArbitraryModel(int number) {
  ModelRef reference;
  if (*rc::gen::arbitrary<bool>()) {
    reference.text = fmt::format("org/m{}", number);
    return reference;
  }
  reference.literal_path = true;
  reference.text = ArbitraryText() + std::to_string(number);
  if (*rc::gen::arbitrary<bool>()) reference.revision = ArbitraryText();
  return reference;
}

double ArbitraryNumber(const ParamSpec& spec) {
  const auto mantissa = static_cast<double>(*rc::gen::inRange<int64_t>(-(int64_t{1} << 53), int64_t{1} << 53));
  return std::clamp(mantissa * std::pow(10.0, *rc::gen::inRange(-40, 13)), spec.min, spec.max);
}

Scalar ArbitraryScalar(const ParamSpec& spec) {
  if (spec.type == ParamType::kInt) return {std::clamp(std::trunc(ArbitraryNumber(spec)), spec.min, spec.max), {}};
  if (spec.type == ParamType::kFloat) return {ArbitraryNumber(spec), {}};
  if (spec.type == ParamType::kBool) return {*rc::gen::arbitrary<bool>(), {}};
  const auto choice = *rc::gen::inRange<size_t>(0, spec.choices.size());
  return {std::string(spec.choices[choice]), {}};
}

// The last condition always yields something.
Setting ArbitrarySetting(const ParamSpec& spec) {
  Setting setting{std::string(spec.name), {}, {}};
  for (int n = *rc::gen::inRange(0, 3); n >= 0; --n) {
    ConditionalValue condition;
    if (*rc::gen::arbitrary<bool>()) condition.filter = ArbitraryText();
    const int n_values = *rc::gen::inRange(n == 0 ? 1 : 0, 4);
    for (int i = 0; i < n_values; ++i) condition.values.push_back(ArbitraryScalar(spec));
    setting.conditions.push_back(std::move(condition));
  }
  return setting;
}

// Parameters a level may have; the required ones always.
Settings ArbitrarySettings(const MethodInfo& method, bool shared_too) {
  Settings settings;
  for (const ParamSpec& spec : method.params) {
    if (spec.scope == ParamScope::kShared && !shared_too) continue;
    if (!spec.default_value || *rc::gen::arbitrary<bool>()) settings.push_back(ArbitrarySetting(spec));
  }
  return settings;
}

MergeConfig ArbitraryConfig() {
  MergeConfig config;
  const auto methods = Methods();
  const MethodInfo& method = *methods[*rc::gen::inRange<size_t>(0, methods.size())].info;
  config.merge_method = method.name;
  const uint32_t n_models = *rc::gen::inRange(method.min_models, std::min(method.max_models, 4u) + 1);
  const bool has_slices = *rc::gen::arbitrary<bool>();
  std::vector<ModelRef> models;
  if (method.base == BaseUse::kRequired || (method.base == BaseUse::kOptional && *rc::gen::arbitrary<bool>())) {
    config.base_model = ArbitraryModel(100);
    if (has_slices) models.push_back(*config.base_model);
  }
  for (uint32_t m = 0; m < n_models; ++m) models.push_back(ArbitraryModel(static_cast<int>(m)));
  const auto begin = *rc::gen::inRange<uint64_t>(0, 9);
  SliceEntry slice;
  for (const ModelRef& model : models) {
    const Settings parameters = ArbitrarySettings(method, false);
    if (has_slices) {
      slice.sources.push_back({model, begin, begin + 3, {}, parameters});
    } else {
      config.models.push_back({model, parameters});
    }
  }
  if (has_slices) {
    slice.parameters = ArbitrarySettings(method, true);
    config.slices.push_back(slice);
  }
  config.parameters = ArbitrarySettings(method, true);
  if (*rc::gen::arbitrary<bool>())
    config.dtype = *rc::gen::element(DType::kBF16, DType::kF16, DType::kF32, DType::kF64);
  if (*rc::gen::arbitrary<bool>()) config.out_dtype = DType::kF8E5M2;
  if (*rc::gen::arbitrary<bool>()) config.tokenizer_source = ArbitraryModel(200);
  if (*rc::gen::arbitrary<bool>())
    config.chat_template = "{{ x }}" + std::to_string(*rc::gen::inRange(0, 9)) + "\n\t\"{# #}";
  config.missing = *rc::gen::element(MissingPolicy::kError, MissingPolicy::kPresent, MissingPolicy::kBase);
  config.overflow = *rc::gen::element(OverflowPolicy::kError, OverflowPolicy::kSaturate, OverflowPolicy::kInf);
  config.seed = *rc::gen::arbitrary<uint64_t>();
  if (*rc::gen::arbitrary<bool>()) config.shard_size_bytes = *rc::gen::inRange<uint64_t>(1, uint64_t{1} << 60);
  if (*rc::gen::arbitrary<bool>()) config.layer_pattern = ArbitraryText();
  return config;
}

TEST(EmitConfig, ReadBackIsEqual) {
  EXPECT_TRUE(rc::check("a config survives being written and read", [] {
    const MergeConfig config = ArbitraryConfig();
    const std::string emitted = EmitConfig(config);
    const auto again = ParseText(emitted);
    if (!again.ok) RC_FAIL(again.errors[0].where + " " + again.errors[0].message + "\n" + emitted);
    RC_ASSERT(Same(config, again.config));
    RC_ASSERT(EmitConfig(again.config) == emitted);
  }));
}

}  // namespace
}  // namespace gpumerge
