// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Untrusted JSON as a stream of events: strict (UTF-8, no BOM, NUL, comments or trailing text) and bounded in memory
// and depth. What the events mean, duplicates included, is the caller's. Thread-safe.
#pragma once

#include "gpumerge/error.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace gpumerge {

enum class JsonKind : uint8_t {
  kNull,
  kBool,
  kUnsigned,  // digits only, below 2^64
  kNumber,    // any other number: a sign, a fraction, an exponent, or too large
  kString,
  kKey,
  kBeginObject,
  kEndObject,
  kBeginArray,
  kEndArray,
};

struct JsonEvent {
  JsonKind kind = JsonKind::kNull;
  uint64_t number = 0;    // kUnsigned
  std::string_view text;  // kString and kKey: unescaped; kNumber: as spelled. Valid during the call
  size_t end_byte = 0;    // where in the text the event's token ends (for numbers and literals: at most one byte later)
};

// Calls sink for every event, in order; what it throws is passed on. Throws Error(syntax_code) for text that is not
// JSON and Error(ST-LIMIT) for nesting or a single token beyond any real file. file is for messages.
void ReadStrictJson(std::string_view json, ErrorCode syntax_code, const std::string& file,
                    const std::function<void(const JsonEvent&)>& sink);

// Where the string token that ends at end_byte begins (its opening quote).
size_t JsonStringBegin(std::string_view json, size_t end_byte);

// The text as a JSON string with quotes, escaped as serde_json does it: \" \\ \b \f \n \r \t, other control characters
// as \u00xx, everything else raw. Throws Error(ST-NAME) when it is not UTF-8.
std::string QuoteHeaderString(std::string_view text);

}  // namespace gpumerge
