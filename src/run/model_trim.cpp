// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Counting is exact and in whole numbers, so neither threads nor chunks show in the result.
#include "src/run/model_trim.h"

#define GM_TARGET in_model_trim
#include "kernels/convert.h"
#include "kernels/selection.h"
#include "kernels/sign_election.h"
#include "src/base/text.h"
#include "src/cpu/worker_pool.h"
#include "src/run/input_files.h"
#include "src/run/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <malloc.h>
#include <thread>
#include <vector>

namespace gpumerge {
namespace {

using in_model_trim::At;

using Clock = std::chrono::steady_clock;
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

constexpr uint64_t kChunkElems = 16 << 10;
// A key of 31 bits in two steps.
constexpr uint32_t kLowBits = 15;
constexpr size_t kHighBins = size_t{1} << 16, kLowBins = size_t{1} << kLowBits;

float ToFloat(DType dtype, const std::byte* value) {
  const auto as = [&]<class T>(T bits) {
    std::memcpy(&bits, value, sizeof bits);
    return bits;
  };
  switch (dtype) {
    case DType::kF64:
      return in_model_trim::FromF64(as(double{}));
    case DType::kF32:
      return as(float{});
    case DType::kBF16:
      return in_model_trim::FromBf16(as(uint16_t{}));
    case DType::kF16:
      return in_model_trim::FromF16(as(uint16_t{}));
    case DType::kF8E4M3:
      return in_model_trim::FromF8E4M3(as(uint8_t{}));
    default:
      return in_model_trim::FromF8E5M2(as(uint8_t{}));
  }
}

// A part of one item with its inputs as floats: input i, element j at values[i * kChunkElems + j].
struct Chunk {
  const PlanItem* item = nullptr;
  size_t place = 0;  // of the item in ModelTrim::items
  uint64_t first_elem = 0, n_elems = 0;
  std::vector<float> values{};
  std::vector<std::byte> bytes{};

  At<float> At_(uint64_t j) const {
    return {.x = {&values[j], static_cast<uint32_t>(kChunkElems)}, .draw = {}, .i = static_cast<uint32_t>(j)};
  }
};

// One model of the recipe while its threshold is looked for.
struct Threshold {
  uint64_t n_elems = 0, n_kept = 0;
  bool is_wanted = false;  // some are kept and some are not
  uint32_t high = 0;       // the threshold's upper bits
  uint64_t n_above = 0;    // keys above what is known of the threshold
  uint64_t n_ties = 0;     // keys equal to the threshold
  uint32_t bits = 0;       // the threshold
  uint64_t ties_kept() const { return n_kept - n_above; }
};

// The bin that holds the count-th largest key, counted from 1; *above becomes the number of keys in higher bins.
uint32_t BinOf(const std::vector<uint64_t>& bins, uint64_t count, uint64_t* above) {
  *above = 0;
  size_t bin = bins.size() - 1;
  while (*above + bins[bin] < count) *above += bins[bin--];
  return static_cast<uint32_t>(bin);
}

class TrimRun {
 public:
  TrimRun(const RunOptions& options, uint64_t budget_bytes, const ModelTrim& trim, Plan* plan)
      : options_(options),
        trim_(trim),
        plan_(*plan),
        files_(*plan, nullptr),
        pool_(ThreadsFor(budget_bytes)),
        chunks_(pool_.n_workers()),
        thresholds_(trim.densities.size()) {
    for (const uint64_t item : trim.items) {
      const uint64_t n_chunks = (plan_.items[item].job.n_elems + kChunkElems - 1) / kChunkElems;
      first_chunk_.push_back(first_chunk_.back() + n_chunks);
    }
  }

  void Run() {
    CountElems();
    if (trim_.HasThreshold()) {
      FindHighBits();
      FindLowBits();
    }
    Select();
    if (trim_.HasThreshold() && !trim_.keeps_all_ties) ShareTies();
    if (trim_.votes) Vote();
    files_.CheckUnchanged();
  }

 private:
  uint64_t InputsOfLargest() const {
    size_t most = 0;
    for (const uint64_t item : trim_.items) most = std::max(most, plan_.items[item].inputs.size());
    return most;
  }

  // As many as are wanted and fit.
  uint32_t ThreadsFor(uint64_t budget_bytes) const {
    const uint64_t each = trim_.densities.size() * kHighBins * sizeof(uint64_t) +
                          (InputsOfLargest() * sizeof(float) + sizeof(double)) * kChunkElems + (256 << 10);
    const uint64_t used = ResidentBytes(false);
    const uint64_t available = budget_bytes > used ? budget_bytes - used : 0;
    if (available < each)
      throw Error({.code = ErrorCode::kResMemory,
                   .message = "the memory budget is too small for trim_scope: model with so many models",
                   .found = FormatBytes(budget_bytes),
                   .expected = fmt::format("at least {} bytes ({})", used + each, FormatBytes(used + each)),
                   .help = "give more with --memory"});
    const uint32_t wanted = options_.threads > 0 ? options_.threads : std::max(1u, std::thread::hardware_concurrency());
    return static_cast<uint32_t>(std::min<uint64_t>(wanted, available / each));
  }

  // Calls visit(chunk, worker) for every chunk of every item, on all workers.
  void ForEachChunk(const std::function<void(const Chunk&, uint32_t)>& visit) {
    pool_.Run(first_chunk_.back(), [&](uint64_t number, uint32_t worker) {
      if (worker == 0) Report();  // the caller's thread
      const auto after = std::upper_bound(first_chunk_.begin(), first_chunk_.end(), number);
      const auto place = static_cast<size_t>(after - first_chunk_.begin()) - 1;
      Load(place, (number - first_chunk_[place]) * kChunkElems, &chunks_[worker]);
      visit(chunks_[worker], worker);
    });
  }

  void Report() {
    const Clock::time_point now = Clock::now();
    if (!options_.on_progress || now < next_report_) return;
    next_report_ = now + kProgressInterval;
    Progress progress;
    progress.bytes_read = bytes_read_;
    for (const uint64_t item : trim_.items)
      progress.bytes_to_read += trim_.MostPasses() * plan_.items[item].InputBytes();
    progress.elapsed_seconds = std::chrono::duration<double>(now - start_).count();
    if (!options_.on_progress(progress))
      throw Error({.code = ErrorCode::kCancelled, .message = "stopped before the merge was complete"});
  }

  void Load(size_t place, uint64_t first_elem, Chunk* chunk) {
    const PlanItem& item = plan_.items[trim_.items[place]];
    chunk->item = &item;
    chunk->place = place;
    chunk->first_elem = first_elem;
    chunk->n_elems = std::min(kChunkElems, item.job.n_elems - first_elem);
    chunk->values.resize(InputsOfLargest() * kChunkElems);
    chunk->bytes.resize(kChunkElems * sizeof(double));
    for (size_t i = 0; i < item.inputs.size(); ++i) {
      const DType dtype = item.job.inputs[i].dtype;
      const uint64_t elem_bytes = ElementBytes(dtype);
      files_.Read(item.inputs[i], first_elem * elem_bytes, chunk->bytes.data(), chunk->n_elems * elem_bytes);
      bytes_read_ += chunk->n_elems * elem_bytes;
      float* values = &chunk->values[i * kChunkElems];
      for (uint64_t j = 0; j < chunk->n_elems; ++j) values[j] = ToFloat(dtype, &chunk->bytes[j * elem_bytes]);
    }
  }

  // Calls f(model, key) for every element of every model of the chunk that has a threshold.
  template <class Function>
  void ForEachKey(const Chunk& chunk, const Function& f) const {
    const MergeJob& job = chunk.item->job;
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const uint32_t model = ModelOf(job, m);
      if (!thresholds_[model].is_wanted) continue;
      for (uint64_t j = 0; j < chunk.n_elems; ++j) f(model, j, in_model_trim::DeltaMagnitude{}(chunk.At_(j), m));
    }
  }

  static uint32_t ModelOf(const MergeJob& job, uint32_t m) {
    return job.inputs[m + (job.has_base ? 1 : 0)].model_index;
  }

  void CountElems() {
    for (const uint64_t item : trim_.items) {
      const MergeJob& job = plan_.items[item].job;
      for (uint32_t m = 0; m < job.n_models(); ++m) thresholds_[ModelOf(job, m)].n_elems += job.n_elems;
    }
    for (size_t model = 0; model < thresholds_.size(); ++model) {
      Threshold& threshold = thresholds_[model];
      threshold.n_kept = in_model_trim::KeptCount(trim_.densities[model], threshold.n_elems);
      threshold.is_wanted = threshold.n_kept > 0 && threshold.n_kept < threshold.n_elems;
    }
  }

  // (n_models, n_bins): how many keys of the model fall into each bin, for keys of which bin_of gives a bin.
  template <class BinOfKey>
  std::vector<std::vector<uint64_t>> Histogram(size_t n_bins, const BinOfKey& bin_of) {
    using Bins = std::vector<std::vector<uint64_t>>;
    std::vector<Bins> own(pool_.n_workers());
    ForEachChunk([&](const Chunk& chunk, uint32_t worker) {
      if (own[worker].empty()) own[worker].assign(thresholds_.size(), std::vector<uint64_t>(n_bins));
      ForEachKey(chunk, [&](uint32_t model, uint64_t, uint32_t key) {
        const size_t bin = bin_of(thresholds_[model], key);
        if (bin < n_bins) ++own[worker][model][bin];
      });
    });
    Bins sum(thresholds_.size(), std::vector<uint64_t>(n_bins));
    for (const Bins& bins : own)
      for (size_t model = 0; model < bins.size(); ++model)
        for (size_t bin = 0; bin < n_bins; ++bin) sum[model][bin] += bins[model][bin];
    return sum;
  }

  void FindHighBits() {
    const auto bins = Histogram(kHighBins, [](const Threshold&, uint32_t key) -> size_t { return key >> kLowBits; });
    for (size_t model = 0; model < thresholds_.size(); ++model) {
      Threshold& threshold = thresholds_[model];
      if (threshold.is_wanted) threshold.high = BinOf(bins[model], threshold.n_kept, &threshold.n_above);
    }
  }

  void FindLowBits() {
    const auto bins = Histogram(kLowBins, [](const Threshold& threshold, uint32_t key) -> size_t {
      return key >> kLowBits == threshold.high ? key & (kLowBins - 1) : kLowBins;
    });
    for (size_t model = 0; model < thresholds_.size(); ++model) {
      Threshold& threshold = thresholds_[model];
      if (!threshold.is_wanted) continue;
      uint64_t above = 0;
      const uint32_t low = BinOf(bins[model], threshold.ties_kept(), &above);
      threshold.n_above += above;
      threshold.bits = threshold.high << kLowBits | low;
      threshold.n_ties = bins[model][low];
    }
  }

  Selection& SelectionOf(size_t place, uint32_t m) { return plan_.items[trim_.items[place]].job.model_selections[m]; }

  // As if all ties were kept.
  void Select() {
    for (const uint64_t item : trim_.items) {
      MergeJob& job = plan_.items[item].job;
      job.model_selections.clear();
      for (uint32_t m = 0; m < job.n_models(); ++m) {
        const Threshold& threshold = thresholds_[ModelOf(job, m)];
        job.model_selections.push_back(threshold.is_wanted     ? Selection{threshold.bits, job.n_elems}
                                       : threshold.n_kept == 0 ? in_model_trim::kKeepNone
                                                               : in_model_trim::kKeepAll);
      }
    }
  }

  // Ties go to the first tensors, then to the first elements of one.
  void ShareTies() {
    const size_t n_models = thresholds_.size();
    std::vector<std::atomic<uint64_t>> ties(trim_.items.size() * n_models);
    for (Threshold& threshold : thresholds_)
      threshold.is_wanted = threshold.is_wanted && threshold.ties_kept() < threshold.n_ties;
    if (std::none_of(thresholds_.begin(), thresholds_.end(), [](const Threshold& t) { return t.is_wanted; })) return;
    ForEachChunk([&](const Chunk& chunk, uint32_t) {
      std::vector<uint64_t> own(n_models);
      ForEachKey(chunk, [&](uint32_t model, uint64_t, uint32_t key) { own[model] += key == thresholds_[model].bits; });
      for (size_t model = 0; model < n_models; ++model) ties[chunk.place * n_models + model] += own[model];
    });
    for (uint32_t model = 0; model < n_models; ++model) {
      if (!thresholds_[model].is_wanted) continue;
      uint64_t left = thresholds_[model].ties_kept();
      for (size_t place = 0; place < trim_.items.size(); ++place) {
        const uint64_t here = ties[place * n_models + model];
        if (here > left) EndTies(place, model, left);
        left -= std::min(left, here);
      }
    }
  }

  // Of the item's ties of that model only the first `kept` are kept.
  void EndTies(size_t place, uint32_t model, uint64_t kept) {
    const MergeJob& job = plan_.items[trim_.items[place]].job;
    uint32_t m = 0;
    while (ModelOf(job, m) != model) ++m;
    uint64_t end = 0;
    Chunk chunk;
    for (uint64_t first = 0; kept > 0; first += kChunkElems) {
      Load(place, first, &chunk);
      ForEachKey(chunk, [&](uint32_t of, uint64_t j, uint32_t key) {
        if (of != model || kept == 0 || key != thresholds_[model].bits) return;
        --kept;
        end = first + j + 1;
      });
    }
    SelectionOf(place, m).tie_end = end;
  }

  void Vote() {
    std::atomic<int64_t> balance{0};
    ForEachChunk([&](const Chunk& chunk, uint32_t) {
      auto sign = in_model_trim::ModelWideSign(chunk.item->job);
      sign.MoveTo(chunk.first_elem);
      int64_t own = 0;
      for (uint64_t j = 0; j < chunk.n_elems; ++j) {
        double value = 0;
        sign(chunk.At_(j), &value);
        own += static_cast<int64_t>(value);
      }
      balance += own;
    });
    for (const uint64_t item : trim_.items) plan_.items[item].job.model_majority = static_cast<double>(balance);
  }

  const RunOptions& options_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point next_report_ = start_ + kProgressInterval;
  std::atomic<uint64_t> bytes_read_{0};
  const ModelTrim& trim_;
  Plan& plan_;
  const InputFiles files_;
  WorkerPool pool_;
  std::vector<Chunk> chunks_;             // (n_workers)
  std::vector<uint64_t> first_chunk_{0};  // (n_items + 1): number of chunks before the item
  std::vector<Threshold> thresholds_;     // by model_index
};

}  // namespace

void FillModelTrims(const RunOptions& options, uint64_t budget_bytes, Plan* plan) {
  for (const ModelTrim& trim : FindModelTrims(*plan)) TrimRun(options, budget_bytes, trim, plan).Run();
  malloc_trim(0);  // the merge divides what is left of the budget
}

}  // namespace gpumerge
