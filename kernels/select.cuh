// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Exact selections of the `wanted` largest keys, ties to the lowest index, by radix: keys are never stored. A selection
// s has a key of its own; most often it is a model's. A large tensor is counted part by part as it arrives (high 16
// bits, then the low 15 of the threshold's bin), then the part that holds the last tie is searched for it. A small
// tensor is one block's work from start to end.
#pragma once

#include "kernels/block.cuh"

#include <cub/block/block_scan.cuh>
#include <type_traits>

namespace gpumerge::GM_TARGET {

inline constexpr uint64_t kAllTies = ~uint64_t{0};

// Of all lanes of a warp, in each of them. (Compute capability 7.5 has no instruction for it.)
__device__ inline uint32_t WarpSum(uint32_t mine) {
  for (int distance = 16; distance > 0; distance /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, distance);
  return mine;
}

// The key that the functor makes for s, a selection or (of_models) a model, at an element of the part.
template <class Key>
__device__ uint32_t KeyAt(const DevicePart& part, const Key& key, uint64_t elem, uint32_t s, bool of_models) {
  const auto load = [&](uint32_t input) { return LoadOne(part.inputs[input].dtype, part.inputs[input].data, elem); };
  if constexpr (requires { Key::kOfBaseAndModel; } && std::is_empty_v<Key>) {
    if (of_models) {
      const float x[2] = {load(0), load(s + 1)};
      At<float> at{{x, 1}, {nullptr, 1}, 0};
      AddPlace<Key>(part, elem, &at);
      return key(at, 0);
    }
  }
  constexpr uint32_t kInputs = InputsOf<Key>();
  float x[kInputs > 0 ? kInputs : kMaxInputs];
  const uint32_t n_inputs = kInputs > 0 ? kInputs : part.n_inputs;
  for (uint32_t input = 0; input < n_inputs; ++input) x[input] = load(input);
  At<float> at{{x, 1}, {nullptr, 1}, 0};
  AddPlace<Key>(part, elem, &at);
  return key(at, s);
}
template <class Key>
__device__ uint32_t KeyAt(const DevicePart& part, const Key& key, uint64_t elem, uint32_t s) {
  return KeyAt(part, key, elem, s, part.n_values == part.n_models);
}

// One count for all threads of the warp that have the same bin.
__device__ inline void CountInWarp(uint32_t* counts, uint32_t bin, bool counted) {
  const uint32_t takers = __ballot_sync(0xffffffffu, counted);
  if (!counted) return;
  const uint32_t same = __match_any_sync(takers, bin);
  if (__ffs(static_cast<int>(same)) - 1 == static_cast<int>(threadIdx.x % 32))
    atomicAdd(&counts[bin], static_cast<uint32_t>(__popc(same)));
}

// kHigh: all keys by their high bits. Else: the keys of the threshold's bin by their low bits.
template <class Key, bool kHigh>
__global__ void __launch_bounds__(kThreads)
    CountKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint64_t first = uint64_t{place.block} * kSegmentElems;
  const Key& key = ShareBytes<Key>(part, functors);
  for (uint32_t s = 0; s < part.n_values; ++s) {
    uint32_t* counts =
        kHigh ? part.high_counts + size_t{s} * kDeviceHighBins : part.low_counts + size_t{s} * kDeviceLowBins;
    const uint32_t high_bin = kHigh ? 0 : part.progress[s].high_bin;
    // Whole warps go round together.
    for (uint32_t base = 0; base < kSegmentElems; base += kThreads) {
      const uint64_t elem = first + base + threadIdx.x;
      const bool here = elem < part.n_elems;
      const uint32_t bits = here ? KeyAt(part, key, elem, s) : 0;
      if constexpr (kHigh) {
        CountInWarp(counts, bits >> kDeviceLowKeyBits, here);
      } else {
        CountInWarp(counts, bits & (kDeviceLowBins - 1), here && bits >> kDeviceLowKeyBits == high_bin);
      }
    }
  }
}

// Ties of every segment of the part: ties (n_values, n_segments).
template <class Key>
__global__ void __launch_bounds__(kThreads)
    CountTiesKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  __shared__ uint32_t total;
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint64_t first = uint64_t{place.block} * kSegmentElems;
  const uint32_t n_segments = static_cast<uint32_t>((part.n_elems + kSegmentElems - 1) / kSegmentElems);
  const Key& key = ShareBytes<Key>(part, functors);
  for (uint32_t s = 0; s < part.n_values; ++s) {
    if (part.progress[s].ties_left == 0) continue;  // the same for all threads
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    uint32_t mine = 0;
    for (uint32_t base = 0; base < kSegmentElems; base += kThreads) {
      const uint64_t elem = first + base + threadIdx.x;
      if (elem < part.n_elems && KeyAt(part, key, elem, s) == part.selections[s].threshold_bits) ++mine;
    }
    mine = WarpSum(mine);
    if (threadIdx.x % 32 == 0) atomicAdd(&total, mine);
    __syncthreads();
    if (threadIdx.x == 0) part.ties[size_t{s} * n_segments + place.block] = total;
    __syncthreads();
  }
}

// The position of the rank-th (1 = the first) counted thing among n, where count(i) things lie at i; n when there are
// fewer, and *rank is then lowered by all of them, else by those before the position. For all threads of the block.
template <class Count>
__device__ uint64_t FindRank(uint64_t n, uint64_t* rank, const Count& count) {
  using Scan = cub::BlockScan<uint32_t, kThreads>;
  __shared__ typename Scan::TempStorage storage;
  __shared__ uint64_t found, before_found;
  uint64_t before = 0;
  if (threadIdx.x == 0) found = n;
  __syncthreads();
  for (uint64_t base = 0; base < n; base += kThreads) {
    const uint64_t i = base + threadIdx.x;
    const uint32_t mine = i < n ? count(i) : 0;
    uint32_t exclusive = 0, all = 0;
    Scan(storage).ExclusiveSum(mine, exclusive, all);
    if (before + exclusive < *rank && *rank <= before + exclusive + mine) {
      found = i;
      before_found = before + exclusive;
    }
    __syncthreads();
    if (found < n) {
      *rank -= before_found;
      return found;
    }
    before += all;
  }
  *rank -= before;
  return n;
}

// Takes the part's ties off the count of those left, or finds the last one to keep. One block a selection.
template <class Key>
__global__ void __launch_bounds__(kThreads)
    FindTieKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint32_t s = place.block;
  uint64_t rank = part.progress[s].ties_left;
  if (rank == 0) return;
  const uint32_t n_segments = static_cast<uint32_t>((part.n_elems + kSegmentElems - 1) / kSegmentElems);
  const uint32_t* ties = part.ties + size_t{s} * n_segments;
  const uint64_t segment = FindRank(n_segments, &rank, [&](uint64_t i) { return ties[i]; });
  __syncthreads();
  if (segment == n_segments) {
    if (threadIdx.x == 0) part.progress[s].ties_left = rank;
    return;
  }
  const uint64_t first = segment * kSegmentElems;
  const Key& key = ShareBytes<Key>(part, functors);
  const uint32_t threshold = part.selections[s].threshold_bits;
  const uint64_t offset = FindRank(min(uint64_t{kSegmentElems}, part.n_elems - first), &rank,
                                   [&](uint64_t i) { return KeyAt(part, key, first + i, s) == threshold ? 1u : 0u; });
  if (threadIdx.x != 0) return;
  part.selections[s].tie_end = part.first_elem + first + offset + 1;
  part.progress[s].ties_left = 0;
}

// A whole small tensor, one block a selection: four rounds of 8 bits, then the last tie.
template <class Key>
__global__ void __launch_bounds__(kThreads)
    SelectWholeKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  constexpr uint32_t kDigitBits = 8, kBins = 1u << kDigitBits;
  static_assert(kBins == kThreads);
  using Scan = cub::BlockScan<uint32_t, kThreads>;
  __shared__ typename Scan::TempStorage storage;
  __shared__ uint32_t counts[kBins];
  __shared__ uint32_t chosen_bin, above_bin;
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint32_t s = place.block;
  const Key& key = ShareBytes<Key>(part, functors);
  const uint64_t wanted = part.wanted[s];
  if (wanted == 0) {
    if (threadIdx.x == 0) part.selections[s] = Selection{0xffffffffu, 0};
    return;
  }
  uint32_t prefix = 0, left = static_cast<uint32_t>(wanted), equal = 0;
  for (int shift = 32 - static_cast<int>(kDigitBits); shift >= 0; shift -= static_cast<int>(kDigitBits)) {
    counts[threadIdx.x] = 0;
    __syncthreads();
    for (uint64_t base = 0; base < part.n_elems; base += kThreads) {
      const uint64_t elem = base + threadIdx.x;
      const bool here = elem < part.n_elems;
      const uint32_t bits = here ? KeyAt(part, key, elem, s) : 0;
      const bool in_prefix = shift == 24 || bits >> (shift + 8) == prefix;
      CountInWarp(counts, (bits >> shift) & (kBins - 1), here && in_prefix);
    }
    __syncthreads();
    // From the largest digit down: the bin in which the wanted-th key lies.
    const uint32_t bin = kBins - 1 - threadIdx.x;
    const uint32_t mine = counts[bin];
    uint32_t above = 0;
    Scan(storage).ExclusiveSum(mine, above);
    if (above < left && left <= above + mine) {
      chosen_bin = bin;
      above_bin = above;
    }
    __syncthreads();
    prefix = prefix << kDigitBits | chosen_bin;
    left -= above_bin;
    equal = counts[chosen_bin];
    __syncthreads();
  }
  uint64_t tie_end = kAllTies;
  if (left < equal) {
    uint64_t rank = left;
    tie_end = FindRank(part.n_elems, &rank, [&](uint64_t i) { return KeyAt(part, key, i, s) == prefix ? 1u : 0u; }) + 1;
  }
  if (threadIdx.x == 0) part.selections[s] = Selection{prefix, tie_end};
}

}  // namespace gpumerge::GM_TARGET
