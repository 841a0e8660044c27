// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The CPU backend: drives the readings of each tensor over ranges of elements shared out to threads. What a range does
// is the methods' code for the best instruction set (range_executor.h); how results are combined is cpu_job.h;
// cpu_select.cpp and cpu_reduce.cpp drive selections and sums. Used by one thread at a time.
#pragma once

#include "src/cpu/cpu_job.h"
#include "src/cpu/isa.h"
#include "src/cpu/worker_pool.h"

#include "gpumerge/backend.h"
#include "gpumerge/method.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace gpumerge {

// A tensor up to this size is one thread's work; larger ones are cut into ranges for all threads.
constexpr uint64_t kSerialElems = 64 * 1024;
// A range: large enough to pay for its set-up, small enough to balance threads. Ties are counted per range.
constexpr uint64_t kRangeElems = 16 * kBlockElems;
// Columns that one thread adds at once.
constexpr uint64_t kRangeColumns = 512;
constexpr size_t kMaxInputs = kMaxModels + 1;

// Keys counted in brackets, summed over threads.
struct Totals {
  std::vector<uint64_t> n_above;                    // (selections)
  std::vector<std::vector<KeyBin<uint64_t>>> bins;  // (selections) of (n_bins)
};

// What one thread counts of them.
struct Counters {
  std::vector<EdgeCounts> edges;           // (selections)
  std::vector<KeyBin<uint32_t>> bins;      // of all selections, one after the other
  std::vector<KeyBin<uint32_t>*> bins_of;  // (selections)
  uint64_t n_elems = 0;                    // counted: a bin of 32 bits holds so many

  void Begin(const std::vector<Bracket>& brackets);
  void AddTo(const std::vector<Bracket>& brackets, Totals* totals);
};

// What one thread works with; grows to the largest job seen and is then reused.
struct Worker {
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> scratch;
  uint64_t scratch_floats = 0;
  Counters counters[2];                // of the tensor that all threads count, and of a small one of its own
  std::vector<RangeFinding> findings;  // (n_inputs + 1)
  bool used_lerp = false;
  const DataProblem* problem = nullptr;
  GroupProblem group_problem;
  std::unique_ptr<uint64_t[]> rank_words;  // what ranking rows takes
  uint64_t n_rank_words = 0;

  void ReserveRanks(uint64_t n_words);
  void FreeRanks();
  void Reserve(const MergeJob& job, const PassList& passes);
};

// Which pass a reading belongs to, and which of its steps it is.
struct Reading {
  uint32_t pass;
  Step step;
};

// Ranges of the pass begin at multiples of this.
uint64_t RangeElems(const MergeJob& job, const PassInfo& pass);

class CpuBackend : public Backend, public PartWorkers {
 public:
  CpuBackend(uint32_t threads, const std::string& isa);
  ~CpuBackend() override { std::free(staging_); }

  BackendInfo Info() const override;

  uint64_t StateBytes(const MergeJob& job, const PassList& passes) const override;

  uint64_t FixedBytes(std::span<const MergeJob* const> jobs) const override;

  std::span<std::byte> AllocateStaging(uint64_t bytes) override;

  std::unique_ptr<JobState> NewState(const MergeJob& job, const PassList& passes) override {
    return std::make_unique<CpuJobState>(job, passes);
  }

  uint64_t Submit(std::span<const Work> batch) override;
  void Wait(uint64_t) override {}  // Submit returns when the work is done
  double ComputeSeconds() const override { return seconds_; }

  PartWorkers* part_workers() override { return this; }
  uint32_t n_workers() const override { return static_cast<uint32_t>(workers_.size()); }
  void RunWhole(const Work& work, uint32_t worker) override { RunReadings(work, worker); }
  uint32_t LikelyReadings(const PassList& passes) const override { return static_cast<uint32_t>(passes.size()); }
  bool IsAlone(const Work& work) const override;
  void BeginReading(const Work& work, uint32_t worker, const Reader& read) override;
  bool Writes(const JobState& state) const override;
  void RunPart(const Work& part, uint32_t worker, InOrder& order) override;
  bool EndReading(const Work& work, uint32_t worker) override;

 private:
  template <class Function>
  void ForWorkers(std::optional<uint32_t> only, const Function& f) {
    for (uint32_t w = 0; w < workers_.size(); ++w)
      if (!only || *only == w) f(workers_[w]);
  }

  // Calls f(range number, worker, first, n) for the ranges of n_elems: on all threads, or on one worker only.
  template <class Function>
  void ForRanges(uint64_t n_elems, std::optional<uint32_t> only, const Function& f,
                 uint64_t range_elems = kRangeElems) {
    const uint64_t n_ranges = (n_elems + range_elems - 1) / range_elems;
    const auto run = [&](uint64_t number, uint32_t worker) {
      const uint64_t first = number * range_elems;
      f(number, worker, first, std::min(range_elems, n_elems - first));
    };
    if (only) {
      for (uint64_t number = 0; number < n_ranges; ++number) run(number, *only);
    } else {
      pool_.Run(n_ranges, run);
    }
  }

  void RunReadings(const Work& work, std::optional<uint32_t> only);
  uint64_t n_rank_pieces(const MergeJob& job) const;

  // Everything about a range but what its step wants. inputs (n_inputs), at `first`, must outlive the context.
  RangeContext Context(const Work& work, CpuJobState& state, Reading reading, uint32_t worker, uint64_t first,
                       uint64_t n, const std::byte** inputs);
  static void SetInputs(const Work& work, uint64_t first, const std::byte** inputs);

  // All of the selection's readings over the whole tensor are due.
  static bool HoldsWholeSelect(const Work& work, uint32_t read) {
    return work.n_elems == work.job->n_elems && read + ReadsOf(PassKind::kSelect) <= work.last_read;
  }
  void BeginSelect(const Work& work, uint32_t pass, uint32_t worker, const Reader* read);
  std::vector<Bracket> SampledBrackets(const Work& work, uint32_t pass, uint32_t worker, const Reader& read);
  void SelectWhole(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void CountPart(const Work& work, CpuJobState& state, Reading reading, std::optional<uint32_t> only);
  void Count(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void CountRange(const Work& work, CpuJobState& state, uint32_t pass, uint32_t worker, uint64_t first, uint64_t n,
                  Counters* counters);
  bool EndCount(CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void CountTies(const Work& work, CpuJobState& state, uint32_t pass, uint64_t first, uint64_t n, uint32_t worker,
                 uint64_t* ties);
  uint64_t EndOfTie(const Work& work, CpuJobState& state, uint32_t pass, uint32_t selection, uint64_t first, uint64_t n,
                    uint64_t rank, uint32_t worker);
  void ResolveTies(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  // Of parts on the caller's threads.
  struct PartTies;
  PartTies CountPartTies(const Work& part, CpuJobState& state, uint32_t worker);
  void CountOff(const Work& part, CpuJobState& state, uint32_t worker, PartTies* ties);
  void CountKeysOfPart(const Work& part, CpuJobState& state, uint32_t worker);
  void RunRangeOfPart(const Work& part, CpuJobState& state, uint32_t worker, const PassView* views);
  // Of rows so long that fewer workers than there are can rank them: the next tensor's may come to other workers.
  void FreeFewRanks(const MergeJob& job, Worker* worker) {
    if (n_rank_pieces(job) < workers_.size()) worker->FreeRanks();
  }
  void RunReduce(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  // Rows of a part are finished at once, columns when the tensor ends.
  void RunReduceGroups(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void RunReduceColumns(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void RunReduceRows(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);
  void RunMap(const Work& work, CpuJobState& state, uint32_t pass, std::optional<uint32_t> only);

  static bool EndsTensor(const Work& work) { return work.first_elem + work.n_elems == work.job->n_elems; }
  void RunRange(const RangeContext& context) const { run_[context.job->method](context); }

  const CpuIsaMethods& isa_;
  WorkerPool pool_;
  std::vector<Worker> workers_;                     // (n_workers)
  std::vector<void (*)(const RangeContext&)> run_;  // by MergeJob::method
  Totals part_totals_;                              // of the tensor that comes in parts
  std::byte* staging_ = nullptr;
  double seconds_ = 0;
};

}  // namespace gpumerge
