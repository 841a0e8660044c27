// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The guess knows what Hugging Face models call their parts. The longest beginning that fits a name decides, so that
// "model.visual." and "model." can stand side by side.
#include "src/plan/modules.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>

namespace gpumerge {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::string_view kTextParts[] = {"text", "language", "llm"};
constexpr std::string_view kTextPrefixes[] = {
    "language_model.", "model.language_model.", "text_model.",         "model.text_model.", "llm.",
    "model.llm.",      "model.layers.",         "model.embed_tokens.", "model.norm.",       "lm_head."};
constexpr std::string_view kTextSections[] = {"text_config", "llm_config", "language_config", ""};
constexpr std::string_view kVisionParts[] = {"vis", "image"};
constexpr std::string_view kVisionPrefixes[] = {"visual.",         "model.visual.",         "vision_tower.",
                                                "vision_model.",   "model.vision_tower.",   "model.vision_model.",
                                                "vision_encoder.", "model.vision_encoder.", "image_encoder."};
constexpr std::string_view kVisionSections[] = {"vision_config"};
constexpr std::string_view kProjectorParts[] = {"proj", "connector", "aligner"};
constexpr std::string_view kProjectorPrefixes[] = {"multi_modal_projector.",
                                                   "model.multi_modal_projector.",
                                                   "mm_projector.",
                                                   "model.mm_projector.",
                                                   "connector.",
                                                   "model.connector.",
                                                   "projector.",
                                                   "model.projector.",
                                                   "aligner.",
                                                   "model.aligner."};
constexpr std::string_view kAudioParts[] = {"audio", "speech"};
constexpr std::string_view kAudioPrefixes[] = {"audio_tower.", "model.audio_tower.", "audio_model.",
                                               "model.audio_model.", "audio_encoder."};
constexpr std::string_view kAudioSections[] = {"audio_config"};
constexpr std::string_view kEncoderParts[] = {"encoder"};
constexpr std::string_view kEncoderPrefixes[] = {"encoder.", "model.encoder.", "shared.", "model.shared."};
constexpr std::string_view kEncoderSections[] = {"encoder", ""};
constexpr std::string_view kEncoderDepths[] = {"num_encoder_layers", "encoder_layers"};
constexpr std::string_view kDecoderParts[] = {"decoder"};
constexpr std::string_view kDecoderPrefixes[] = {"decoder.", "model.decoder.", "lm_head.", "proj_out."};
constexpr std::string_view kDecoderSections[] = {"decoder", ""};
constexpr std::string_view kDecoderDepths[] = {"num_decoder_layers", "decoder_layers"};

struct Role {
  Names parts;     // of a module's name
  Names prefixes;  // of its tensors' names
  Names sections;  // of config.json; "": the root
  Names depths;    // keys for its number of layers, before the usual ones
};

// The first whose part occurs in a module's name.
constexpr std::array<Role, 6> kRoles{{{kTextParts, kTextPrefixes, kTextSections, {}},
                                      {kVisionParts, kVisionPrefixes, kVisionSections, {}},
                                      {kProjectorParts, kProjectorPrefixes, {}, {}},
                                      {kAudioParts, kAudioPrefixes, kAudioSections, {}},
                                      {kEncoderParts, kEncoderPrefixes, kEncoderSections, kEncoderDepths},
                                      {kDecoderParts, kDecoderPrefixes, kDecoderSections, kDecoderDepths}}};

const Role* RoleOf(std::string_view module) {
  for (const Role& role : kRoles)
    for (const std::string_view part : role.parts)
      if (module.find(part) != std::string_view::npos) return &role;
  return nullptr;
}

bool Occurs(std::string_view prefix, const InputSet& inputs) {
  return std::any_of(inputs.models.begin(), inputs.models.end(), [&](const InputModel& model) {
    return std::any_of(model.files.tensors.begin(), model.files.tensors.end(),
                       [&](const ModelTensor& tensor) { return tensor.name.starts_with(prefix); });
  });
}

std::vector<std::string> Guess(const std::string& module, const InputSet& inputs) {
  std::vector<std::string> candidates{module + ".", "model." + module + "."};
  if (const Role* role = RoleOf(module))
    candidates.insert(candidates.end(), role->prefixes.begin(), role->prefixes.end());
  std::vector<std::string> prefixes;
  for (const std::string& candidate : candidates) {
    const bool is_new = std::find(prefixes.begin(), prefixes.end(), candidate) == prefixes.end();
    if (is_new && Occurs(candidate, inputs)) prefixes.push_back(candidate);
  }
  return prefixes;
}

// The modules' prefixes, with a note for those that were guessed.
std::vector<std::vector<std::string>> FindPrefixes(const MergeConfig& config, const InputSet& inputs,
                                                   PlanFindings* findings) {
  std::vector<std::vector<std::string>> all;
  std::map<std::string, std::string> owners;
  const auto add_error = [&](const ModuleEntry& module, std::string message) {
    findings->errors.push_back({.code = ErrorCode::kCfgRange,
                                .message = std::move(message),
                                .where = Where(config, module.at),
                                .help = "set the module's prefix to what its tensors' names begin with"});
  };
  for (const ModuleEntry& module : config.modules) {
    all.push_back(module.prefixes.empty() ? Guess(module.name, inputs) : module.prefixes);
    if (module.prefixes.empty() && !all.back().empty())
      findings->notes.push_back(
          fmt::format("module {}: guessed to be the tensors that begin with {}", module.name, ListSome(all.back())));
    const bool occurs = std::any_of(all.back().begin(), all.back().end(),
                                    [&](const std::string& prefix) { return Occurs(prefix, inputs); });
    if (!occurs) add_error(module, fmt::format("no tensor of any model belongs to the module \"{}\"", module.name));
    for (const std::string& prefix : all.back()) {
      const auto [owner, is_new] = owners.emplace(prefix, module.name);
      if (!is_new && owner->second != module.name)
        add_error(module,
                  fmt::format("\"{}\" is the prefix of two modules, {} and {}", prefix, owner->second, module.name));
    }
  }
  return all;
}

// The module with the longest prefix that fits; nullopt: none fits.
std::optional<size_t> ModuleOf(std::string_view name, const std::vector<std::vector<std::string>>& prefixes) {
  std::optional<size_t> module;
  size_t longest = 0;
  for (size_t i = 0; i < prefixes.size(); ++i)
    for (const std::string& prefix : prefixes[i])
      if (prefix.size() > longest && name.starts_with(prefix)) {
        module = i;
        longest = prefix.size();
      }
  return module;
}

void ReportHomeless(const InputModel& model, const std::vector<std::string>& names, PlanFindings* findings) {
  if (names.empty()) return;
  findings->errors.push_back({.code = ErrorCode::kMmExtra,
                              .message = fmt::format("{} of \"{}\" belong to no module: {}",
                                                     Plural(names.size(), "tensor"), model.reference, ListSome(names)),
                              .where = model.files.location.directory,
                              .expected = "every tensor in one of the recipe's modules",
                              .help =
                                  "nothing is dropped silently: add a module for them, extend a module's prefix, or "
                                  "add a module with `drop: true`"});
}

}  // namespace

void SplitModules(const MergeConfig& config, InputSet* inputs, PlanFindings* findings) {
  const std::vector<std::vector<std::string>> prefixes = FindPrefixes(config, *inputs, findings);
  std::vector<InputSet*> part_of;  // by module; null: dropped
  size_t n_parts = 0;
  for (const ModuleEntry& module : config.modules)
    part_of.push_back(module.drop ? nullptr : &inputs->modules[n_parts++]);
  for (InputSet& part : inputs->modules) {
    part.models = inputs->models;
    for (InputModel& model : part.models) model.files.tensors.clear();
    part.base = inputs->base;
  }
  std::vector<uint64_t> n_dropped(config.modules.size());
  for (size_t i = 0; i < inputs->models.size(); ++i) {
    std::vector<std::string> homeless;
    for (const ModelTensor& tensor : inputs->models[i].files.tensors) {
      const std::optional<size_t> module = ModuleOf(tensor.name, prefixes);
      if (!module) {
        homeless.push_back(tensor.name);
      } else if (part_of[*module] == nullptr) {
        ++n_dropped[*module];
      } else {
        part_of[*module]->models[i].files.tensors.push_back(tensor);
      }
    }
    ReportHomeless(inputs->models[i], homeless, findings);
  }
  for (size_t module = 0; module < n_dropped.size(); ++module)
    if (config.modules[module].drop)
      findings->notes.push_back(fmt::format("module {} is dropped, as the recipe says: {} of all models together",
                                            config.modules[module].name, Plural(n_dropped[module], "tensor")));
}

std::optional<ConfigDepth> FindModuleDepth(const JsonDocument& config, std::string_view module) {
  constexpr std::string_view kUsual[] = {"num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth"};
  const Role* role = RoleOf(module);
  if (role == nullptr) return std::nullopt;
  for (const std::string_view section : role->sections) {
    for (const Names keys : {role->depths, Names(kUsual)}) {
      for (const std::string_view key : keys) {
        std::vector<std::string> path;
        if (!section.empty()) path.emplace_back(section);
        path.emplace_back(key);
        if (const std::optional<uint64_t> depth = config.GetUint(path)) return ConfigDepth{std::move(path), *depth};
      }
    }
  }
  return std::nullopt;
}

}  // namespace gpumerge
