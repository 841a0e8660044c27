// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The card's text and its escapes.
#include "src/io/model_card.h"

#include "src/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace gpumerge {
namespace {

bool IsHubWord(std::string_view word) {
  const auto is_allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.';
  };
  const auto is_edge = [](char c) { return c == '-' || c == '.'; };
  return !word.empty() && word.size() <= 96 && std::all_of(word.begin(), word.end(), is_allowed) &&
         !is_edge(word.front()) && !is_edge(word.back()) && word.find("--") == word.npos &&
         word.find("..") == word.npos;
}

// org/name of a reference that may carry a revision; "" when it is not one. What this returns needs no quotes in YAML.
std::string HubId(std::string_view name) {
  name = name.substr(0, name.find('@'));
  const size_t slash = name.find('/');
  if (slash == name.npos) return {};
  return IsHubWord(name.substr(0, slash)) && IsHubWord(name.substr(slash + 1)) ? std::string(name) : std::string();
}

// One line of plain Markdown that shows exactly this text, also within a table.
std::string EscapeMarkdown(std::string_view text) {
  constexpr std::string_view kSpecial = "\\`*_{}[]<>()#+!|~&$:@";
  constexpr size_t kMaxNameBytes = 1024;
  std::string escaped;
  for (const char c : EscapeForTerminal(text, kMaxNameBytes)) {
    if (kSpecial.find(c) != kSpecial.npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// The text between fences that are longer than any run of backticks in it.
std::string FencedBlock(std::string_view language, std::string_view text) {
  size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(std::max<size_t>(3, longest + 1), '`');
  const std::string_view end = text.ends_with('\n') ? "" : "\n";
  return fmt::format("{}{}\n{}{}{}\n", fence, language, text, end, fence);
}

std::string FrontMatter(const std::vector<ModelCardModel>& models) {
  std::vector<std::string> ids;
  for (const ModelCardModel& model : models) {
    const std::string id = model.is_hub ? HubId(model.name) : std::string();
    if (!id.empty() && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  std::string text = "---\n";
  if (!ids.empty()) text += "base_model:\n";
  for (const std::string& id : ids) text += fmt::format("- {}\n", id);
  return text + "library_name: transformers\ntags:\n- gpumerge\n- merge\n---\n";
}

std::string ModelTable(const std::vector<ModelCardModel>& models) {
  std::string text = "| Model | Role |\n| --- | --- |\n";
  for (const ModelCardModel& model : models) {
    const std::string id = model.is_hub ? HubId(model.name) : std::string();
    const std::string name = EscapeMarkdown(model.name);
    const std::string shown = id.empty() ? name : fmt::format("[{}](https://huggingface.co/{})", name, id);
    text += fmt::format("| {} | {} |\n", shown, model.is_base ? "base" : "merged");
  }
  return text;
}

}  // namespace

std::string MakeModelCard(const ModelCardInput& input) {
  std::string text = FrontMatter(input.models);
  text += fmt::format("# {}\n\nThis model is a merge of language models, made with gpumerge.\n\n",
                      EscapeMarkdown(input.title));
  text += fmt::format("## Merge method\n\n`{}`: {}\n\n", input.method, input.method_summary);
  if (!input.method_reference.empty()) text += fmt::format("Reference: {}\n\n", input.method_reference);
  text += fmt::format("## Models\n\n{}\n", ModelTable(input.models));
  text += fmt::format("## Recipe\n\n{}", FencedBlock("yaml", input.recipe_yaml));
  return text;
}

}  // namespace gpumerge
