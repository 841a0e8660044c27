// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads single values: numbers, booleans, text. What YAML readers understand differently (010, 1_000, 0x10, 1:30, yes)
// is refused with the safe spelling, never guessed. Does not depend on the locale.
#pragma once

#include "src/config/findings.h"
#include "src/config/yaml_tree.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gpumerge {

// Each reads one node; `what` names it in messages, e.g. "parameter 'weight'". nullopt: an error was added to findings.
std::optional<double> ReadNumber(const YamlNode& node, std::string_view what, Findings& findings);
std::optional<bool> ReadBool(const YamlNode& node, std::string_view what, Findings& findings);
std::optional<uint64_t> ReadWhole(const YamlNode& node, std::string_view what, Findings& findings);
// Not empty.
std::optional<std::string> ReadText(const YamlNode& node, std::string_view what, Findings& findings);

// A number that YAML 1.1 and 1.2 readers take for different values, spelt safely; "" when text is not such a one.
std::string SafeNumberSpelling(std::string_view text);
// "true" or "false" for yes, no, on, off, y, n in any case; "" otherwise.
std::string_view SafeBoolSpelling(std::string_view text);

void AddTypeError(const YamlNode& node, std::string_view what, std::string expected, std::string help,
                  Findings& findings);
// For a value that is none of a few names; nearest may be "".
void AddChoiceError(const YamlNode& node, std::string_view what, std::string expected, std::string_view nearest,
                    Findings& findings);
void AddAmbiguous(const YamlNode& node, std::string_view what, std::string_view safe, Findings& findings);

}  // namespace gpumerge
