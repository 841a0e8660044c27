// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// fp64 sums (or maxima) over a tree fixed by element index: 64 lanes (index mod 64) in each block of 4096 elements,
// neighbouring lanes paired, then neighbouring blocks paired. The same additions as on the CPU, so the same bits.
#pragma once

#include "kernels/block.cuh"

namespace gpumerge::GM_TARGET {

__device__ inline double Combine(ReduceOp op, double a, double b) {
  return op == ReduceOp::kSum ? a + b : a < b ? b : a;
}

inline constexpr uint32_t kReduceLanes = 64;

// The lanes of a block of at most 4096 elements, n of them from `first` of the part on, which lie i behind the one that
// the functor was moved to. 64 threads share it: thread = lane. For all threads; writes its n_values to `to` unless
// null.
template <class Sum>
__device__ void SumBlock(const DevicePart& part, const Sum& sum, uint64_t first, uint32_t n, uint32_t i, double* to) {
  constexpr uint32_t kWarps = kThreads / 32;
  constexpr uint32_t kInputs = InputsOf<Sum>(), kKnownValues = ValuesOf<Sum>();
  constexpr uint32_t kMaxValues = kKnownValues > 0 ? kKnownValues : kMaxReducedValues;
  __shared__ double halves[kWarps];
  const uint32_t lane = threadIdx.x % kReduceLanes;
  const uint32_t n_values = kKnownValues > 0 ? kKnownValues : part.n_values;

  double totals[kMaxValues];
  for (uint32_t v = 0; v < n_values; ++v) totals[v] = 0;
  for (uint32_t offset = lane; offset < n; offset += kReduceLanes) {
    float x[kInputs > 0 ? kInputs : kMaxInputs];
    uint32_t draws[Sum::kDraws ? (kInputs > 0 ? kInputs : kMaxModels) : 1];
    double values[kMaxValues];
    sum(Prepare<Sum>(part, first + offset, i + offset, x, draws), values);
    for (uint32_t v = 0; v < n_values; ++v) totals[v] = Combine(part.op, totals[v], values[v]);
  }
  for (uint32_t v = 0; v < n_values; ++v) {
    double total = totals[v];
    for (uint32_t distance = 1; distance < 32; distance *= 2) {
      const double other = __shfl_xor_sync(0xffffffffu, total, static_cast<int>(distance));
      total = threadIdx.x & distance ? Combine(part.op, other, total) : Combine(part.op, total, other);
    }
    if (threadIdx.x % 32 == 0) halves[threadIdx.x / 32] = total;
    __syncthreads();
    if (lane == 0 && to != nullptr) to[v] = Combine(part.op, halves[threadIdx.x / 32], halves[threadIdx.x / 32 + 1]);
    __syncthreads();
  }
}

// The blocks of the whole tensor that lie in the part.
template <class Sum>
__global__ void __launch_bounds__(kThreads)
    ReduceKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint64_t segment = uint64_t{place.block} * kReduceSegmentElems;
  const Sum& sum = ShareFunctor<Sum>(part, functors, part.first_elem + segment);
  const uint32_t block = threadIdx.x / kReduceLanes, offset = block * static_cast<uint32_t>(kBlockElems);
  const uint64_t first = segment + offset;
  const uint64_t left = first < part.n_elems ? part.n_elems - first : 0;
  const uint32_t n = static_cast<uint32_t>(left < kBlockElems ? left : kBlockElems);
  double* to = part.block_sums + ((part.first_elem + segment) / kBlockElems + block) * part.n_values;
  SumBlock(part, sum, first, n, offset, n > 0 ? to : nullptr);
}

}  // namespace gpumerge::GM_TARGET
