// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reading and comparing model references; see model_reference.h.
#include "src/config/model_reference.h"

#include "src/config/recipe_keys.h"
#include "src/config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace gpumerge {
namespace {

// With a leading ~/ replaced by the home directory.
std::filesystem::path LocalPath(std::string_view text) {
  const char* home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/")))
    return std::string(home) + std::string(text.substr(1));
  return std::string(text);
}

bool Exists(std::string_view text) {
  std::error_code ignored;
  return std::filesystem::exists(LocalPath(text), ignored);
}

// org/name[@revision] and nothing that can only be a path.
bool LooksLikeHubName(std::string_view text) {
  const std::string_view name = text.substr(0, text.find('@'));
  return !text.starts_with('/') && !text.starts_with('.') && !text.starts_with('~') &&
         std::count(name.begin(), name.end(), '/') == 1;
}

void CheckReferenceText(const ModelRef& reference, RecipeContext& context) {
  const std::string& text = reference.text;
  if (Exists(text)) return;
  if (text.find('+') != std::string::npos) {
    context.findings.AddError(
        reference.at,
        {.code = ErrorCode::kCfgUnsupported,
         .message = fmt::format("model reference '{}' asks for a LoRA adapter ('+'), which is not supported", text),
         .help = "merge the adapter into its model first (peft: merge_and_unload); a path with '+' in it must exist"});
    return;
  }
  if (!LooksLikeHubName(text)) return;
  const size_t at_sign = text.find('@');
  const size_t slash = text.find('/');
  const bool has_empty_part = slash == 0 || slash + 1 == std::min(at_sign, text.size()) || at_sign + 1 == text.size();
  if (!has_empty_part && std::count(text.begin(), text.end(), '@') <= 1) return;
  context.findings.AddError(reference.at, {.code = ErrorCode::kRefSyntax,
                                           .message = fmt::format("'{}' is not a model reference", text),
                                           .expected = "a path, org/name or org/name@revision"});
}

void ReadModelPath(YamlNode& path, std::string_view what, ModelRef& reference, RecipeContext& context) {
  if (path.kind == YamlKind::kScalar) {
    AddTypeError(path, what, "a mapping with 'path'", "write {model: {path: ..., revision: ...}}, or the text alone",
                 context.findings);
    return;
  }
  if (!ExpectMap(path, what, context)) return;
  MendKeys(path, RecipeLevel::kModelPath, context);
  reference.literal_path = true;
  if (const YamlNode* text = path.Find("path")) {
    reference.text = ReadText(*text, "key 'path'", context.findings).value_or("");
  } else {
    context.findings.AddError(path.at, {.code = ErrorCode::kCfgMissing,
                                        .message = fmt::format("{} has no 'path'", what),
                                        .help = "write {model: {path: ...}}"});
  }
  if (const YamlNode* revision = FindOptional(path, "revision", context))
    reference.revision = ReadText(*revision, "key 'revision'", context.findings);
}

void TakeStage(ModelRef& reference, RecipeContext& context) {
  reference.is_stage = true;
  context.stages_used.emplace_back(reference.text, reference.at);
  if (!Exists(reference.text)) return;
  context.findings.AddWarning(
      reference.at,
      {.code = ErrorCode::kCfgChoice,
       .message = fmt::format("'{}' is both a document of this recipe and a path", reference.text),
       .found = "the document is taken",
       .help = fmt::format("write ./{} if the path is meant, or give the document another name", reference.text)});
}

}  // namespace

ModelRef ReadModelRef(YamlNode& node, std::string_view what, RecipeContext& context) {
  ModelRef reference;
  reference.at = node.at;
  if (node.kind == YamlKind::kMap) {
    const bool has_bare_path = node.Find("path") != nullptr;  // reported by MendKeys
    MendKeys(node, RecipeLevel::kReference, context);
    if (YamlNode* model = node.Find("model")) {
      ReadModelPath(*model, what, reference, context);
    } else if (!has_bare_path) {
      context.findings.AddError(node.at, {.code = ErrorCode::kCfgMissing,
                                          .message = fmt::format("{} has no 'model'", what),
                                          .help = "write {model: {path: ...}}, or the text alone"});
    }
    return reference;
  }
  if (node.kind != YamlKind::kScalar) {
    AddTypeError(node, what, "a model reference", "write a path, org/name or org/name@revision", context.findings);
    return reference;
  }
  reference.text = ReadText(node, what, context.findings).value_or("");
  if (context.stage_names != nullptr && context.stage_names->contains(reference.text)) {
    TakeStage(reference, context);
  } else if (!reference.text.empty()) {
    CheckReferenceText(reference, context);
  }
  return reference;
}

std::string ModelIdentity(const ModelRef& reference) {
  std::string identity = reference.text;
  if (reference.is_stage) return identity;
  if (Exists(reference.text)) {
    std::error_code failed;
    const std::filesystem::path canonical = std::filesystem::canonical(LocalPath(reference.text), failed);
    if (!failed) identity = canonical.string();
  }
  if (reference.revision) identity += "@" + *reference.revision;
  return identity;
}

std::string DescribeModel(const ModelRef& reference) {
  if (reference.revision) return fmt::format("'{}@{}'", reference.text, *reference.revision);
  return fmt::format("'{}'", reference.text);
}

}  // namespace gpumerge
