// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Canonical YAML of a recipe; see emit.h. Written by hand because what little YAML it needs must not change with the
// version of a library.
#include "src/config/emit.h"

#include "src/config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <variant>

namespace gpumerge {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Text that every YAML reader takes for just that text without quotes.
bool IsSafePlain(std::string_view text) {
  constexpr std::array<std::string_view, 8> kWords{"null", "Null", "NULL", "true", "True", "TRUE", "false", "False"};
  if (text.empty() || text == "FALSE" || std::find(kWords.begin(), kWords.end(), text) != kWords.end()) return false;
  if (!SafeBoolSpelling(text).empty()) return false;
  if (!IsLetter(text[0]) && text[0] != '/' && !text.starts_with("./") && !text.starts_with("../")) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsLetter(c) || IsDigit(c) || std::string_view("/._-@+").find(c) != std::string_view::npos;
  });
}

// Length of a character that may not stand in a recipe as it is (see yaml_text.cpp); 0 for any other.
size_t UnprintableLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x20 || first == 0x7F) return 1;
  if (text.size() > 1 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) return 2;
  if (text.starts_with("\xE2\x80\xA8") || text.starts_with("\xE2\x80\xA9")) return 3;
  return 0;
}

std::string EscapeUnprintable(std::string_view character) {
  const auto last = static_cast<unsigned char>(character.back());
  if (character.size() == 3) return fmt::format("\\u20{:02X}", 0x28 + (last & 1u));
  return fmt::format("\\x{:02X}", last);
}

std::string Text(std::string_view text) {
  if (IsSafePlain(text)) return std::string(text);
  std::string quoted = "\"";
  while (!text.empty()) {
    const size_t unprintable = UnprintableLength(text);
    if (unprintable > 0) {
      quoted += EscapeUnprintable(text.substr(0, unprintable));
    } else {
      if (text[0] == '"' || text[0] == '\\') quoted += '\\';
      quoted += text[0];
    }
    text.remove_prefix(std::max<size_t>(unprintable, 1));
  }
  return quoted + '"';
}

std::string Number(double value) {
  std::array<char, 32> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return error == std::errc{} ? std::string(buffer.data(), end) : "";
}

std::string Value(const Scalar& scalar) {
  if (const auto* number = std::get_if<double>(&scalar.value)) return Number(*number);
  if (const auto* flag = std::get_if<bool>(&scalar.value)) return *flag ? "true" : "false";
  const auto& choice = std::get<std::string>(scalar.value);
  return choice == "true" || choice == "false" ? choice : Text(choice);
}

std::string Values(const std::vector<Scalar>& values) {
  if (values.size() == 1) return Value(values.front());
  std::string list;
  for (const Scalar& value : values) list += (list.empty() ? "" : ", ") + Value(value);
  return "[" + list + "]";
}

std::string Reference(const ModelRef& reference) {
  if (!reference.literal_path) return Text(reference.text);
  const std::string revision = reference.revision ? fmt::format(", revision: {}", Text(*reference.revision)) : "";
  return fmt::format("{{model: {{path: {}{}}}}}", Text(reference.text), revision);
}

// Lines of YAML; each begins with its indentation.
class Writer {
 public:
  template <class... Args>
  void Line(size_t indent, fmt::format_string<Args...> format, Args&&... args) {
    out_.append(indent, ' ');
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  void Parameter(size_t indent, const Setting& setting) {
    const auto& conditions = setting.conditions;
    const std::string name = Text(setting.name);
    if (conditions.empty()) {
      Line(indent, "{}: []", name);
    } else if (conditions.size() == 1 && !conditions.front().filter && !conditions.front().values.empty()) {
      Line(indent, "{}: {}", name, Values(conditions.front().values));
    } else {
      Line(indent, "{}:", name);
      for (const ConditionalValue& condition : conditions) {
        const std::string filter = condition.filter ? fmt::format("filter: {}, ", Text(*condition.filter)) : "";
        Line(indent + 2, "- {{{}value: {}}}", filter, Values(condition.values));
      }
    }
  }

  void Parameters(size_t indent, const Settings& settings) {
    if (settings.empty()) return;
    Line(indent, "parameters:");
    for (const Setting& setting : settings) Parameter(indent + 2, setting);
  }

  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

// Of a recipe, or of a module with its indentation.
template <class Owner>
void EmitLists(const Owner& owner, size_t indent, Writer& writer) {
  if (!owner.models.empty()) writer.Line(indent, "models:");
  for (const ModelEntry& entry : owner.models) {
    writer.Line(indent + 2, "- model: {}", Reference(entry.model));
    writer.Parameters(indent + 4, entry.parameters);
  }
  if (!owner.slices.empty()) writer.Line(indent, "slices:");
  for (const SliceEntry& slice : owner.slices) {
    writer.Line(indent + 2, "- sources:");
    for (const SourceEntry& source : slice.sources) {
      writer.Line(indent + 6, "- model: {}", Reference(source.model));
      writer.Line(indent + 8, "layer_range: [{}, {}]", source.layer_begin, source.layer_end);
      writer.Parameters(indent + 8, source.parameters);
    }
    if (slice.base_model) writer.Line(indent + 4, "base_model: {}", Reference(*slice.base_model));
    writer.Parameters(indent + 4, slice.parameters);
  }
}

void EmitModules(const MergeConfig& config, Writer& writer) {
  if (!config.modules.empty()) writer.Line(0, "modules:");
  for (const ModuleEntry& module : config.modules) {
    writer.Line(2, "{}:", Text(module.name));
    std::string prefixes;
    for (const std::string& prefix : module.prefixes) prefixes += (prefixes.empty() ? "" : ", ") + Text(prefix);
    if (!prefixes.empty()) writer.Line(4, "prefix: [{}]", prefixes);
    if (module.drop) writer.Line(4, "drop: true");
    EmitLists(module, 4, writer);
    writer.Parameters(4, module.parameters);
  }
}

std::string_view MissingText(MissingPolicy policy) { return policy == MissingPolicy::kBase ? "base" : "present"; }
std::string_view OverflowText(OverflowPolicy policy) { return policy == OverflowPolicy::kInf ? "inf" : "saturate"; }

void EmitDocument(const MergeConfig& config, Writer& writer) {
  if (!config.name.empty()) writer.Line(0, "name: {}", Text(config.name));
  writer.Line(0, "merge_method: {}", Text(config.merge_method));
  if (config.base_model) writer.Line(0, "base_model: {}", Reference(*config.base_model));
  EmitLists(config, 0, writer);
  EmitModules(config, writer);
  writer.Parameters(0, config.parameters);
  if (config.dtype) writer.Line(0, "dtype: {}", Info(*config.dtype).torch_name);
  if (config.out_dtype) writer.Line(0, "out_dtype: {}", Info(*config.out_dtype).torch_name);
  if (config.tokenizer_from_base) writer.Line(0, "tokenizer_source: base");
  if (config.tokenizer_source) writer.Line(0, "tokenizer_source: {}", Reference(*config.tokenizer_source));
  if (config.chat_template) writer.Line(0, "chat_template: {}", Text(*config.chat_template));
  if (config.missing != MissingPolicy::kError) writer.Line(0, "missing: {}", MissingText(config.missing));
  if (config.overflow != OverflowPolicy::kError) writer.Line(0, "overflow: {}", OverflowText(config.overflow));
  if (config.nonfinite == NonFinitePolicy::kAllow) writer.Line(0, "nonfinite: allow");
  if (config.int_policy == IntPolicy::kBase) writer.Line(0, "int_policy: base");
  if (config.extra == ExtraPolicy::kDrop) writer.Line(0, "extra: drop");
  if (config.float8 == Float8Policy::kPlain) writer.Line(0, "float8: plain");
  if (!config.on_mismatch.empty()) writer.Parameter(0, {"on_mismatch", {}, config.on_mismatch});
  writer.Line(0, "seed: {}", config.seed);
  if (config.shard_size_bytes) writer.Line(0, "shard_size: {}", *config.shard_size_bytes);
  if (config.layer_pattern) writer.Line(0, "layer_pattern: {}", Text(*config.layer_pattern));
}

}  // namespace

std::string EmitConfig(const MergeConfig& config) {
  Writer writer;
  for (const MergeConfig& stage : config.stages) {
    EmitDocument(stage, writer);
    writer.Line(0, "---");
  }
  EmitDocument(config, writer);
  return writer.Take();
}

}  // namespace gpumerge
