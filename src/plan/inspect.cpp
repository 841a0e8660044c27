// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Headers to a summary, and the summary as text.
#include "src/plan/inspect.h"

#include "src/base/text.h"
#include "src/plan/heads.h"
#include "src/plan/layers.h"
#include "src/plan/plan_findings.h"

#include <algorithm>

namespace gpumerge {
namespace {

constexpr size_t kMaxPathBytes = 4096;

void ReadConfig(const JsonDocument& config, ModelSummary* summary) {
  summary->model_type = config.GetString({"model_type"}).value_or("");
  summary->vocab_size = config.GetUint({"vocab_size"});
  if (!summary->vocab_size) summary->vocab_size = config.GetUint({"text_config", "vocab_size"});
  summary->tied = TiedFlag(config);
}

void AddLayout(const ModelLayout& layout, ModelSummary* summary) {
  if (layout.stack) {
    summary->layer_prefix = layout.stack->prefix;
    summary->n_layers = layout.stack->n_layers;
  }
  summary->why_no_layers = layout.why_no_stack;
  if (const ModelTensor* embedding = FindEmbedding(layout)) {
    summary->embedding = embedding->name;
    summary->embedding_rows = embedding->shape[0];
  }
  if (const ModelTensor* head = FindHead(layout)) summary->head = head->name;
}

uint64_t CountElems(const ModelTensor& tensor) {
  uint64_t n_elems = 1;
  for (uint64_t extent : tensor.shape) n_elems *= extent;
  return n_elems;
}

ModelSummary Summarise(const std::string& reference, const ModelOptions& options) {
  ModelSummary summary;
  summary.reference = reference;
  summary.files = OpenModel(LocateModel({.text = reference, .at = {}, .revision = {}}, options, ""));
  for (const ModelTensor& tensor : summary.files.tensors) {
    ModelSummary::TypeCount& count = summary.types[tensor.dtype];
    ++count.n_tensors;
    count.n_params += CountElems(tensor);
    count.size_bytes += tensor.size_bytes;
    summary.n_params += CountElems(tensor);
    summary.tensor_bytes += tensor.size_bytes;
  }
  if (summary.files.config_json) {
    const JsonDocument config(*summary.files.config_json, summary.files.location.directory + "/config.json");
    ReadConfig(config, &summary);
    AddLayout(FindLayout(summary.files.tensors, config, std::nullopt), &summary);
  } else {
    AddLayout(FindLayout(summary.files.tensors, std::nullopt, std::nullopt), &summary);
  }
  return summary;
}

std::string HeadText(const ModelSummary& summary) {
  const std::string flag = summary.tied ? (*summary.tied ? "tie_word_embeddings: true" : "tie_word_embeddings: false")
                                        : "tie_word_embeddings not stated";
  return (summary.head.empty() ? "none stored" : EscapeForTerminal(summary.head)) + " (" + flag + ")";
}

std::string SummaryText(const ModelSummary& summary) {
  const ModelFiles& files = summary.files;
  std::string text = fmt::format("{}\n", EscapeForTerminal(summary.reference, kMaxPathBytes));
  const auto line = [&](std::string_view label, const std::string& value) {
    text += fmt::format("  {:<10} {}\n", label, value);
  };
  line("found",
       EscapeForTerminal(files.location.how.empty() ? files.location.directory : files.location.how, kMaxPathBytes));
  if (!files.config_json) line("config", "no config.json (it merges into weights alone)");
  if (!summary.model_type.empty()) line("type", EscapeForTerminal(summary.model_type));
  line("size", fmt::format("{} parameters in {}, {}", summary.n_params, Plural(files.tensors.size(), "tensor"),
                           FormatBytes(summary.tensor_bytes)));
  line("layers", summary.layer_prefix.empty()
                     ? "none found: " + EscapeForTerminal(summary.why_no_layers)
                     : fmt::format("{} in {}", summary.n_layers, EscapeForTerminal(summary.layer_prefix)));
  if (!summary.embedding.empty()) {
    line("vocabulary",
         fmt::format("{} rows in {}{}", *summary.embedding_rows, EscapeForTerminal(summary.embedding),
                     summary.vocab_size ? fmt::format(" (vocab_size: {})", *summary.vocab_size) : std::string()));
    line("head", HeadText(summary));
  }
  text += "\ntypes\n";
  for (const auto& [dtype, count] : summary.types) {
    text += fmt::format("  {:<8} {:>8} {:>16} parameters {:>12}\n", Info(dtype).name, Plural(count.n_tensors, "tensor"),
                        count.n_params, FormatBytes(count.size_bytes));
  }
  text += "\nfiles\n";
  for (const WeightFile& file : files.files) {
    text +=
        fmt::format("  {}  {}\n", EscapeForTerminal(file.path, kMaxPathBytes), FormatBytes(file.identity.size_bytes));
    for (const auto& [key, value] : file.metadata)
      text += fmt::format("    {}: {}\n", EscapeForTerminal(key), EscapeForTerminal(value));
  }
  size_t width = 0;
  for (const ModelTensor& tensor : files.tensors)
    width = std::max(width, std::min<size_t>(EscapeForTerminal(tensor.name).size(), 80));
  text += "\ntensors\n";
  for (const ModelTensor& tensor : files.tensors) {
    text += fmt::format("  {:<{}}  {:<8}  {}\n", EscapeForTerminal(tensor.name), width, Info(tensor.dtype).name,
                        ShapeText(tensor.shape));
  }
  for (const Diagnostic& warning : files.warnings)
    text +=
        fmt::format("\nwarning [{}] {}\n", Info(warning.code).code, EscapeForTerminal(warning.message, kMaxPathBytes));
  return text;
}

}  // namespace

std::string InspectModel(const std::string& reference, const ModelOptions& options, bool json) {
  const ModelSummary summary = Summarise(reference, options);
  return json ? SummaryToJson(summary) : SummaryText(summary);
}

}  // namespace gpumerge
