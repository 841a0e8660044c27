// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Makes threads that work on the parts of one tensor do one thing in the tensor's order: hashing, counting off. Parts
// must be begun in order, so that whoever is waited for is at work and waits for nobody behind it.
#pragma once

#include <atomic>
#include <cstdint>

namespace gpumerge {

class InOrder {
 public:
  // Returns when all before `position` has passed. False: stopped.
  bool Wait(uint64_t position) {
    uint64_t now = position_.load(std::memory_order_acquire);
    for (uint32_t spin = 0; now < position; ++spin) {
      if (spin >= kSpins) position_.wait(now, std::memory_order_acquire);
      now = position_.load(std::memory_order_acquire);
    }
    return !is_stopped_.load(std::memory_order_relaxed);
  }
  // Everything before `position` has passed.
  void Advance(uint64_t position) {
    uint64_t now = position_.load(std::memory_order_relaxed);
    while (now < position && !position_.compare_exchange_weak(now, position, std::memory_order_acq_rel)) {
    }
    position_.notify_all();
  }
  // Nobody waits any more, and all are told to stop.
  void Stop() {
    is_stopped_ = true;
    Advance(kEnd);
  }
  // Nobody waits any more.
  void Finish() { Advance(kEnd); }
  // Before the first part of another round.
  void Restart() { position_ = 0; }

 private:
  static constexpr uint64_t kEnd = ~uint64_t{0};
  static constexpr uint32_t kSpins = 200;  // most waits end before a thread could be put to sleep

  std::atomic<uint64_t> position_{0};
  std::atomic<bool> is_stopped_{false};
};

}  // namespace gpumerge
