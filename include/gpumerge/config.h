// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A merge recipe as the user wrote it: plain data, each piece with its place in the file so that later errors can point
// at it. No file but src/config/yaml_*.cpp knows YAML.
#pragma once

#include "gpumerge/dtype.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace gpumerge {

// 1-based; 0 means "not from a file".
struct Location {
  uint32_t line = 0;
  uint32_t column = 0;
};

// A value under `parameters:`. Numbers keep no text: their YAML decimals are read as double.
struct Scalar {
  std::variant<double, bool, std::string> value;
  Location at;
};

// One value with the tensors it is for. One scalar is a constant; several are a gradient over the layers (numbers are
// interpolated, others are steps). A filter of nullopt or "*" matches every tensor; any other is a part of the name,
// or `glob:` or `regex:` and a pattern.
struct ConditionalValue {
  std::optional<std::string> filter;
  Location filter_at;
  std::vector<Scalar> values;
};

// What one parameter is set to at one level; the first matching condition decides.
struct Setting {
  std::string name;
  Location at;  // of the key
  std::vector<ConditionalValue> conditions;
};
using Settings = std::vector<Setting>;  // in file order, names unique

struct ModelRef {
  std::string text;  // as written: a path, or org/name, or org/name@revision
  Location at;
  // Set when the mapping form {model: {path:, revision:}} was used: text is then the literal path.
  bool literal_path = false;
  std::optional<std::string> revision;
  bool is_stage = false;  // text is the name of another document of the recipe, whose result is meant
};

struct ModelEntry {
  ModelRef model;
  Settings parameters;
};

struct SourceEntry {
  ModelRef model;
  uint64_t layer_begin = 0;  // [layer_begin, layer_end)
  uint64_t layer_end = 0;
  Location range_at;
  Settings parameters;
};

struct SliceEntry {
  std::vector<SourceEntry> sources;
  std::optional<ModelRef> base_model;
  Settings parameters;
  Location at;
};

// One part of a model, merged with inputs and parameters of its own.
struct ModuleEntry {
  std::string name;
  Location at;
  // What its tensors' names begin with; empty: guessed from the module's name and the tensors there are.
  std::vector<std::string> prefixes;
  bool drop = false;  // the part is left out of the output; it then has no inputs
  // Exactly one of the two is not empty.
  std::vector<ModelEntry> models;
  std::vector<SliceEntry> slices;
  Settings parameters;
};

// What happens to a tensor that some models lack.
enum class MissingPolicy : uint8_t {
  kError,
  kPresent,  // those that have it are merged, where they are enough for the method
  kBase,     // the base's tensor stands in for it
};

// What happens to a finite result that is too large for the output's type.
enum class OverflowPolicy : uint8_t {
  kError,
  kSaturate,  // the largest finite value
  kInf,       // infinity, or NaN in a type without one
};

// What happens to NaN and infinity in a tensor that is merged. In one that is copied they are a warning.
enum class NonFinitePolicy : uint8_t {
  kError,
  kAllow,  // they go through the arithmetic as IEEE 754 has it, and are counted
};

// What happens to a tensor of whole numbers, or a bool one, that differs between models.
enum class IntPolicy : uint8_t {
  kError,
  kBase,  // the base's tensor, or the first model's where there is no base
};

// What happens to a tensor that the base, or the first model, lacks.
enum class ExtraPolicy : uint8_t {
  kError,  // unless `missing:` says what to do with it
  kDrop,
};

// What tensors of an 8-bit floating type are taken for.
enum class Float8Policy : uint8_t {
  kError,  // a quantised model's codes, which have scales somewhere
  kPlain,  // the numbers themselves
};

struct MergeConfig {
  std::string file;  // for messages; "" when the recipe did not come from a file
  // Of a recipe of several documents. A named document's random draws differ from another's.
  std::string name;  // "" = none
  Location name_at;
  std::vector<MergeConfig>
      stages;  // the other documents, in file order, each with a name; of the output's document only
  std::string merge_method;
  Location merge_method_at;
  // Exactly one of the three is not empty.
  std::vector<ModelEntry> models;
  std::vector<SliceEntry> slices;
  std::vector<ModuleEntry> modules;
  std::optional<ModelRef> base_model;
  Settings parameters;
  std::optional<DType> dtype;      // output type unless out_dtype is given; arithmetic is always fp32
  std::optional<DType> out_dtype;  // wins over dtype
  // The model whose tokenizer is copied: nullopt = donor (base_model, else the first model listed).
  std::optional<ModelRef> tokenizer_source;
  bool tokenizer_from_base = false;          // `tokenizer_source: base`
  std::optional<std::string> chat_template;  // the template itself, the name of one of ours, or "auto"
  Location chat_template_at;
  MissingPolicy missing = MissingPolicy::kError;
  OverflowPolicy overflow = OverflowPolicy::kError;
  NonFinitePolicy nonfinite = NonFinitePolicy::kError;
  IntPolicy int_policy = IntPolicy::kError;
  ExtraPolicy extra = ExtraPolicy::kError;
  Float8Policy float8 = Float8Policy::kError;
  // Where a model's tensor has another shape than the base's: "error", or "base", which then stands in for it. The
  // first condition that matches decides; each has one value.
  std::vector<ConditionalValue> on_mismatch;
  uint64_t seed = 0;
  std::optional<std::string> output;         // output directory
  std::optional<uint64_t> shard_size_bytes;  // default 5'000'000'000
  std::optional<std::string> layer_pattern;  // text before the layer number, e.g. "model.layers."
};

}  // namespace gpumerge
