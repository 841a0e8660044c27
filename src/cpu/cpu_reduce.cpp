// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The passes that add up: over the whole tensor, its rows or its columns.
#include "src/cpu/cpu_backend.h"

#include <algorithm>
#include <optional>

namespace gpumerge {

void CpuBackend::RunReduce(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const auto run = [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    SetInputs(work, first, inputs);
    RangeContext context = Context(work, state, {pass, Step::kReduce}, worker, first, n, inputs);
    context.block_sums =
        state.block_sums(pass).data() + context.first_elem / kBlockElems * state.passes()[pass].n_values;
    RunRange(context);
  };
  ForRanges(work.n_elems, only, run, RangeElems(*work.job, state.passes()[pass]));
  if (EndsTensor(work)) state.EndReduce(pass);
}

void CpuBackend::RunReduceGroups(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  for (uint32_t w = 0; w < workers_.size(); ++w)
    if (!only || *only == w) workers_[w].group_problem = {};
  if (state.passes()[pass].axis == GroupAxis::kRows) {
    RunReduceRows(work, state, pass, only);
  } else {
    RunReduceColumns(work, state, pass, only);
  }
  GroupProblem first;
  for (uint32_t w = 0; w < workers_.size(); ++w)
    if ((!only || *only == w) && workers_[w].group_problem.group < first.group) first = workers_[w].group_problem;
  if (state.problem == nullptr) state.problem = first.problem;
}

void CpuBackend::RunReduceRows(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const auto run = [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    SetInputs(work, first, inputs);
    RangeContext context = Context(work, state, {pass, Step::kReduceGroups}, worker, first, n, inputs);
    context.group_problem = &workers_[worker].group_problem;
    RunRange(context);
  };
  ForRanges(work.n_elems, only, run, RangeElems(*work.job, state.passes()[pass]));
}

// Threads share the columns, because the elements of one are added in order.
void CpuBackend::RunReduceColumns(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const uint64_t n_columns = work.job->n_groups(GroupAxis::kColumns);
  const auto run = [&](Step step) {
    const auto columns = [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
      const std::byte* inputs[kMaxInputs];
      SetInputs(work, 0, inputs);
      RangeContext context = Context(work, state, {pass, step}, worker, 0, work.n_elems, inputs);
      context.column_sums = state.column_sums(pass).data();
      context.first_column = first;
      context.last_column = first + n;
      context.group_problem = &workers_[worker].group_problem;
      RunRange(context);
    };
    ForRanges(n_columns, only, columns, only ? std::max<uint64_t>(n_columns, 1) : kRangeColumns);
  };
  run(Step::kReduceGroups);
  if (EndsTensor(work)) run(Step::kEndColumns);
}

}  // namespace gpumerge
