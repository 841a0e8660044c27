// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 by table 3-7 of the Unicode standard, sizes in exact integers, and typo distance.
#include "src/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <limits>
#include <vector>

namespace gpumerge {
namespace {

struct CodePoint {
  uint32_t value = 0;
  size_t size_bytes = 0;  // 0: not UTF-8
};

// The code point that `text` (not empty) begins with.
CodePoint DecodeUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {};
  uint32_t value = lead & (0xFFu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return {};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  const bool is_overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (is_overlong || is_surrogate || value > 0x10FFFF) return {};
  return {value, size};
}

struct CodeRange {
  uint32_t first, last;
};
// What moves the cursor, reorders or hides text: controls, soft hyphen, zero-width and bidi marks, line separators,
// fillers, byte order mark, annotations, tags.
constexpr std::array<CodeRange, 13> kUnsafe{{{0x00, 0x1F},
                                             {0x7F, 0x9F},
                                             {0xAD, 0xAD},
                                             {0x61C, 0x61C},
                                             {0x115F, 0x1160},
                                             {0x180E, 0x180E},
                                             {0x200B, 0x200F},
                                             {0x2028, 0x202E},
                                             {0x2060, 0x206F},
                                             {0x3164, 0x3164},
                                             {0xFEFF, 0xFEFF},
                                             {0xFFF9, 0xFFFB},
                                             {0xE0000, 0xE0FFF}}};

bool IsUnsafe(uint32_t value) {
  return std::any_of(kUnsafe.begin(), kUnsafe.end(),
                     [&](const CodeRange& range) { return value >= range.first && value <= range.last; });
}

void AppendEscaped(CodePoint point, std::string* to) {
  switch (point.value) {
    case '\n':
      *to += "\\n";
      break;
    case '\r':
      *to += "\\r";
      break;
    case '\t':
      *to += "\\t";
      break;
    default:
      *to += point.value < 0x80 ? fmt::format("\\x{:02x}", point.value) : fmt::format("\\u{{{:04x}}}", point.value);
  }
}

// 0 for a letter that is no size prefix.
unsigned PrefixPower(char letter) {
  constexpr std::string_view kPrefixes = "KMGTPE";
  const auto at = kPrefixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(letter))));
  return at == std::string_view::npos ? 0 : static_cast<unsigned>(at) + 1;
}

// The factor of a unit such as "", "B", "K", "kB", "Mi", "MiB"; nullopt for anything else.
std::optional<uint64_t> UnitFactor(std::string_view unit) {
  if (!unit.empty() && (unit.back() == 'B' || unit.back() == 'b')) unit.remove_suffix(1);
  if (unit.empty()) return 1;
  const unsigned power = PrefixPower(unit[0]);
  unit.remove_prefix(1);
  const bool is_binary = unit == "i";
  if (power == 0 || (!unit.empty() && !is_binary)) return std::nullopt;
  uint64_t factor = 1;
  for (unsigned i = 0; i < power; ++i) factor *= is_binary ? 1024 : 1000;
  return factor;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

char FoldForTypos(char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost one.
size_t TypoDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const char x = FoldForTypos(a[i - 1]), y = FoldForTypos(b[j - 1]);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (x == y ? 0u : 1u)});
      if (i > 1 && j > 1 && x == FoldForTypos(b[j - 2]) && y == FoldForTypos(a[i - 2]))
        current[j] = std::min(current[j], before[j - 2] + 1);
    }
    before.swap(previous);
    previous.swap(current);
  }
  return previous[b.size()];
}

}  // namespace

std::string EscapeForTerminal(std::string_view text, size_t max_bytes) {
  std::string escaped;
  escaped.reserve(std::min(text.size(), max_bytes) + 3);
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint point = DecodeUtf8(text.substr(at));
    const size_t size = std::max<size_t>(point.size_bytes, 1);
    if (at + size > max_bytes) return escaped + "...";
    if (point.size_bytes == 0)
      escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
    else if (IsUnsafe(point.value))
      AppendEscaped(point, &escaped);
    else
      escaped += text.substr(at, size);
    at += size;
  }
  return escaped;
}

std::string Quote(std::string_view name) { return fmt::format("\"{}\"", EscapeForTerminal(name)); }

std::string Plural(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr std::array kUnits{"kB", "MB", "GB", "TB", "PB", "EB"};
  uint64_t factor = 1000;
  size_t unit = 0;
  // Hundredths of the unit, rounded to nearest; 999.995 kB is 1.00 MB.
  const auto hundredths = [&] {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(bytes) * 100 + factor / 2) / factor);
  };
  while (unit + 1 < kUnits.size() && hundredths() >= 100'000) {
    factor *= 1000;
    ++unit;
  }
  return fmt::format("{}.{:02} {}", hundredths() / 100, hundredths() % 100, kUnits[unit]);
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  constexpr size_t kMaxDigits = 20;  // of 2^64 - 1; keeps the products below within 128 bits
  unsigned __int128 digits = 0, divisor = 1;
  size_t at = 0, n_digits = 0;
  bool has_point = false;
  for (; at < text.size() && (IsDigit(text[at]) || (text[at] == '.' && !has_point && n_digits > 0)); ++at) {
    if (text[at] == '.') {
      has_point = true;
      continue;
    }
    if (++n_digits > kMaxDigits) return std::nullopt;
    digits = digits * 10 + static_cast<unsigned>(text[at] - '0');
    if (has_point) divisor *= 10;
  }
  if (n_digits == 0 || text[at - 1] == '.') return std::nullopt;
  text.remove_prefix(at);
  if (text.size() > 1 && text[0] == ' ') text.remove_prefix(1);
  const std::optional<uint64_t> factor = UnitFactor(text);
  if (!factor) return std::nullopt;
  const unsigned __int128 scaled = digits * *factor;
  if (scaled % divisor != 0 || scaled / divisor > std::numeric_limits<uint64_t>::max()) return std::nullopt;
  return static_cast<uint64_t>(scaled / divisor);
}

std::string_view NearestName(std::string_view name, std::span<const std::string_view> candidates) {
  constexpr size_t kLongestTypo = 256;  // the distance is quadratic, and the name may be hostile
  std::string_view nearest;
  size_t nearest_distance = std::numeric_limits<size_t>::max();
  for (std::string_view candidate : candidates) {
    const size_t longer = std::max(name.size(), candidate.size());
    if (longer > kLongestTypo) continue;
    const size_t distance = TypoDistance(name, candidate);
    // A third of the letters may be wrong, but two letters have nothing left to recognise after one change.
    const size_t allowed = longer < 3 ? 0 : longer / 3;
    if (distance <= allowed && distance < nearest_distance) {
      nearest = candidate;
      nearest_distance = distance;
    }
  }
  return nearest;
}

bool IsUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t word = 0;
    if (text.size() - at >= sizeof word) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {  // eight ASCII characters
        at += sizeof word;
        continue;
      }
    }
    const size_t size_bytes = DecodeUtf8(text.substr(at)).size_bytes;
    if (size_bytes == 0) return false;
    at += size_bytes;
  }
  return true;
}

}  // namespace gpumerge
