// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The items of a run that nobody has taken yet, in the order in which they go. An item that reads what others make is
// handed out when those are done; meanwhile the ones behind it go, as far as the scratch file may grow. Not
// thread-safe.
#pragma once

#include "gpumerge/plan.h"

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gpumerge {

class ItemQueue {
 public:
  // small_first: small tensors before the others, so that they fill batches. done: (n_items of the plan), left out;
  // what reads such an item is done as well. Null: none is.
  ItemQueue(const Plan& plan, PlanPart part, bool small_first, const std::vector<bool>* done = nullptr);

  bool empty() const { return next_ == order_.size(); }
  // The next item that may be taken; nullopt: none before another is done, or none is left.
  std::optional<uint64_t> Front() const;
  // What Front said.
  void Take(uint64_t item);
  void Done(uint64_t item);

  // The most that items between stages take of the scratch file at once.
  uint64_t most_scratch_bytes() const { return most_scratch_bytes_; }

 private:
  // Of a stage's item: who reads it, and how many of those are not done.
  struct Readers {
    std::vector<uint64_t> items;
    size_t n_left = 0;
    bool is_ahead = false;  // taken before one that stands in front of it
  };

  void FindReaders();
  uint64_t ScratchInOrder();
  bool MayGo(uint64_t item, bool is_first) const;
  void Free(uint64_t item, Readers* readers);

  const Plan& plan_;
  std::vector<uint64_t> order_;
  std::vector<bool> taken_;                         // as order_
  size_t next_ = 0;                                 // in order_: the first that is not taken
  std::unordered_map<uint64_t, Readers> readers_;   // of stages' items
  std::unordered_map<uint64_t, size_t> waits_for_;  // by item: inputs that are not made yet
  std::unordered_map<uint64_t, size_t> place_of_;   // in order_, of plans with stages
  uint64_t scratch_bytes_ = 0, ahead_bytes_ = 0;
  uint64_t most_scratch_bytes_ = 0, most_ahead_bytes_ = 0;
};

// What each item of a plan with stages reads of others, each once.
std::vector<uint64_t> ItemsReadBy(const PlanItem& item);

// The most that a run of the plan takes of its scratch file at once, whatever it runs on.
uint64_t MostScratchBytes(const Plan& plan);

}  // namespace gpumerge
