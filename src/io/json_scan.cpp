// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// A recursive-descent scanner; its depth is limited, so hostile nesting cannot exhaust the stack.
#include "src/io/json_scan.h"

#include "src/base/text.h"

#include "gpumerge/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace gpumerge {
namespace {

struct LineColumn {
  size_t line = 1, column = 1;  // columns count characters, not bytes
};

LineColumn Locate(std::string_view text, size_t at) {
  LineColumn place;
  for (const char c : text.substr(0, at)) {
    if (c == '\n')
      place = {place.line + 1, 1};
    else if ((static_cast<unsigned char>(c) & 0xC0u) != 0x80u)
      ++place.column;
  }
  return place;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

uint32_t HexValue(std::string_view digits) {
  uint32_t value = 0;
  for (const char c : digits) {
    const auto digit = IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
    value = value * 16 + static_cast<uint32_t>(digit);
  }
  return value;
}

bool IsHighSurrogate(uint32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool IsLowSurrogate(uint32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

void AppendUtf8(uint32_t point, std::string* to) {
  const auto put = [&](uint32_t byte) { to->push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

class Scanner {
 public:
  Scanner(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::vector<JsonNode> Scan() {
    if (text_.size() > kMaxJsonBytes)
      Limit(fmt::format("{} bytes", text_.size()), fmt::format("at most {} bytes", kMaxJsonBytes));
    if (text_.starts_with("\xEF\xBB\xBF")) Fail("the file begins with a byte order mark", "plain UTF-8");
    SkipSpace();
    Value(0, 0, 0);
    SkipSpace();
    if (at_ != text_.size()) Fail("text after the end of the value", "end of file");
    if (!duplicates_.empty()) throw Error(std::move(duplicates_));
    return std::move(nodes_);
  }

 private:
  [[noreturn]] void Fail(std::string_view problem, std::string_view expected) const {
    std::string found = "end of file";
    if (at_ < text_.size()) found = fmt::format("'{}'", EscapeForTerminal(text_.substr(at_, 1)));
    throw Error({.code = ErrorCode::kJsonSyntax,
                 .message = fmt::format("not valid JSON: {}", problem),
                 .where = Where(at_),
                 .found = std::move(found),
                 .expected = std::string(expected),
                 .help = {}});
  }

  [[noreturn]] void Limit(std::string found, std::string expected) const {
    throw Error({.code = ErrorCode::kResLimit,
                 .message = "the JSON file exceeds the limits for untrusted input",
                 .where = Where(at_),
                 .found = std::move(found),
                 .expected = std::move(expected),
                 .help = {}});
  }

  std::string Where(size_t at) const {
    const LineColumn place = Locate(text_, at);
    return fmt::format("{}:{}:{}", file_, place.line, place.column);
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool Take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void SkipSpace() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  void Value(uint32_t key_begin, uint32_t key_end, uint32_t depth) {
    const size_t index = nodes_.size();
    if (index == kMaxJsonValues) Limit("more values", fmt::format("at most {} values", kMaxJsonValues));
    nodes_.push_back({.begin = static_cast<uint32_t>(at_), .key_begin = key_begin, .key_end = key_end});
    const JsonKind kind = ValueText(depth, index);
    nodes_[index].kind = kind;
    nodes_[index].end = static_cast<uint32_t>(at_);
    nodes_[index].next = static_cast<uint32_t>(nodes_.size());
  }

  JsonKind ValueText(uint32_t depth, size_t index) {
    switch (Peek()) {
      case '{':
        Object(depth, index);
        return JsonKind::kObject;
      case '[':
        Array(depth);
        return JsonKind::kArray;
      case '"':
        String();
        return JsonKind::kString;
      default:
        return Plain();
    }
  }

  void Enter(uint32_t depth) {
    if (depth >= kMaxJsonDepth) Limit("deeper nesting", fmt::format("at most {} levels", kMaxJsonDepth));
    ++at_;
    SkipSpace();
  }

  void Object(uint32_t depth, size_t index) {
    Enter(depth);
    if (Take('}')) return;
    do {
      SkipSpace();
      if (Peek() != '"') Fail("an object's key is missing", "'\"'");
      const auto key_begin = static_cast<uint32_t>(at_);
      String();
      const auto key_end = static_cast<uint32_t>(at_);
      SkipSpace();
      if (!Take(':')) Fail("no colon after a key", "':'");
      SkipSpace();
      Value(key_begin, key_end, depth + 1);
      SkipSpace();
    } while (Take(','));
    if (!Take('}')) Fail("an object is not closed", "',' or '}'");
    FindDuplicates(index);
  }

  void Array(uint32_t depth) {
    Enter(depth);
    if (Take(']')) return;
    do {
      SkipSpace();
      Value(0, 0, depth + 1);
      SkipSpace();
    } while (Take(','));
    if (!Take(']')) Fail("an array is not closed", "',' or ']'");
  }

  void String() {
    const size_t begin = at_++;
    while (!Take('"')) {
      if (at_ >= text_.size()) Fail("a string is not closed", "'\"'");
      if (static_cast<unsigned char>(text_[at_]) < 0x20)
        Fail("a control character in a string", "an escape such as \\n");
      if (text_[at_] == '\\')
        Escape();
      else
        ++at_;
    }
    if (IsUtf8(text_.substr(begin, at_ - begin))) return;
    at_ = begin;
    Fail("a string is not UTF-8", "UTF-8");
  }

  void Escape() {
    constexpr std::string_view kShort = "\"\\/bfnrt";
    const size_t begin = at_++;
    if (Take('u')) {
      const uint32_t unit = HexDigits();
      if (IsHighSurrogate(unit)) {
        if (text_.substr(at_, 2) == "\\u" && (at_ += 2, IsLowSurrogate(HexDigits()))) return;
      } else if (!IsLowSurrogate(unit)) {
        return;
      }
      at_ = begin;
      Fail("half of a surrogate pair in a string", "a pair, or an escape of one character");
    }
    if (at_ >= text_.size() || kShort.find(text_[at_]) == kShort.npos) Fail("an unknown escape", "one of \"\\/bfnrtu");
    ++at_;
  }

  uint32_t HexDigits() {
    const size_t begin = at_;
    for (; at_ < begin + 4; ++at_) {
      const char c = Peek();
      if (!IsDigit(c) && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f')) Fail("a \\u escape is too short", "a hex digit");
    }
    return HexValue(text_.substr(begin, 4));
  }

  JsonKind Plain() {
    constexpr std::array<std::pair<std::string_view, JsonKind>, 6> kWords{{{"true", JsonKind::kTrue},
                                                                           {"false", JsonKind::kFalse},
                                                                           {"null", JsonKind::kNull},
                                                                           {"NaN", JsonKind::kNumber},
                                                                           {"Infinity", JsonKind::kNumber},
                                                                           {"-Infinity", JsonKind::kNumber}}};
    for (const auto& [word, kind] : kWords) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return kind;
    }
    Number();
    return JsonKind::kNumber;
  }

  void Number() {
    const bool is_negative = Take('-');
    if (!IsDigit(Peek()))
      Fail(is_negative ? "a lone minus sign" : "a value is missing", is_negative ? "a digit" : "a value");
    if (Take('0')) {
      if (IsDigit(Peek())) Fail("a number with a leading zero", "no further digit");
    } else {
      Digits();
    }
    if (Take('.')) Digits();
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      Digits();
    }
  }

  void Digits() {
    if (!IsDigit(Peek())) Fail("a number is incomplete", "a digit");
    while (IsDigit(Peek())) ++at_;
  }

  // Keys are compared as they are meant: "\u0061" is "a".
  void FindDuplicates(size_t object) {
    std::vector<std::pair<std::string, uint32_t>> keys;
    for (size_t i = object + 1; i < nodes_.size(); i = nodes_[i].next)
      keys.emplace_back(UnescapeJson(text_.substr(nodes_[i].key_begin, nodes_[i].key_end - nodes_[i].key_begin)),
                        nodes_[i].key_begin);
    std::sort(keys.begin(), keys.end());
    for (size_t i = 1; i < keys.size(); ++i) {
      if (keys[i].first != keys[i - 1].first || duplicates_.size() >= kMaxDuplicatesReported) continue;
      const LineColumn first = Locate(text_, keys[i - 1].second), second = Locate(text_, keys[i].second);
      duplicates_.push_back({.code = ErrorCode::kCfgDuplicateJson,
                             .message = fmt::format("key \"{}\" is given twice in one object", keys[i].first),
                             .where = Where(keys[i].second),
                             .found = fmt::format("line {} column {}, and line {} column {}", first.line, first.column,
                                                  second.line, second.column),
                             .expected = "one of them",
                             .help = "programs differ in which one they use; remove the wrong one"});
    }
  }

  static constexpr size_t kMaxDuplicatesReported = 20;

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  std::vector<JsonNode> nodes_;
  std::vector<Diagnostic> duplicates_;
};

}  // namespace

std::vector<JsonNode> ScanJson(std::string_view text, const std::string& file) { return Scanner(text, file).Scan(); }

std::string UnescapeJson(std::string_view token) {
  constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
  token = token.substr(1, token.size() - 2);
  std::string text;
  text.reserve(token.size());
  for (size_t at = 0; at < token.size(); ++at) {
    if (token[at] != '\\') {
      text.push_back(token[at]);
      continue;
    }
    const char letter = token[++at];
    if (letter == 'u') {
      uint32_t point = HexValue(token.substr(at + 1, 4));
      at += 4;
      if (IsHighSurrogate(point)) {
        point = 0x10000 + ((point - 0xD800) << 10) + (HexValue(token.substr(at + 3, 4)) - 0xDC00);
        at += 6;
      }
      AppendUtf8(point, &text);
    } else {
      const size_t index = kLetters.find(letter);
      text.push_back(index == kLetters.npos ? letter : kMeanings[index]);
    }
  }
  return text;
}

}  // namespace gpumerge
