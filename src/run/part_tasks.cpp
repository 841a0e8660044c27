// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
#include "src/run/part_tasks.h"

#include <algorithm>

namespace gpumerge {

PartTasks::PartTasks(const Plan& plan, PlanPart part, const std::vector<bool>* done, const UnitSizes& sizes,
                     Stages* stages)
    : plan_(plan), sizes_(sizes), stages_(*stages), queue_(plan, part, false, done) {}

std::optional<PartTask> PartTasks::WaitForNext() {
  std::unique_lock lock(mutex_);
  while (!IsOver()) {
    if (const std::optional<PartTask> task = TaskUnderWay()) return task;
    if (ItemUnderWay* next = Begin()) {
      if (next->is_whole) return PartTask{next, false, 0, next->n_elems};
    } else {
      changed_.wait(lock);
    }
  }
  return std::nullopt;
}

std::optional<PartTask> PartTasks::TaskUnderWay() {
  for (ItemUnderWay& item : items_) {
    if (item.state == ItemUnderWay::State::kToBegin && MayBegin(&item)) {
      item.state = ItemUnderWay::State::kBeginning;
      return PartTask{&item, true};
    }
    if (item.state != ItemUnderWay::State::kInParts || item.next_elem >= item.n_elems) continue;
    const PartTask task{&item, false, item.next_elem, std::min(item.part_elems, item.n_elems - item.next_elem)};
    item.next_elem += task.n_elems;
    ++item.parts_under_way;
    return task;
  }
  return std::nullopt;
}

bool PartTasks::MayBegin(ItemUnderWay* item) {
  item->is_alone = item->work.state != nullptr && sizes_.workers->IsAlone(item->work);
  return !item->is_alone || std::none_of(items_.begin(), items_.end(), [&](const ItemUnderWay& other) {
    return &other != item && other.is_alone && other.state != ItemUnderWay::State::kToBegin;
  });
}

// The next item, if there may be another one on its way. A whole one is the caller's.
ItemUnderWay* PartTasks::Begin() {
  const std::optional<uint64_t> next = queue_.Front();
  if (!next) return nullptr;
  const PlanItem& item = plan_.items[*next];
  const bool is_whole = WayOf(item, sizes_) == Way::kWhole;
  const auto in_parts = std::count_if(items_.begin(), items_.end(), [](const ItemUnderWay& i) { return !i.is_whole; });
  if (!is_whole && static_cast<size_t>(in_parts) >= kMostInParts) return nullptr;
  // First what may fail: other workers take what stands in the list.
  stages_.Begin(*next, 0);
  queue_.Take(*next);
  ItemUnderWay& begun = items_.emplace_back();
  begun.item = *next;
  begun.is_whole = is_whole;
  begun.n_elems = item.action == PlanAction::kCopy ? item.size_bytes : item.job.n_elems;
  begun.work.job = &item.job;
  begun.work.state = stages_.StateOf(*next);
  begun.work.n_elems = begun.n_elems;
  if (!is_whole) return &begun;
  begun.writes = true;
  begun.state = ItemUnderWay::State::kBeginning;
  begun.parts_under_way = 1;
  return &begun;
}

void PartTasks::Begun(ItemUnderWay* item) {
  const std::lock_guard lock(mutex_);
  item->next_elem = 0;
  item->state = ItemUnderWay::State::kInParts;
  changed_.notify_all();
}

bool PartTasks::PartDone(ItemUnderWay* item) {
  const std::lock_guard lock(mutex_);
  const bool all_handed_out = item->is_whole || item->next_elem >= item->n_elems;
  if (--item->parts_under_way > 0 || !all_handed_out) return false;
  item->state = ItemUnderWay::State::kBeginning;
  return true;
}

void PartTasks::ReadingDone(ItemUnderWay* item, bool goes_on) {
  const std::lock_guard lock(mutex_);
  if (goes_on) {
    item->state = ItemUnderWay::State::kToBegin;
  } else {
    queue_.Done(item->item);
    items_.remove_if([&](const ItemUnderWay& each) { return &each == item; });
  }
  changed_.notify_all();
}

void PartTasks::Fail() {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::current_exception();
  // Output last to be made, first to be stopped: what a stopped part leaves behind is never written.
  for (ItemUnderWay& item : items_) {
    stages_.StopWaiting(item.item);
    item.order.Stop();
  }
  changed_.notify_all();
}

}  // namespace gpumerge
