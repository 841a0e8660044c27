// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Opening models. Two references to one place are one model. One without a config.json has an empty one.
#include "src/plan/opener.h"

#include "src/base/file.h"

#include <utility>

namespace gpumerge {
namespace {

std::string IdentityOf(const ModelLocation& location) {
  const std::string& place = location.weights_path.empty() ? location.directory : location.weights_path;
  const std::string resolved = ResolvePath(place);
  return resolved.empty() ? place : resolved;
}

JsonDocument ConfigOf(const ModelFiles& files, const std::string& reference) {
  const std::string path = files.location.directory + "/config.json";
  if (!files.config_json) return JsonDocument("{}", path);
  JsonDocument config(*files.config_json, path);
  if (!config.GetRaw({})->starts_with('{')) {
    throw Error({.code = ErrorCode::kConfigField,
                 .message = fmt::format("the config.json of \"{}\" is not an object", reference),
                 .where = config.file(),
                 .found = config.GetRaw({})->substr(0, 40),
                 .expected = "an object: {\"model_type\": ...}",
                 .help = "put the model's own config.json beside its weights"});
  }
  return config;
}

}  // namespace

std::string ReferenceText(const ModelRef& reference) {
  return reference.text + (reference.literal_path && reference.revision ? "@" + *reference.revision : "");
}

std::optional<uint32_t> Opener::Open(const ModelRef& reference) {
  const std::string text = ReferenceText(reference);
  const std::tuple key{text, reference.literal_path, reference.is_stage};
  const auto known = by_text_.find(key);
  if (known != by_text_.end()) return known->second;
  const std::optional<uint32_t> model = OpenNew(reference, text);
  by_text_[key] = model;
  return model;
}

std::optional<uint32_t> Opener::OpenNew(const ModelRef& reference, const std::string& text) {
  try {
    if (reference.is_stage) {
      const StageModel& stage = open_stage_(reference);
      return Add({text, "document " + text, stage.number, stage.files, ConfigOf(stage.files, text), {}});
    }
    const ModelLocation location =
        LocateModel(reference, ModelOptions{options_.hub_cache, options_.follow_symlinks, options_.ignore_unlisted},
                    Where(config_, reference.at));
    const std::string identity = IdentityOf(location);
    const auto known = by_identity_.find(identity);
    if (known != by_identity_.end()) return known->second;
    ModelFiles files = OpenModel(location);
    JsonDocument model_config = ConfigOf(files, text);
    const uint32_t index = Add({text, identity, {}, std::move(files), std::move(model_config), {}});
    by_identity_[identity] = index;
    return index;
  } catch (const Error& error) {
    for (const Diagnostic& problem : error.diagnostics()) AddOnce(problem, &errors_);
    return std::nullopt;
  }
}

uint32_t Opener::Add(InputModel model) {
  models_.push_back(std::move(model));
  return static_cast<uint32_t>(models_.size() - 1);
}

}  // namespace gpumerge
