// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/rounding.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>

namespace gpumerge {
namespace {

constexpr double kWarnAbove = 0.25;

}  // namespace

std::optional<double> RoundingShare(const RoundingLoss& loss) {
  const double share = std::sqrt(loss.error_squares / loss.change_squares);
  if (!(loss.error_squares > 0 && loss.change_squares > 0) || !std::isfinite(share)) return std::nullopt;
  const std::string text = fmt::format("{:.4g}", share);
  double rounded = share;
  std::from_chars(text.data(), text.data() + text.size(), rounded);
  return rounded;
}

RoundingLoss TotalLoss(const Plan& plan, const std::vector<ItemResult>& results) {
  RoundingLoss total;
  for (size_t i = 0; i < plan.items.size(); ++i) {
    if (plan.items[i].stage) continue;
    const double weight = static_cast<double>(SampleStride(plan.items[i].job.n_elems));
    total.error_squares += weight * results[i].loss.error_squares;
    total.change_squares += weight * results[i].loss.change_squares;
  }
  return total;
}

std::optional<Diagnostic> RoundingWarning(const RoundingLoss& total) {
  const std::optional<double> share = RoundingShare(total);
  if (!share || *share <= kWarnAbove) return std::nullopt;
  return Diagnostic{.code = ErrorCode::kNumRounding,
                    .message = fmt::format("rounding to the output type destroys much of what the merge changes: its "
                                           "error is {:.3g} % of the change",
                                           100 * *share),
                    .expected = fmt::format("at most {:g} %", 100 * kWarnAbove),
                    .help = "set out_dtype: float32 or float16"};
}

}  // namespace gpumerge
