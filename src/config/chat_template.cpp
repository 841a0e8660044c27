// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The templates are written from the formats' public descriptions. bos_token and eos_token are the tokenizer's.
#include "src/config/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace gpumerge {
namespace {

struct NamedTemplate {
  std::string_view name, text;
};

constexpr std::array<NamedTemplate, 5> kTemplates{{
    {"alpaca",
     "{% for message in messages %}"
     "{% if message['role'] == 'user' %}{{ '### Instruction:\\n' ~ message['content'] ~ '\\n\\n' }}"
     "{% elif message['role'] == 'assistant' %}{{ '### Response:\\n' ~ message['content'] ~ '\\n\\n' }}"
     "{% else %}{{ message['content'] ~ '\\n\\n' }}{% endif %}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"},
    {"chatml",
     "{% for message in messages %}"
     "{{ '<|im_start|>' ~ message['role'] ~ '\\n' ~ message['content'] ~ '<|im_end|>\\n' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
    {"exaone",
     "{% for message in messages %}"
     "{% if loop.first and message['role'] != 'system' %}{{ '[|system|][|endofturn|]\\n' }}{% endif %}"
     "{{ '[|' ~ message['role'] ~ '|]' ~ message['content'] }}"
     "{{ '\\n' if message['role'] == 'user' else '[|endofturn|]\\n' }}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}"},
    {"llama3",
     "{{ bos_token }}{% for message in messages %}"
     "{{ '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\\n\\n' ~ (message['content'] | trim) ~ "
     "'<|eot_id|>' "
     "}}"
     "{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"},
    {"mistral",
     "{{ bos_token }}{% set turn = namespace(system='') %}{% for message in messages %}"
     "{% if message['role'] == 'system' %}{% set turn.system = message['content'] ~ '\\n\\n' %}"
     "{% elif message['role'] == 'user' %}{{ '[INST] ' ~ turn.system ~ message['content'] ~ ' [/INST]' }}"
     "{% set turn.system = '' %}"
     "{% else %}{{ ' ' ~ message['content'] ~ eos_token }}{% endif %}"
     "{% endfor %}"},
}};

bool IsWord(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

// Where `closing` stands outside of quotes, counted from the beginning of text.
std::optional<size_t> FindClosing(std::string_view text, std::string_view closing) {
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    if (quote != '\0') {
      if (text[i] == '\\')
        ++i;
      else if (text[i] == quote)
        quote = '\0';
    } else if (text.substr(i).starts_with(closing)) {
      return i;
    } else if (text[i] == '\'' || text[i] == '"') {
      quote = text[i];
    }
  }
  return std::nullopt;
}

class TemplateCheck {
 public:
  explicit TemplateCheck(std::string_view text) : rest_(text) {}

  std::string Run() {
    for (size_t at = rest_.find('{'); at != std::string_view::npos; at = rest_.find('{')) {
      rest_.remove_prefix(at);
      const std::string_view opening = rest_.substr(0, 2);
      rest_.remove_prefix(
          std::min<size_t>(opening.size(), opening == "{{" || opening == "{%" || opening == "{#" ? 2 : 1));
      std::string defect;
      if (opening == "{{") defect = Skip(FindClosing(rest_, "}}"), "{{");
      if (opening == "{#") {
        const size_t end = rest_.find("#}");
        defect = Skip(end == std::string_view::npos ? std::nullopt : std::optional(end), "{#");
      }
      if (opening == "{%") defect = Tag();
      if (!defect.empty()) return defect;
    }
    return open_.empty() ? "" : fmt::format("'{}' has no 'end{}'", open_.back(), open_.back());
  }

 private:
  std::string Skip(std::optional<size_t> closing, std::string_view opening) {
    if (!closing) return fmt::format("'{}' is not closed", opening);
    rest_.remove_prefix(*closing + 2);
    return {};
  }

  std::string Tag() {
    const std::optional<size_t> closing = FindClosing(rest_, "%}");
    const std::string_view tag = rest_.substr(0, closing.value_or(0));
    if (std::string defect = Skip(closing, "{%"); !defect.empty()) return defect;
    size_t begin = tag.find_first_not_of("-+ \t\r\n");
    if (begin == std::string_view::npos) return "'{%' without a word";
    size_t end = begin;
    while (end < tag.size() && IsWord(tag[end])) ++end;
    const std::string_view word = tag.substr(begin, end - begin);
    if (word == "raw") return Raw();
    if (word.starts_with("end")) return Close(word.substr(3));
    if (word == "else" || word == "elif")
      return open_.empty() || (open_.back() != "if" && open_.back() != "for") ? fmt::format("'{}' without 'if'", word)
                                                                              : "";
    constexpr std::array<std::string_view, 9> kBlocks{"if",    "for",  "macro",      "call",      "filter",
                                                      "block", "with", "generation", "autoescape"};
    const bool is_block = std::find(kBlocks.begin(), kBlocks.end(), word) != kBlocks.end();
    // `set x = value` stands alone, `set x` has an end.
    if (is_block || (word == "set" && tag.find('=') == std::string_view::npos)) open_.push_back(word);
    return {};
  }

  std::string Raw() {
    const size_t end = rest_.find("endraw");
    if (end == std::string_view::npos) return "'raw' has no 'endraw'";
    rest_.remove_prefix(end);
    return Skip(FindClosing(rest_, "%}"), "{%");
  }

  std::string Close(std::string_view block) {
    if (open_.empty() || open_.back() != block) return fmt::format("'end{}' without '{}'", block, block);
    open_.pop_back();
    return {};
  }

  std::string_view rest_;
  std::vector<std::string_view> open_;
};

}  // namespace

std::vector<std::string_view> ChatTemplateNames() {
  std::vector<std::string_view> names;
  for (const NamedTemplate& named : kTemplates) names.push_back(named.name);
  return names;
}

std::string_view NamedChatTemplate(std::string_view name) {
  for (const NamedTemplate& named : kTemplates)
    if (named.name == name) return named.text;
  return {};
}

std::string ChatTemplateDefect(std::string_view text) {
  if (text == "auto" || !NamedChatTemplate(text).empty()) return {};
  if (text.find('{') == std::string_view::npos) return "a text without '{' that is no known name";
  return TemplateCheck(text).Run();
}

}  // namespace gpumerge
