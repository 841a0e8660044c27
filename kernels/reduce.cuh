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

// 64 threads share a block of 4096 elements: thread = lane.
template <class Sum>
__global__ void __launch_bounds__(kThreads)
    ReduceKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  constexpr uint32_t kLanes = 64, kWarps = kThreads / 32;
  constexpr uint32_t kInputs = InputsOf<Sum>(), kKnownValues = ValuesOf<Sum>();
  constexpr uint32_t kMaxValues = kKnownValues > 0 ? kKnownValues : 2 * kMaxModels;
  __shared__ double halves[kWarps];
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint64_t segment = uint64_t{place.block} * kReduceSegmentElems;
  const Sum& sum = ShareFunctor<Sum>(part, functors, part.first_elem + segment);
  const uint32_t lane = threadIdx.x % kLanes, block = threadIdx.x / kLanes;
  const uint32_t n_values = kKnownValues > 0 ? kKnownValues : part.n_values;

  double totals[kMaxValues];
  for (uint32_t v = 0; v < n_values; ++v) totals[v] = 0;
  const uint32_t first = block * static_cast<uint32_t>(kBlockElems);
  for (uint32_t offset = first + lane; offset < first + kBlockElems && segment + offset < part.n_elems;
       offset += kLanes) {
    float x[kInputs > 0 ? kInputs : kMaxInputs];
    uint32_t draws[Sum::kDraws ? (kInputs > 0 ? kInputs : kMaxModels) : 1];
    double values[kMaxValues];
    Prepare<Sum>(part, segment + offset, x, draws);
    sum(At<float>{{x, 1}, {draws, 1}, offset}, values);
    for (uint32_t v = 0; v < n_values; ++v) totals[v] = Combine(part.op, totals[v], values[v]);
  }
  const uint64_t tensor_block = (part.first_elem + segment) / kBlockElems + block;
  const bool in_part = segment + first < part.n_elems;
  for (uint32_t v = 0; v < n_values; ++v) {
    double total = totals[v];
    for (uint32_t distance = 1; distance < 32; distance *= 2) {
      const double other = __shfl_xor_sync(0xffffffffu, total, static_cast<int>(distance));
      total = threadIdx.x & distance ? Combine(part.op, other, total) : Combine(part.op, total, other);
    }
    if (threadIdx.x % 32 == 0) halves[threadIdx.x / 32] = total;
    __syncthreads();
    if (lane == 0 && in_part)
      part.block_sums[tensor_block * n_values + v] =
          Combine(part.op, halves[threadIdx.x / 32], halves[threadIdx.x / 32 + 1]);
    __syncthreads();
  }
}

}  // namespace gpumerge::GM_TARGET
