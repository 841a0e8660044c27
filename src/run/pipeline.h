// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Moves the items of a plan through readers -> backends -> writer, all stages overlapping, in staging memory that is
// allocated once. Knows no device, no YAML and no directory: bytes come from the plan's files and go to a sink.
#pragma once

#include "src/run/scratch.h"
#include "src/run/units.h"

#include "gpumerge/backend.h"
#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace gpumerge {

// Where finished tensors go. Called from several threads; ranges never overlap.
using OutputSink =
    std::function<void(uint32_t shard, uint64_t offset_bytes, const std::byte* data, uint64_t size_bytes)>;

// What is known of an item when it is done.
struct ItemResult {
  std::vector<std::string> input_hashes;  // XXH3-128, hex, (n_inputs)
  std::string output_hash;
  bool used_lerp = false;
  RoundingLoss loss;
  uint64_t n_overflowed = 0;  // values that `overflow:` let pass
  // NaN and infinity in each input (of a copy, in the first); empty: none.
  std::vector<uint64_t> n_nonfinite{};
  uint64_t n_differing = 0;  // of a copy that may differ: inputs with other bytes than the first
};

struct PipelineResult {
  std::vector<ItemResult> items;  // of the part, in plan order
  Progress totals;
  uint64_t selfcheck_tensors = 0;  // compared with the reference executor
};

struct PipelineOptions {
  std::vector<UnitSizes> units;  // (n_backends); what they say of device memory is allocated already
  std::span<std::byte> staging;  // 64-byte aligned; every unit fits
  uint32_t reader_threads = 2;
  double selfcheck_percent = 0;                      // see RunOptions
  std::function<bool(const Progress&)> on_progress;  // false stops the run
  Scratch* scratch = nullptr;                        // for plans with stages
  // (n_items of the plan): left out, because an earlier run did them; their results are empty. Null: none.
  const std::vector<bool>* done = nullptr;
  // All of an item is written. Called from one thread at a time, one that calls the sink.
  std::function<void(uint64_t item, const ItemResult&)> on_item_done{};
  Io io = Io::kAuto;  // see RunOptions

  bool IsDone(uint64_t item) const { return done != nullptr && (*done)[item]; }
};

// Runs part of a plan on all of the backends, at least one. The first error of any stage stops all of them and is
// rethrown here, when no backend uses the staging memory any more. Throws Error(NUM-*, MM-INTDIFF, IN-*, DEV-*,
// CANCELLED) and whatever the sink and the backends throw.
PipelineResult RunPipeline(const Plan& plan, PlanPart part, std::span<Backend* const> backends,
                           const PipelineOptions& options, const OutputSink& sink);

}  // namespace gpumerge
