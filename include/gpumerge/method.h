// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a merge method says about itself. Help, validation, the plan, docs and the tests' coverage all follow from the
// table of these; the table is generated from the headers in kernels/methods/. Thread-safe (constant data).
#pragma once

#include "gpumerge/error_codes.h"
#include "gpumerge/job.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace gpumerge {

enum class ParamType : uint8_t { kFloat, kInt, kBool, kChoice };  // kInt: a whole number, also along a gradient
constexpr bool IsNumber(ParamType type) { return type == ParamType::kFloat || type == ParamType::kInt; }

// Where a parameter may be written, and how many values one output tensor has of it.
enum class ParamScope : uint8_t {
  kShared,    // one value; not looked up at the model level
  kPerModel,  // one value for every model but the base
  kPerInput,  // one value for every input, the base included
};

enum class ParamEffect : uint8_t { kUsed, kNone };  // kNone: accepted for mergekit's sake, explained, ignored

struct ParamSpec {
  std::string_view name{};
  ParamType type = ParamType::kFloat;
  ParamScope scope = ParamScope::kShared;
  std::optional<double> default_value{};  // nullopt: required. kBool: 0 or 1. kChoice: index into choices
  double min = 0;                         // inclusive; for kFloat and kInt
  double max = 0;
  std::span<const std::string_view> choices{};  // for kChoice; "true" and "false" also match YAML booleans
  ParamEffect effect = ParamEffect::kUsed;
  std::string_view help{};
};

enum class BaseUse : uint8_t {
  kRequired,
  kOptional,       // a configured base_model is the base, which must then be among a slice's sources
  kOrdinaryInput,  // a configured base_model is one more input, appended last unless it is listed
};

// `preset: NAME` in the parameters stands for these values, each of an ordinary parameter that is not given itself.
struct PresetValue {
  std::string_view param{};
  double value = 0;  // as in ParamSpec::default_value
};
struct Preset {
  std::string_view name{};  // "mergekit", "paper", "peft"
  std::string_view help{};
  std::span<const PresetValue> values{};
};

struct MethodInfo {
  std::string_view name{};       // as in `merge_method:`
  std::string_view summary{};    // one line
  std::string_view formula{};    // plain ASCII
  std::string_view reference{};  // paper or source
  BaseUse base = BaseUse::kOrdinaryInput;
  uint32_t min_models = 1;  // inputs besides the base, where it is one (kRequired, kOptional), else all inputs
  uint32_t max_models = kMaxModels;
  std::span<const ParamSpec> params{};
  std::span<const Preset> presets{};
  // `missing: present`: a tensor that only one of the inputs has is copied from it, whichever it is. Otherwise only the
  // base's tensor is, and one that the base or too many models lack is an error.
  bool copies_lone_input = false;
  // Where our result differs from mergekit's on purpose, and corners worth knowing; plain sentences for the method's
  // page, one an entry.
  std::span<const std::string_view> remarks{};
};

// A problem that only the resolved parameters of one tensor show, e.g. weights that sum to zero. Also see
// MethodRow::check.
struct JobProblem {
  ErrorCode code;
  std::string message;
  std::string help;
};

struct MethodRow {
  const MethodInfo* info;
  // The ordered passes for this job's parameters; the last is always kMap. Also for a job with 0 elements.
  PassList (*passes)(const MergeJob& job);
  // nullopt: the job can run.
  std::optional<JobProblem> (*check)(const MergeJob& job);
  // True when the result is the bytes of the only input, so that a copy does (types permitting).
  bool (*is_copy)(const MergeJob& job);
};

// All methods, sorted by name. The index of a row is MergeJob::method.
std::span<const MethodRow> Methods();
// nullptr when there is none of that name.
const MethodRow* FindMethod(std::string_view name);

}  // namespace gpumerge
