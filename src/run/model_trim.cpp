// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Counting is exact and in whole numbers, so neither threads nor chunks show in the result.
#include "src/run/model_trim.h"

#define GM_TARGET in_model_trim
#include "kernels/selection.h"
#include "kernels/sign_election.h"
#include "src/run/trim_reader.h"

#include <algorithm>
#include <atomic>
#include <malloc.h>
#include <vector>

namespace gpumerge {
namespace {

using in_model_trim::At;

// A key of 31 bits in two steps.
constexpr uint32_t kLowBits = 15;
constexpr size_t kHighBins = size_t{1} << 16, kLowBins = size_t{1} << kLowBits;

At<float> ElemOf(const TrimChunk& chunk, uint64_t j) {
  return {.x = {&chunk.values[j], static_cast<uint32_t>(kTrimChunkElems)}, .draw = {}, .i = static_cast<uint32_t>(j)};
}

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
      : trim_(trim),
        plan_(*plan),
        reader_(options, budget_bytes, trim.densities.size() * kHighBins * sizeof(uint64_t), trim, *plan),
        thresholds_(trim.densities.size()) {}

  void Run() {
    CountElems();
    if (trim_.HasThreshold()) {
      FindHighBits();
      FindLowBits();
    }
    Select();
    if (trim_.HasThreshold() && !trim_.keeps_all_ties) ShareTies();
    if (trim_.votes) Vote();
    reader_.CheckUnchanged();
  }

 private:
  // Calls f(model, key) for every element of every model of the chunk that has a threshold.
  template <class Function>
  void ForEachKey(const TrimChunk& chunk, const Function& f) const {
    const MergeJob& job = chunk.item->job;
    for (uint32_t m = 0; m < job.n_models(); ++m) {
      const uint32_t model = ModelOf(job, m);
      if (!thresholds_[model].is_wanted) continue;
      for (uint64_t j = 0; j < chunk.n_elems; ++j) f(model, j, in_model_trim::DeltaMagnitude{}(ElemOf(chunk, j), m));
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
    std::vector<Bins> own(reader_.n_workers(), Bins(thresholds_.size(), std::vector<uint64_t>(n_bins)));
    reader_.ForEachChunk([&](const TrimChunk& chunk, uint32_t worker) {
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
    reader_.ForEachChunk([&](const TrimChunk& chunk, uint32_t) {
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
    TrimChunk chunk;
    reader_.Reserve(&chunk);
    for (uint64_t first = 0; kept > 0; first += kTrimChunkElems) {
      reader_.Load(place, first, &chunk);
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
    reader_.ForEachChunk([&](const TrimChunk& chunk, uint32_t) {
      auto sign = in_model_trim::ModelWideSign(chunk.item->job);
      sign.MoveTo(chunk.first_elem);
      int64_t own = 0;
      for (uint64_t j = 0; j < chunk.n_elems; ++j) {
        double value = 0;
        sign(ElemOf(chunk, j), &value);
        own += static_cast<int64_t>(value);
      }
      balance += own;
    });
    for (const uint64_t item : trim_.items) plan_.items[item].job.model_majority = static_cast<double>(balance);
  }

  const ModelTrim& trim_;
  Plan& plan_;
  TrimReader reader_;
  std::vector<Threshold> thresholds_;  // by model_index
};

}  // namespace

void FillModelTrims(const RunOptions& options, uint64_t budget_bytes, Plan* plan) {
  for (const ModelTrim& trim : FindModelTrims(*plan)) TrimRun(options, budget_bytes, trim, plan).Run();
  malloc_trim(0);  // the merge divides what is left of the budget
}

}  // namespace gpumerge
