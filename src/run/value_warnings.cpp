// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/run/value_warnings.h"

#include "src/base/text.h"

#include <fmt/format.h>

#include <functional>
#include <numeric>
#include <string>
#include <utility>

namespace gpumerge {
namespace {

struct Counted {
  uint64_t n_values = 0, n_tensors = 0;
  std::string first;

  std::string Values() const { return n_values == 1 ? "1 value" : fmt::format("{} values", n_values); }
  std::string Tensors() const { return n_tensors == 1 ? "1 tensor" : fmt::format("{} tensors", n_tensors); }
};

Counted Count(const Plan& plan, const std::vector<ItemResult>& results,
              const std::function<uint64_t(const PlanItem&, const ItemResult&)>& values_of) {
  Counted counted;
  for (size_t i = 0; i < plan.items.size(); ++i) {
    const uint64_t n_values = values_of(plan.items[i], results[i]);
    if (n_values == 0) continue;
    if (counted.n_tensors++ == 0) counted.first = EscapeForTerminal(plan.items[i].name);
    counted.n_values += n_values;
  }
  return counted;
}

uint64_t Sum(const std::vector<uint64_t>& counts) { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

}  // namespace

std::vector<Diagnostic> ValueWarnings(const Plan& plan, const std::vector<ItemResult>& results) {
  std::vector<Diagnostic> warnings;
  const auto add = [&](ErrorCode code, std::string message, std::string help) {
    warnings.push_back({.code = code, .message = std::move(message), .help = std::move(help)});
  };
  const Counted overflowed =
      Count(plan, results, [](const PlanItem&, const ItemResult& result) { return result.n_overflowed; });
  if (overflowed.n_tensors > 0)
    add(ErrorCode::kNumOverflow,
        fmt::format("{} of {} were too large for the output's type, the first of them in \"{}\"", overflowed.Values(),
                    overflowed.Tensors(), overflowed.first),
        "the recipe's `overflow:` allows it; gpumerge_report.json counts them for every tensor");
  for (const PlanAction action : {PlanAction::kMerge, PlanAction::kCopy}) {
    const Counted bad = Count(plan, results, [&](const PlanItem& item, const ItemResult& result) {
      return item.action == action ? Sum(result.n_nonfinite) : 0;
    });
    if (bad.n_tensors == 0) continue;
    const bool is_merge = action == PlanAction::kMerge;
    add(ErrorCode::kNumNonFiniteIn,
        fmt::format("{} that {} {} NaN or infinity in the inputs, {}, the first of them \"{}\"", bad.Tensors(),
                    bad.n_tensors == 1 ? "is" : "are", is_merge ? "merged with" : "copied with", bad.Values(),
                    bad.first),
        is_merge
            ? "the recipe's `nonfinite: allow` lets them through; gpumerge_report.json counts them for every tensor"
            : "copies keep every bit; a model with such values may be damaged");
  }
  const Counted differing =
      Count(plan, results, [](const PlanItem&, const ItemResult& result) { return uint64_t{result.n_differing}; });
  if (differing.n_tensors > 0)
    add(ErrorCode::kMmBuffer,
        fmt::format("{} of buffers or whole numbers {} between the models, the first of them \"{}\"",
                    differing.Tensors(), differing.n_tensors == 1 ? "differs" : "differ", differing.first),
        "the output has the base's, or the first model's; gpumerge_report.json names every one");
  return warnings;
}

}  // namespace gpumerge
