// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cpu/bracket.h"
#include "src/cpu/cpu_backend.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace gpumerge {
namespace {

// Places where the sample is taken: more of them say better how much rows differ, and each costs a small read.
constexpr uint64_t kLeastRuns = 16, kMostRuns = 64, kElemsARun = 64 * 1024;

// Of a bracket around a sample's quantile: few, so that they stay in the cache.
constexpr uint32_t kSampledBins = 1u << 14;

uint32_t MaxBins(uint64_t n_elems) { return n_elems <= kSerialElems ? kSmallBins : kMaxBins; }

}  // namespace

void Counters::Begin(const std::vector<Bracket>& brackets) {
  edges.assign(brackets.size(), {});
  bins_of.resize(brackets.size());
  size_t n_bins = 0;
  for (const Bracket& bracket : brackets) n_bins += bracket.n_bins();
  bins.assign(n_bins, {});
  size_t first = 0;
  for (size_t s = 0; s < brackets.size(); ++s) {
    bins_of[s] = bins.data() + first;
    first += brackets[s].n_bins();
  }
  n_elems = 0;
}

void Counters::AddTo(const std::vector<Bracket>& brackets, Totals* totals) {
  totals->n_above.resize(brackets.size());
  totals->bins.resize(brackets.size());
  for (size_t s = 0; s < brackets.size(); ++s) {
    totals->n_above[s] += edges[s].n_above;
    totals->bins[s].resize(brackets[s].n_bins());
    if (totals->bins[s].empty()) continue;
    totals->bins[s].back().Add(KeyBin<uint64_t>{edges[s].n_last, brackets[s].last_key + 1});
    totals->bins[s].front().Add(KeyBin<uint64_t>{edges[s].n_first, brackets[s].first_key + 1});
    for (size_t bin = 0; bin < totals->bins[s].size(); ++bin) totals->bins[s][bin].Add(bins_of[s][bin]);
  }
}

// Sets how many each selection keeps, and the brackets to count first.
void CpuBackend::BeginSelect(const Work& work, uint32_t pass, uint32_t worker, const PartWorkers::Reader* read) {
  CpuJobState& state = *static_cast<CpuJobState*>(work.state);
  const std::byte* no_inputs[kMaxInputs] = {};
  RunRange(Context(work, state, {pass, Step::kBeginSelect}, worker, 0, 0, no_inputs));
  const uint64_t n_elems = work.job->n_elems;
  // A tensor in parts of Submit is counted twice, which fewer bins would not do for.
  const uint32_t max_bins = read != nullptr ? MaxBins(n_elems) : kMaxBins;
  std::vector<Bracket> brackets(state.passes()[pass].n_values, WholeBracket(max_bins));
  if (read != nullptr && n_elems > kSerialElems) brackets = SampledBrackets(work, pass, worker, *read);
  state.BeginCount(pass, brackets);
}

// Runs of neighbours, evenly spaced.
std::vector<Bracket> CpuBackend::SampledBrackets(const Work& work, uint32_t pass, uint32_t worker,
                                                 const PartWorkers::Reader& read) {
  CpuJobState& state = *static_cast<CpuJobState*>(work.state);
  const uint32_t n_selections = state.passes()[pass].n_values;
  const uint64_t n_elems = work.job->n_elems, run_elems = PartWorkers::kSampleElems;
  const uint64_t n_runs = std::clamp(n_elems / kElemsARun, kLeastRuns, kMostRuns);
  const uint64_t stride = n_elems / n_runs / kBlockElems * kBlockElems;
  std::vector<uint32_t> keys(n_selections * run_elems);
  std::vector<std::vector<uint32_t>> samples(n_selections);
  std::vector<uint64_t> places;
  for (uint64_t run = 0; run < n_runs; ++run) places.push_back(run * stride);
  read(places, [&](uint64_t first, const std::byte* const* inputs) {
    RangeContext context = Context(work, state, {pass, Step::kSample}, worker, first, run_elems, inputs);
    context.samples = keys.data();
    RunRange(context);
    for (uint32_t s = 0; s < n_selections; ++s)
      samples[s].insert(samples[s].end(), &keys[s * run_elems], &keys[s * run_elems] + run_elems);
  });
  std::vector<Bracket> brackets(n_selections);
  const SelectProgress& select = state.select(pass);
  for (uint32_t s = 0; s < n_selections; ++s)
    brackets[s] = BracketOf(samples[s], run_elems, std::min(select.wanted[s], n_elems), n_elems, kSampledBins);
  return brackets;
}

// The whole tensor is in memory: counts until all thresholds are known.
void CpuBackend::SelectWhole(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const PartWorkers::Reader read = [&](std::span<const uint64_t> places, const PartWorkers::Visit& visit) {
    for (const uint64_t first : places) {
      const std::byte* inputs[kMaxInputs];
      SetInputs(work, first, inputs);
      visit(first, inputs);
    }
  };
  BeginSelect(work, pass, only.value_or(0), &read);
  do {
    Count(work, state, pass, only);
  } while (!EndCount(state, pass, only));
}

// A part of a tensor that comes in parts, which are counted twice: in bins over all keys, then in the threshold's bin.
void CpuBackend::CountPart(const Work& work, CpuJobState& state, Reading reading, std::optional<uint32_t> only) {
  if (reading.step == Step::kBeginSelect && work.first_elem == 0)
    BeginSelect(work, reading.pass, only.value_or(0), nullptr);
  if (work.first_elem == 0) part_totals_ = {};
  Count(work, state, reading.pass, only);
  const std::vector<Bracket>& brackets = state.select(reading.pass).brackets;
  ForWorkers(only, [&](Worker& worker) { worker.counters[only ? 1 : 0].AddTo(brackets, &part_totals_); });
  if (EndsTensor(work)) state.EndCount(reading.pass, part_totals_.n_above, part_totals_.bins, kMaxBins);
}

void CpuBackend::Count(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const std::vector<Bracket>& brackets = state.select(pass).brackets;
  ForWorkers(only, [&](Worker& worker) { worker.counters[only ? 1 : 0].Begin(brackets); });
  ForRanges(work.n_elems, only, [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
    CountRange(work, state, pass, worker, first, n, &workers_[worker].counters[only ? 1 : 0]);
  });
}

void CpuBackend::CountRange(const Work& work, CpuJobState& state, uint32_t pass, uint32_t worker, uint64_t first,
                            uint64_t n, Counters* counters) {
  const std::byte* inputs[kMaxInputs];
  SetInputs(work, first, inputs);
  RangeContext context = Context(work, state, {pass, Step::kCountBracket}, worker, first, n, inputs);
  context.brackets = state.select(pass).brackets.data();
  context.edges = counters->edges.data();
  context.bins = counters->bins_of.data();
  RunRange(context);
}

bool CpuBackend::EndCount(CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const std::vector<Bracket>& brackets = state.select(pass).brackets;
  Totals totals;
  ForWorkers(only, [&](Worker& worker) { worker.counters[only ? 1 : 0].AddTo(brackets, &totals); });
  return state.EndCount(pass, totals.n_above, totals.bins, MaxBins(state.n_elems()));
}

// Just after the tie of that rank (1 = the first) in that range, as a flat index.
uint64_t CpuBackend::EndOfTie(const Work& work, CpuJobState& state, uint32_t pass, uint32_t selection, uint64_t first,
                              uint64_t n, uint64_t rank, uint32_t worker) {
  const std::byte* inputs[kMaxInputs];
  SetInputs(work, first, inputs);
  RangeContext context = Context(work, state, {pass, Step::kFindTie}, worker, first, n, inputs);
  uint64_t last_tie = 0;
  context.selection = selection;
  context.tie_rank = rank;
  context.tie_index = &last_tie;
  RunRange(context);
  return last_tie + 1;
}

void CpuBackend::CountTies(const Work& work, CpuJobState& state, uint32_t pass, uint64_t first, uint64_t n,
                           uint32_t worker, uint64_t* ties) {
  const std::byte* inputs[kMaxInputs];
  SetInputs(work, first, inputs);
  RangeContext context = Context(work, state, {pass, Step::kCountTies}, worker, first, n, inputs);
  context.ties = ties;
  RunRange(context);
}

// Before a pass after a selection sees a part, the last tie to keep is found if it lies in this part.
void CpuBackend::ResolveTies(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  SelectProgress& select = state.select(pass);
  const uint64_t end = work.first_elem + work.n_elems;
  if (!select.HasTiesLeft() || select.resolved_elems >= end) return;
  const uint32_t n_selections = state.passes()[pass].n_values;
  std::vector<uint64_t> ties((work.n_elems + kRangeElems - 1) / kRangeElems *
                             n_selections);  // (n_ranges, n_selections)
  ForRanges(work.n_elems, only, [&](uint64_t number, uint32_t worker, uint64_t first, uint64_t n) {
    CountTies(work, state, pass, first, n, worker, &ties[number * n_selections]);
  });
  for (uint32_t s = 0; s < n_selections; ++s) {
    for (uint64_t number = 0; select.ties_left[s] > 0 && number * kRangeElems < work.n_elems; ++number) {
      const uint64_t in_range = ties[number * n_selections + s], first = number * kRangeElems;
      if (in_range < select.ties_left[s]) {
        select.ties_left[s] -= in_range;
        continue;
      }
      select.selections[s].tie_end = EndOfTie(work, state, pass, s, first, std::min(kRangeElems, work.n_elems - first),
                                              select.ties_left[s], only.value_or(0));
      select.ties_left[s] = 0;
    }
  }
  select.resolved_elems = end;
}

}  // namespace gpumerge
