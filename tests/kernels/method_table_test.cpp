// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The table of methods: names, inputs and parameters of each, as mergekit has them, and the rules that every row keeps.
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

// "weight float/model required [-1e+30, 1e+30]; ..."
std::string ParamsOf(std::string_view method) {
  std::ostringstream text;
  for (const ParamSpec& param : FindMethod(method)->info->params) {
    constexpr const char* kTypes[] = {"float", "int", "bool", "choice"};
    constexpr const char* kScopes[] = {"", "/model", "/input"};
    text << param.name << " " << kTypes[static_cast<int>(param.type)] << kScopes[static_cast<int>(param.scope)];
    if (!param.default_value)
      text << " required";
    else if (param.type == ParamType::kChoice)
      text << " = " << param.choices[static_cast<size_t>(*param.default_value)];
    else
      text << " = " << *param.default_value;
    if (IsNumber(param.type)) text << " [" << param.min << ", " << param.max << "]";
    text << (param.effect == ParamEffect::kNone ? " ignored; " : "; ");
  }
  return text.str();
}

TEST(MethodTable, Parameters) {
  EXPECT_EQ(ParamsOf("linear"), "weight float/input required [-1e+30, 1e+30]; normalize bool = 1; ");
  EXPECT_EQ(ParamsOf("passthrough"), "scale float/input = 1 [-1e+30, 1e+30]; ");
  EXPECT_EQ(ParamsOf("slerp"), "t float required [-1e+06, 1e+06]; ");
  const std::string weight = "weight float/model required [-1e+30, 1e+30]; ",
                    density = "density float/model = 1 [0, 1]; ",
                    rest = "lambda float = 1 [-1e+30, 1e+30]; int8_mask bool = 0 ignored; ",
                    trim = "trim_scope choice = tensor; tie_break choice = lowest_index; ",
                    election =
                        "sign choice = sum; zero_sign choice = plus; elect_on choice = weighted; "
                        "divide_by choice = weights; ";
  EXPECT_EQ(ParamsOf("task_arithmetic"), weight +
                                             "density float/model = 1 [0, 1] ignored; normalize bool = 0; "
                                             "rescale choice = false ignored; " +
                                             rest);
  EXPECT_EQ(ParamsOf("ties"),
            weight + density + "normalize bool = 1; rescale choice = false; " + rest + trim + election);
  EXPECT_EQ(ParamsOf("dare_linear"), weight + density + "normalize bool = 0; rescale choice = true; " + rest);
  EXPECT_EQ(ParamsOf("dare_ties"), weight + density + "normalize bool = 0; rescale choice = true; " + rest + election);
  const std::string gamma = "gamma float/model = 0.01 [0, 1]; ", epsilon = "epsilon float/model = 0.15 [-0.5, 0.5]; ";
  EXPECT_EQ(ParamsOf("breadcrumbs"), weight + density + gamma + "normalize bool = 0; rescale choice = false; " + rest);
  EXPECT_EQ(ParamsOf("breadcrumbs_ties"),
            weight + density + gamma + "normalize bool = 0; rescale choice = false; " + rest + election);
  EXPECT_EQ(ParamsOf("della"),
            weight + density + epsilon + "normalize bool = 1; rescale choice = true; " + rest + election);
  EXPECT_EQ(ParamsOf("della_linear"),
            weight + density + epsilon + "normalize bool = 0; rescale choice = true; " + rest);
  EXPECT_EQ(ParamsOf("sce"),
            "select_topk float = 1 [0, 1]; mask choice = deltas; weight_floor float = 0 [0, 1e+30]; "
            "divisor_floor float = 0 [0, 1]; int8_mask bool = 0 ignored; ");
}

TEST(MethodTable, ParametersOfDirectionsAndChanges) {
  const std::string weight = "weight float/model required [-1e+30, 1e+30]; ";
  EXPECT_EQ(ParamsOf("nuslerp"), weight + "nuslerp_row_wise bool = 0; nuslerp_flatten bool = 1; ");
  EXPECT_EQ(ParamsOf("multislerp"), weight + "normalize_weights bool = 1; eps float = 1e-08 [0, 1]; ");
  EXPECT_EQ(ParamsOf("karcher"), "max_iter int = 10 [0, 10000]; tol float = 1e-05 [0, 1]; ");
  EXPECT_EQ(ParamsOf("model_stock"),
            "filter_wise bool = 0; norm_floor float = 0 [0, 1e+30]; singular choice = error; clamp_t bool = 0; ");
  EXPECT_EQ(ParamsOf("nearswap"), "t float required [-1e+30, 1e+30]; ");
  EXPECT_EQ(ParamsOf("arcee_fusion"), "iqr_factor float = 1.5 [-1e+06, 1e+06]; ");
  EXPECT_EQ(ParamsOf("ram"), "epsilon float = 1e-05 [0, 1]; ");
  EXPECT_EQ(ParamsOf("ramplus_tl"),
            "r float = 0.1 [-1e+30, 1e+30]; alpha float = 0.2 [0, 1e+30]; epsilon float = 1e-05 [0, 1]; ");
}

TEST(MethodTable, Inputs) {
  const auto inputs = [](std::string_view method) {
    const MethodInfo& info = *FindMethod(method)->info;
    return std::string(info.base == BaseUse::kRequired   ? "base and "
                       : info.base == BaseUse::kOptional ? "perhaps a base and "
                                                         : "") +
           std::to_string(info.min_models) + " to " + std::to_string(info.max_models);
  };
  EXPECT_EQ(inputs("linear"), "1 to 64");
  EXPECT_EQ(inputs("passthrough"), "1 to 1");
  EXPECT_EQ(inputs("slerp"), "base and 1 to 1");
  for (const char* method : {"task_arithmetic", "ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties",
                             "della", "della_linear", "sce"})
    EXPECT_EQ(inputs(method), "base and 1 to 64") << method;
  EXPECT_EQ(inputs("nuslerp"), "perhaps a base and 2 to 2");
  EXPECT_EQ(inputs("multislerp"), "perhaps a base and 1 to 64");
  EXPECT_EQ(inputs("karcher"), "1 to 15");
  EXPECT_EQ(inputs("model_stock"), "base and 2 to 15");
  for (const char* method : {"nearswap", "arcee_fusion"}) EXPECT_EQ(inputs(method), "base and 1 to 1") << method;
  for (const char* method : {"ram", "ramplus_tl"}) EXPECT_EQ(inputs(method), "base and 1 to 64") << method;
  std::set<std::string_view> copying;
  for (const MethodRow& row : Methods())
    if (row.info->copies_lone_input) copying.insert(row.info->name);
  EXPECT_EQ(copying, (std::set<std::string_view>{"arcee_fusion", "nuslerp", "slerp"}));
}

TEST(MethodTable, IsSortedAndFound) {
  const std::vector<std::string_view> expected = {"dare_linear", "dare_ties",       "linear", "passthrough",
                                                  "slerp",       "task_arithmetic", "ties"};
  std::vector<std::string_view> names;
  for (const MethodRow& row : Methods()) {
    names.push_back(row.info->name);
    EXPECT_EQ(FindMethod(row.info->name), &row);
  }
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_TRUE(std::includes(names.begin(), names.end(), expected.begin(), expected.end()));
  EXPECT_EQ(FindMethod("tie"), nullptr);
  EXPECT_EQ(FindMethod(""), nullptr);
}

TEST(MethodTable, EveryMethodDescribesItself) {
  for (const MethodRow& row : Methods()) {
    const MethodInfo& info = *row.info;
    EXPECT_FALSE(info.summary.empty() || info.formula.empty() || info.reference.empty()) << info.name;
    EXPECT_TRUE(std::all_of(info.formula.begin(), info.formula.end(), [](char c) { return c >= ' ' && c <= '~'; }));
    EXPECT_LE(info.min_models, info.max_models) << info.name;
    std::set<std::string_view> names;
    for (const ParamSpec& param : info.params) {
      EXPECT_TRUE(names.insert(param.name).second) << info.name << " has two " << param.name;
      EXPECT_FALSE(param.help.empty()) << info.name << "." << param.name;
      if (IsNumber(param.type)) {
        EXPECT_LT(param.min, param.max) << param.name;
        EXPECT_TRUE(!param.default_value || (*param.default_value >= param.min && *param.default_value <= param.max));
      }
      if (param.type == ParamType::kChoice) {
        ASSERT_TRUE(param.default_value.has_value());
        EXPECT_LT(static_cast<size_t>(*param.default_value), param.choices.size()) << param.name;
      }
    }
  }
}

TEST(MethodTable, PresetsNameParametersOfTheirMethod) {
  for (const MethodRow& row : Methods()) {
    std::set<std::string_view> names;
    for (const Preset& preset : row.info->presets) {
      EXPECT_TRUE(names.insert(preset.name).second) << row.info->name << " has two presets " << preset.name;
      EXPECT_FALSE(preset.help.empty() || preset.values.empty()) << row.info->name << " " << preset.name;
      std::set<std::string_view> params;
      for (const PresetValue& value : preset.values) {
        EXPECT_TRUE(params.insert(value.param).second) << preset.name << " sets " << value.param << " twice";
        const auto found = std::find_if(row.info->params.begin(), row.info->params.end(),
                                        [&](const ParamSpec& param) { return param.name == value.param; });
        ASSERT_NE(found, row.info->params.end()) << row.info->name << " " << preset.name << ": " << value.param;
        if (found->type == ParamType::kChoice)
          EXPECT_LT(static_cast<size_t>(value.value), found->choices.size()) << value.param;
        else if (found->type == ParamType::kBool)
          EXPECT_TRUE(value.value == 0 || value.value == 1) << value.param;
        else
          EXPECT_TRUE(value.value >= found->min && value.value <= found->max) << value.param;
      }
    }
  }
}

// What a preset sets, in words.
std::string PresetOf(std::string_view method, std::string_view name) {
  std::ostringstream text;
  const MethodInfo& info = *FindMethod(method)->info;
  for (const Preset& preset : info.presets) {
    if (preset.name != name) continue;
    for (const PresetValue& value : preset.values) {
      for (const ParamSpec& param : info.params) {
        if (param.name != value.param) continue;
        text << param.name << " ";
        if (param.type == ParamType::kChoice)
          text << param.choices[static_cast<size_t>(value.value)] << "; ";
        else
          text << value.value << "; ";
      }
    }
  }
  return text.str();
}

TEST(MethodTable, PresetsOfTheTaskVectorFamily) {
  EXPECT_EQ(PresetOf("ties", "mergekit"),
            "normalize 1; rescale false; trim_scope tensor; tie_break lowest_index; sign sum; zero_sign plus; "
            "elect_on weighted; divide_by weights; ");
  EXPECT_EQ(PresetOf("ties", "paper"),
            "normalize 1; rescale false; trim_scope model; tie_break keep_all; sign sum; zero_sign majority; "
            "elect_on raw; divide_by count; ");
  EXPECT_EQ(PresetOf("ties", "peft"),
            "normalize 1; rescale false; trim_scope tensor; tie_break lowest_index; sign sum; zero_sign plus; "
            "elect_on raw; divide_by count; ");
  EXPECT_EQ(PresetOf("dare_ties", "mergekit"),
            "normalize 0; rescale l1; sign sum; zero_sign plus; elect_on weighted; divide_by weights; ");
  EXPECT_EQ(PresetOf("dare_linear", "mergekit"), "normalize 0; rescale l1; ");
  EXPECT_EQ(PresetOf("dare_linear", "paper"), "normalize 0; rescale true; ");
  EXPECT_EQ(PresetOf("della", "mergekit"),
            "normalize 1; rescale l1; sign sum; zero_sign plus; elect_on weighted; divide_by weights; ");
  EXPECT_EQ(PresetOf("della_linear", "mergekit"), "normalize 0; rescale l1; ");
  EXPECT_EQ(PresetOf("sce", "mergekit"), "mask deltas; weight_floor 1e-06; divisor_floor 1e-06; ");
  EXPECT_EQ(PresetOf("sce", "fuseai"), "mask weights; weight_floor 0; divisor_floor 0; ");
}

TEST(MergeJob, ParametersByName) {
  const MergeJob job =
      MakeJob({.method = "ties", .inputs = {{1}, {2}, {3}}, .params = {{"weight", {0.25, 4}}, {"lambda", {3}}}}).job;
  EXPECT_EQ(job.PerModel("weight", 0), 0.25);
  EXPECT_EQ(job.PerModel("weight", 1), 4.0);
  EXPECT_EQ(job.PerModel("density", 1), 1.0);
  EXPECT_EQ(job.Shared("lambda"), 3.0);
  EXPECT_THROW(job.Shared("lamda"), Error);
  const MergeJob linear = MakeJob({.method = "linear", .inputs = {{1}, {2}}, .params = {{"weight", {0.25, 4}}}}).job;
  EXPECT_EQ(linear.PerModel("weight", 0), 0.25);
}

}  // namespace
}  // namespace gpumerge
