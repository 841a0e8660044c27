// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Numbers, booleans and text of a recipe; see scalar.h.
#include "src/config/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace gpumerge {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// Splits "-0x1F" into sign "-" and "0x1F".
std::string_view WithoutSign(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

std::string InBase(std::string_view sign, std::string_view digits, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc{} || end != digits.data() + digits.size()) return "a decimal number";
  return fmt::format("{}{}", sign == "-" ? "-" : "", value);
}

// 1:30 and 1:30:00.5, which YAML 1.1 reads in base 60.
bool IsSexagesimal(std::string_view digits) {
  if (digits.find(':') == std::string_view::npos || !IsDigit(digits[0]) || digits.back() == ':') return false;
  return std::all_of(digits.begin(), digits.end(), [](char c) { return IsDigit(c) || c == ':' || c == '.'; });
}

// 1_000, which YAML 1.1 reads as 1000 and YAML 1.2 as text.
bool HasDigitSeparators(std::string_view digits) {
  if (digits.find('_') == std::string_view::npos || !(IsDigit(digits[0]) || digits[0] == '.')) return false;
  return std::all_of(digits.begin(), digits.end(), [](char c) {
    return IsDigit(c) || c == '_' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
  });
}

struct ParsedNumber {
  double value = 0;
  bool is_number = false;
  bool fits = false;
};

ParsedNumber ParseDouble(std::string_view text) {
  const std::string lower = Lower(text);
  if (lower == ".nan" || lower == ".inf" || lower == "+.inf" || lower == "-.inf") return {.is_number = true};
  if (text.starts_with('+') && text.size() > 1 && (IsDigit(text[1]) || text[1] == '.')) text.remove_prefix(1);
  ParsedNumber number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  number.is_number = end == text.data() + text.size() && error != std::errc::invalid_argument;
  number.fits = error == std::errc{} && std::isfinite(number.value);
  return number;
}

bool CheckScalar(const YamlNode& node, std::string_view what, std::string_view expected, Findings& findings) {
  if (node.kind == YamlKind::kScalar) return true;
  const bool is_missing = node.kind == YamlKind::kNull;
  AddTypeError(node, what, std::string(expected), is_missing ? "give it a value, or remove the key" : "", findings);
  return false;
}

bool CheckUnambiguous(const YamlNode& node, std::string_view what, Findings& findings) {
  const std::string safe = SafeNumberSpelling(node.text);
  if (safe.empty()) return true;
  AddAmbiguous(node, what, safe, findings);
  return false;
}

void AddRangeError(const YamlNode& node, std::string_view what, std::string message, std::string expected,
                   Findings& findings) {
  findings.AddError(node.at, {.code = ErrorCode::kCfgRange,
                              .message = fmt::format("{} {}", what, message),
                              .found = Describe(node),
                              .expected = std::move(expected)});
}

}  // namespace

std::string SafeNumberSpelling(std::string_view text) {
  const std::string_view digits = WithoutSign(text);
  const std::string_view sign = text.substr(0, text.size() - digits.size());
  if (digits.size() < 2) return "";
  if (IsSexagesimal(digits)) return "a decimal number";
  if (HasDigitSeparators(digits)) {
    std::string without(text);
    without.erase(std::remove(without.begin(), without.end(), '_'), without.end());
    return without;
  }
  if (digits[0] != '0') return "";
  const char mark = static_cast<char>(std::tolower(static_cast<unsigned char>(digits[1])));
  if (mark == 'x') return InBase(sign, digits.substr(2), 16);
  if (mark == 'o') return InBase(sign, digits.substr(2), 8);
  if (mark == 'b') return InBase(sign, digits.substr(2), 2);
  if (!std::all_of(digits.begin(), digits.end(), IsDigit)) return "";
  const size_t first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
  return fmt::format("{}{}", sign, digits.substr(first));
}

std::string_view SafeBoolSpelling(std::string_view text) {
  const std::string lower = Lower(text);
  if (lower == "yes" || lower == "on" || lower == "y") return "true";
  if (lower == "no" || lower == "off" || lower == "n") return "false";
  return "";
}

void AddTypeError(const YamlNode& node, std::string_view what, std::string expected, std::string help,
                  Findings& findings) {
  findings.AddError(node.at, {.code = ErrorCode::kCfgType,
                              .message = fmt::format("{} is {}, not {}", what, Describe(node), expected),
                              .found = Describe(node),
                              .expected = std::move(expected),
                              .help = std::move(help)});
}

void AddChoiceError(const YamlNode& node, std::string_view what, std::string expected, std::string_view nearest,
                    Findings& findings) {
  findings.AddError(node.at, {.code = ErrorCode::kCfgType,
                              .message = fmt::format("{} cannot be {}", what, Describe(node)),
                              .found = Describe(node),
                              .expected = std::move(expected),
                              .help = nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest)});
}

void AddAmbiguous(const YamlNode& node, std::string_view what, std::string_view safe, Findings& findings) {
  findings.AddError(node.at,
                    {.code = ErrorCode::kYamlAmbiguous,
                     .message = fmt::format("{} is '{}', which YAML readers understand differently", what, node.text),
                     .found = Describe(node),
                     .expected = std::string(safe),
                     .help = fmt::format("write {}", safe)});
}

std::optional<double> ReadNumber(const YamlNode& node, std::string_view what, Findings& findings) {
  if (!CheckScalar(node, what, "a number", findings) || !CheckUnambiguous(node, what, findings)) return std::nullopt;
  const ParsedNumber number = ParseDouble(node.text);
  if (number.is_number && number.fits) return number.value;
  if (number.is_number) {
    AddRangeError(node, what, "is no finite number", "a finite number in the range of a double", findings);
    return std::nullopt;
  }
  const std::string lower = Lower(node.text);
  std::string help;
  if (lower == "true" || lower == "false") help = "write 1 or 0";
  if (std::count(lower.begin(), lower.end(), ',') == 1 && lower.find_first_not_of("+-0123456789,") == std::string::npos)
    help = "write the decimal mark as a point";
  AddTypeError(node, what, "a number", help, findings);
  return std::nullopt;
}

std::optional<bool> ReadBool(const YamlNode& node, std::string_view what, Findings& findings) {
  if (!CheckScalar(node, what, "true or false", findings)) return std::nullopt;
  const std::string_view safe = SafeBoolSpelling(node.text);
  if (!safe.empty()) {
    AddAmbiguous(node, what, safe, findings);
    return std::nullopt;
  }
  if (!CheckUnambiguous(node, what, findings)) return std::nullopt;
  const std::string lower = Lower(node.text);
  if (lower == "true") return true;
  if (lower == "false") return false;
  const ParsedNumber number = ParseDouble(node.text);
  if (number.is_number && (number.value == 0 || number.value == 1) && number.fits) return number.value == 1;
  AddTypeError(node, what, "true or false", "", findings);
  return std::nullopt;
}

std::optional<uint64_t> ReadWhole(const YamlNode& node, std::string_view what, Findings& findings) {
  constexpr std::string_view kExpected = "a whole number";
  if (!CheckScalar(node, what, kExpected, findings) || !CheckUnambiguous(node, what, findings)) return std::nullopt;
  const std::string_view digits = node.text.starts_with('+') ? std::string_view(node.text).substr(1) : node.text;
  uint64_t whole = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), whole);
  if (error == std::errc{} && end == digits.data() + digits.size()) return whole;
  const ParsedNumber number = ParseDouble(node.text);
  constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
  if (!number.is_number) {
    AddTypeError(node, what, std::string(kExpected), "", findings);
  } else if (!number.fits || number.value < 0 || number.value > kExactIntegers) {
    AddRangeError(node, what, "is out of range", "a whole number from 0 to 18446744073709551615", findings);
  } else if (number.value != std::floor(number.value)) {
    AddTypeError(node, what, std::string(kExpected), "", findings);
  } else {
    return static_cast<uint64_t>(number.value);
  }
  return std::nullopt;
}

std::optional<std::string> ReadText(const YamlNode& node, std::string_view what, Findings& findings) {
  if (!CheckScalar(node, what, "text", findings)) return std::nullopt;
  if (!node.text.empty()) return node.text;
  AddTypeError(node, what, "text", "give it a value, or remove the key", findings);
  return std::nullopt;
}

}  // namespace gpumerge
