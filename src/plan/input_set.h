// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The recipe's models, found and opened once each, and its `models:` or `slices:` brought to one form: a list of
// slices, each with sources. Owns the models; everything else points into it or into the recipe.
#pragma once

#include "src/io/json_document.h"
#include "src/io/model_files.h"
#include "src/plan/layers.h"
#include "src/plan/plan_findings.h"

#include "gpumerge/config.h"
#include "gpumerge/method.h"
#include "gpumerge/options.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace gpumerge {

struct InputModel {
  std::string reference;          // as written in the recipe
  std::string identity;           // equal for equal places
  std::optional<uint32_t> stage;  // what another document makes: its number among the documents planned
  ModelFiles files;
  JsonDocument config;  // config.json; an empty object where there is none
  ModelLayout layout;
  bool has_config() const { return files.config_json.has_value(); }
};

// One model's part in a slice.
struct SliceSource {
  uint32_t model = 0;  // index in InputSet::models
  // Keys the random draws: the place among the recipe's models in order of appearance, where one that is listed again
  // in the same merge counts again.
  uint32_t place = 0;
  uint64_t layer_begin = 0, layer_end = 0;
  const Settings* parameters = nullptr;  // null: a base_model that is not listed
  Location at;
};

struct Slice {
  std::vector<SliceSource> sources;  // in config order
  std::optional<uint32_t> base;      // index in sources
  const Settings* parameters = nullptr;
  Location at;
  uint64_t n_layers() const { return sources.empty() ? 0 : sources[0].layer_end - sources[0].layer_begin; }
};

struct InputSet {
  std::vector<InputModel> models;  // in order of appearance; the base last unless it is listed
  std::optional<uint32_t> base;    // the recipe's base_model
  uint32_t donor = 0;              // base_model, else the first model
  uint32_t tokenizer = 0;          // whose tokenizer files are copied
  bool is_sliced = false;          // the recipe has `slices:`
  std::vector<Slice> slices;       // exactly one, of all layers, for `models:`; none for `modules:`
  // The modules of the recipe that are not dropped, with the same models reduced to the module's tensors.
  std::vector<InputSet> modules;
  const ModuleEntry* module = nullptr;  // what a member of `modules` is
};

// The modules, or the set itself.
std::vector<const InputSet*> PartsOf(const InputSet& inputs);

// What a document of the recipe would write, as a model.
struct StageModel {
  uint32_t number = 0;
  ModelFiles files;
};
// The document of that name. Throws Error when it cannot be merged itself.
using OpenStage = std::function<const StageModel&(const ModelRef& reference)>;

// Throws Error with everything wrong with the models' files; what is wrong with the recipe goes to findings.
InputSet OpenInputs(const MergeConfig& config, const PlanOptions& options, const MethodInfo& method,
                    const OpenStage& open_stage, PlanFindings* findings);

}  // namespace gpumerge
