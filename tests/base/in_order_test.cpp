// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Threads that work on parts of one thing and do one step of it in order.
#include "src/base/in_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

namespace gpumerge {
namespace {

using std::chrono::milliseconds;

// Parts of these lengths, handed out in order to some threads; f(first, end, number) for each.
template <class Function>
void RunParts(const std::vector<uint64_t>& lengths, uint32_t n_threads, const Function& f) {
  std::vector<uint64_t> ends;
  for (const uint64_t length : lengths) ends.push_back((ends.empty() ? 0 : ends.back()) + length);
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < n_threads; ++t)
    threads.emplace_back([&] {
      for (size_t part = next++; part < lengths.size(); part = next++) f(ends[part] - lengths[part], ends[part], part);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(InOrderTest, NobodyWaitsForTheBeginning) {
  InOrder order;
  EXPECT_TRUE(order.Wait(0));
  EXPECT_TRUE(order.Wait(0));  // and it is no turn that is used up
}

TEST(InOrderTest, ThePastNeedsNoWait) {
  InOrder order;
  order.Advance(100);
  EXPECT_TRUE(order.Wait(99));
  EXPECT_TRUE(order.Wait(100));
  order.Advance(50);  // never back
  EXPECT_TRUE(order.Wait(100));
}

TEST(InOrderTest, PartsGoOneAfterTheOther) {
  std::mt19937_64 random(1);
  for (const uint32_t n_threads : {1u, 2u, 3u, 8u}) {
    std::vector<uint64_t> lengths(2000);
    for (uint64_t& length : lengths) length = 1 + random() % 1000;
    InOrder order;
    std::vector<size_t> passed;  // guarded by the order, which is what a data race would show
    std::atomic<int> inside{0};
    RunParts(lengths, n_threads, [&](uint64_t first, uint64_t end, size_t part) {
      if (part % 7 == 0) std::this_thread::yield();
      ASSERT_TRUE(order.Wait(first));
      EXPECT_EQ(inside++, 0);
      passed.push_back(part);
      --inside;
      order.Advance(end);
    });
    ASSERT_EQ(passed.size(), lengths.size());
    for (size_t i = 0; i < passed.size(); ++i) ASSERT_EQ(passed[i], i) << n_threads << " threads";
  }
}

// Long enough for the waiting ones to have been put to sleep.
TEST(InOrderTest, WhoeverSleepsIsWoken) {
  InOrder order;
  std::vector<size_t> passed;
  RunParts(std::vector<uint64_t>(8, 10), 8, [&](uint64_t first, uint64_t end, size_t part) {
    if (part == 0) std::this_thread::sleep_for(milliseconds(50));
    ASSERT_TRUE(order.Wait(first));
    passed.push_back(part);
    order.Advance(end);
  });
  EXPECT_EQ(passed, (std::vector<size_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

// A part advances in pieces, as one that is hashed while it is read.
TEST(InOrderTest, OneWhoIsHalfThroughLetsNobodyPass) {
  InOrder order;
  order.Advance(5);
  std::atomic<bool> has_passed{false};
  std::thread next([&] {
    EXPECT_TRUE(order.Wait(10));
    has_passed = true;
  });
  order.Advance(9);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(has_passed);
  order.Advance(10);
  next.join();
  EXPECT_TRUE(has_passed);
}

TEST(InOrderTest, StopTellsAllWhoWaitAndAllWhoCome) {
  InOrder order;
  std::atomic<int> stopped{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 6; ++t)
    threads.emplace_back([&order, &stopped, t] { stopped += order.Wait(t * 1000) ? 0 : 1; });
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(stopped, 0);
  order.Stop();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stopped, 6);
  EXPECT_FALSE(order.Wait(0));
  EXPECT_FALSE(order.Wait(~uint64_t{0}));
  order.Advance(3);  // by one who had passed before
  EXPECT_FALSE(order.Wait(4));
}

// Of a run that ends: a reading that begins meanwhile must not make anybody wait.
TEST(InOrderTest, ARestartDoesNotUndoAStop) {
  InOrder order;
  order.Stop();
  order.Restart();
  EXPECT_FALSE(order.Wait(0));
}

TEST(InOrderTest, FinishLetsAllPass) {
  InOrder order;
  std::atomic<int> passed{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 6; ++t) threads.emplace_back([&, t] { passed += order.Wait(t * 1000) ? 1 : 0; });
  order.Finish();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed, 6);
  order.Advance(10);  // by the one who finished
  EXPECT_TRUE(order.Wait(1u << 30));
}

TEST(InOrderTest, RestartBeginsAnotherRound) {
  InOrder order;
  for (uint32_t round = 0; round < 50; ++round) {
    if (round % 2 == 1) order.Finish();  // how the last one ended makes no difference
    order.Restart();
    std::vector<size_t> passed;
    RunParts(std::vector<uint64_t>(20, 3), 4, [&](uint64_t first, uint64_t end, size_t part) {
      ASSERT_TRUE(order.Wait(first));
      passed.push_back(part);
      order.Advance(end);
    });
    ASSERT_EQ(passed.size(), 20u);
    for (size_t i = 0; i < passed.size(); ++i) ASSERT_EQ(passed[i], i);
  }
}

}  // namespace
}  // namespace gpumerge
