// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Headers cannot show whether a stored head equals the embedding, so a stored head is always merged as it is stored.
#include "src/plan/heads.h"

#include <algorithm>

namespace gpumerge {
namespace {

enum class HeadKind {
  kOwn,          // a tensor of its own
  kTied,         // the embedding, because config.json or the file's metadata says so
  kAssumedTied,  // the embedding, because nothing else is said
  kMissing,      // config.json says "not tied", and there is no tensor
  kNone,         // a model without a head, e.g. an encoder
};

struct ModelHead {
  uint32_t model = 0;
  HeadKind kind = HeadKind::kNone;
  const ModelTensor* tensor = nullptr;  // for kOwn
  std::optional<bool> flag;
};

// safetensors.torch.save_model drops one of two tensors that share memory and records {dropped: kept}.
bool IsRecordedAlias(const ModelFiles& files, const ModelTensor& embedding) {
  for (const WeightFile& file : files.files) {
    for (const auto& [dropped, kept] : file.metadata)
      if (kept == embedding.name && files.Find(dropped) == nullptr) return true;
  }
  return false;
}

bool ExpectsHead(const JsonDocument& config) {
  const std::optional<std::string> architectures = config.GetRaw({"architectures"});
  if (!architectures) return true;
  return architectures->find("LM") != std::string::npos ||
         architectures->find("ForConditionalGeneration") != std::string::npos;
}

bool IsCausalLm(const JsonDocument& config) {
  const std::optional<std::string> architectures = config.GetRaw({"architectures"});
  return architectures && architectures->find("ForCausalLM") != std::string::npos;
}

ModelHead FindModelHead(const InputModel& model, uint32_t index) {
  ModelHead head{index, HeadKind::kNone, FindHead(model.layout), TiedFlag(model.config)};
  const ModelTensor* embedding = FindEmbedding(model.layout);
  if (head.tensor != nullptr) {
    head.kind = HeadKind::kOwn;
  } else if (embedding == nullptr) {
    head.kind = HeadKind::kNone;
  } else if (head.flag == true || IsRecordedAlias(model.files, *embedding)) {
    head.kind = HeadKind::kTied;
  } else if (model.has_config() && ExpectsHead(model.config)) {
    head.kind = head.flag == false ? HeadKind::kMissing : HeadKind::kAssumedTied;
  }
  return head;
}

void ReportMissing(const InputModel& model, PlanFindings* findings) {
  findings->errors.push_back({.code = ErrorCode::kMmHeadMissing,
                              .message = fmt::format("the model \"{}\" has no output head", model.reference),
                              .where = model.config.file(),
                              .found = "tie_word_embeddings: false, and no head tensor in the weights",
                              .expected = "a head tensor such as lm_head.weight, or tie_word_embeddings: true",
                              .help = "a loader would fill the head with random values; get the complete weights"});
}

void WarnTied(const InputModel& model, std::string message, std::string help, PlanFindings* findings) {
  findings->warnings.push_back({.code = ErrorCode::kMmTied,
                                .message = std::move(message),
                                .where = model.config.file(),
                                .help = std::move(help)});
}

// The embedding of a tied output comes from the first slice, its head's from the last.
void WarnHeadFromFirstSlice(const InputSet& inputs, PlanFindings* findings) {
  if (!inputs.is_sliced || inputs.slices.size() < 2) return;
  const auto models_of = [](const Slice& slice) {
    std::vector<uint32_t> models;
    for (const SliceSource& source : slice.sources) models.push_back(source.model);
    std::sort(models.begin(), models.end());
    return models;
  };
  if (models_of(inputs.slices.front()) == models_of(inputs.slices.back())) return;
  WarnTied(inputs.models[inputs.slices.back().sources[0].model],
           "the output's head is tied to the embedding of the first slice's models, not of the last slice's",
           "end with a slice of the model that the embedding comes from", findings);
}

}  // namespace

std::optional<bool> TiedFlag(const JsonDocument& config) {
  if (const std::optional<bool> flag = config.GetBool({"tie_word_embeddings"})) return flag;
  return config.GetBool({"text_config", "tie_word_embeddings"});
}

HeadPlan PlanHead(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings) {
  HeadPlan plan;
  if (inputs.slices.empty()) return plan;
  std::vector<ModelHead> heads;
  for (const SliceSource& source : inputs.slices.back().sources)
    heads.push_back(FindModelHead(inputs.models[source.model], source.model));

  const auto is_own = [](const ModelHead& head) { return head.kind == HeadKind::kOwn; };
  const auto first_own = std::find_if(heads.begin(), heads.end(), is_own);
  const bool has_head = first_own != heads.end();
  bool any_tied = false;
  for (const ModelHead& head : heads) {
    const InputModel& model = inputs.models[head.model];
    any_tied |= head.kind == HeadKind::kTied || head.kind == HeadKind::kAssumedTied || head.flag == true;
    const bool is_settled = has_head && config.missing != MissingPolicy::kError;
    if (head.kind == HeadKind::kMissing && !is_settled) ReportMissing(model, findings);
    // One without a head that was reported is not reported again as a missing tensor.
    const bool stands_in = head.kind == HeadKind::kTied || head.kind == HeadKind::kAssumedTied;
    if (stands_in || (head.kind == HeadKind::kMissing && !is_settled)) plan.tied_models.push_back(head.model);
    if (head.kind == HeadKind::kOwn && head.flag == true) {
      WarnTied(model,
               fmt::format("\"{}\" says that its embeddings are tied, yet it stores a head \"{}\"", model.reference,
                           head.tensor->name),
               "the stored head is merged, and the output says tie_word_embeddings: false", findings);
    }
    if (head.kind == HeadKind::kAssumedTied && has_head) {
      WarnTied(model,
               fmt::format("\"{}\" has no head and no tie_word_embeddings; its embedding is taken as its head",
                           model.reference),
               "state tie_word_embeddings in its config.json", findings);
    } else if (head.kind == HeadKind::kAssumedTied && IsCausalLm(model.config)) {
      WarnTied(model,
               fmt::format("\"{}\" has no head and no tie_word_embeddings; it is taken as tied", model.reference),
               "state tie_word_embeddings: true in its config.json, or a loader may fill the head with random values",
               findings);
    }
  }
  const std::optional<bool> donor_flag = TiedFlag(inputs.models[inputs.donor].config);
  if (has_head) {
    plan.filled_head = first_own->tensor->name;
    if (donor_flag == true || (any_tied && donor_flag != false)) plan.tied = false;
  } else if (any_tied) {
    if (donor_flag == false) plan.tied = true;
    WarnHeadFromFirstSlice(inputs, findings);
  }
  return plan;
}

}  // namespace gpumerge
