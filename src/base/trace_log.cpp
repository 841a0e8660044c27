// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Arrays of a fixed size in which threads claim the next place by counting up; a name that is set says that the place
// is filled.
#include "src/base/trace_log.h"

#include <algorithm>
#include <chrono>

namespace gpumerge {
namespace {

uint64_t SteadyNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

// Never given twice, so that threads of one merge after the other stay apart.
uint32_t ThisThread() {
  static std::atomic<uint32_t> n_threads{0};
  thread_local const uint32_t number = ++n_threads;
  return number;
}

}  // namespace

TraceLog& TraceLog::Get() {
  static TraceLog log;
  return log;
}

void TraceLog::Start(uint32_t most_events) {
  Stop();
  // Zeroed and so touched: the memory is there before a merge counts what is left of its budget.
  records_ = std::make_unique<Record[]>(most_events);
  text_ = std::make_unique<char[]>(kMostTextBytes);
  names_ = std::make_unique<ThreadName[]>(kMostThreads);
  most_events_ = most_events;
  n_records_ = text_bytes_ = n_names_ = n_dropped_ = 0;
  started_at_ns_ = SteadyNs();
  is_on_.store(true, std::memory_order_release);
}

uint64_t TraceLog::NowNs() const { return SteadyNs() - started_at_ns_; }

void TraceLog::NameThread(const char* role, uint32_t number) {
  if (!IsOn()) return;
  const uint64_t place = n_names_++;
  if (place >= kMostThreads) return;  // it goes without a name
  ThreadName& name = names_[place];
  name.thread = ThisThread();
  name.number = number;
  name.role.store(role, std::memory_order_release);
}

// A thread often works on one tensor for a while; then its name is kept once.
bool TraceLog::CopyText(std::string_view text, uint32_t* begin) {
  struct Last {
    uint64_t log = 0;
    uint32_t begin = 0, bytes = 0;
  };
  thread_local Last last;
  if (last.log != started_at_ns_ || std::string_view(text_.get() + last.begin, last.bytes) != text) {
    const uint64_t place = text_bytes_.fetch_add(text.size());
    if (place + text.size() > kMostTextBytes) return false;
    std::copy(text.begin(), text.end(), text_.get() + place);
    last = {started_at_ns_, static_cast<uint32_t>(place), static_cast<uint32_t>(text.size())};
  }
  *begin = last.begin;
  return true;
}

void TraceLog::Add(TraceEvent event) {
  if (!IsOn()) return;
  uint32_t text_begin = 0;
  const uint64_t place = n_records_++;
  if (place >= most_events_ || !CopyText(event.subject.tensor, &text_begin)) {
    ++n_dropped_;
    return;
  }
  Record& record = records_[place];
  record.thread = ThisThread();
  record.text_begin = text_begin;
  record.text_bytes = static_cast<uint32_t>(event.subject.tensor.size());
  record.n_tensors = event.subject.n_tensors;
  record.reading = event.subject.reading;
  record.bytes = event.subject.bytes;
  record.start_ns = event.start_ns;
  record.duration_ns = event.duration_ns;
  record.name.store(event.name, std::memory_order_release);
}

void TraceLog::ForEachEvent(const std::function<void(const TraceEvent& event)>& f) const {
  for (uint64_t i = 0; i < std::min<uint64_t>(n_records_, most_events_); ++i) {
    const Record& record = records_[i];
    const char* name = record.name.load(std::memory_order_acquire);
    if (name == nullptr) continue;
    f({.name = name,
       .thread = record.thread,
       .start_ns = record.start_ns,
       .duration_ns = record.duration_ns,
       .subject = {.tensor = {text_.get() + record.text_begin, record.text_bytes},
                   .n_tensors = record.n_tensors,
                   .reading = record.reading,
                   .bytes = record.bytes}});
  }
}

void TraceLog::ForEachThread(const std::function<void(uint32_t thread, const char* role, uint32_t number)>& f) const {
  for (uint64_t i = 0; i < std::min<uint64_t>(n_names_, kMostThreads); ++i)
    if (const char* role = names_[i].role.load(std::memory_order_acquire)) f(names_[i].thread, role, names_[i].number);
}

}  // namespace gpumerge
