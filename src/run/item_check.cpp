// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/item_check.h"

#include "src/base/text.h"

#include "gpumerge/method.h"

#include <fmt/format.h>

#include <cstring>

namespace gpumerge {
namespace {

std::string InputPlace(const Plan& plan, const PlanInput& input) {
  if (input.item)
    return fmt::format("stage {}, tensor \"{}\"", EscapeForTerminal(plan.models[input.model].reference),
                       EscapeForTerminal(input.tensor));
  return fmt::format("{}, tensor \"{}\" at byte {}", plan.files[input.file].path, EscapeForTerminal(input.tensor),
                     input.offset_bytes);
}

}  // namespace

std::string IndexText(const std::vector<uint64_t>& shape, uint64_t flat) {
  std::string place;
  uint64_t rest = flat;
  for (size_t d = shape.size(); d-- > 0;) {
    place = fmt::format("{}{}{}", rest % shape[d], place.empty() ? "" : ", ", place);
    rest /= shape[d];
  }
  return fmt::format("element {} = [{}]", flat, place);
}

void CheckValues(const Plan& plan, const PlanItem& item, const JobState& state) {
  std::vector<Diagnostic> found;
  bool any_bad = false;
  for (uint32_t i = 0; i < item.inputs.size(); ++i) {
    const std::optional<NonFinite> bad = state.InputNonFinite(i);
    if (!bad) continue;
    any_bad = true;
    if (item.nonfinite == NonFinitePolicy::kAllow) continue;
    found.push_back(
        {.code = ErrorCode::kNumNonFiniteIn,
         .message = fmt::format("tensor \"{}\" of model {} holds NaN or infinity",
                                EscapeForTerminal(item.inputs[i].tensor), plan.models[item.inputs[i].model].reference),
         .where = InputPlace(plan, item.inputs[i]),
         .found = fmt::format("{} non-finite values, the first at {}", bad->count,
                              IndexText(item.job.shape, bad->first_index)),
         .expected = "finite values only",
         .help = "the model is damaged or diverged in training; leave it out or repair it (nonfinite: allow merges it "
                 "as it is)"});
  }
  // A NaN that came in explains one that comes out, and so do values that the method has no result for.
  const DataProblem* problem = state.Problem();
  if (!any_bad && problem != nullptr)
    found.push_back({.code = ErrorCode::kNumSingular,
                     .message = fmt::format("tensor \"{}\" cannot be merged by {}: {}", EscapeForTerminal(item.name),
                                            Methods()[item.job.method].info->name, problem->message),
                     .help = std::string(problem->help)});
  const std::optional<NonFinite> overflow = state.OutputOverflow();
  // Where sums or thresholds of the whole tensor go into every element, so does a NaN that is allowed.
  const bool may_come_from_inputs = any_bad && item.passes.size() > 1;
  if (found.empty() && overflow && item.overflow == OverflowPolicy::kError && !may_come_from_inputs)
    found.push_back({.code = ErrorCode::kNumOverflow,
                     .message = fmt::format("the merge of tensor \"{}\" overflows {}", EscapeForTerminal(item.name),
                                            Info(item.job.out_dtype).name),
                     .found = fmt::format("{} values too large, the first at {}, the largest {:g}", overflow->count,
                                          IndexText(item.job.shape, overflow->first_index), overflow->largest_finite),
                     .help = "set out_dtype: bfloat16 or float32, lower the weights, or allow it: overflow: saturate"});
  if (!found.empty()) throw Error(std::move(found));
}

void CheckNan(const PlanItem& item, const JobState& state, uint64_t n_nan) {
  for (uint32_t i = 0; i < item.inputs.size(); ++i)
    if (state.InputNonFinite(i)) return;  // what came in comes out
  if (n_nan == 0) return;
  throw Error(
      {.code = ErrorCode::kNumOverflow,
       .message = fmt::format("the merge of tensor \"{}\" overflows its arithmetic", EscapeForTerminal(item.name)),
       .found = fmt::format("{} results that are no number", n_nan),
       .help = "lower the weights; no policy of overflow can mend this"});
}

void CheckEqual(const Plan& plan, const PlanItem& item, uint64_t first_byte, const std::byte* const* inputs,
                uint64_t size_bytes) {
  if (item.may_differ) return;
  for (size_t i = 1; i < item.inputs.size(); ++i) {
    if (size_bytes == 0 || std::memcmp(inputs[0], inputs[i], size_bytes) == 0) continue;
    uint64_t byte = 0;
    while (inputs[0][byte] == inputs[i][byte]) ++byte;
    throw Error(
        {.code = ErrorCode::kMmIntDiffers,
         .message = fmt::format("{} tensor \"{}\" differs between models {} and {}", Info(item.job.out_dtype).name,
                                EscapeForTerminal(item.name), plan.models[item.inputs[0].model].reference,
                                plan.models[item.inputs[i].model].reference),
         .where = InputPlace(plan, item.inputs[i]),
         .found = fmt::format("another value at byte {} of the tensor", first_byte + byte),
         .expected = "the same bytes in all models: such tensors are copied, never averaged",
         .help = "make the models agree on this tensor, or let the base decide: int_policy: base"});
  }
}

}  // namespace gpumerge
