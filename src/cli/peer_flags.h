// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// mergekit's flags that gpumerge does not take, each with what to use instead, so that a command line brought along
// from mergekit ends in an explanation. Thread-safe (constant data).
#pragma once

#include <string_view>

namespace gpumerge::cli {

// What to do instead of a flag such as "--cuda", "--no-lazy-unpickle" or "-j8"; "" when mergekit has no such flag.
std::string_view PeerFlagAdvice(std::string_view argument);

}  // namespace gpumerge::cli
