// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a command line asks for, checked: text has become numbers, sizes and choices. Plain data.
#pragma once

#include "src/cli/flags.h"
#include "src/plan/rates.h"

#include "gpumerge/config.h"
#include "gpumerge/options.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge::cli {

enum class ErrorFormat : uint8_t { kText, kJson };

// Flags that stand in for keys of the recipe.
struct RecipeOverrides {
  std::optional<uint64_t> seed;
  std::optional<DType> dtype;
  std::optional<DType> out_dtype;
  std::optional<uint64_t> shard_size_bytes;
};
void ApplyOverrides(const RecipeOverrides& overrides, MergeConfig* config);

struct Arguments {
  Verb verb = Verb::kMerge;
  std::string answer;  // when not empty: print this (--help, --version) and do nothing else
  std::string recipe;  // merge, plan
  std::string topic;   // inspect, verify: the model; methods, errors: the name, may be empty
  PlanOptions plan;
  RunOptions run;
  RecipeOverrides overrides;
  StageRates rates;            // plan
  bool measure = false;        // devices
  bool inputs = false;         // verify
  bool verify_inputs = false;  // merge
  std::string manifest;        // for that; "" = none
  bool json = false;
  ErrorFormat error_format = ErrorFormat::kText;
  bool markdown = false;
  bool quiet = false;
  bool verbose = false;
  std::string stats_file;
  std::string trace_file;
  std::string log_file;
  std::string keep_stages;  // merge: the directory where the recipe's stages are written; "" = nowhere
};

// words: argv without the program's name. Throws Error(USAGE) with everything that is wrong.
Arguments ParseArguments(const std::vector<std::string>& words);

// Which format errors are wanted in, found without parsing, so that parse errors have it too.
ErrorFormat ErrorFormatOf(const std::vector<std::string>& words);

}  // namespace gpumerge::cli
