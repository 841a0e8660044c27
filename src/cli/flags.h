// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The one table of verbs and flags: parsing, help and "did you mean" all follow from it. Values are text here; what
// they mean is decided in arguments.cpp. Thread-safe (constant data).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge::cli {

enum class Verb : uint8_t { kMerge, kPlan, kInspect, kVerify, kDevices, kMethods, kErrors };

struct VerbSpec {
  Verb verb;
  std::string_view name;
  std::string_view usage;     // what follows "gpumerge "
  std::string_view summary;   // one line
  std::string_view examples;  // indented lines, may be empty
  size_t max_positionals;
};
std::span<const VerbSpec> Verbs();
const VerbSpec* FindVerb(std::string_view name);  // nullptr: not a verb
const VerbSpec& SpecOf(Verb verb);

struct FlagSpec {
  std::string_view name;        // without the dashes
  std::string_view short_name;  // one letter or empty
  std::string_view value;       // "DIR": takes a value; empty: a switch
  std::string_view group;       // heading in the help
  std::string_view help;        // '\n' where the help's line may end
  std::vector<Verb> verbs;      // that take it
  bool needs_equals = false;    // --name=value, never --name value
  bool Takes(Verb verb) const;
};
std::span<const FlagSpec> Flags();
const FlagSpec* FindFlag(std::string_view name);  // by long name; nullptr: none

// A command line cut into its pieces.
struct RawFlags {
  std::map<std::string, std::string, std::less<>> given;  // by long name; a switch has an empty value
  std::vector<std::string> positionals;
  std::vector<std::string> unknown;  // what the verb does not know, in order; begins with '-'

  bool Has(std::string_view name) const { return given.contains(name); }
  // "" when it was not given.
  std::string Get(std::string_view name) const;
};

// Throws Error(USAGE) when a value is missing or a flag is given twice.
RawFlags ParseFlags(Verb verb, const std::vector<std::string>& arguments);

}  // namespace gpumerge::cli
