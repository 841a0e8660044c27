// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Text for people: sizes, escapes, "did you mean". Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace gpumerge {

// Untrusted text (tensor names, file contents) made safe for a terminal: control characters, bidi controls and invalid
// UTF-8 become \n, \xNN or \u{...}; at most max_bytes of input, then "...".
std::string EscapeForTerminal(std::string_view text, size_t max_bytes = 256);

// A name from a file, short and fit to be printed, in quotation marks.
std::string Quote(std::string_view name);

// "1 file", "2 files".
std::string Plural(uint64_t count, std::string_view noun);

// "1.50 GB", powers of ten, rounded to nearest. Exact below 1000 bytes ("999 B").
std::string FormatBytes(uint64_t bytes);

// "32M" = 32'000'000, "32Mi" = 32 * 2^20, "5G", "512K", "123", "1.5G"; any case, an optional space before the unit, an
// optional trailing "B". nullopt: not a size, not a whole number of bytes, or 2^64 and more.
std::optional<uint64_t> ParseBytes(std::string_view text);

// The candidate closest to `name` when it is close enough to be a typo (edit distance, transpositions count one,
// '-' equals '_'); "" otherwise.
std::string_view NearestName(std::string_view name, std::span<const std::string_view> candidates);

// Valid UTF-8 by the Unicode standard (no overlong forms, no surrogates).
bool IsUtf8(std::string_view text);

}  // namespace gpumerge
