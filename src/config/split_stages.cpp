// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// SplitStages: a recipe of several documents as recipes of one document each.
#include "gpumerge/merge.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace gpumerge {
namespace {

template <class Function>
void ForEachReference(std::vector<ModelEntry>& models, std::vector<SliceEntry>& slices, const Function& f) {
  for (ModelEntry& entry : models) f(entry.model);
  for (SliceEntry& slice : slices) {
    for (SourceEntry& source : slice.sources) f(source.model);
    if (slice.base_model) f(*slice.base_model);
  }
}

template <class Function>
void ForEachReference(MergeConfig& config, const Function& f) {
  ForEachReference(config.models, config.slices, f);
  for (ModuleEntry& module : config.modules) ForEachReference(module.models, module.slices, f);
  if (config.base_model) f(*config.base_model);
  if (config.tokenizer_source) f(*config.tokenizer_source);
}

class Splitter {
 public:
  Splitter(const MergeConfig& recipe, const std::string& directory) : recipe_(recipe), directory_(directory) {}

  std::vector<MergeConfig> Run() {
    for (const MergeConfig& stage : recipe_.stages) Add(stage);
    MergeConfig output = recipe_;
    output.stages.clear();
    Write(&output);
    documents_.push_back(std::move(output));
    return std::move(documents_);
  }

 private:
  std::string PlaceOf(const std::string& name) const { return directory_ + "/" + name; }

  // After those that it reads. A document that needs itself is refused when it is planned.
  void Add(MergeConfig stage) {
    if (!added_.insert(stage.name).second) return;
    ForEachReference(stage, [&](const ModelRef& reference) {
      if (!reference.is_stage) return;
      for (const MergeConfig& read : recipe_.stages)
        if (read.name == reference.text) Add(read);
    });
    Write(&stage);
    stage.output = PlaceOf(stage.name);
    documents_.push_back(std::move(stage));
  }

  void Write(MergeConfig* document) const {
    ForEachReference(*document, [&](ModelRef& reference) {
      if (!reference.is_stage) return;
      reference.is_stage = false;
      reference.text = PlaceOf(reference.text);
    });
  }

  const MergeConfig& recipe_;
  const std::string& directory_;
  std::set<std::string> added_;
  std::vector<MergeConfig> documents_;
};

}  // namespace

std::vector<MergeConfig> SplitStages(const MergeConfig& config, const std::string& directory) {
  return Splitter(config, directory).Run();
}

}  // namespace gpumerge
