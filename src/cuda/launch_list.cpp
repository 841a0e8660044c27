// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cuda/launch_list.h"

#include "src/cuda/part_steps.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace gpumerge {
namespace {

constexpr uint64_t Pad(uint64_t bytes) { return (bytes + 15) / 16 * 16; }

// Writes one thing after another into the table, and says where each lies on the device.
class TableWriter {
 public:
  TableWriter(std::byte* host, std::byte* device) : host_(host), device_(device) {}
  template <class T>
  T* Put(std::span<const T> values) {
    std::byte* place = device_ + used_;
    if (!values.empty()) std::memcpy(host_ + used_, values.data(), values.size_bytes());
    used_ += Pad(values.size_bytes());
    return reinterpret_cast<T*>(place);
  }
  uint64_t used() const { return used_; }

 private:
  std::byte* host_;
  std::byte* device_;
  uint64_t used_ = 0;
};

}  // namespace

void LaunchList::Add(uint32_t round, DeviceStep step, StepRequest request, const DevicePart& part,
                     std::vector<DeviceInput> inputs) {
  table_bytes_ += Pad(sizeof(DevicePart)) + Pad(request.functor.size()) +
                  Pad(request.wanted.size() * sizeof(uint64_t)) + Pad(inputs.size() * sizeof(DeviceInput));
  entries_.push_back({round, step, std::move(request), part, std::move(inputs)});
}

void LaunchList::Launch(std::byte* host, std::byte* device, CUstream_st* stream) {
  const auto order = [](const Entry& entry) {
    return std::pair(entry.round, reinterpret_cast<uintptr_t>(entry.request.launch));
  };
  std::stable_sort(entries_.begin(), entries_.end(),
                   [&](const Entry& a, const Entry& b) { return order(a) < order(b); });
  struct Group {
    LaunchFunction launch;
    const DevicePart* parts;
    uint32_t n_parts, n_blocks;
    const std::byte* functors;
  };
  std::vector<Group> groups;
  TableWriter table(host, device);
  for (size_t begin = 0; begin < entries_.size();) {
    size_t end = begin;
    std::vector<DevicePart> parts;
    std::vector<std::byte> functors;
    uint32_t n_blocks = 0;
    for (; end < entries_.size() && order(entries_[end]) == order(entries_[begin]); ++end) {
      Entry& entry = entries_[end];
      entry.part.inputs = table.Put(std::span<const DeviceInput>(entry.inputs));
      entry.part.wanted = table.Put(std::span<const uint64_t>(entry.request.wanted));
      entry.part.functor_offset = static_cast<uint32_t>(functors.size());
      entry.part.first_block = n_blocks;
      n_blocks += BlocksOf(entry.step, entry.part);
      functors.insert(functors.end(), entry.request.functor.begin(), entry.request.functor.end());
      functors.resize(Pad(functors.size()));
      parts.push_back(entry.part);
    }
    const DevicePart* device_parts = table.Put(std::span<const DevicePart>(parts));
    const std::byte* device_functors = table.Put(std::span<const std::byte>(functors));
    groups.push_back(
        {entries_[begin].request.launch, device_parts, static_cast<uint32_t>(parts.size()), n_blocks, device_functors});
    begin = end;
  }
  LaunchCopyTable(host, device, table.used(), stream);
  for (const Group& group : groups) group.launch(group.parts, group.n_parts, group.n_blocks, group.functors, stream);
  entries_.clear();
  table_bytes_ = 0;
}

}  // namespace gpumerge
