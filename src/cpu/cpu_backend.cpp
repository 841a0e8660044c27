// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The CPU backend: drives the readings of each tensor over ranges of elements shared out to threads. What a range does
// is the methods' code for the best instruction set (src/cpu/range_executor.h); how results are combined is cpu_job.h.
#include "src/cpu/cpu_job.h"
#include "src/cpu/isa.h"
#include "src/cpu/worker_pool.h"

#include "gpumerge/backend.h"
#include "gpumerge/method.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <sched.h>

namespace gpumerge {
namespace {

// A tensor up to this size is one thread's work; larger ones are cut into ranges for all threads.
constexpr uint64_t kSerialElems = 64 * 1024;
// A range: large enough to pay for its set-up, small enough to balance threads. Ties are counted per range.
constexpr uint64_t kRangeElems = 16 * kBlockElems;

uint32_t UsableCores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return static_cast<uint32_t>(std::max(1, CPU_COUNT(&cores)));
}

// What one thread works with; grows to the largest job seen and is then reused.
struct Worker {
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> scratch;
  uint64_t scratch_floats = 0;
  std::vector<uint32_t> histogram;     // (n_models, kHighBins)
  std::vector<RangeFinding> findings;  // (n_inputs + 1)
  bool used_lerp = false;

  void Reserve(const MergeJob& job, bool selects) {
    if (ScratchFloats(job) > scratch_floats) {
      scratch_floats = ScratchFloats(job);
      const size_t bytes = (scratch_floats * sizeof(float) + 63) / 64 * 64;
      scratch.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
      if (!scratch) throw std::bad_alloc();
      std::memset(scratch.get(), 0, bytes);
    }
    if (selects && histogram.size() < job.n_models() * size_t{kHighBins})
      histogram.resize(job.n_models() * size_t{kHighBins});
    if (findings.size() < job.inputs.size() + 1) findings.resize(job.inputs.size() + 1);
  }
};

// Which pass a reading belongs to, and which of its steps it is.
struct Reading {
  uint32_t pass;
  Step step;
};

Reading ReadingOf(const PassList& passes, uint32_t reading) {
  for (uint32_t p = 0; p < passes.size(); ++p) {
    const uint32_t reads = ReadsOf(passes[p].kind);
    if (reading < reads) {
      switch (passes[p].kind) {
        case PassKind::kSelect:
          return {p, reading == 0 ? Step::kCountHigh : Step::kCountLow};
        case PassKind::kReduce:
          return {p, Step::kReduce};
        case PassKind::kMap:
          return {p, Step::kMap};
      }
    }
    reading -= reads;
  }
  throw Error({.code = ErrorCode::kInternal, .message = "a reading beyond the last pass was asked for"});
}

class CpuBackend : public Backend {
 public:
  CpuBackend(uint32_t threads, const std::string& max_isa)
      : isa_(ChooseIsa(max_isa)), pool_(threads == 0 ? UsableCores() : threads), workers_(pool_.n_workers()) {
    std::map<std::string_view, void (*)(const RangeContext&)> by_name;
    for (CpuMethodsOfFile file : isa_.files)
      for (const CpuMethod& method : file()) by_name[method.name] = method.run;
    for (const MethodRow& row : Methods()) run_.push_back(by_name.at(row.info->name));
  }
  ~CpuBackend() override { std::free(staging_); }

  BackendInfo Info() const override {
    const uint32_t n = pool_.n_workers();
    return {"cpu", std::string(isa_.isa) + ", " + std::to_string(n) + (n == 1 ? " thread" : " threads"), true};
  }

  uint64_t StateBytes(const MergeJob& job, const PassList& passes) const override {
    uint64_t bytes = sizeof(CpuJobState);
    for (const PassInfo& pass : passes)
      if (pass.kind == PassKind::kReduce) bytes += (job.n_elems / kBlockElems + 1) * pass.n_values * sizeof(double);
    return bytes + job.inputs.size() * 256;
  }

  uint64_t FixedBytes(std::span<const MergeJob* const> jobs) const override {
    uint64_t scratch = 0, models = 0;
    for (const MergeJob* job : jobs) {
      scratch = std::max(scratch, ScratchFloats(*job) * sizeof(float));
      for (const PassInfo& pass : Methods()[job->method].passes(*job))
        if (pass.kind == PassKind::kSelect) models = std::max<uint64_t>(models, job->n_models());
    }
    return pool_.n_workers() * (scratch + models * kHighBins * sizeof(uint32_t)) +
           models * kHighBins * sizeof(uint64_t);
  }

  std::span<std::byte> AllocateStaging(uint64_t bytes) override;

  std::unique_ptr<JobState> NewState(const MergeJob& job, const PassList& passes) override {
    return std::make_unique<CpuJobState>(job, passes);
  }

  uint64_t Submit(std::span<const Work> batch) override {
    const auto start = std::chrono::steady_clock::now();
    std::vector<const Work*> small;
    for (const Work& work : batch) {
      if (work.n_elems <= kSerialElems && work.first_elem == 0 && work.n_elems == work.job->n_elems) {
        small.push_back(&work);
      } else {
        RunReadings(work, std::nullopt);
      }
    }
    pool_.Run(small.size(), [&](uint64_t number, uint32_t worker) { RunReadings(*small[number], worker); });
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return 0;
  }
  void Wait(uint64_t) override {}  // Submit returns when the work is done
  double ComputeSeconds() const override { return seconds_; }

 private:
  // Calls f(range number, worker, first, n) for the ranges of n_elems: on all threads, or on one worker only.
  template <class Function>
  void ForRanges(uint64_t n_elems, std::optional<uint32_t> only, const Function& f) {
    const uint64_t n_ranges = (n_elems + kRangeElems - 1) / kRangeElems;
    const auto run = [&](uint64_t number, uint32_t worker) {
      const uint64_t first = number * kRangeElems;
      f(number, worker, first, std::min(kRangeElems, n_elems - first));
    };
    if (only) {
      for (uint64_t number = 0; number < n_ranges; ++number) run(number, *only);
    } else {
      pool_.Run(n_ranges, run);
    }
  }

  void RunReadings(const Work& work, std::optional<uint32_t> only) {
    CpuJobState& state = *static_cast<CpuJobState*>(work.state);
    bool selects = false;
    for (const PassInfo& pass : state.passes()) selects = selects || pass.kind == PassKind::kSelect;
    for (uint32_t w = 0; w < workers_.size(); ++w)
      if (!only || *only == w) workers_[w].Reserve(*work.job, selects);
    for (uint32_t r = work.first_read; r < work.last_read; ++r) {
      const Reading reading = ReadingOf(state.passes(), r);
      for (uint32_t p = 0; p < reading.pass; ++p)
        if (state.passes()[p].kind == PassKind::kSelect) ResolveTies(work, state, p, only);
      switch (reading.step) {
        case Step::kReduce:
          RunReduce(work, state, reading.pass, only);
          break;
        case Step::kMap:
          RunMap(work, state, reading.pass, only);
          break;
        default:
          RunCount(work, state, reading, only);
          break;
      }
    }
  }

  // Everything about a range but what its step wants. inputs (n_inputs) must outlive the context.
  RangeContext Context(const Work& work, const CpuJobState& state, Reading reading, uint32_t worker, uint64_t first,
                       uint64_t n, const std::byte** inputs) {
    for (size_t i = 0; i < work.inputs.size(); ++i)
      inputs[i] = work.inputs[i] + first * ElementBytes(work.job->inputs[i].dtype);
    RangeContext context;
    context.job = work.job;
    context.passes = state.views();
    context.pass = reading.pass;
    context.step = reading.step;
    context.first_elem = work.first_elem + first;
    context.n_elems = n;
    context.inputs = inputs;
    context.scratch = workers_[worker].scratch.get();
    return context;
  }

  void RunCount(const Work& work, CpuJobState& state, Reading reading, std::optional<uint32_t> only);
  void ResolveTies(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void RunReduce(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void RunMap(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);

  static bool EndsTensor(const Work& work) { return work.first_elem + work.n_elems == work.job->n_elems; }
  void RunRange(const RangeContext& context) const { run_[context.job->method](context); }

  const CpuIsaMethods& isa_;
  WorkerPool pool_;
  std::vector<Worker> workers_;                     // (n_workers)
  std::vector<void (*)(const RangeContext&)> run_;  // by MergeJob::method
  std::vector<uint64_t> histogram_;                 // (n_models, bins): of the tensor that all threads count
  std::byte* staging_ = nullptr;
  double seconds_ = 0;
};

constexpr size_t kMaxInputs = kMaxModels + 1;

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
      const std::byte* inputs[kMaxInputs];
      const uint64_t first = number * kRangeElems;
      RangeContext context = Context(work, state, {pass, Step::kFindTie}, only.value_or(0), first,
                                     std::min(kRangeElems, work.n_elems - first), inputs);
      uint64_t last_tie = 0;
      context.model = m;
      context.tie_rank = select.ties_left[m];
      context.tie_index = &last_tie;
      RunRange(context);
      select.selections[m].tie_end = last_tie + 1;
      select.ties_left[m] = 0;
    }
  }
  select.resolved_elems = end;
}

void CpuBackend::RunReduce(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  ForRanges(work.n_elems, only, [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    RangeContext context = Context(work, state, {pass, Step::kReduce}, worker, first, n, inputs);
    context.block_sums =
        state.block_sums(pass).data() + context.first_elem / kBlockElems * state.passes()[pass].n_values;
    RunRange(context);
  });
  if (EndsTensor(work)) state.EndReduce(pass);
}

void CpuBackend::RunMap(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only) {
  const size_t n_findings = work.job->inputs.size() + 1;
  const auto chosen = [&](uint32_t w) { return !only || *only == w; };
  for (uint32_t w = 0; w < workers_.size(); ++w) {
    if (!chosen(w)) continue;
    std::fill_n(workers_[w].findings.begin(), n_findings, RangeFinding{});
    workers_[w].used_lerp = false;
  }
  ForRanges(work.n_elems, only, [&](uint64_t, uint32_t worker, uint64_t first, uint64_t n) {
    const std::byte* inputs[kMaxInputs];
    RangeContext context = Context(work, state, {pass, Step::kMap}, worker, first, n, inputs);
    context.output = work.output + first * ElementBytes(work.job->out_dtype);
    context.findings = workers_[worker].findings.data();
    context.used_lerp = &workers_[worker].used_lerp;
    // A worker's ranges ascend, so the first finding it notes is its lowest.
    RunRange(context);
  });
  for (uint32_t w = 0; w < workers_.size(); ++w) {
    if (!chosen(w)) continue;
    state.AddFindings({workers_[w].findings.data(), n_findings});
    state.used_lerp = state.used_lerp || workers_[w].used_lerp;
  }
}

std::span<std::byte> CpuBackend::AllocateStaging(uint64_t bytes) {
  // Whole huge pages: first touch of 4 KiB pages would cost more than the copy that touches them.
  constexpr uint64_t kHugePage = 2 << 20;
  staging_ = static_cast<std::byte*>(std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage));
  if (staging_ == nullptr) throw std::bad_alloc();
  return {staging_, bytes};
}

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend(uint32_t threads, const std::string& max_isa) {
  return std::make_unique<CpuBackend>(threads, max_isa);
}

uint32_t TotalReads(const PassList& passes) {
  uint32_t reads = 0;
  for (const PassInfo& pass : passes) reads += ReadsOf(pass.kind);
  return reads;
}

}  // namespace gpumerge
