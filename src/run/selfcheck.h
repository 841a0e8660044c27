// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Some tensors, chosen by a fixed hash of their names, computed again: whole, by the reference executor, from inputs
// read again from the files. What a device wrote is compared with that, byte for byte.
#pragma once

#include "src/run/input_files.h"

#include "gpumerge/backend.h"
#include "gpumerge/plan.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace gpumerge {

// Items of the part, merged ones only, in plan order: percent of them, and the first in any case.
std::vector<uint64_t> SelfcheckItems(const Plan& plan, PlanPart part, double percent);
// The most memory that checking them takes when at most n_lanes of them are on their way at once, and n_whole of those
// that PartWorkers take whole.
uint64_t SelfcheckBytes(const Plan& plan, const std::vector<uint64_t>& items, uint64_t n_lanes, uint64_t n_whole);

class Selfcheck {
 public:
  Selfcheck(const Plan& plan, PlanPart part, double percent, const InputFiles& files);

  // The next part of the item's output, as that device made it. The parts of an item come in order, those of several
  // items from several threads; one at a time is computed. Throws Error(DEV-SELFCHECK).
  void Compare(uint64_t item, uint64_t first_elem, std::span<const std::byte> output, const std::string& device);
  // Compared to their end.
  uint64_t n_tensors() const {
    const std::lock_guard lock(mutex_);
    return n_tensors_;
  }

 private:
  std::vector<std::byte> Compute(const PlanItem& item) const;

  const Plan& plan_;
  const InputFiles& files_;
  const std::unique_ptr<Backend> reference_;
  std::vector<bool> chosen_;                             // (n_items of the plan)
  mutable std::mutex mutex_;                             // guards what follows
  std::map<uint64_t, std::vector<std::byte>> expected_;  // of items on their way
  uint64_t n_tensors_ = 0;
};

}  // namespace gpumerge
