// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Ranks of elements within their rows, ascending by key, ties by index: a stable radix sort of every row for every
// model, one block of threads each, so that rows of many tensors are one launch. 8 bits a round, from the lowest; the
// last round writes ranks in place of sorted keys.
#pragma once

#include "kernels/select.cuh"

namespace gpumerge::GM_TARGET {

// Where the block's row of one model is sorted.
struct RankScratch {
  uint32_t *keys[2], *elems[2];  // (row_elems): keys, and where in the row they come from
};

template <class Key>
__device__ void RankShortRows(const DevicePart& part, uint64_t thread) {
  if (thread >= part.n_elems * part.n_models) return;
  const uint32_t model = static_cast<uint32_t>(thread / part.n_elems);
  const uint64_t elem = thread % part.n_elems, row = elem / part.row_elems * part.row_elems;
  const uint32_t own = KeyAt(part, Key{}, elem, model, true);
  uint32_t rank = 0;
  for (uint64_t other = row; other < row + part.row_elems; ++other) {
    const uint32_t key = KeyAt(part, Key{}, other, model, true);
    rank += key < own || (key == own && other < elem) ? 1 : 0;
  }
  part.rank_keys[uint64_t{part.n_models + model} * part.rank_stride + elem] = rank;
}

template <class Key>
__global__ void __launch_bounds__(kThreads) RankKernel(const DevicePart* parts, uint32_t n_parts, const std::byte*) {
  constexpr uint32_t kDigitBits = 8, kBins = 1u << kDigitBits, kRounds = 4, kWarps = kThreads / 32;
  constexpr uint32_t kStrips = 4, kWarpElems = 32 * kStrips, kTileElems = kWarps * kWarpElems;
  static_assert(kBins == kThreads && std::is_empty_v<Key>);
  using Scan = cub::BlockScan<uint32_t, kThreads>;
  __shared__ typename Scan::TempStorage storage;
  __shared__ uint32_t begins[kBins];            // where the next key of a bin goes
  __shared__ uint32_t in_warps[kWarps][kBins];  // the same for each warp's share of the tile
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  if (part.row_elems <= kShortRowElems) return RankShortRows<Key>(part, uint64_t{place.block} * kThreads + threadIdx.x);
  const uint32_t n = part.row_elems, model = place.block % part.n_models;
  const uint64_t row = uint64_t{place.block / part.n_models} * n;
  const uint64_t half = uint64_t{part.n_models} * part.rank_stride, own = uint64_t{model} * part.rank_stride + row;
  const RankScratch scratch{{part.rank_keys + own, part.rank_keys + half + own},
                            {part.rank_elems + own, part.rank_elems + half + own}};
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  for (uint32_t round = 0; round < kRounds; ++round) {
    // Round by round from the inputs to half 0, to half 1, to half 0, and as ranks to half 1 of the keys.
    const uint32_t from = (round + 1) % 2, to = round % 2;
    const auto key_at = [&](uint32_t i) {
      return round == 0 ? KeyAt(part, Key{}, row + i, model, true) : scratch.keys[from][i];
    };
    const auto digit_of = [&](uint32_t key) { return key >> (round * kDigitBits) & (kBins - 1); };
    begins[threadIdx.x] = 0;
    __syncthreads();
    for (uint32_t base = 0; base < n; base += kThreads) {
      const uint32_t i = base + threadIdx.x;
      CountInWarp(begins, i < n ? digit_of(key_at(i)) : 0, i < n);
    }
    __syncthreads();
    const uint32_t mine = begins[threadIdx.x];
    uint32_t before = 0;
    Scan(storage).ExclusiveSum(mine, before);
    begins[threadIdx.x] = before;

    for (uint32_t tile = 0; tile < n; tile += kTileElems) {
      for (uint32_t w = 0; w < kWarps; ++w) in_warps[w][threadIdx.x] = 0;
      __syncthreads();
      uint32_t keys[kStrips], elems[kStrips], ranks[kStrips];  // ranks: among the warp's keys of the same bin
#pragma unroll
      for (uint32_t strip = 0; strip < kStrips; ++strip) {
        const uint32_t i = tile + warp * kWarpElems + strip * 32 + lane;
        const uint32_t takers = __ballot_sync(0xffffffffu, i < n);
        uint32_t same = 0;
        if (i < n) {
          keys[strip] = key_at(i);
          elems[strip] = round == 0 ? i : scratch.elems[from][i];
          const uint32_t digit = digit_of(keys[strip]);
          same = __match_any_sync(takers, digit);
          ranks[strip] = in_warps[warp][digit] + static_cast<uint32_t>(__popc(same & ((1u << lane) - 1)));
        }
        __syncwarp();
        if (i < n && same >> lane == 1) in_warps[warp][digit_of(keys[strip])] = ranks[strip] + 1;
        __syncwarp();
      }
      __syncthreads();
      uint32_t begin = begins[threadIdx.x];
      for (uint32_t w = 0; w < kWarps; ++w) {
        const uint32_t count = in_warps[w][threadIdx.x];
        in_warps[w][threadIdx.x] = begin;
        begin += count;
      }
      begins[threadIdx.x] = begin;
      __syncthreads();
#pragma unroll
      for (uint32_t strip = 0; strip < kStrips; ++strip) {
        if (tile + warp * kWarpElems + strip * 32 + lane >= n) continue;
        const uint32_t place_in_row = in_warps[warp][digit_of(keys[strip])] + ranks[strip];
        if (round == kRounds - 1) {
          scratch.keys[to][elems[strip]] = place_in_row;
        } else {
          scratch.keys[to][place_in_row] = keys[strip];
          scratch.elems[to][place_in_row] = elems[strip];
        }
      }
      __syncthreads();
    }
    __syncthreads();
  }
}

}  // namespace gpumerge::GM_TARGET
