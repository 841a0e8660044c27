// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Steps of many parts, collected in rounds and launched together: one table in device memory for all of them, one
// launch for all steps of a round that run the same kernel. So 300 small tensors take a few launches. Not thread-safe.
#pragma once

#include "src/cuda/entry.h"
#include "src/cuda/job_state.h"

#include <cstdint>
#include <vector>

namespace gpumerge {

class LaunchList {
 public:
  // A part's step; round: steps of a later round begin after all steps of an earlier one. part: complete but for
  // inputs (given apart), wanted, first_block and functor_offset, which the table decides.
  void Add(uint32_t round, DeviceStep step, StepRequest request, const DevicePart& part,
           std::vector<DeviceInput> inputs);

  bool empty() const { return entries_.empty(); }
  // Of the table that Launch needs.
  uint64_t TableBytes() const { return table_bytes_; }
  // Writes the table to `host` (pinned), copies it to `device`, launches everything on the stream; then empty again.
  void Launch(std::byte* host, std::byte* device, CUstream_st* stream);

 private:
  struct Entry {
    uint32_t round;
    DeviceStep step;
    StepRequest request;
    DevicePart part;
    std::vector<DeviceInput> inputs;
  };
  std::vector<Entry> entries_;
  uint64_t table_bytes_ = 0;
};

}  // namespace gpumerge
