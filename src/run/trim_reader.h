// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads the tensors that are trimmed together, chunk by chunk, as floats, on as many threads as are wanted and fit the
// memory.
#pragma once

#include "src/cpu/worker_pool.h"
#include "src/plan/model_trim.h"
#include "src/run/input_files.h"

#include "gpumerge/options.h"
#include "gpumerge/plan.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace gpumerge {

inline constexpr uint64_t kTrimChunkElems = 16 << 10;

// A part of one item with its inputs: input i, element j at values[i * kTrimChunkElems + j].
struct TrimChunk {
  const PlanItem* item = nullptr;
  size_t place = 0;  // of the item in ModelTrim::items
  uint64_t first_elem = 0, n_elems = 0;
  std::vector<float> values{};
  std::vector<std::byte> bytes{};
};

class TrimReader {
 public:
  // worker_bytes: what the caller holds for each worker, and once more. Throws Error(RES-MEM, IN-CHANGED, IN-EIO).
  TrimReader(const RunOptions& options, uint64_t budget_bytes, uint64_t worker_bytes, const ModelTrim& trim,
             const Plan& plan);

  uint32_t n_workers() const { return pool_.n_workers(); }
  // Calls visit(chunk, worker) for every chunk of every item, on all workers. Throws Error(IN-*, CANCELLED).
  void ForEachChunk(const std::function<void(const TrimChunk&, uint32_t)>& visit);
  // Memory for a chunk of any item.
  void Reserve(TrimChunk* chunk) const;
  // The chunk of the item that begins there. The chunk's memory must be reserved.
  void Load(size_t place, uint64_t first_elem, TrimChunk* chunk);
  void CheckUnchanged() const { files_.CheckUnchanged(); }

 private:
  using Clock = std::chrono::steady_clock;

  uint64_t InputsOfLargest() const;
  uint32_t ThreadsFor(uint64_t budget_bytes, uint64_t worker_bytes) const;
  void Report();

  const RunOptions& options_;
  const ModelTrim& trim_;
  const Plan& plan_;
  const InputFiles files_;
  WorkerPool pool_;
  std::vector<TrimChunk> chunks_;         // (n_workers)
  std::vector<uint64_t> first_chunk_{0};  // (n_items + 1): number of chunks before the item
  std::atomic<uint64_t> bytes_read_{0};
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_report_ = start_;
};

}  // namespace gpumerge
