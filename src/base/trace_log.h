// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What each thread of this process did when, for `--trace`. One log a process, off until it is started: then recording
// costs one relaxed load. All memory is taken when it starts, so that a trace counts as part of --memory and no
// recording can fail; what comes when it is full is counted, not kept. Thread-safe, but for Start and ForEachEvent.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace gpumerge {

// What a stretch of time was spent on. Texts must live until it ends.
struct TraceSubject {
  std::string_view tensor{};
  uint32_t n_tensors = 1;  // that one and others
  uint32_t reading = 0;    // of the inputs, the first is 1; 0: none, or all of them at once
  uint64_t bytes = 0;      // moved; 0: none
};

struct TraceEvent {
  const char* name = nullptr;
  uint32_t thread = 0;
  uint64_t start_ns = 0, duration_ns = 0;  // since the log was started
  TraceSubject subject{};
};

class TraceLog {
 public:
  // Together 8 MB.
  static constexpr uint32_t kMostEvents = 100'000, kMostTextBytes = 1'600'000, kMostThreads = 10'000;

  static bool IsOn() { return is_on_.load(std::memory_order_relaxed); }
  static TraceLog& Get();

  // Begins anew. Not while anything is recorded. Throws std::bad_alloc.
  void Start(uint32_t most_events = kMostEvents);
  void Stop() { is_on_.store(false, std::memory_order_relaxed); }

  // Does nothing when the log is off. role: a literal.
  void NameThread(const char* role, uint32_t number);
  uint64_t NowNs() const;
  // event.name: a literal; event.thread is filled in here.
  void Add(TraceEvent event);

  // Of threads that have ended or record no more.
  void ForEachEvent(const std::function<void(const TraceEvent& event)>& f) const;
  void ForEachThread(const std::function<void(uint32_t thread, const char* role, uint32_t number)>& f) const;
  uint64_t n_dropped() const { return n_dropped_; }

 private:
  struct Record {
    std::atomic<const char*> name{nullptr};  // null: claimed, not yet filled
    uint32_t thread = 0;
    uint32_t text_begin = 0, text_bytes = 0;
    uint32_t n_tensors = 0, reading = 0;
    uint64_t start_ns = 0, duration_ns = 0, bytes = 0;
  };
  struct ThreadName {
    std::atomic<const char*> role{nullptr};
    uint32_t thread = 0, number = 0;
  };

  bool CopyText(std::string_view text, uint32_t* begin);

  static inline std::atomic<bool> is_on_{false};
  uint64_t started_at_ns_ = 0;
  uint32_t most_events_ = 0;
  std::unique_ptr<Record[]> records_;  // (most_events)
  std::unique_ptr<char[]> text_;       // (kMostTextBytes)
  std::unique_ptr<ThreadName[]> names_;
  std::atomic<uint64_t> n_records_{0}, text_bytes_{0}, n_names_{0}, n_dropped_{0};
};

}  // namespace gpumerge
