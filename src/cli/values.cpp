// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Numbers, sizes, types and choices of the command line.
#include "src/cli/values.h"

#include "src/base/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace gpumerge::cli {
namespace {

std::string DidYouMean(std::string_view text, std::span<const std::string_view> choices) {
  const std::string_view nearest = NearestName(text, choices);
  return nearest.empty() ? std::string() : fmt::format("did you mean {}?", nearest);
}

std::vector<std::string_view> TypeNames() {
  std::vector<std::string_view> names;
  for (const DTypeInfo& info : kDTypes)
    if (!info.torch_name.empty()) names.push_back(info.torch_name);
  return names;
}

// "bf16", "fp16", "F32": understood well enough to answer, not to accept, since recipes spell types torch's way.
std::optional<DType> ParseShortName(std::string_view text) {
  std::string name;
  for (const char c : text) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (name.starts_with("FP")) name.erase(1, 1);
  return ParseSafetensorsDType(name);
}

}  // namespace

Diagnostic UsageProblem(std::string message, std::string help) {
  return {ErrorCode::kUsage, std::move(message), "", "", "", std::move(help)};
}

std::optional<uint64_t> WholeNumber(const RawFlags& raw, std::string_view flag, uint64_t min, uint64_t max,
                                    Problems* problems) {
  if (!raw.Has(flag)) return std::nullopt;
  const std::string text = raw.Get(flag);
  uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status == std::errc() && end == text.data() + text.size() && value >= min && value <= max) return value;
  problems->push_back(
      UsageProblem(fmt::format("--{}: \"{}\" is not a whole number from {} to {}", flag, text, min, max), ""));
  return std::nullopt;
}

std::optional<uint64_t> Size(const RawFlags& raw, std::string_view flag, uint64_t min_bytes, Problems* problems) {
  if (!raw.Has(flag)) return std::nullopt;
  const std::string text = raw.Get(flag);
  const std::optional<uint64_t> bytes = ParseBytes(text);
  if (!bytes) {
    problems->push_back(UsageProblem(fmt::format("--{}: \"{}\" is not a size", flag, text),
                                     "write a number with K, M, G or T (powers of 1000), or Ki, Mi, Gi (of 1024)"));
    return std::nullopt;
  }
  if (*bytes < min_bytes) {
    problems->push_back(
        UsageProblem(fmt::format("--{}: {} is {} bytes; the least is {}", flag, text, *bytes, min_bytes),
                     text.ends_with('B') || text.ends_with('b')
                         ? fmt::format("B means bytes here; a billion is {}G", text.substr(0, text.size() - 1))
                         : std::string()));
    return std::nullopt;
  }
  return bytes;
}

std::optional<DType> OutputType(const RawFlags& raw, std::string_view flag, Problems* problems) {
  if (!raw.Has(flag)) return std::nullopt;
  const std::string text = raw.Get(flag);
  if (const std::optional<DType> type = ParseTorchDType(text)) return type;
  const std::vector<std::string_view> names = TypeNames();
  const std::optional<DType> in_file = ParseShortName(text);
  std::string help = in_file && !Info(*in_file).torch_name.empty()
                         ? fmt::format("did you mean {}?", Info(*in_file).torch_name)
                         : DidYouMean(text, names);
  if (help.empty()) help = fmt::format("types: {}", fmt::join(names, ", "));
  problems->push_back(UsageProblem(fmt::format("--{}: \"{}\" is not a floating type", flag, text), std::move(help)));
  return std::nullopt;
}

std::optional<size_t> Choice(const RawFlags& raw, std::string_view flag, std::span<const std::string_view> choices,
                             Problems* problems) {
  if (!raw.Has(flag)) return std::nullopt;
  const std::string text = raw.Get(flag);
  const auto found = std::find(choices.begin(), choices.end(), text);
  if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
  problems->push_back(UsageProblem(fmt::format("--{}: \"{}\" is not one of {}", flag, text, fmt::join(choices, ", ")),
                                   DidYouMean(text, choices)));
  return std::nullopt;
}

}  // namespace gpumerge::cli
