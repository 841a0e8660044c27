// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A report calls models by name, not by path, so that it is the same on every machine; the recipe's references of that
// name are where they are looked for. Of several with one name that one is taken whose first tensor is right.
#include "src/run/reported_inputs.h"

#include "src/base/text.h"
#include "src/plan/output_files.h"
#include "src/plan/plan_findings.h"

#include "gpumerge/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace gpumerge {
namespace {

template <class Owner>
void AddReferences(const Owner& owner, std::vector<ModelRef>* references) {
  for (const ModelEntry& entry : owner.models) references->push_back(entry.model);
  for (const SliceEntry& slice : owner.slices) {
    for (const SourceEntry& source : slice.sources) references->push_back(source.model);
    if (slice.base_model) references->push_back(*slice.base_model);
  }
}

void AddDocument(const MergeConfig& config, std::vector<ModelRef>* references) {
  AddReferences(config, references);
  for (const ModuleEntry& module : config.modules) AddReferences(module, references);
  if (config.base_model) references->push_back(*config.base_model);
}

// Every place that the recipe names, once.
std::vector<std::pair<std::string, ModelLocation>> LocateAll(const std::string& recipe, const ModelOptions& options,
                                                             std::vector<Diagnostic>* errors) {
  std::vector<Diagnostic> ignored_warnings;
  const MergeConfig config = LoadConfig(recipe, &ignored_warnings);
  std::vector<ModelRef> references;
  for (const MergeConfig& stage : config.stages) AddDocument(stage, &references);
  AddDocument(config, &references);
  std::vector<std::pair<std::string, ModelLocation>> located;
  std::set<std::string> seen;
  for (const ModelRef& reference : references) {
    if (reference.is_stage || !seen.insert(reference.text + '\n' + reference.revision.value_or("")).second) continue;
    try {
      ModelLocation location = LocateModel(reference, options, FormatLocation(recipe, reference.at));
      if (seen.insert(location.directory + "\n\n" + location.weights_path).second)
        located.emplace_back(reference.text, std::move(location));
    } catch (const Error& error) {
      errors->insert(errors->end(), error.diagnostics().begin(), error.diagnostics().end());
    }
  }
  return located;
}

// The tensors of that model which the merge read, with their hashes.
std::map<std::string, std::string> HashesOf(const MergeReport& report, size_t model) {
  std::map<std::string, std::string> hashes;
  for (const std::vector<ReportTensor>* tensors : {&report.stage_tensors, &report.tensors})
    for (const ReportTensor& tensor : *tensors)
      for (const ReportInput& input : tensor.inputs)
        if (input.model == model) hashes.emplace(input.tensor, input.hash);
  return hashes;
}

// Whether the first tensor of the map is there, with its hash.
bool BeginsRight(const ModelFiles& files, const std::map<std::string, std::string>& hashes) {
  const ModelTensor* tensor = files.Find(hashes.begin()->first);
  if (tensor == nullptr) return false;
  TensorHashes hasher(tensor->size_bytes, 1, {});
  return hasher.Hash(files, {tensor}).front() == hashes.begin()->second;
}

}  // namespace

ReportedInputs::ReportedInputs(const MergeReport& report, const ModelLocation& output, const ModelOptions& options,
                               std::vector<Diagnostic>* errors) {
  const std::string recipe = output.directory + "/" + std::string(kRecipeFile);
  const auto located = LocateAll(recipe, options, errors);
  for (size_t m = 0; m < report.models.size(); ++m) {
    std::map<std::string, std::string> hashes = HashesOf(report, m);
    if (report.models[m].is_stage || hashes.empty()) continue;
    std::vector<Found> candidates;
    bool is_damaged = false;  // found, but it cannot be opened, as is said already
    for (const auto& [reference, location] : located) {
      if (location.name != report.models[m].name) continue;
      try {
        candidates.push_back({reference, OpenModel(location), hashes, {}});
      } catch (const Error& error) {
        is_damaged = true;
        errors->insert(errors->end(), error.diagnostics().begin(), error.diagnostics().end());
      }
    }
    if (candidates.empty() && is_damaged) continue;
    if (candidates.empty()) {
      errors->push_back({.code = ErrorCode::kInMissing,
                         .message = fmt::format("the merge's input {} was not found", Quote(report.models[m].name)),
                         .where = recipe,
                         .help = "the recipe's paths count from the working directory: run this where the merge ran"});
      continue;
    }
    const auto right = std::find_if(candidates.begin(), candidates.end(), [&](const Found& found) {
      return candidates.size() == 1 || BeginsRight(found.files, hashes);
    });
    models_.push_back(std::move(right != candidates.end() ? *right : candidates.front()));
  }
  for (Found& model : models_) FindTensors(&model, errors);
}

void ReportedInputs::FindTensors(Found* model, std::vector<Diagnostic>* errors) {
  for (auto at = model->hashes.begin(); at != model->hashes.end();) {
    const ModelTensor* tensor = model->files.Find(at->first);
    if (tensor == nullptr) {
      errors->push_back({.code = ErrorCode::kInHash,
                         .message = fmt::format("tensor {} of {}, which the merge read, is no longer there",
                                                Quote(at->first), Quote(model->reference)),
                         .where = model->files.location.directory,
                         .help = "another version of the model lies there now"});
      at = model->hashes.erase(at);
      continue;
    }
    model->tensors.push_back(tensor);
    bytes_ += tensor->size_bytes;
    ++n_tensors_;
    ++at;
  }
}

void ReportedInputs::Compare(TensorHashes* hashes, std::vector<Diagnostic>* errors) const {
  for (const Found& model : models_) {
    const std::vector<std::string> found = hashes->Hash(model.files, model.tensors);
    size_t i = 0;
    for (const auto& [name, hash] : model.hashes) {
      if (found[i] != hash)
        errors->push_back({.code = ErrorCode::kInHash,
                           .message = fmt::format("tensor {} of {} does not have the bytes that the merge read",
                                                  Quote(name), Quote(model.reference)),
                           .where = model.files.files[model.tensors[i]->file].path,
                           .found = found[i],
                           .expected = hash,
                           .help = "the input was changed or damaged after the merge"});
      ++i;
    }
  }
}

}  // namespace gpumerge
