// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// nlohmann's SAX parser with what it lets through (a BOM, text after a NUL) refused before, and its input counted so
// that messages can say where.
#include "src/io/strict_json.h"

#include "src/base/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <iterator>

namespace gpumerge {
namespace {

// Deeper than any index or header, far below what a parser minds.
constexpr int kMaxDepth = 8;
// The parser keeps a whole token several times; real ones (metadata of trainers) reach about a megabyte.
constexpr size_t kMaxTokenBytes = size_t{16} << 20;

// What the input iterator (copied into the parser) and the events share.
struct Cursor {
  size_t read_bytes = 0;
  size_t event_bytes = 0;  // read_bytes at the last event
  const std::string* file = nullptr;
};

[[noreturn]] void ThrowLimit(const std::string& file, size_t at_byte, std::string found, std::string expected) {
  throw Error({.code = ErrorCode::kResLimit,
               .message = "the JSON text exceeds the limits for untrusted input",
               .where = fmt::format("{} (JSON byte {})", file, at_byte),
               .found = std::move(found),
               .expected = std::move(expected),
               .help = "no known tool writes such a file; get it again from a source you trust"});
}

// A forward iterator over the text that counts what the parser took.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, Cursor* cursor) : at_(at), cursor_(cursor) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    if (++cursor_->read_bytes - cursor_->event_bytes > kMaxTokenBytes)
      ThrowLimit(*cursor_->file, cursor_->event_bytes, fmt::format("a token of more than {} bytes", kMaxTokenBytes),
                 {});
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  Cursor* cursor_;
};

// Turns nlohmann's callbacks (their names are nlohmann's) into events.
class Handler {
 public:
  using json = nlohmann::json;

  Handler(ErrorCode syntax_code, Cursor* cursor, const std::function<void(const JsonEvent&)>& sink)
      : syntax_code_(syntax_code), cursor_(cursor), sink_(sink) {}

  bool null() { return Send(JsonKind::kNull); }
  bool boolean(bool) { return Send(JsonKind::kBool); }
  bool number_unsigned(json::number_unsigned_t number) { return Send(JsonKind::kUnsigned, {}, number); }
  // Only numbers with a minus sign come here, -0 among them.
  bool number_integer(json::number_integer_t number) {
    return Send(JsonKind::kNumber, number == 0 ? "-0" : std::to_string(number));
  }
  bool number_float(json::number_float_t, const std::string& text) { return Send(JsonKind::kNumber, text); }
  bool string(const std::string& text) { return Send(JsonKind::kString, text); }
  bool binary(const json::binary_t&) { return false; }  // never called for JSON text
  bool key(const std::string& text) { return Send(JsonKind::kKey, text); }
  bool start_object(size_t) { return Descend(JsonKind::kBeginObject); }
  bool end_object() { return Ascend(JsonKind::kEndObject); }
  bool start_array(size_t) { return Descend(JsonKind::kBeginArray); }
  bool end_array() { return Ascend(JsonKind::kEndArray); }

  [[noreturn]] bool parse_error(size_t position, const std::string& last_token, const json::exception&) {
    constexpr size_t kShownBytes = 80;
    const bool is_end = position > 0 && last_token.empty();
    throw Error({.code = syntax_code_,
                 .message = "not valid JSON",
                 .where = fmt::format("{} (JSON byte {})", *cursor_->file, cursor_->read_bytes),
                 .found = is_end ? "the end of the text" : "\"" + EscapeForTerminal(last_token, kShownBytes) + "\"",
                 .expected = "JSON without comments, trailing commas or text after it",
                 .help = "the file is damaged or not of this format; get it again"});
  }

 private:
  bool Send(JsonKind kind, std::string_view text = {}, uint64_t number = 0) {
    cursor_->event_bytes = cursor_->read_bytes;
    sink_(JsonEvent{.kind = kind, .number = number, .text = text, .end_byte = cursor_->read_bytes});
    return true;
  }
  bool Descend(JsonKind kind) {
    if (++depth_ > kMaxDepth)
      ThrowLimit(*cursor_->file, cursor_->read_bytes, fmt::format("nesting of more than {} levels", kMaxDepth), {});
    return Send(kind);
  }
  bool Ascend(JsonKind kind) {
    --depth_;
    return Send(kind);
  }

  ErrorCode syntax_code_;
  Cursor* cursor_;
  const std::function<void(const JsonEvent&)>& sink_;
  int depth_ = 0;
};

// What nlohmann accepts or words badly.
void CheckText(std::string_view json, ErrorCode syntax_code, const std::string& file) {
  const auto fail = [&](const char* message, size_t at_byte) {
    throw Error({.code = syntax_code,
                 .message = message,
                 .where = fmt::format("{} (JSON byte {})", file, at_byte),
                 .found = {},
                 .expected = "JSON in plain UTF-8",
                 .help = "the file is damaged or not of this format; get it again"});
  };
  if (json.starts_with("\xEF\xBB\xBF")) fail("the JSON text begins with a byte order mark", 0);
  if (const size_t at = json.find('\0'); at != std::string_view::npos) fail("the JSON text has a NUL byte", at);
  if (!IsUtf8(json)) fail("the JSON text is not UTF-8", 0);
}

}  // namespace

void ReadStrictJson(std::string_view json, ErrorCode syntax_code, const std::string& file,
                    const std::function<void(const JsonEvent&)>& sink) {
  CheckText(json, syntax_code, file);
  Cursor cursor{.read_bytes = 0, .event_bytes = 0, .file = &file};
  Handler handler(syntax_code, &cursor, sink);
  const CountingIterator begin(json.data(), &cursor), end(json.data() + json.size(), &cursor);
  nlohmann::json::sax_parse(begin, end, &handler);
}

size_t JsonStringBegin(std::string_view json, size_t end_byte) {
  // Inside a string every quote has an odd number of backslashes before it, the opening quote has none.
  size_t at = end_byte - 1;
  while (at > 0) {
    --at;
    if (json[at] != '"') continue;
    size_t n_backslashes = 0;
    while (n_backslashes < at && json[at - 1 - n_backslashes] == '\\') ++n_backslashes;
    if (n_backslashes % 2 == 0) return at;
  }
  return 0;
}

std::string QuoteHeaderString(std::string_view text) {
  if (!IsUtf8(text)) {
    throw Error({.code = ErrorCode::kStName,
                 .message = fmt::format("the name \"{}\" is not UTF-8", EscapeForTerminal(text)),
                 .where = {},
                 .found = {},
                 .expected = {},
                 .help = {}});
  }
  return nlohmann::json(text).dump();
}

}  // namespace gpumerge
