// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Chat templates by name, for formats that many models use, and a check that a text can be a Jinja template at all.
// Thread-safe (constant data).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gpumerge {

// "alpaca", "chatml", ...
std::vector<std::string_view> ChatTemplateNames();
// The template of that name; "" when there is none.
std::string_view NamedChatTemplate(std::string_view name);

// Why `text` is neither `auto`, nor a name of ours, nor a Jinja template: a tag that is not closed, an `endif` without
// its `if`. "" when it is one. Expressions are not parsed.
std::string ChatTemplateDefect(std::string_view text);

}  // namespace gpumerge
