// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Filters of tensor names: mergekit's (a part of the name, or "*"), `glob:` for the whole name with * ? [abc] [!a-c],
// and `regex:` (ECMAScript) for a part of it. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace gpumerge {

// The filter must be without defect.
bool FilterMatches(std::string_view filter, std::string_view tensor_name);

// Why `filter` can match nothing because of how it is written; "" when it is in order.
std::string FilterDefect(std::string_view filter);

}  // namespace gpumerge
