// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Tasks are done once each, on all workers, again and again; what a task throws reaches the caller.
#include "src/cpu/worker_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpumerge {
namespace {

TEST(WorkerPool, DoesEveryTaskOnce) {
  for (const uint32_t workers : {1u, 2u, 5u}) {
    WorkerPool pool(workers);
    EXPECT_EQ(pool.n_workers(), workers);
    for (const uint64_t n_tasks : {0u, 1u, 2u, 3u, 100u}) {
      std::vector<std::atomic<int>> done(n_tasks);
      pool.Run(n_tasks, [&](uint64_t number, uint32_t worker) {
        EXPECT_LT(worker, workers);
        ++done[number];
      });
      for (uint64_t number = 0; number < n_tasks; ++number) EXPECT_EQ(done[number], 1) << number << " of " << n_tasks;
    }
  }
}

TEST(WorkerPool, TakesFewerThanOneWorkerAsOne) {
  WorkerPool pool(0);
  EXPECT_EQ(pool.n_workers(), 1u);
  int done = 0;
  pool.Run(3, [&](uint64_t, uint32_t worker) { done += worker == 0 ? 1 : 0; });
  EXPECT_EQ(done, 3);
}

TEST(WorkerPool, WorkersRunAtTheSameTime) {
  WorkerPool pool(3);
  std::barrier everyone(3);
  std::vector<uint32_t> worker_of(3);
  pool.Run(3, [&](uint64_t number, uint32_t worker) {
    everyone.arrive_and_wait();  // passes only when three tasks run together
    worker_of[number] = worker;
  });
  EXPECT_EQ(worker_of[0] + worker_of[1] + worker_of[2], 0u + 1u + 2u);
}

TEST(WorkerPool, ASingleTaskStaysWithTheCaller) {
  WorkerPool pool(4);
  std::thread::id thread;
  pool.Run(1, [&](uint64_t, uint32_t worker) {
    EXPECT_EQ(worker, 0u);
    thread = std::this_thread::get_id();
  });
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST(WorkerPool, NumbersOfOneWorkerAscend) {
  WorkerPool pool(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<uint64_t>> numbers(3);
    pool.Run(64, [&](uint64_t number, uint32_t worker) { numbers[worker].push_back(number); });
    size_t total = 0;
    for (const auto& list : numbers) {
      EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
      total += list.size();
    }
    EXPECT_EQ(total, 64u);
  }
}

TEST(WorkerPool, IsReusedManyTimes) {
  WorkerPool pool(4);
  uint64_t expected = 0;
  std::atomic<uint64_t> sum{0};
  for (uint64_t round = 0; round < 2000; ++round) {
    const uint64_t n_tasks = round % 7;
    pool.Run(n_tasks, [&](uint64_t number, uint32_t) { sum += round * number; });
    for (uint64_t number = 0; number < n_tasks; ++number) expected += round * number;
    ASSERT_EQ(sum, expected) << "after round " << round;
  }
}

std::string WhatRunThrows(WorkerPool& pool, uint64_t n_tasks, const std::function<void(uint64_t, uint32_t)>& task) {
  try {
    pool.Run(n_tasks, task);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(WorkerPool, RethrowsAndGoesOn) {
  for (const uint32_t workers : {1u, 3u}) {
    WorkerPool pool(workers);
    for (const uint64_t thrower : {0u, 1u, 63u}) {
      std::atomic<int> after{0};
      EXPECT_EQ(WhatRunThrows(pool, 64,
                              [&](uint64_t number, uint32_t) {
                                if (number == thrower) throw std::runtime_error("task " + std::to_string(number));
                              }),
                "task " + std::to_string(thrower));
      pool.Run(64, [&](uint64_t, uint32_t) { ++after; });
      EXPECT_EQ(after, 64) << "the failure is forgotten and every worker is back";
    }
  }
}

TEST(WorkerPool, RethrowsOneOfManyAndStopsTakingTasks) {
  WorkerPool pool(3);
  std::atomic<int> started{0};
  const std::string what = WhatRunThrows(pool, 100'000, [&](uint64_t, uint32_t) {
    ++started;
    throw std::runtime_error("each");
  });
  EXPECT_EQ(what, "each");
  EXPECT_LE(started, 3);  // each worker throws once at most
}

TEST(WorkerPool, EndsWithoutHavingRun) {
  for (int i = 0; i < 20; ++i) WorkerPool pool(4);
}

}  // namespace
}  // namespace gpumerge
