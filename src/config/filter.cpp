// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Globs are matched here. Regular expressions are the standard library's, in the mode of it that takes time linear in
// the name and no deep recursion, because recipes and names may be hostile.
#include "src/config/filter.h"

#include <map>
#include <optional>
#include <regex>

namespace gpumerge {
namespace {

constexpr std::string_view kGlob = "glob:", kRegex = "regex:";

// The bracket expression that `pattern` begins with: whether c is in it, and how long it is. nullopt: it is not closed.
struct Bracket {
  bool has = false;
  size_t length = 0;
};
std::optional<Bracket> ReadBracket(std::string_view pattern, char c) {
  size_t i = 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool has = false;
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false, ++i) {
    const char low = pattern[i];
    const bool is_range = i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']';
    const char high = is_range ? pattern[i + 2] : low;
    has |= low <= c && c <= high;
    if (is_range) i += 2;
  }
  if (i >= pattern.size()) return std::nullopt;
  return Bracket{has != negated, i + 1};
}

// One sign of the pattern against one character: how much of the pattern it takes; 0: no match.
size_t MatchOne(std::string_view pattern, char c) {
  if (pattern.empty()) return 0;
  if (pattern[0] == '?') return 1;
  if (pattern[0] != '[') return pattern[0] == c ? 1 : 0;
  const std::optional<Bracket> bracket = ReadBracket(pattern, c);
  return bracket && bracket->has ? bracket->length : 0;
}

// Only the last * need be tried again, so the time is at most the product of the two lengths.
bool GlobMatches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, star_name = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_name = n;
      continue;
    }
    if (const size_t taken = MatchOne(pattern.substr(p), name[n]); taken > 0) {
      p += taken;
      ++n;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star;
    n = ++star_name;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::regex Compile(std::string_view pattern) {
  auto flags = std::regex::ECMAScript | std::regex::optimize;
#ifdef __GLIBCXX__
  flags |= std::regex_constants::__polynomial;
#endif
  return std::regex(pattern.begin(), pattern.end(), flags);
}

// Compiled once, because every filter is asked about every tensor.
const std::regex& Compiled(std::string_view pattern) {
  constexpr size_t kMaxKept = 256;
  static thread_local std::map<std::string, std::regex, std::less<>> kept;
  const auto known = kept.find(pattern);
  if (known != kept.end()) return known->second;
  if (kept.size() == kMaxKept) kept.clear();
  return kept.emplace(std::string(pattern), Compile(pattern)).first->second;
}

}  // namespace

bool FilterMatches(std::string_view filter, std::string_view tensor_name) {
  if (filter.starts_with(kGlob)) return GlobMatches(filter.substr(kGlob.size()), tensor_name);
  if (!filter.starts_with(kRegex)) return filter == "*" || tensor_name.find(filter) != std::string_view::npos;
  return std::regex_search(tensor_name.begin(), tensor_name.end(), Compiled(filter.substr(kRegex.size())));
}

std::string FilterDefect(std::string_view filter) {
  if (filter == kGlob || filter == kRegex) return "there is no pattern behind the colon";
  if (filter.starts_with(kGlob)) {
    for (std::string_view rest = filter.substr(kGlob.size()); !rest.empty();) {
      const std::optional<Bracket> bracket = rest[0] == '[' ? ReadBracket(rest, 'a') : Bracket{false, 1};
      if (!bracket) return "a [ is not closed";
      rest.remove_prefix(bracket->length);
    }
  }
  if (!filter.starts_with(kRegex)) return {};
  try {
    Compiled(filter.substr(kRegex.size()));
  } catch (const std::regex_error& error) {
    return error.what();
  }
  return {};
}

}  // namespace gpumerge
