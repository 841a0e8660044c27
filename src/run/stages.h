// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What each stage of the pipeline does to a unit: read its inputs, make work of it, look at its findings, write its
// output. Holds what is known of every item on its way. The pipeline calls a stage for one unit at a time, and a unit
// is in one stage at a time (several readers share the reading stage); or threads do all stages of a part themselves.
#pragma once

#include "src/base/hash.h"
#include "src/base/in_order.h"
#include "src/base/trace_log.h"
#include "src/run/input_files.h"
#include "src/run/overflow.h"
#include "src/run/pipeline.h"
#include "src/run/schedule.h"
#include "src/run/selfcheck.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gpumerge {

// A unit on its way.
struct UnitRun {
  ScheduledUnit scheduled;
  std::byte* memory = nullptr;
  uint64_t staging_offset = 0;
  uint32_t reads_left = 0;  // reader threads that have not finished; guarded by the pipeline

  const std::vector<UnitPart>& parts() const { return scheduled.unit.parts; }
};

class Stages {
 public:
  Stages(const Plan& plan, PlanPart part, std::span<Backend* const> backends, const PipelineOptions& options,
         const OutputSink& sink);

  // The items that begin with this unit get their state, hashes and result.
  void Begin(const UnitRun& unit);
  void Begin(uint64_t item, uint32_t backend);
  JobState* StateOf(uint64_t item) const { return runs_[item - part_.first]->state.get(); }  // null for a copy
  // Reads the reader's share of the inputs; returns the bytes read. Each input of a tensor is read by one reader, in
  // order, so that its hash can go along.
  uint64_t Read(const UnitRun& unit, uint32_t reader);
  // Without what is only copied, which is checked here.
  std::vector<Work> MakeWork(const UnitRun& unit) const;
  // For a range about all of the unit.
  TraceSubject SubjectOf(const UnitRun& unit) const;
  // After the work is done: throws what was found in items that end. Returns the elements computed.
  uint64_t CheckDone(const UnitRun& unit) const;

  struct Written {
    uint64_t bytes = 0, tensors = 0;
  };
  Written Write(const UnitRun& unit);

  // What the above do for one part, for threads that work on several parts of an item at once: what must be done in
  // the item's order waits for the parts before.
  uint64_t ReadInput(const UnitPart& part, size_t input, std::byte* memory);
  uint64_t WriteOutput(const UnitPart& part, std::byte* memory, uint32_t backend);
  // After all parts of the item: checks what was found, unless that is done, and hands out its result.
  void CheckItem(uint64_t item) const;
  void EndItem(uint64_t item);
  // Elements [first, first + n) of every input, one after the other, wherever they are; nothing is hashed.
  void ReadSample(const PlanItem& item, uint64_t first, uint64_t n, std::byte* memory, const std::byte** inputs) const;
  // Whoever waits for parts before its own gives up, by an error.
  void StopWaiting(uint64_t item);

  void CheckFilesUnchanged() const { files_.CheckUnchanged(); }
  std::vector<ItemResult> TakeResults() { return std::move(results_); }
  uint64_t selfcheck_tensors() const { return selfcheck_ ? selfcheck_->n_tensors() : 0; }

 private:
  // An item between its first and its last part.
  struct ItemRun {
    explicit ItemRun(size_t n_inputs) : input_hashes(n_inputs), input_order(n_inputs) {}
    std::unique_ptr<JobState> state;        // null for a copy
    std::vector<ContentHash> input_hashes;  // (n_inputs), each in its order
    std::vector<InOrder> input_order;
    InOrder output_order;  // of the rest
    ContentHash output_hash;
    Overflowed overflowed;
    uint64_t n_nonfinite = 0;  // of a copy
  };

  ItemRun& RunOf(const UnitPart& part) const { return *runs_[part.item - part_.first]; }

  const Plan& plan_;
  const PlanPart part_;
  const std::span<Backend* const> backends_;
  const PipelineOptions& options_;
  const OutputSink& sink_;
  const InputFiles files_;
  std::vector<std::unique_ptr<ItemRun>> runs_;           // (n_items of the part); one stage at a time has an item
  std::vector<ItemResult> results_;                      // (n_items of the part)
  std::mutex end_mutex_;                                 // guards what follows, on_item_done, and that a run ends
  std::unordered_map<uint64_t, uint64_t> readers_left_;  // of stages' items: items that read them and are not done
  std::optional<Selfcheck> selfcheck_;
};

}  // namespace gpumerge
