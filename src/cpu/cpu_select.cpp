// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cpu/cpu_backend.h"
#include "src/cpu/guess.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace gpumerge {

void CpuBackend::RunCount(const Work& work, CpuJobState& state, Reading reading, std::optional<uint32_t> only) {
  const uint32_t bins = reading.step == Step::kCountHigh ? kHighBins : kLowBins;
  const size_t counters = size_t{state.passes()[reading.pass].n_values} * bins;
  const std::byte* inputs[kMaxInputs];
  if (reading.step == Step::kCountHigh && work.first_elem == 0) {
    RunRange(Context(work, state, {reading.pass, Step::kBeginSelect}, only.value_or(0), 0, 0, inputs));
  }
  for (uint32_t w = 0; w < workers_.size(); ++w)
    if (!only || *only == w) std::fill_n(workers_[w].histogram.begin(), counters, 0);
  ForRanges(work.n_elems, only, [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* range_inputs[kMaxInputs];
    RangeContext context = Context(work, state, reading, worker, first, n, range_inputs);
    context.histogram = workers_[worker].histogram.data();
    RunRange(context);
  });
  // One thread's tensor is whole: its own counters are the totals. A shared one may come in parts.
  std::vector<uint64_t> own;
  std::vector<uint64_t>& totals = only ? own : histogram_;
  if (work.first_elem == 0) totals.assign(counters, 0);
  for (uint32_t w = 0; w < workers_.size(); ++w) {
    if (only && *only != w) continue;
    for (size_t c = 0; c < counters; ++c) totals[c] += workers_[w].histogram[c];
  }
  if (!EndsTensor(work)) return;
  if (reading.step == Step::kCountHigh) {
    state.EndHighCount(reading.pass, totals);
  } else {
    state.EndLowCount(reading.pass, totals);
  }
}

// Selects in one counting pass. False: histograms have to do it.
bool CpuBackend::SelectByGuess(const Work& work, CpuJobState& state, uint32_t pass) {
  const uint32_t n_selections = state.passes()[pass].n_values;
  SelectProgress& select = state.select(pass);
  const std::byte* no_inputs[kMaxInputs];
  RunRange(Context(work, state, {pass, Step::kBeginSelect}, 0, 0, 0, no_inputs));
  SampleKeys(work, state, pass);
  std::vector<std::optional<Guesses>> maybe(n_selections);
  const size_t n_sampled = samples_.size() / n_selections;
  pool_.Run(n_selections, [&](uint64_t s, uint32_t) {
    maybe[s] = GuessThreshold({&samples_[s * n_sampled], n_sampled}, select.wanted[s], work.n_elems);
  });
  std::vector<Guesses> guesses;
  for (const std::optional<Guesses>& guess : maybe) {
    if (!guess) return false;
    guesses.push_back(*guess);
  }

  std::vector<GuessCounts> counts((work.n_elems + kRangeElems - 1) / kRangeElems *
                                  n_selections);  // (n_ranges, n_selections)
  ForRanges(work.n_elems, std::nullopt, [&](uint64_t number, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    RangeContext context = Context(work, state, {pass, Step::kCountGuesses}, worker, first, n, inputs);
    context.guesses = guesses.data();
    context.guess_counts = &counts[number * n_selections];
    RunRange(context);
  });
  std::vector<GuessCounts> totals(n_selections);
  for (size_t i = 0; i < counts.size(); ++i) {
    for (uint32_t g = 0; g < kGuesses; ++g) {
      totals[i % n_selections].above[g] += counts[i].above[g];
      totals[i % n_selections].equal[g] += counts[i].equal[g];
    }
  }
  for (uint32_t s = 0; s < n_selections; ++s) {
    if (select.wanted[s] == 0) {
      select.selections[s] = {~uint32_t{0}, 0};
      continue;
    }
    const std::optional<GuessedSelection> found = ConfirmGuess(totals[s], select.wanted[s]);
    if (!found) return false;
    select.selections[s] = {guesses[s].keys[found->guess], ~uint64_t{0}};
    if (found->keeps_all_ties) continue;
    uint64_t rank = found->tie_rank, range = 0;
    while (counts[range * n_selections + s].equal[found->guess] < rank) {
      rank -= counts[range * n_selections + s].equal[found->guess];
      ++range;
    }
    FindLastTie(work, state, pass, s, range, rank, 0);
  }
  return true;
}

// Runs of neighbours, evenly spaced: (n_selections, n_sampled) into samples_.
void CpuBackend::SampleKeys(const Work& work, CpuJobState& state, uint32_t pass) {
  constexpr uint64_t kRun = 64, kRunsATask = 16;
  const uint32_t n_selections = state.passes()[pass].n_values;
  const uint64_t n_runs = SampleSize(work.n_elems) / kRun;
  const uint64_t stride = work.n_elems / n_runs / kRun * kRun;
  samples_.resize(n_selections * n_runs * kRun);
  pool_.Run((n_runs + kRunsATask - 1) / kRunsATask, [&](uint64_t task, uint32_t worker) {
    std::vector<uint32_t> keys(n_selections * kRun);
    for (uint64_t run = task * kRunsATask; run < std::min(n_runs, (task + 1) * kRunsATask); ++run) {
      const std::byte* inputs[kMaxInputs];
      RangeContext context = Context(work, state, {pass, Step::kSample}, worker, run * stride, kRun, inputs);
      context.samples = keys.data();
      RunRange(context);
      for (uint32_t s = 0; s < n_selections; ++s)
        std::copy_n(&keys[s * kRun], kRun, &samples_[(s * n_runs + run) * kRun]);
    }
  });
}

// Sets tie_end to just after the tie of that rank (1 = the first) in that range.
void CpuBackend::FindLastTie(const Work& work, CpuJobState& state, uint32_t pass, uint32_t selection, uint64_t range,
                             uint64_t rank, uint32_t worker) {
  const std::byte* inputs[kMaxInputs];
  const uint64_t first = range * kRangeElems;
  RangeContext context =
      Context(work, state, {pass, Step::kFindTie}, worker, first, std::min(kRangeElems, work.n_elems - first), inputs);
  uint64_t last_tie = 0;
  context.selection = selection;
  context.tie_rank = rank;
  context.tie_index = &last_tie;
  RunRange(context);
  state.select(pass).selections[selection].tie_end = last_tie + 1;
}

// Before a pass after a selection sees a part, the last tie to keep is found if it lies in this part.
void CpuBackend::ResolveTies(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  SelectProgress& select = state.select(pass);
  const uint64_t end = work.first_elem + work.n_elems;
  const bool none_left =
      std::all_of(select.ties_left.begin(), select.ties_left.end(), [](uint64_t n) { return n == 0; });
  if (none_left || select.resolved_elems >= end) return;
  const uint32_t n_selections = state.passes()[pass].n_values;
  std::vector<uint64_t> ties((work.n_elems + kRangeElems - 1) / kRangeElems *
                             n_selections);  // (n_ranges, n_selections)
  ForRanges(work.n_elems, only, [&](uint64_t number, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    RangeContext context = Context(work, state, {pass, Step::kCountTies}, worker, first, n, inputs);
    context.ties = &ties[number * n_selections];
    RunRange(context);
  });
  for (uint32_t s = 0; s < n_selections; ++s) {
    for (uint64_t number = 0; select.ties_left[s] > 0 && number * kRangeElems < work.n_elems; ++number) {
      const uint64_t in_range = ties[number * n_selections + s];
      if (in_range < select.ties_left[s]) {
        select.ties_left[s] -= in_range;
        continue;
      }
      FindLastTie(work, state, pass, s, number, select.ties_left[s], only.value_or(0));
      select.ties_left[s] = 0;
    }
  }
  select.resolved_elems = end;
}

}  // namespace gpumerge
