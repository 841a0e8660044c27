// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Why this never waits for itself: the first item that is not taken reads only what stands before it, and with nothing
// under way all of that is done. What was taken before its turn is at most most_ahead_bytes_, and the rest of the
// scratch file is what a run in order would hold, so the first item always finds room.
#include "src/run/item_queue.h"

#include "src/run/units.h"

#include <algorithm>

namespace gpumerge {
namespace {

// Norms and biases stand between the large tensors; on a device they go together, in few launches.
constexpr uint64_t kSmallGroupBytes = 1 << 20;
// How far to look for something to do while others are waited for.
constexpr size_t kLookAhead = 256;
// Room for what is taken before its turn, at least.
constexpr uint64_t kAheadBytes = 64 << 20;

// What reads a large tensor's result is no small one: it would come before it.
std::vector<bool> SmallItems(const Plan& plan, PlanPart part) {
  std::vector<bool> small(part.last - part.first);
  for (uint64_t i = part.first; i < part.last; ++i) {
    const PlanItem& item = plan.items[i];
    small[i - part.first] = GroupBytes(item) <= kSmallGroupBytes &&
                            std::all_of(item.inputs.begin(), item.inputs.end(), [&](const PlanInput& input) {
                              return !input.item || small[*input.item - part.first];
                            });
  }
  return small;
}

}  // namespace

std::vector<uint64_t> ItemsReadBy(const PlanItem& item) {
  std::vector<uint64_t> items;
  for (const PlanInput& input : item.inputs)
    if (input.item && std::find(items.begin(), items.end(), *input.item) == items.end()) items.push_back(*input.item);
  return items;
}

uint64_t MostScratchBytes(const Plan& plan) {
  if (plan.stages.empty()) return 0;
  const PlanPart whole{0, plan.items.size()};
  return std::max(ItemQueue(plan, whole, false).most_scratch_bytes(),
                  ItemQueue(plan, whole, true).most_scratch_bytes());
}

ItemQueue::ItemQueue(const Plan& plan, PlanPart part, bool small_first, const std::vector<bool>* done) : plan_(plan) {
  for (uint64_t i = part.first; i < part.last; ++i)
    if (done == nullptr || !(*done)[i]) order_.push_back(i);
  taken_.resize(order_.size());
  if (small_first) {
    const std::vector<bool> small = SmallItems(plan, part);
    std::stable_partition(order_.begin(), order_.end(), [&](uint64_t item) { return small[item - part.first]; });
  }
  if (plan.stages.empty()) return;
  FindReaders();
  uint64_t all_bytes = 0;
  for (const auto& [item, readers] : readers_) all_bytes += plan.items[item].size_bytes;
  const uint64_t in_order_bytes = ScratchInOrder();
  most_ahead_bytes_ = std::min(all_bytes - in_order_bytes, std::max(in_order_bytes, kAheadBytes));
  most_scratch_bytes_ = in_order_bytes + most_ahead_bytes_;
}

void ItemQueue::FindReaders() {
  for (const uint64_t i : order_) {
    if (plan_.items[i].stage) readers_[i];
    const std::vector<uint64_t> read = ItemsReadBy(plan_.items[i]);
    if (!read.empty()) waits_for_[i] = read.size();
    for (const uint64_t item : read) {
      readers_[item].items.push_back(i);
      ++readers_[item].n_left;
    }
  }
  for (size_t place = 0; place < order_.size(); ++place) place_of_[order_[place]] = place;
}

// What is held at once when one item follows the other.
uint64_t ItemQueue::ScratchInOrder() {
  std::unordered_map<uint64_t, size_t> left;
  for (const auto& [item, readers] : readers_) left[item] = readers.n_left;
  uint64_t bytes = 0, most = 0;
  for (const uint64_t i : order_) {
    if (plan_.items[i].stage) most = std::max(most, bytes += plan_.items[i].size_bytes);
    for (const uint64_t item : ItemsReadBy(plan_.items[i]))
      if (--left[item] == 0) bytes -= plan_.items[item].size_bytes;
  }
  return most;
}

bool ItemQueue::MayGo(uint64_t item, bool is_first) const {
  if (waits_for_.contains(item)) return false;
  if (!plan_.items[item].stage) return true;
  const uint64_t bytes = plan_.items[item].size_bytes;
  if (scratch_bytes_ + bytes > most_scratch_bytes_) return false;
  return is_first || ahead_bytes_ + bytes <= most_ahead_bytes_;
}

std::optional<uint64_t> ItemQueue::Front() const {
  const size_t end = plan_.stages.empty() ? order_.size() : std::min(order_.size(), next_ + kLookAhead);
  for (size_t place = next_; place < end; ++place)
    if (!taken_[place] && MayGo(order_[place], place == next_)) return order_[place];
  return std::nullopt;
}

void ItemQueue::Take(uint64_t item) {
  const size_t place = plan_.stages.empty() ? next_ : place_of_.at(item);
  taken_[place] = true;
  if (plan_.items[item].stage) {
    scratch_bytes_ += plan_.items[item].size_bytes;
    readers_[item].is_ahead = place > next_;
    if (place > next_) ahead_bytes_ += plan_.items[item].size_bytes;
  }
  for (; next_ < order_.size() && taken_[next_]; ++next_) {
    const auto passed = readers_.find(order_[next_]);
    if (passed == readers_.end() || !passed->second.is_ahead) continue;
    passed->second.is_ahead = false;
    ahead_bytes_ -= plan_.items[passed->first].size_bytes;
  }
}

void ItemQueue::Done(uint64_t item) {
  if (plan_.stages.empty()) return;
  if (const auto made = readers_.find(item); made != readers_.end())
    for (const uint64_t reader : made->second.items)
      if (--waits_for_.at(reader) == 0) waits_for_.erase(reader);
  for (const uint64_t read : ItemsReadBy(plan_.items[item])) {
    Readers& readers = readers_.at(read);
    if (--readers.n_left == 0) Free(read, &readers);
  }
}

void ItemQueue::Free(uint64_t item, Readers* readers) {
  scratch_bytes_ -= plan_.items[item].size_bytes;
  if (!readers->is_ahead) return;
  readers->is_ahead = false;
  ahead_bytes_ -= plan_.items[item].size_bytes;
}

}  // namespace gpumerge
