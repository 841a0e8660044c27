// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds where every value of a JSON text begins and ends, for JsonDocument, which edits the text in place. Not a reader
// of values: libraries that are lose the spelling of numbers and refuse the Infinity that Python writes. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

inline constexpr size_t kMaxJsonBytes = size_t{16} << 20;
inline constexpr uint32_t kMaxJsonDepth = 64;
// Ten times what the largest known files have; each takes many times its bytes in the text.
inline constexpr size_t kMaxJsonValues = 500'000;

enum class JsonKind : uint8_t { kObject, kArray, kString, kNumber, kTrue, kFalse, kNull };

// One value. Positions are byte offsets in the text.
struct JsonNode {
  JsonKind kind = JsonKind::kNull;
  uint32_t begin = 0, end = 0;          // the value's text, quotes and brackets included
  uint32_t key_begin = 0, key_end = 0;  // the key's text with its quotes; both 0 outside objects
  uint32_t next = 0;                    // index of the first node after this one and all it contains
};

// All values, parents before their children: the children of node i are i + 1, nodes[i + 1].next, ... until
// nodes[i].next. Accepts RFC 8259 and the tokens NaN, Infinity and -Infinity. `file` is for messages. Throws
// Error(JSON-SYNTAX), Error(JSON-DUP) with every key that is given twice, Error(ST-LIMIT).
std::vector<JsonNode> ScanJson(std::string_view text, const std::string& file);

// What a string token, quotes included, means. It must have come from ScanJson.
std::string UnescapeJson(std::string_view token);

}  // namespace gpumerge
