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
  const size_t counters = size_t{work.job->n_models()} * bins;
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
  const uint32_t n_models = work.job->n_models();
  SelectProgress& select = state.select(pass);
  const std::byte* no_inputs[kMaxInputs];
  RunRange(Context(work, state, {pass, Step::kBeginSelect}, 0, 0, 0, no_inputs));
  SampleKeys(work, state, pass);
  std::vector<std::optional<Guesses>> maybe(n_models);
  const size_t n_sampled = samples_.size() / n_models;
  pool_.Run(n_models, [&](uint64_t m, uint32_t) {
    maybe[m] = GuessThreshold({&samples_[m * n_sampled], n_sampled}, select.wanted[m], work.n_elems);
  });
  std::vector<Guesses> guesses;
  for (const std::optional<Guesses>& guess : maybe) {
    if (!guess) return false;
    guesses.push_back(*guess);
  }

  std::vector<GuessCounts> counts((work.n_elems + kRangeElems - 1) / kRangeElems * n_models);  // (n_ranges, n_models)
  ForRanges(work.n_elems, std::nullopt, [&](uint64_t number, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    RangeContext context = Context(work, state, {pass, Step::kCountGuesses}, worker, first, n, inputs);
    context.guesses = guesses.data();
    context.guess_counts = &counts[number * n_models];
    RunRange(context);
  });
  std::vector<GuessCounts> totals(n_models);
  for (size_t i = 0; i < counts.size(); ++i) {
    for (uint32_t g = 0; g < kGuesses; ++g) {
      totals[i % n_models].above[g] += counts[i].above[g];
      totals[i % n_models].equal[g] += counts[i].equal[g];
    }
  }
  for (uint32_t m = 0; m < n_models; ++m) {
    if (select.wanted[m] == 0) {
      select.selections[m] = {~uint32_t{0}, 0};
      continue;
    }
    const std::optional<GuessedSelection> found = ConfirmGuess(totals[m], select.wanted[m]);
    if (!found) return false;
    select.selections[m] = {guesses[m].keys[found->guess], ~uint64_t{0}};
    if (found->keeps_all_ties) continue;
    uint64_t rank = found->tie_rank, range = 0;
    while (counts[range * n_models + m].equal[found->guess] < rank) {
      rank -= counts[range * n_models + m].equal[found->guess];
      ++range;
    }
    FindLastTie(work, state, pass, m, range, rank, 0);
  }
  return true;
}

// Runs of neighbours, evenly spaced: (n_models, n_sampled) into samples_.
void CpuBackend::SampleKeys(const Work& work, const CpuJobState& state, uint32_t pass) {
  constexpr uint64_t kRun = 64, kRunsATask = 16;
  const uint32_t n_models = work.job->n_models();
  const uint64_t n_runs = SampleSize(work.n_elems) / kRun;
  const uint64_t stride = work.n_elems / n_runs / kRun * kRun;
  samples_.resize(n_models * n_runs * kRun);
  pool_.Run((n_runs + kRunsATask - 1) / kRunsATask, [&](uint64_t task, uint32_t worker) {
    for (uint64_t run = task * kRunsATask; run < std::min(n_runs, (task + 1) * kRunsATask); ++run) {
      const std::byte* inputs[kMaxInputs];
      uint32_t keys[kMaxModels * kRun];
      RangeContext context = Context(work, state, {pass, Step::kSample}, worker, run * stride, kRun, inputs);
      context.samples = keys;
      RunRange(context);
      for (uint32_t m = 0; m < n_models; ++m) std::copy_n(keys + m * kRun, kRun, &samples_[(m * n_runs + run) * kRun]);
    }
  });
}

// Sets tie_end to just after the tie of that rank (1 = the first) in that range.
void CpuBackend::FindLastTie(const Work& work, CpuJobState& state, uint32_t pass, uint32_t model, uint64_t range,
                             uint64_t rank, uint32_t worker) {
  const std::byte* inputs[kMaxInputs];
  const uint64_t first = range * kRangeElems;
  RangeContext context =
      Context(work, state, {pass, Step::kFindTie}, worker, first, std::min(kRangeElems, work.n_elems - first), inputs);
  uint64_t last_tie = 0;
  context.model = model;
  context.tie_rank = rank;
  context.tie_index = &last_tie;
  RunRange(context);
  state.select(pass).selections[model].tie_end = last_tie + 1;
}

// Before a pass after a selection sees a part, the last tie to keep is found if it lies in this part.
void CpuBackend::ResolveTies(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  SelectProgress& select = state.select(pass);
  const uint64_t end = work.first_elem + work.n_elems;
  const bool none_left =
      std::all_of(select.ties_left.begin(), select.ties_left.end(), [](uint64_t n) { return n == 0; });
  if (none_left || select.resolved_elems >= end) return;
  const uint32_t n_models = work.job->n_models();
  std::vector<uint64_t> ties((work.n_elems + kRangeElems - 1) / kRangeElems * n_models);  // (n_ranges, n_models)
  ForRanges(work.n_elems, only, [&](uint64_t number, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    RangeContext context = Context(work, state, {pass, Step::kCountTies}, worker, first, n, inputs);
    context.ties = &ties[number * n_models];
    RunRange(context);
  });
  for (uint32_t m = 0; m < n_models; ++m) {
    for (uint64_t number = 0; select.ties_left[m] > 0 && number * kRangeElems < work.n_elems; ++number) {
      const uint64_t in_range = ties[number * n_models + m];
      if (in_range < select.ties_left[m]) {
        select.ties_left[m] -= in_range;
        continue;
      }
      FindLastTie(work, state, pass, m, number, select.ties_left[m], only.value_or(0));
      select.ties_left[m] = 0;
    }
  }
  select.resolved_elems = end;
}

}  // namespace gpumerge
