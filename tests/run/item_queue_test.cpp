// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Items between stages: never before what they read, never more in the scratch file than promised, never stuck.
#include "src/run/item_queue.h"

#include "tests/run/synthetic_plan.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>

namespace gpumerge::test {
namespace {

PlanItem Reading(PlanItem item, const std::vector<uint64_t>& read) {
  for (size_t i = 0; i < read.size(); ++i) item.inputs[i].item = read[i];
  return item;
}
PlanItem OfStage(PlanItem item) {
  item.stage = 0;
  return item;
}

Plan RandomPlan(std::mt19937* random) {
  Plan plan;
  plan.stages.push_back({"s", "linear", 0, {}});
  std::vector<uint64_t> made;
  std::set<uint64_t> unread;
  const size_t n_items = 2 + (*random)() % 60;
  while (plan.items.size() < n_items || !unread.empty()) {
    const uint64_t index = plan.items.size();
    std::vector<uint64_t> read;
    for (const uint64_t item : made)
      if ((*random)() % 4 == 0 && read.size() < 4) read.push_back(item);
    if (index >= n_items && !unread.empty()) read = {*unread.begin()};
    PlanItem item = Reading(MakeItem(1 + (*random)() % 200'000, kLinearPasses), read);
    for (const uint64_t r : read) unread.erase(r);
    if (index < n_items && (*random)() % 2 == 0) {
      item = OfStage(std::move(item));
      made.push_back(index);
      unread.insert(index);
    }
    plan.items.push_back(std::move(item));
  }
  return plan;
}

TEST(ItemQueueTest, AnyPlanInAnyOrderOfWork) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const Plan plan = RandomPlan(&random);
    ItemQueue queue(plan, {0, plan.items.size()}, round % 2 == 0);
    std::vector<uint64_t> under_way, left(plan.items.size());
    std::vector<bool> done(plan.items.size());
    for (const PlanItem& item : plan.items)
      for (const uint64_t read : ItemsReadBy(item)) ++left[read];
    uint64_t scratch = 0, n_done = 0;
    while (!queue.empty() || !under_way.empty()) {
      const std::optional<uint64_t> next = random() % 2 == 0 ? queue.Front() : std::nullopt;
      if (next) {
        const PlanItem& item = plan.items[*next];
        for (const uint64_t read : ItemsReadBy(item)) ASSERT_TRUE(done[read]) << "read before it is made";
        if (item.stage) scratch += item.size_bytes;
        ASSERT_LE(scratch, queue.most_scratch_bytes());
        queue.Take(*next);
        under_way.push_back(*next);
        continue;
      }
      if (under_way.empty()) {
        ASSERT_TRUE(queue.Front()) << "stuck";
        continue;
      }
      std::swap(under_way[random() % under_way.size()], under_way.back());
      const uint64_t item = under_way.back();
      under_way.pop_back();
      queue.Done(item);
      done[item] = true;
      ++n_done;
      for (const uint64_t read : ItemsReadBy(plan.items[item]))
        if (--left[read] == 0) scratch -= plan.items[read].size_bytes;
    }
    EXPECT_EQ(n_done, plan.items.size());
    EXPECT_EQ(scratch, 0u);
    EXPECT_LE(queue.most_scratch_bytes(), MostScratchBytes(plan));
  }
}

TEST(ItemQueueTest, WhatWaitsLetsOthersPass) {
  Plan plan = MakePlanOf({OfStage(MakeItem(100, kLinearPasses)), Reading(MakeItem(100, kLinearPasses), {0}),
                          OfStage(MakeItem(100, kLinearPasses)), Reading(MakeItem(100, kLinearPasses), {2})});
  plan.stages.push_back({"s", "linear", 0, {}});
  ItemQueue queue(plan, {0, 4}, false);
  EXPECT_EQ(queue.Front(), 0u);
  queue.Take(0);
  EXPECT_EQ(queue.Front(), 2u) << "while the second item waits";
  queue.Take(2);
  EXPECT_EQ(queue.Front(), std::nullopt);
  queue.Done(2);
  EXPECT_EQ(queue.Front(), 3u);
  queue.Done(0);
  EXPECT_EQ(queue.Front(), 1u);
}

TEST(ItemQueueTest, ScratchIsWhatIsHeldAtOnce) {
  constexpr uint64_t kElems = 64 << 20;
  std::vector<PlanItem> items;
  for (uint64_t i = 0; i < 20; i += 2) {
    items.push_back(OfStage(MakeItem(kElems, kLinearPasses)));
    items.push_back(Reading(MakeItem(kElems, kLinearPasses), {i}));
  }
  Plan plan = MakePlanOf(std::move(items));
  plan.stages.push_back({"s", "linear", 0, {}});
  EXPECT_EQ(MostScratchBytes(plan), 2 * 2 * kElems) << "one in its turn and one ahead, of ten";
  EXPECT_EQ(MostScratchBytes(MakePlanOf({MakeItem(100, kLinearPasses)})), 0u);
}

}  // namespace
}  // namespace gpumerge::test
