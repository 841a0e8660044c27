// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Plans of recipes over tiny models in a scratch directory. In recipes "$D" stands for that directory.
#pragma once

#include "tests/support/model_writer.h"

#include "gpumerge/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace gpumerge::test {

class PlanTest : public ::testing::Test {
 protected:
  std::string Expand(std::string_view text) const {
    std::string expanded(text);
    for (size_t at = expanded.find("$D"); at != std::string::npos; at = expanded.find("$D", at))
      expanded.replace(at, 2, dir_.path());
    return expanded;
  }

  MergeConfig Config(std::string_view yaml) const {
    std::vector<Diagnostic> warnings;
    return ParseConfig(Expand(yaml), "recipe.yaml", &warnings);
  }

  Plan MakePlan(std::string_view yaml, bool strict = false) const {
    PlanOptions options;
    options.output_dir = dir_ / "out";
    options.strict = strict;
    return PlanMerge(Config(yaml), options);
  }

  // What planning refuses the recipe for; empty when it does not.
  std::vector<Diagnostic> Problems(std::string_view yaml, bool strict = false) const {
    const MergeConfig config = Config(yaml);
    try {
      PlanOptions options;
      options.output_dir = dir_ / "out";
      options.strict = strict;
      PlanMerge(config, options);
    } catch (const Error& error) {
      return error.diagnostics();
    }
    return {};
  }

  // The only problem; a failure when there is none or more.
  Diagnostic Problem(std::string_view yaml) const {
    const std::vector<Diagnostic> problems = Problems(yaml);
    for (const Diagnostic& problem : problems) SCOPED_TRACE(problem.message);
    EXPECT_EQ(problems.size(), 1u);
    return problems.empty() ? Diagnostic{} : problems[0];
  }

  void Write(const std::string& name, const TinyModel& model, uint32_t n_shards = 1) const {
    WriteTinyModel(dir_ / name, model, n_shards);
  }
  void Write(const std::string& name, const std::vector<TestTensor>& tensors, const std::string& config_json) const {
    WriteModel(dir_ / name, tensors, config_json);
  }

  static const PlanItem& Item(const Plan& plan, std::string_view name) {
    for (const PlanItem& item : plan.items)
      if (item.name == name) return item;
    throw std::out_of_range("no item " + std::string(name));
  }

  static std::vector<std::string> Names(const Plan& plan) {
    std::vector<std::string> names;
    for (const PlanItem& item : plan.items) names.push_back(item.name);
    return names;
  }

  static std::vector<std::string_view> Codes(const std::vector<Diagnostic>& diagnostics) {
    std::vector<std::string_view> codes;
    for (const Diagnostic& diagnostic : diagnostics) codes.push_back(Info(diagnostic.code).code);
    return codes;
  }

  static const std::string& TextFile(const Plan& plan, std::string_view name) {
    for (const PlanTextFile& file : plan.text_files)
      if (file.file_name == name) return file.contents;
    throw std::out_of_range("no file " + std::string(name));
  }

  ScratchDir dir_;
};

inline constexpr std::string_view kLinearOfTwo = R"(
merge_method: linear
models:
  - {model: $D/a, parameters: {weight: 0.5}}
  - {model: $D/b, parameters: {weight: 0.5}}
)";

}  // namespace gpumerge::test
