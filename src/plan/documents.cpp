// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Joining the plans of a recipe's documents; see documents.h.
#include "src/plan/documents.h"

#include "src/plan/plan_findings.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace gpumerge {
namespace {

// A tensor's place in the scratch file begins with a page, so that its space can be given back alone.
constexpr uint64_t kPageBytes = 4096;

// A document's items by name, and where they went.
struct StageItems {
  std::unordered_map<std::string_view, size_t> by_name;
  std::vector<std::optional<uint64_t>> joined;  // index in the joined plan
};

class Joiner {
 public:
  Joiner(std::vector<PlannedDocument> stages, PlannedDocument* output) : stages_(std::move(stages)), output_(*output) {}

  void Run() {
    for (uint32_t i = 0; i < output_.identities.size(); ++i) model_of_[output_.identities[i]] = i;
    for (uint32_t i = 0; i < output_.plan.files.size(); ++i) file_of_[output_.plan.files[i].path] = i;
    for (PlannedDocument& stage : stages_) AddStage(&stage);
    std::vector<PlanItem> outputs = std::move(output_.plan.items);
    output_.plan.items.clear();
    for (PlanItem& item : outputs) Add(std::move(item));
  }

 private:
  // Its models, files and findings, its items renumbered.
  void AddStage(PlannedDocument* stage) {
    Plan& plan = output_.plan;
    PlanStage entry{stage->name, stage->plan.method, stage->plan.seed, {}};
    for (size_t i = 0; i < stage->plan.models.size(); ++i) {
      const auto [known, is_new] = model_of_.emplace(stage->identities[i], static_cast<uint32_t>(plan.models.size()));
      if (is_new) plan.models.push_back(stage->plan.models[i]);
      entry.models.push_back(known->second);
    }
    std::vector<uint32_t> files;
    for (PlanFile& file : stage->plan.files) {
      file.model = entry.models[file.model];
      files.push_back(AddFile(file));
    }
    StageItems items;
    items.joined.resize(stage->plan.items.size());
    for (size_t i = 0; i < stage->plan.items.size(); ++i) {
      PlanItem& item = stage->plan.items[i];
      item.stage = static_cast<uint32_t>(plan.stages.size());
      items.by_name[item.name] = i;
      for (PlanInput& input : item.inputs) {
        if (!stage->plan.models[input.model].stage) input.file = files[input.file];
        input.model = entry.models[input.model];
      }
    }
    items_.push_back(std::move(items));
    AddFindings(*stage);
    std::vector<std::string>& read = plan.read_files;
    read.insert(read.end(), stage->plan.read_files.begin(), stage->plan.read_files.end());
    for (const PlanDropped& dropped : stage->plan.dropped)
      plan.dropped.push_back({dropped.tensor, entry.models[dropped.model]});
    plan.stages.push_back(std::move(entry));
  }

  uint32_t AddFile(const PlanFile& file) {
    std::vector<PlanFile>& files = output_.plan.files;
    const auto known = file_of_.find(file.path);
    if (known != file_of_.end() && files[known->second].identity == file.identity) return known->second;
    files.push_back(file);
    return file_of_[file.path] = static_cast<uint32_t>(files.size() - 1);
  }

  void AddFindings(const PlannedDocument& stage) {
    for (const Diagnostic& warning : stage.plan.warnings) AddOnce(warning, &output_.plan.warnings);
    for (const std::string& note : stage.plan.notes)
      output_.plan.notes.push_back(fmt::format("stage {}: {}", stage.name, note));
  }

  // After the items that it reads, at most one deeper for every stage.
  uint64_t Add(PlanItem item) {
    for (PlanInput& input : item.inputs)
      if (const std::optional<uint32_t> stage = output_.plan.models[input.model].stage) {
        input.item = AddOfStage(*stage, input.tensor);
        input.file = 0;
        input.offset_bytes = output_.plan.items[*input.item].offset_bytes;
      }
    if (item.stage) {
      item.offset_bytes = scratch_bytes_;
      scratch_bytes_ += (item.size_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    }
    output_.plan.items.push_back(std::move(item));
    return output_.plan.items.size() - 1;
  }

  uint64_t AddOfStage(uint32_t stage, const std::string& tensor) {
    const size_t i = items_[stage].by_name.at(tensor);
    std::optional<uint64_t>& joined = items_[stage].joined[i];
    // The name is a key of by_name and must stay.
    if (!joined) joined = Add(stages_[stage].plan.items[i]);
    return *joined;
  }

  std::vector<PlannedDocument> stages_;
  PlannedDocument& output_;
  std::map<std::string, uint32_t> model_of_;  // by identity
  std::map<std::string, uint32_t> file_of_;   // by path
  std::vector<StageItems> items_;             // (n_stages)
  uint64_t scratch_bytes_ = 0;
};

}  // namespace

ModelFiles AsModel(const PlannedDocument& document) {
  ModelFiles model;
  model.location.directory = document.name;
  model.location.name = document.name;
  model.location.how = fmt::format("the document '{}' of this recipe", document.name);
  for (const PlanItem& item : document.plan.items)
    model.tensors.push_back({item.name, item.job.out_dtype, item.job.shape, 0, 0, item.size_bytes});
  std::sort(model.tensors.begin(), model.tensors.end(),
            [](const ModelTensor& a, const ModelTensor& b) { return a.name < b.name; });
  for (const PlanTextFile& file : document.plan.text_files) {
    if (file.file_name == "config.json") {
      model.config_json = file.contents;
      continue;
    }
    model.side_files.push_back(file.file_name);
    model.side_texts[file.file_name] = file.contents;
  }
  for (const PlanCopiedFile& file : document.plan.copied_files) {
    model.side_files.push_back(file.file_name);
    model.side_paths[file.file_name] = file.source_path;
  }
  std::sort(model.side_files.begin(), model.side_files.end());
  return model;
}

void JoinStages(std::vector<PlannedDocument> stages, PlannedDocument* output) {
  Joiner(std::move(stages), output).Run();
}

}  // namespace gpumerge
