// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What a recipe must be before it is parsed: small, UTF-8, free of control characters. YAML readers disagree about all
// of these (yaml-cpp rewrites text around a NUL and replaces bad UTF-8), so they are settled here.
#include "src/base/text.h"
#include "src/config/yaml_tree.h"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace gpumerge {
namespace {

// The bytes of the character at the front of text: everything up to the next byte that can begin a character.
std::string_view FrontCharacter(std::string_view text) {
  size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0u) == 0x80u) ++size;
  return text.substr(0, size);
}

// Control characters and the line separators that some YAML readers take for line breaks and others do not.
bool IsForbidden(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return (first < 0x20 && first != '\t' && first != '\n' && first != '\r') || first == 0x7F;
  const auto second = static_cast<unsigned char>(character[1]);
  if (first == 0xC2) return second < 0xA0;
  return character == "\xE2\x80\xA8" || character == "\xE2\x80\xA9";
}

bool HasWideBom(std::string_view text) {
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
         text.starts_with(std::string_view("\0\0\xFE\xFF", 4));
}

Diagnostic Utf8Problem(std::string message, std::string found, std::string help) {
  return {.code = ErrorCode::kYamlUtf8,
          .message = std::move(message),
          .found = std::move(found),
          .expected = "UTF-8 text",
          .help = std::move(help)};
}

std::string HexBytes(std::string_view bytes) {
  std::string hex;
  for (char c : bytes.substr(0, 4))
    hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", static_cast<unsigned char>(c));
  return "bytes " + hex;
}

void CheckCharacters(std::string_view text, Findings& findings) {
  Location at{1, 1};
  while (!text.empty()) {
    const std::string_view character = FrontCharacter(text);
    if (!IsUtf8(character))
      findings.Fail(at, Utf8Problem("the recipe is not valid UTF-8", HexBytes(character), "save the file as UTF-8"));
    if (IsForbidden(character))
      findings.Fail(at, Utf8Problem("the recipe holds a control character", HexBytes(character), "remove it"));
    if (character == "\n") {
      at = {at.line + 1, 1};
    } else {
      ++at.column;
    }
    text.remove_prefix(character.size());
  }
}

}  // namespace

std::string_view CheckRecipeText(std::string_view text, Findings& findings) {
  if (text.size() > kMaxRecipeBytes) {
    findings.Fail({}, {.code = ErrorCode::kYamlSize,
                       .message = "the recipe is too large",
                       .found = fmt::format("more than {} bytes", kMaxRecipeBytes),
                       .expected = "at most 1 MiB of YAML",
                       .help = "check that this is a recipe and not, say, a model file"});
  }
  if (HasWideBom(text))
    findings.Fail({1, 1}, Utf8Problem("the recipe is UTF-16 or UTF-32", HexBytes(text), "save the file as UTF-8"));
  constexpr std::string_view kBom = "\xEF\xBB\xBF";
  if (text.starts_with(kBom)) text.remove_prefix(kBom.size());
  CheckCharacters(text, findings);
  return text;
}

}  // namespace gpumerge
