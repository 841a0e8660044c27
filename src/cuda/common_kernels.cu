// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The kernels that are the same for every method: the ends of counting and of reducing, the way of groups' sums to the
// host and of their values back, and the copy of tables.
#define GM_TARGET on_cuda
#include "kernels/reduce.cuh"
#include "src/cuda/cuda_check.h"
#include "src/cuda/entry.h"

#include <cub/block/block_scan.cuh>

namespace gpumerge {
namespace on_cuda {
namespace {

struct BinFound {
  uint32_t bin;
  uint64_t wanted_in_bin;
  uint32_t in_bin;
};

// The highest bin b such that at least `wanted` keys lie in bins >= b. For all threads of the block; wanted > 0 and at
// most the number of keys.
template <uint32_t kBins>
__device__ BinFound FindBin(const uint32_t* counts, uint64_t wanted) {
  using Scan = cub::BlockScan<uint64_t, kThreads>;
  constexpr uint32_t kOwn = kBins / kThreads;
  __shared__ typename Scan::TempStorage storage;
  __shared__ BinFound found;
  // Thread 0 has the highest bins.
  const uint32_t begin = kBins - (threadIdx.x + 1) * kOwn;
  uint64_t mine = 0, above = 0;
  for (uint32_t i = 0; i < kOwn; ++i) mine += counts[begin + i];
  Scan(storage).ExclusiveSum(mine, above);
  if (above < wanted && wanted <= above + mine) {
    uint32_t bin = begin + kOwn - 1;
    while (above + counts[bin] < wanted) above += counts[bin--];
    found = {bin, wanted - above, counts[bin]};
  }
  __syncthreads();
  return found;
}

__global__ void __launch_bounds__(kThreads) EndHighKernel(const DevicePart* parts, uint32_t n_parts) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint32_t s = place.block;
  if (part.wanted[s] == 0) {
    if (threadIdx.x == 0) {
      part.selections[s] = Selection{0xffffffffu, 0};
      part.progress[s].high_bin = kDeviceHighBins;  // no key lies there
    }
    return;
  }
  const BinFound found = FindBin<kDeviceHighBins>(part.high_counts + size_t{s} * kDeviceHighBins, part.wanted[s]);
  if (threadIdx.x != 0) return;
  part.progress[s].high_bin = found.bin;
  part.progress[s].wanted_in_bin = found.wanted_in_bin;
}

__global__ void __launch_bounds__(kThreads) EndLowKernel(const DevicePart* parts, uint32_t n_parts) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint32_t s = place.block;
  DeviceSelectProgress& progress = part.progress[s];
  if (progress.high_bin == kDeviceHighBins) return;
  const BinFound found = FindBin<kDeviceLowBins>(part.low_counts + size_t{s} * kDeviceLowBins, progress.wanted_in_bin);
  if (threadIdx.x != 0) return;
  part.selections[s] = Selection{progress.high_bin << kDeviceLowKeyBits | found.bin, ~uint64_t{0}};
  // When all ties are kept there is no last one to find.
  progress.ties_left = found.wanted_in_bin == found.in_bin ? 0 : found.wanted_in_bin;
}

// Pairs neighbouring block sums until one is left; an odd last one moves up unchanged. One block a value: strips of
// kStrip neighbours are trees of their own, because the tree is fixed by index.
__global__ void __launch_bounds__(kThreads) EndReduceKernel(const DevicePart* parts, uint32_t n_parts) {
  constexpr uint32_t kStrip = 1024;
  __shared__ double level[kStrip];
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint32_t v = place.block;
  uint64_t n = (part.tensor_elems + kBlockElems - 1) / kBlockElems;
  if (n == 0) return;  // an empty tensor: sums stay 0
  double* sums = part.block_sums;
  while (true) {
    const uint64_t n_strips = (n + kStrip - 1) / kStrip;
    for (uint64_t strip = 0; strip < n_strips; ++strip) {
      const uint64_t left = n - strip * kStrip;
      uint32_t count = left < kStrip ? static_cast<uint32_t>(left) : kStrip;
      for (uint32_t i = threadIdx.x; i < count; i += kThreads)
        level[i] = sums[(strip * kStrip + i) * part.n_values + v];
      __syncthreads();
      while (count > 1) {
        constexpr uint32_t kPairs = kStrip / 2 / kThreads;
        double next[kPairs];
        for (uint32_t p = 0; p < kPairs; ++p) {
          const uint32_t pair = p * kThreads + threadIdx.x;
          if (2 * pair + 1 < count) {
            next[p] = Combine(part.op, level[2 * pair], level[2 * pair + 1]);
          } else if (2 * pair < count) {
            next[p] = level[2 * pair];
          }
        }
        __syncthreads();
        for (uint32_t p = 0; p < kPairs; ++p) {
          const uint32_t pair = p * kThreads + threadIdx.x;
          if (2 * pair < count) level[pair] = next[p];
        }
        count = (count + 1) / 2;
        __syncthreads();
      }
      // Strips are read in ascending order, so this place has been read.
      if (threadIdx.x == 0) sums[strip * part.n_values + v] = level[0];
      __syncthreads();
    }
    n = n_strips;
    if (n == 1) break;
  }
  if (threadIdx.x == 0) part.sums[v] = level[0];
}

// The tree above a group's block sums, neighbours paired as they come: when 2^k blocks are complete, two sums of
// 2^(k-1) become one. What is left at the end is paired from the right.
__device__ double PairUp(const DevicePart& part, uint32_t group, uint32_t v) {
  double left[33];
  uint32_t n_left = 0;
  for (uint32_t block = 0; block < part.blocks_per_group; ++block) {
    double sum = part.block_sums[(size_t{group} * part.blocks_per_group + block) * part.n_values + v];
    for (uint32_t pairs = block; pairs % 2 == 1; pairs /= 2) sum = Combine(part.op, left[--n_left], sum);
    left[n_left++] = sum;
  }
  double sum = left[--n_left];
  while (n_left > 0) sum = Combine(part.op, left[--n_left], sum);
  return sum;
}

__global__ void __launch_bounds__(kThreads) SendGroupsKernel(const DevicePart* parts, uint32_t n_parts) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint32_t n_sums = part.n_groups * part.n_values, n_kept = part.n_groups * part.n_group_values;
  const uint32_t i = place.block * kThreads + threadIdx.x;
  if (i < n_sums) {
    part.sums[i] = PairUp(part, i / part.n_values, i % part.n_values);
  } else if (i - n_sums < n_kept) {
    part.sums[i] = part.group_values[size_t{part.first_group} * part.n_group_values + (i - n_sums)];
  }
}

__global__ void __launch_bounds__(kThreads) StoreGroupsKernel(const DevicePart* parts, uint32_t n_parts) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint32_t i = place.block * kThreads + threadIdx.x;
  if (i < part.n_groups * part.n_group_values)
    part.group_values[size_t{part.first_group} * part.n_group_values + i] =
        part.sums[part.n_groups * part.n_values + i];
}

__global__ void __launch_bounds__(kThreads) CopyTableKernel(const uint4* from, uint4* to, uint64_t n) {
  for (uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x; i < n; i += uint64_t{gridDim.x} * kThreads)
    to[i] = from[i];
}

}  // namespace
}  // namespace on_cuda

void LaunchEndHigh(const DevicePart* parts, uint32_t n_parts, uint32_t n_blocks, const std::byte*,
                   CUstream_st* stream) {
  on_cuda::EndHighKernel<<<n_blocks, on_cuda::kThreads, 0, stream>>>(parts, n_parts);
  GM_CUDA_TRY(cudaGetLastError());
}

void LaunchEndLow(const DevicePart* parts, uint32_t n_parts, uint32_t n_blocks, const std::byte*, CUstream_st* stream) {
  on_cuda::EndLowKernel<<<n_blocks, on_cuda::kThreads, 0, stream>>>(parts, n_parts);
  GM_CUDA_TRY(cudaGetLastError());
}

void LaunchEndReduce(const DevicePart* parts, uint32_t n_parts, uint32_t n_blocks, const std::byte*,
                     CUstream_st* stream) {
  on_cuda::EndReduceKernel<<<n_blocks, on_cuda::kThreads, 0, stream>>>(parts, n_parts);
  GM_CUDA_TRY(cudaGetLastError());
}

void LaunchSendGroups(const DevicePart* parts, uint32_t n_parts, uint32_t n_blocks, const std::byte*,
                      CUstream_st* stream) {
  on_cuda::SendGroupsKernel<<<n_blocks, on_cuda::kThreads, 0, stream>>>(parts, n_parts);
  GM_CUDA_TRY(cudaGetLastError());
}

void LaunchStoreGroups(const DevicePart* parts, uint32_t n_parts, uint32_t n_blocks, const std::byte*,
                       CUstream_st* stream) {
  on_cuda::StoreGroupsKernel<<<n_blocks, on_cuda::kThreads, 0, stream>>>(parts, n_parts);
  GM_CUDA_TRY(cudaGetLastError());
}

void LaunchCopyTable(const std::byte* from, std::byte* to, uint64_t bytes, CUstream_st* stream) {
  const uint64_t n = bytes / sizeof(uint4);
  const uint32_t blocks = static_cast<uint32_t>(n / on_cuda::kThreads + 1 < 16 ? n / on_cuda::kThreads + 1 : 16);
  on_cuda::CopyTableKernel<<<blocks, on_cuda::kThreads, 0, stream>>>(reinterpret_cast<const uint4*>(from),
                                                                     reinterpret_cast<uint4*>(to), n);
  GM_CUDA_TRY(cudaGetLastError());
}

}  // namespace gpumerge
