// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A model's own template is where transformers looks for it: a file, else the tokenizer's settings.
#include "src/plan/chat_templates.h"

#include "src/config/chat_template.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace gpumerge {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;
constexpr std::string_view kTemplateFile = "chat_template.jinja", kTokenizerFile = "tokenizer_config.json",
                           kProcessorFile = "chat_template.json";

bool HasFile(const ModelFiles& files, std::string_view name) {
  return std::find(files.side_files.begin(), files.side_files.end(), name) != files.side_files.end();
}

// The text under "chat_template": itself, or of a list of {name, template} the one called default.
std::optional<std::string> TemplateIn(const ModelFiles& files, std::string_view name) {
  if (!HasFile(files, name)) return std::nullopt;
  const std::string path = fmt::format("{}/{}", files.location.directory, name);
  const JsonDocument document(files.ReadSide(name, kMaxFileBytes), path);
  const std::vector<std::string> key{"chat_template"};
  if (std::optional<std::string> text = document.GetString(key)) return text;
  for (const std::string& entry : document.GetArray(key).value_or(std::vector<std::string>{})) {
    const JsonDocument named(entry, path);
    if (named.GetString({"name"}) == "default") return named.GetString({"template"});
  }
  return std::nullopt;
}

std::optional<std::string> TemplateOf(const ModelFiles& files) {
  if (HasFile(files, kTemplateFile)) return files.ReadSide(kTemplateFile, kMaxFileBytes);
  if (std::optional<std::string> text = TemplateIn(files, kTokenizerFile)) return text;
  return TemplateIn(files, kProcessorFile);
}

std::optional<std::string> MostUsed(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings) {
  struct Candidate {
    std::string text;
    std::string reference;
    uint64_t n_models = 0;
  };
  std::vector<Candidate> candidates;  // in the recipe's order
  for (const InputModel& model : inputs.models) {
    const std::optional<std::string> text = TemplateOf(model.files);
    if (!text) continue;
    auto known = std::find_if(candidates.begin(), candidates.end(),
                              [&](const Candidate& candidate) { return candidate.text == *text; });
    if (known == candidates.end()) known = candidates.insert(known, {*text, model.reference, 0});
    ++known->n_models;
  }
  if (candidates.empty()) {
    findings->errors.push_back({.code = ErrorCode::kCfgMissing,
                                .message = "chat_template: auto, but no model has a chat template",
                                .where = Where(config, config.chat_template_at),
                                .help = "name one (" + ListSome(ChatTemplateNames()) + "), or remove the key"});
    return std::nullopt;
  }
  // The first of equals.
  const auto most = std::max_element(candidates.begin(), candidates.end(),
                                     [](const Candidate& a, const Candidate& b) { return a.n_models < b.n_models; });
  findings->notes.push_back(fmt::format("chat_template: auto is that of \"{}\", which {} of {} have", most->reference,
                                        most->n_models, Plural(inputs.models.size(), "model")));
  return most->text;
}

void RemoveFile(std::string_view name, Plan* plan) {
  std::erase_if(plan->copied_files, [&](const PlanCopiedFile& file) { return file.file_name == name; });
  std::erase_if(plan->text_files, [&](const PlanTextFile& file) { return file.file_name == name; });
}

}  // namespace

std::optional<std::string> ChooseChatTemplate(const MergeConfig& config, const InputSet& inputs,
                                              PlanFindings* findings) {
  if (!config.chat_template) return std::nullopt;
  const std::string& asked = *config.chat_template;
  const auto add_error = [&](ErrorCode code, std::string message, std::string found, std::string help) {
    findings->errors.push_back({.code = code,
                                .message = std::move(message),
                                .where = Where(config, config.chat_template_at),
                                .found = std::move(found),
                                .help = std::move(help)});
  };
  if (std::string defect = ChatTemplateDefect(asked); !defect.empty()) {
    add_error(ErrorCode::kCfgType, "chat_template is not a chat template", std::move(defect), "");
    return std::nullopt;
  }
  const InputModel& tokenizer = inputs.models[inputs.tokenizer];
  const bool has_tokenizer = HasFile(tokenizer.files, kTokenizerFile) || HasFile(tokenizer.files, "tokenizer.json");
  if (!inputs.models[inputs.donor].has_config() || !has_tokenizer) {
    add_error(ErrorCode::kCfgMissing, "chat_template is given, but the output has no tokenizer to use it",
              fmt::format("\"{}\" gives the tokenizer and has none", tokenizer.reference),
              "remove the key, or name a model with a tokenizer in tokenizer_source");
    return std::nullopt;
  }
  if (asked == "auto") return MostUsed(config, inputs, findings);
  const std::string_view named = NamedChatTemplate(asked);
  return named.empty() ? asked : std::string(named);
}

void AddChatTemplate(const std::string& text, const InputSet& inputs, Plan* plan) {
  for (const std::string_view name : {kTemplateFile, kProcessorFile}) RemoveFile(name, plan);
  plan->text_files.push_back({std::string(kTemplateFile), text});
  const ModelFiles& tokenizer = inputs.models[inputs.tokenizer].files;
  if (!HasFile(tokenizer, kTokenizerFile)) return;
  JsonDocument document(tokenizer.ReadSide(kTokenizerFile, kMaxFileBytes),
                        fmt::format("{}/{}", tokenizer.location.directory, kTokenizerFile));
  document.SetRaw({"chat_template"}, QuoteJson(text));
  RemoveFile(kTokenizerFile, plan);
  plan->text_files.push_back({std::string(kTokenizerFile), document.text()});
}

}  // namespace gpumerge
