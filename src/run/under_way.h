// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The units that one backend works on, oldest first. Used by one thread. Header-only.
#pragma once

#include "src/run/stages.h"

#include "gpumerge/backend.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace gpumerge {

// Whatever happens, the work is done when this ends: nothing uses staging memory any more.
class UnderWay {
 public:
  explicit UnderWay(Backend& backend) : backend_(backend) {}
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;
  ~UnderWay() {
    while (!submitted_.empty()) try {
        Wait();
      } catch (...) {  // the error that ended the run is known already
      }
  }

  size_t size() const { return submitted_.size(); }
  void Submit(std::unique_ptr<UnitRun> unit, const std::vector<Work>& batch) {
    const uint64_t ticket = batch.empty() ? 0 : backend_.Submit(batch);
    submitted_.push_back({std::move(unit), ticket, !batch.empty()});
  }
  // The oldest, when it is done.
  std::unique_ptr<UnitRun> Wait() {
    Submitted oldest = std::move(submitted_.front());
    submitted_.pop_front();
    if (oldest.has_work) backend_.Wait(oldest.ticket);
    return std::move(oldest.unit);
  }

 private:
  struct Submitted {
    std::unique_ptr<UnitRun> unit;
    uint64_t ticket = 0;
    bool has_work = false;  // false: copies only
  };

  Backend& backend_;
  std::deque<Submitted> submitted_;
};

}  // namespace gpumerge
