// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Parts of tensors on the caller's threads. What several of them add to one tensor's state lies apart (block sums,
// losses, rows), is added under its mutex, or is done in the tensor's order (columns, ties).
#include "src/base/in_order.h"
#include "src/cpu/cpu_backend.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace gpumerge {
namespace {

CpuJobState& StateOf(const Work& work) { return *static_cast<CpuJobState*>(work.state); }

bool AddsColumns(const PassInfo& pass) {
  return pass.kind == PassKind::kReduceGroups && pass.axis == GroupAxis::kColumns;
}

Step StepOf(PassKind kind) {
  return kind == PassKind::kReduce ? Step::kReduce : kind == PassKind::kReduceGroups ? Step::kReduceGroups : Step::kMap;
}

}  // namespace

// The selections of earlier passes as they are for one part, while their last ties are looked for.
struct CpuBackend::PartTies {
  std::vector<std::vector<uint64_t>> n_ties;       // (n_passes), of selections (n_values): ties in the part
  std::vector<std::vector<Selection>> selections;  // (n_passes), (n_values)
  std::vector<PassView> views;                     // (n_passes)
};

bool CpuBackend::IsAlone(const Work& work) const {
  const CpuJobState& state = StateOf(work);
  const PassInfo& pass = state.passes()[state.current_pass];
  return pass.kind == PassKind::kSelect || (pass.ranks && n_rank_pieces(*work.job) < workers_.size());
}

void CpuBackend::BeginReading(const Work& work, uint32_t worker, const Reader& read) {
  CpuJobState& state = StateOf(work);
  workers_[worker].Reserve(*work.job, state.passes());
  for (; state.passes()[state.current_pass].kind == PassKind::kSelect; ++state.current_pass) {
    SelectProgress& select = state.select(state.current_pass);
    if (!select.is_begun) BeginSelect(work, state.current_pass, worker, &read);
    select.is_begun = true;
    if (std::all_of(select.brackets.begin(), select.brackets.end(), [](const Bracket& b) { return b.n_bins() == 0; }))
      continue;  // what keeps all or nothing needs no count
    part_totals_ = {};
    for (Worker& each : workers_) each.counters[0].Begin(select.brackets);
    break;
  }
  state.group_problem = {};
  state.has_ties_left = false;
  for (uint32_t p = 0; p < state.current_pass; ++p)
    if (state.select(p).HasTiesLeft()) state.has_ties_left = true;
}

bool CpuBackend::Writes(const JobState& state) const {
  const CpuJobState& of_cpu = static_cast<const CpuJobState&>(state);
  return of_cpu.passes()[of_cpu.current_pass].kind == PassKind::kMap;
}

void CpuBackend::RunPart(const Work& part, uint32_t worker, InOrder& order) {
  CpuJobState& state = StateOf(part);
  workers_[worker].Reserve(*part.job, state.passes());
  const PassInfo& pass = state.passes()[state.current_pass];
  const bool adds_columns = AddsColumns(pass);
  const bool has_ties_left = state.has_ties_left;
  PartTies ties;
  if (has_ties_left) ties = CountPartTies(part, state, worker);
  if (has_ties_left || adds_columns) {
    // By an error: what this part did not do must not be taken for done.
    if (!order.Wait(part.first_elem))
      throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge was complete"});
    if (has_ties_left) CountOff(part, state, worker, &ties);
    if (adds_columns) RunRangeOfPart(part, state, worker, state.views());
    if (has_ties_left && !state.has_ties_left && !adds_columns) order.Finish();
    order.Advance(part.first_elem + part.n_elems);
    if (adds_columns) return;
  }
  if (pass.kind == PassKind::kSelect) return CountKeysOfPart(part, state, worker);
  RunRangeOfPart(part, state, worker, has_ties_left ? ties.views.data() : state.views());
}

CpuBackend::PartTies CpuBackend::CountPartTies(const Work& part, CpuJobState& state, uint32_t worker) {
  PartTies ties;
  ties.n_ties.resize(state.current_pass);
  for (uint32_t p = 0; p < state.current_pass; ++p) {
    if (state.passes()[p].kind != PassKind::kSelect) continue;
    ties.n_ties[p].resize(state.passes()[p].n_values);
    CountTies(part, state, p, 0, part.n_elems, worker, ties.n_ties[p].data());
  }
  return ties;
}

// In order: ties_left is of this part and what follows.
void CpuBackend::CountOff(const Work& part, CpuJobState& state, uint32_t worker, PartTies* ties) {
  const std::lock_guard lock(state.mutex);
  ties->views.assign(state.views(), state.views() + state.passes().size());
  ties->selections.resize(state.current_pass);
  bool any_left = false;
  for (uint32_t p = 0; p < state.current_pass; ++p) {
    SelectProgress& select = state.select(p);
    for (size_t s = 0; s < ties->n_ties[p].size(); ++s) {
      uint64_t& left = select.ties_left[s];
      const uint64_t here = ties->n_ties[p][s];
      if (left > 0 && here >= left) {
        select.selections[s].tie_end =
            EndOfTie(part, state, p, static_cast<uint32_t>(s), 0, part.n_elems, left, worker);
        left = 0;
      } else if (left > 0) {
        left -= here;  // all of this part's are kept, as tie_end says already
      }
      any_left = any_left || left > 0;
    }
    if (ties->n_ties[p].empty()) continue;
    ties->selections[p] = select.selections;
    ties->views[p].selections = ties->selections[p].data();
  }
  state.has_ties_left = any_left;
}

void CpuBackend::CountKeysOfPart(const Work& part, CpuJobState& state, uint32_t worker) {
  Counters& counters = workers_[worker].counters[0];
  if (counters.n_elems + part.n_elems > ~uint32_t{0}) {
    const std::lock_guard lock(state.mutex);
    counters.AddTo(state.select(state.current_pass).brackets, &part_totals_);
    counters.Begin(state.select(state.current_pass).brackets);
  }
  counters.n_elems += part.n_elems;
  CountRange(part, state, state.current_pass, worker, 0, part.n_elems, &counters);
}

void CpuBackend::RunRangeOfPart(const Work& part, CpuJobState& state, uint32_t worker, const PassView* views) {
  Worker& own = workers_[worker];
  const Reading reading{state.current_pass, StepOf(state.passes()[state.current_pass].kind)};
  const std::byte* inputs[kMaxInputs];
  SetInputs(part, 0, inputs);
  RangeContext context = Context(part, state, reading, worker, 0, part.n_elems, inputs);
  context.passes = views;
  const uint64_t first_block = part.first_elem / kBlockElems;
  const size_t n_findings = part.job->inputs.size() + 1;
  switch (reading.step) {
    case Step::kReduce:
      context.block_sums =
          state.block_sums(state.current_pass).data() + first_block * state.passes()[state.current_pass].n_values;
      break;
    case Step::kReduceGroups:
      own.group_problem = {};
      context.group_problem = &own.group_problem;
      context.column_sums = state.column_sums(state.current_pass).data();
      context.last_column = context.n_columns;
      break;
    default:
      std::fill_n(own.findings.begin(), n_findings, RangeFinding{});
      own.used_lerp = false;
      own.problem = nullptr;
      context.output = part.output;
      context.findings = own.findings.data();
      context.used_lerp = &own.used_lerp;
      context.problem = &own.problem;
      context.block_losses = state.block_losses().data() + first_block;
      break;
  }
  RunRange(context);
  FreeFewRanks(*part.job, &own);
  if (reading.step == Step::kReduce) return;
  const std::lock_guard lock(state.mutex);
  if (reading.step == Step::kReduceGroups) {
    if (own.group_problem.group < state.group_problem.group) state.group_problem = own.group_problem;
    return;
  }
  state.AddFindings({own.findings.data(), n_findings});
  state.used_lerp = state.used_lerp || own.used_lerp;
  if (own.problem != nullptr) state.problem = own.problem;
}

bool CpuBackend::EndReading(const Work& work, uint32_t worker) {
  CpuJobState& state = StateOf(work);
  const PassInfo& pass = state.passes()[state.current_pass];
  switch (pass.kind) {
    case PassKind::kMap:
      return false;
    case PassKind::kSelect: {
      const std::vector<Bracket>& brackets = state.select(state.current_pass).brackets;
      for (Worker& each : workers_) each.counters[0].AddTo(brackets, &part_totals_);
      if (!state.EndCount(state.current_pass, part_totals_.n_above, part_totals_.bins, kMaxBins))
        return true;  // once more
      break;
    }
    case PassKind::kReduce:
      state.EndReduce(state.current_pass);
      break;
    case PassKind::kReduceGroups:
      if (AddsColumns(pass)) {
        const std::byte* no_inputs[kMaxInputs] = {};
        RangeContext context = Context(work, state, {state.current_pass, Step::kEndColumns}, worker, 0, 0, no_inputs);
        context.column_sums = state.column_sums(state.current_pass).data();
        context.last_column = context.n_columns;
        context.group_problem = &state.group_problem;
        RunRange(context);
      }
      if (state.problem == nullptr) state.problem = state.group_problem.problem;
      break;
  }
  ++state.current_pass;
  return true;
}

}  // namespace gpumerge
