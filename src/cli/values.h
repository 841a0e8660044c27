// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Flag values from text. Each function notes what is wrong in `problems` and then returns a default, so that all
// mistakes of a command line are reported together.
#pragma once

#include "src/cli/flags.h"

#include "gpumerge/dtype.h"
#include "gpumerge/error.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpumerge::cli {

using Problems = std::vector<Diagnostic>;

Diagnostic UsageProblem(std::string message, std::string help);

// nullopt when the flag was not given or is wrong.
std::optional<uint64_t> WholeNumber(const RawFlags& raw, std::string_view flag, uint64_t min, uint64_t max,
                                    Problems* problems);
std::optional<uint64_t> Size(const RawFlags& raw, std::string_view flag, uint64_t min_bytes, Problems* problems);
std::optional<DType> OutputType(const RawFlags& raw, std::string_view flag, Problems* problems);
// Index in choices.
std::optional<size_t> Choice(const RawFlags& raw, std::string_view flag, std::span<const std::string_view> choices,
                             Problems* problems);

}  // namespace gpumerge::cli
