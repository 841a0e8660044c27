// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which differences between config.json files are worth a warning: all, but for keys known not to change the forward
// pass, so that a key of a model released tomorrow is compared too.
#include "src/plan/config_json.h"
#include "src/plan/output_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace gpumerge {
namespace {

using Path = std::vector<std::string>;

// Looked at elsewhere, or without a part in inference.
constexpr std::array<std::string_view, 31> kIrrelevant{"architectures",
                                                       "attention_dropout",
                                                       "attn_pdrop",
                                                       "auto_map",
                                                       "chunk_size_feed_forward",
                                                       "dtype",
                                                       "embd_pdrop",
                                                       "hidden_dropout",
                                                       "hidden_dropout_prob",
                                                       "id2label",
                                                       "initializer_range",
                                                       "label2id",
                                                       "max_window_layers",
                                                       "model_type",
                                                       "output_attentions",
                                                       "output_hidden_states",
                                                       "pretraining_tp",
                                                       "problem_type",
                                                       "quantization_config",
                                                       "resid_pdrop",
                                                       "return_dict",
                                                       "router_aux_loss_coef",
                                                       "summary_first_dropout",
                                                       "task_specific_params",
                                                       "tie_word_embeddings",
                                                       "torch_dtype",
                                                       "torchscript",
                                                       "transformers_version",
                                                       "unsloth_fixed",
                                                       "use_cache",
                                                       "vocab_size"};

// Keys whose absence in one file is worth a warning too: their defaults differ between families.
constexpr std::array<std::string_view, 6> kImportant{"hidden_act",   "layer_norm_eps", "rms_norm_eps",
                                                     "rope_scaling", "rope_theta",     "sliding_window"};

bool IsRelevant(std::string_view key) {
  return !key.starts_with('_') && !key.ends_with("_token_id") && !key.ends_with("_version") &&
         std::find(kIrrelevant.begin(), kIrrelevant.end(), key) == kIrrelevant.end();
}

std::optional<double> AsNumber(std::string_view raw) {
  double value = 0;
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (error != std::errc() || end != raw.data() + raw.size()) return std::nullopt;
  return value;
}

std::string WithoutSpace(std::string_view raw) {
  std::string text;
  for (char c : raw)
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') text += c;
  return text;
}

bool SameValue(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const std::optional<double> number_a = AsNumber(a), number_b = AsNumber(b);
  if (number_a && number_b) return *number_a == *number_b;
  return WithoutSpace(a) == WithoutSpace(b);
}

std::string Brief(const std::optional<std::string>& raw) {
  if (!raw) return "(absent)";
  const std::string text = WithoutSpace(*raw);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

// transformers 5 moved rope_theta into rope_parameters.
std::optional<std::string> Lookup(const JsonDocument& config, const Path& path) {
  std::optional<std::string> raw = config.GetRaw(path);
  if (!raw && path.back() == "rope_theta") {
    Path moved = path;
    moved.back() = "rope_parameters";
    moved.emplace_back("rope_theta");
    raw = config.GetRaw(moved);
  }
  if (raw == "null") return std::nullopt;
  return raw;
}

std::string Dotted(const Path& path) {
  std::string text;
  for (const std::string& key : path) text += (text.empty() ? "" : ".") + key;
  return text;
}

class Comparison {
 public:
  Comparison(const JsonDocument& donor, const JsonDocument& other) : donor_(donor), other_(other) {}

  std::vector<std::string> Run() {
    CompareObjects({}, 0);
    return std::move(differences_);
  }

 private:
  static constexpr int kMaxDepth = 4;

  void CompareObjects(const Path& parent, int depth) {
    std::vector<std::string> keys = donor_.Keys(parent);
    for (std::string& key : other_.Keys(parent))
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
    for (const std::string& key : keys) {
      if (!IsRelevant(key)) continue;
      Path path = parent;
      path.push_back(key);
      CompareValues(path, depth);
    }
  }

  void CompareValues(const Path& path, int depth) {
    const std::optional<std::string> ours = Lookup(donor_, path), theirs = Lookup(other_, path);
    if (!ours && !theirs) return;
    if (ours && theirs) {
      if (SameValue(*ours, *theirs)) return;
      const bool objects = ours->starts_with('{') && theirs->starts_with('{') && depth < kMaxDepth;
      if (objects) return CompareObjects(path, depth + 1);
    } else if (!IsWorthWarning(path, ours ? *ours : *theirs)) {
      return;
    }
    differences_.push_back(fmt::format("{}: {} and {}", Dotted(path), Brief(theirs), Brief(ours)));
  }

  // A key that one file lacks: the other may just spell out the default.
  static bool IsWorthWarning(const Path& path, const std::string& value) {
    return value != "false" && std::find(kImportant.begin(), kImportant.end(), path.back()) != kImportant.end();
  }

  const JsonDocument& donor_;
  const JsonDocument& other_;
  std::vector<std::string> differences_;
};

void CheckModelType(const InputModel& donor, const InputModel& model, PlanFindings* findings) {
  const std::optional<std::string> ours = donor.config.GetString({"model_type"});
  const std::optional<std::string> theirs = model.config.GetString({"model_type"});
  if (!ours || !theirs || *ours == *theirs) return;
  findings->errors.push_back(
      {.code = ErrorCode::kConfigField,
       .message = fmt::format("\"{}\" and \"{}\" are models of different types", donor.reference, model.reference),
       .where = model.config.file(),
       .found = fmt::format("model_type \"{}\" and \"{}\"", *ours, *theirs),
       .expected = "one model_type",
       .help = "tensors of equal names mean different things in different architectures; if these two are the same, "
               "state the same model_type in a copy of config.json"});
}

void CompareArchitectures(const InputModel& donor, const InputModel& model, std::vector<std::string>* differences) {
  const std::optional<std::string> ours = donor.config.GetRaw({"architectures"});
  const std::optional<std::string> theirs = model.config.GetRaw({"architectures"});
  if (ours && theirs && !SameValue(*ours, *theirs))
    differences->push_back(fmt::format("architectures: {} and {}", Brief(theirs), Brief(ours)));
}

void WarnNoConfig(const InputModel& donor, const InputModel& model, PlanFindings* findings) {
  findings->warnings.push_back(
      {.code = ErrorCode::kMmConfig,
       .message = fmt::format("the model \"{}\" has no config.json; it is taken for a model like \"{}\"",
                              model.reference, donor.reference),
       .where = model.files.location.directory,
       .help = "put the model's config.json beside its weights to have them compared"});
}

// What auto_map names and the model's directory lacks: {"AutoModel": "file.Class"}, or a list of such. A name with "--"
// is of another repository.
std::vector<std::string> MissingCode(const InputModel& donor) {
  const std::vector<std::string> there = CodeFiles(donor.files);
  std::vector<std::string> missing;
  for (const std::string& key : donor.config.Keys({"auto_map"})) {
    const std::optional<std::string> one = donor.config.GetString({"auto_map", key});
    std::vector<std::string> named = donor.config.GetArray({"auto_map", key}).value_or(std::vector<std::string>{});
    if (one) named.push_back(*one);
    for (std::string& name : named) {
      std::erase(name, '"');
      const std::string file = name.substr(0, name.rfind('.')) + ".py";
      const bool is_known = name == "null" || std::find(there.begin(), there.end(), file) != there.end() ||
                            std::find(missing.begin(), missing.end(), file) != missing.end();
      if (!is_known) missing.push_back(file);
    }
  }
  return missing;
}

void WarnRemoteCode(const InputModel& donor, bool copies_code, PlanFindings* findings) {
  if (!donor.config.Has({"auto_map"})) return;
  const std::vector<std::string> missing = MissingCode(donor);
  if (missing.empty() && copies_code) return;
  findings->warnings.push_back(
      {.code = ErrorCode::kRemoteCode,
       .message = fmt::format("config.json of \"{}\" asks for Python code (auto_map); {}", donor.reference,
                              missing.empty() ? "code files are not copied" : "not beside it: " + ListSome(missing)),
       .where = donor.config.file(),
       .help = missing.empty()
                   ? "--copy-code copies the model's .py files, for loaders that may trust them"
                   : "a loader needs them: get them with the model and say --copy-code, or add them to the output"});
}

}  // namespace

void CheckStatedDepths(const MergeConfig& config, const InputSet& inputs, PlanFindings* findings) {
  if (config.layer_pattern) return;
  for (const InputModel& model : inputs.models) {
    const std::optional<DepthShortfall> shortfall = FindDepthShortfall(model.files.tensors, model.config);
    if (!shortfall) continue;
    findings->errors.push_back(
        {.code = ErrorCode::kConfigField,
         .message = fmt::format("config.json says {}, the weights hold {}", Plural(shortfall->stated, "layer"),
                                shortfall->held),
         .where = model.config.file(),
         .found = fmt::format("no numbered tensors of \"{}\" are {}", model.reference, shortfall->stated),
         .help = "fix config.json, or set layer_pattern to what precedes the layer's number, e.g. \"model.layers.\""});
  }
}

void CompareConfigs(const InputSet& inputs, bool copies_code, PlanFindings* findings) {
  const InputModel& donor = inputs.models[inputs.donor];
  if (!donor.has_config()) {
    findings->notes.push_back(fmt::format(
        "\"{}\" has no config.json, so the output has weights only: no config.json, no tokenizer", donor.reference));
    return;
  }
  WarnRemoteCode(donor, copies_code, findings);
  for (const InputModel& model : inputs.models) {
    if (&model == &donor) continue;
    if (!model.has_config()) {
      WarnNoConfig(donor, model, findings);
      continue;
    }
    CheckModelType(donor, model, findings);
    std::vector<std::string> differences = Comparison(donor.config, model.config).Run();
    if (inputs.is_sliced) {
      const std::optional<ConfigDepth> depth = FindConfigDepth(donor.config);
      if (depth) {
        const std::string prefix = Dotted(depth->path) + ":";
        std::erase_if(differences, [&](const std::string& text) { return text.starts_with(prefix); });
      }
    }
    CompareArchitectures(donor, model, &differences);
    if (differences.empty()) continue;
    findings->warnings.push_back(
        {.code = ErrorCode::kMmConfig,
         .message = fmt::format("config.json of \"{}\" differs from that of \"{}\" in what may change its results",
                                model.reference, donor.reference),
         .where = model.config.file(),
         .found = ListSome(differences),
         .help = fmt::format("the output has the config.json of \"{}\"", donor.reference)});
  }
}

}  // namespace gpumerge
