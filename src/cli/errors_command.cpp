// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// `gpumerge errors`: the table of codes, for people and for the README.
#include "src/base/text.h"
#include "src/cli/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace gpumerge::cli {
namespace {

struct ExitMeaning {
  int status;
  std::string_view meaning;
};

constexpr ExitMeaning kExitMeanings[] = {
    {0, "done: the output is complete and published"},
    {1, "a bug in gpumerge"},
    {2, "the command line is wrong"},
    {3, "the recipe is wrong"},
    {4, "a model was not found"},
    {5, "an input is damaged, unsafe, or changed while it was read"},
    {6, "the inputs are valid but do not fit together"},
    {7, "NaN, infinity or overflow"},
    {8, "the output cannot be written"},
    {9, "the output exists, is locked, or overlaps an input"},
    {10, "memory, device, or limits for untrusted input"},
    {130, "stopped by a signal: 128 + its number (130 SIGINT, 143 SIGTERM, 129 SIGHUP)"},
};

std::string_view MeaningOf(int exit_status) {
  for (const ExitMeaning& row : kExitMeanings)
    if (row.status == exit_status) return row.meaning;
  return {};
}

std::string RowText(const ExitMeaning& row) {
  std::string text = fmt::format("{:>4}  {}\n", row.status, row.meaning);
  for (const ErrorCodeInfo& info : kErrorCodes)
    if (info.exit_status == row.status) text += fmt::format("      {:16} {}\n", info.code, info.meaning);
  return text;
}

std::string AsText() {
  std::string text = "exit  code             meaning\n";
  for (const ExitMeaning& row : kExitMeanings) text += "\n" + RowText(row);
  return text;
}

std::string AsMarkdown() {
  std::string text = "| exit | meaning | codes |\n|---|---|---|\n";
  for (const ExitMeaning& row : kExitMeanings) {
    std::string codes;
    for (const ErrorCodeInfo& info : kErrorCodes)
      if (info.exit_status == row.status) codes += fmt::format("{}`{}`", codes.empty() ? "" : " ", info.code);
    text += fmt::format("| {} | {} | {} |\n", row.status, row.meaning, codes);
  }
  return text;
}

std::string Explain(std::string topic) {
  std::transform(topic.begin(), topic.end(), topic.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  for (const ExitMeaning& row : kExitMeanings)
    if (std::to_string(row.status) == topic) return RowText(row);
  std::vector<std::string_view> codes;
  for (const ErrorCodeInfo& info : kErrorCodes) {
    if (info.code == topic)
      return fmt::format("{}: {}\nexit status {}: {}\n", info.code, info.meaning, info.exit_status,
                         MeaningOf(info.exit_status));
    codes.push_back(info.code);
  }
  const std::string_view meant = NearestName(topic, codes);
  throw Error({ErrorCode::kUsage, fmt::format("there is no error code {}", topic), "", "", "",
               meant.empty() ? std::string("`gpumerge errors` lists them") : fmt::format("did you mean {}?", meant)});
}

}  // namespace

int ErrorsCommand(const Arguments& arguments) {
  if (!arguments.topic.empty())
    PrintResult(Explain(arguments.topic));
  else
    PrintResult(arguments.markdown ? AsMarkdown() : AsText());
  return 0;
}

}  // namespace gpumerge::cli
