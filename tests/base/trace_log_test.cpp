// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/base/trace_log.h"

#include "src/base/trace_range.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

namespace gpumerge {
namespace {

struct Kept {
  std::string name, tensor;
  TraceEvent event;
};

std::vector<Kept> EventsOf(const TraceLog& log) {
  std::vector<Kept> events;
  log.ForEachEvent([&](const TraceEvent& event) {
    events.push_back({event.name, std::string(event.subject.tensor), event});
  });
  return events;
}

class TraceLogTest : public ::testing::Test {
 protected:
  ~TraceLogTest() override { log_.Stop(); }
  TraceLog& log_ = TraceLog::Get();
};

TEST_F(TraceLogTest, KeepsRangesWithTheirSubjects) {
  log_.Start();
  {
    const std::string name = "x.weight";
    const TraceRange outer("compute", {.tensor = name, .n_tensors = 3});
    const TraceRange inner("read", {.tensor = name, .reading = 2, .bytes = 100});
  }
  const std::vector<Kept> events = EventsOf(log_);
  ASSERT_EQ(events.size(), 2u);  // as they end
  EXPECT_EQ(events[0].name, "read");
  EXPECT_EQ(events[0].tensor, "x.weight");
  EXPECT_EQ(events[0].event.subject.reading, 2u);
  EXPECT_EQ(events[0].event.subject.bytes, 100u);
  EXPECT_EQ(events[1].name, "compute");
  EXPECT_EQ(events[1].tensor, "x.weight");
  EXPECT_EQ(events[1].event.subject.n_tensors, 3u);
  EXPECT_EQ(events[0].event.thread, events[1].event.thread);
  EXPECT_LE(events[1].event.start_ns, events[0].event.start_ns);
  EXPECT_GE(events[1].event.start_ns + events[1].event.duration_ns,
            events[0].event.start_ns + events[0].event.duration_ns);
}

TEST_F(TraceLogTest, KeepsNothingWhenOff) {
  log_.Start();
  { const TraceRange range("before"); }
  log_.Stop();
  { const TraceRange range("after"); }
  log_.NameThread("nobody", 1);
  ASSERT_EQ(EventsOf(log_).size(), 1u);
  EXPECT_EQ(EventsOf(log_)[0].name, "before");
  log_.ForEachThread([](uint32_t, const char*, uint32_t) { ADD_FAILURE(); });
}

TEST_F(TraceLogTest, CountsWhatDoesNotFit) {
  log_.Start(10);
  for (int i = 0; i < 25; ++i) const TraceRange range("read");
  EXPECT_EQ(EventsOf(log_).size(), 10u);
  EXPECT_EQ(log_.n_dropped(), 15u);
  log_.Start(10);
  EXPECT_EQ(EventsOf(log_).size(), 0u);
  EXPECT_EQ(log_.n_dropped(), 0u);
}

TEST_F(TraceLogTest, CountsWhatHasNoRoomForItsName) {
  log_.Start();
  const std::string half(TraceLog::kMostTextBytes / 2 + 1, 'a'), other(TraceLog::kMostTextBytes / 2 + 1, 'b');
  { const TraceRange range("read", {.tensor = half}); }
  { const TraceRange range("read", {.tensor = half}); }  // of the same tensor: kept once
  { const TraceRange range("read", {.tensor = other}); }
  const std::vector<Kept> events = EventsOf(log_);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].tensor, half);
  EXPECT_EQ(log_.n_dropped(), 1u);
}

TEST_F(TraceLogTest, ThreadsKeepTheirOwn) {
  constexpr uint32_t kThreads = 8, kEvents = 500;
  log_.Start();
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t)
    threads.emplace_back([t] {
      TraceLog::Get().NameThread("worker", t);
      for (uint32_t i = 0; i < kEvents; ++i) {
        const std::string tensor = std::to_string(t) + "." + std::to_string(i);
        const TraceRange range("compute", {.tensor = tensor, .bytes = t});
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::map<uint32_t, uint32_t> number_of;  // thread -> t
  log_.ForEachThread([&](uint32_t thread, const char* role, uint32_t number) {
    EXPECT_STREQ(role, "worker");
    number_of[thread] = number;
  });
  ASSERT_EQ(number_of.size(), kThreads);
  std::map<uint32_t, uint32_t> seen;
  for (const Kept& kept : EventsOf(log_)) {
    const uint32_t t = number_of.at(kept.event.thread);
    EXPECT_EQ(kept.tensor, std::to_string(t) + "." + std::to_string(seen[t]++));
    EXPECT_EQ(kept.event.subject.bytes, t);
  }
  for (uint32_t t = 0; t < kThreads; ++t) EXPECT_EQ(seen[t], kEvents);
}

}  // namespace
}  // namespace gpumerge
