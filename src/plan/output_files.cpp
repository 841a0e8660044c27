// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tokenizer files come from one model, so that they fit together; generation and processor settings from the donor.
#include "src/plan/output_files.h"

#include "src/base/file.h"
#include "src/base/file_identity.h"
#include "src/config/emit.h"
#include "src/io/model_card.h"
#include "src/plan/shards.h"

#include <algorithm>
#include <array>

namespace gpumerge {
namespace {

constexpr std::array<std::string_view, 20> kTokenizerFiles{"added_tokens.json",  "chat_template.jinja",
                                                           "chat_template.json", "merges.txt",
                                                           "normalizer.json",    "sentencepiece.bpe.model",
                                                           "source.spm",         "special_tokens_map.json",
                                                           "spiece.model",       "target.spm",
                                                           "tekken.json",        "tiktoken.model",
                                                           "tokenizer.json",     "tokenizer.model",
                                                           "tokenizer.model.v3", "tokenizer_config.json",
                                                           "vocab.bpe",          "vocab.json",
                                                           "vocab.spm",          "vocab.txt"};

constexpr std::array<std::string_view, 5> kDonorFiles{"generation_config.json", "image_processor_config.json",
                                                      "preprocessor_config.json", "processor_config.json",
                                                      "video_preprocessor_config.json"};

// Of every model: its tokens' ids must be known to be the others'.
constexpr std::array<std::string_view, 4> kTokenIdFiles{"added_tokens.json", "tokenizer.json", "tokenizer.model",
                                                        "vocab.json"};

// No tokenizer is larger; what is called like one and is may be anything.
constexpr uint64_t kMaxCopiedBytes = uint64_t{512} << 20;

PlanCopiedFile CopiedFile(std::string_view name, const std::string& path) {
  const FileIdentity file = IdentifyOpenFile(OpenRegular(path).get(), path);
  if (file.size_bytes <= kMaxCopiedBytes) return {std::string(name), path, file};
  throw Error({.code = ErrorCode::kResLimit,
               .message = "a file that goes with the model is too large to be copied",
               .where = path,
               .found = fmt::format("{} bytes", file.size_bytes),
               .expected = fmt::format("at most {} bytes", kMaxCopiedBytes),
               .help = "it cannot be what its name says; remove it, or get the model again"});
}

template <class Names>
void CopyFiles(const ModelFiles& files, const Names& names, Plan* plan) {
  for (const std::string_view name : names) {
    if (std::find(files.side_files.begin(), files.side_files.end(), name) == files.side_files.end()) continue;
    const auto text = files.side_texts.find(name);
    if (text != files.side_texts.end()) {
      plan->text_files.push_back({text->first, text->second});
    } else {
      plan->copied_files.push_back(CopiedFile(name, files.SidePath(name)));
    }
  }
}

// Names the merge, not the output's directory: equal recipes give equal cards.
std::string CardTitle(const Plan& plan) {
  std::string title = plan.method + " merge of ";
  std::vector<std::string> names;
  for (uint32_t i = 0; i < plan.models.size(); ++i)
    if (!plan.models[i].stage && (plan.base != i || plan.models.size() == 1)) names.push_back(plan.models[i].name);
  return title + ListSome(names, 8);
}

std::string MakeCard(const MethodInfo& method, const std::string& recipe, const Plan& plan) {
  ModelCardInput card;
  card.title = CardTitle(plan);
  card.method = method.name;
  card.method_summary = method.summary;
  card.method_reference = method.reference;
  card.recipe_yaml = recipe;
  for (uint32_t i = 0; i < plan.models.size(); ++i)
    if (!plan.models[i].stage) card.models.push_back({plan.models[i].name, plan.models[i].is_hub, plan.base == i});
  return MakeModelCard(card);
}

}  // namespace

std::vector<std::string> CodeFiles(const ModelFiles& files) {
  std::vector<std::string> names;
  std::copy_if(files.side_files.begin(), files.side_files.end(), std::back_inserter(names),
               [](const std::string& name) { return name.ends_with(".py"); });
  return names;
}

void CheckSideFiles(const InputSet& inputs, bool copies_code, PlanFindings* findings) {
  if (!inputs.models[inputs.donor].has_config()) return;
  const auto is_one_of = [](const auto& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (uint32_t i = 0; i < inputs.models.size(); ++i) {
    for (const auto& [name, problem] : inputs.models[i].files.unusable) {
      const bool is_copied = (i == inputs.tokenizer && is_one_of(kTokenizerFiles, name)) ||
                             (i == inputs.donor && is_one_of(kDonorFiles, name)) ||
                             (i == inputs.donor && copies_code && name.ends_with(".py"));
      if (is_copied || is_one_of(kTokenIdFiles, name)) findings->errors.push_back(problem);
    }
  }
}

void AddReadFiles(const InputSet& inputs, bool has_chat_template, Plan* plan) {
  constexpr std::array<std::string_view, 3> kTemplateFiles{"chat_template.jinja", "chat_template.json",
                                                           "tokenizer_config.json"};
  for (const InputModel& model : inputs.models) {
    if (model.stage) continue;
    const ModelFiles& files = model.files;
    if (files.config_json) plan->read_files.push_back(files.location.directory + "/config.json");
    if (!files.index_path.empty()) plan->read_files.push_back(files.index_path);
    for (const std::string& name : files.side_files) {
      const bool is_read =
          std::find(kTokenIdFiles.begin(), kTokenIdFiles.end(), name) != kTokenIdFiles.end() ||
          (has_chat_template && std::find(kTemplateFiles.begin(), kTemplateFiles.end(), name) != kTemplateFiles.end());
      if (is_read) plan->read_files.push_back(files.SidePath(name));
    }
  }
}

void AddModelFiles(const InputSet& inputs, std::string config_json, bool copies_code, Plan* plan) {
  if (!inputs.models[inputs.donor].has_config()) return;
  plan->text_files.push_back({"config.json", std::move(config_json)});
  CopyFiles(inputs.models[inputs.tokenizer].files, kTokenizerFiles, plan);
  CopyFiles(inputs.models[inputs.donor].files, kDonorFiles, plan);
  if (copies_code) CopyFiles(inputs.models[inputs.donor].files, CodeFiles(inputs.models[inputs.donor].files), plan);
  std::sort(plan->copied_files.begin(), plan->copied_files.end(),
            [](const PlanCopiedFile& a, const PlanCopiedFile& b) { return a.file_name < b.file_name; });
}

void AddDocuments(const MergeConfig& config, const MethodInfo& method, Plan* plan) {
  const std::string recipe = EmitConfig(config);
  if (plan->shards.size() > 1) plan->text_files.push_back({"model.safetensors.index.json", MakeIndexJson(*plan)});
  plan->text_files.push_back({std::string(kModelCardFile), MakeCard(method, recipe, *plan)});
  plan->text_files.push_back({std::string(kRecipeFile), recipe});
}

}  // namespace gpumerge
