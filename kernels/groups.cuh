// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// fp64 sums (or maxima) over every row, by the tree of kernels/reduce.cuh with indices counted from the row's first
// element, and over every column, one row after the other. What they become is worked out on the host
// (src/cuda/common_kernels.cu has the way there and back).
#pragma once

#include "kernels/reduce.cuh"

namespace gpumerge::GM_TARGET {

// The blocks of a part of whole rows: block_sums (n_groups, blocks_per_group, n_values). A block of threads works on
// neighbouring blocks of elements.
template <class Sum>
__global__ void __launch_bounds__(kThreads)
    SumRowsKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint64_t n_blocks = uint64_t{part.n_groups} * part.blocks_per_group;
  const auto first_of = [&](uint64_t block) {
    return block / part.blocks_per_group * part.row_elems + block % part.blocks_per_group * kBlockElems;
  };
  const uint64_t own_first = uint64_t{place.block} * (kThreads / kReduceLanes);
  const uint64_t begin = (part.first_elem + first_of(own_first)) / 4 * 4;  // of the tensor
  const Sum& sum = ShareFunctor<Sum>(part, functors, begin);
  const uint64_t block = own_first + threadIdx.x / kReduceLanes;
  const uint64_t first = first_of(block);
  const uint64_t left = part.row_elems - block % part.blocks_per_group * kBlockElems;
  const uint32_t n = block >= n_blocks ? 0 : static_cast<uint32_t>(left < kBlockElems ? left : kBlockElems);
  SumBlock(part, sum, first, n, static_cast<uint32_t>(part.first_elem + first - begin),
           n > 0 ? part.block_sums + block * part.n_values : nullptr);
}

// The part's elements onto the running sums of all columns: block_sums (n_columns, n_values). One thread a column.
template <class Sum>
__global__ void __launch_bounds__(kThreads)
    SumColumnsKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  constexpr uint32_t kInputs = InputsOf<Sum>(), kKnownValues = ValuesOf<Sum>();
  constexpr uint32_t kMaxValues = kKnownValues > 0 ? kKnownValues : kMaxReducedValues;
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const Sum& sum = ShareFunctor<Sum>(part, functors, part.first_elem);
  const uint32_t column = place.block * kThreads + threadIdx.x;
  if (column >= part.n_columns) return;
  const uint32_t n_values = kKnownValues > 0 ? kKnownValues : part.n_values;
  double* const running = part.block_sums + size_t{column} * n_values;
  double totals[kMaxValues];
  const uint32_t first_column = static_cast<uint32_t>(part.first_elem % part.n_columns);
  uint64_t elem = column >= first_column ? column - first_column : column + (part.n_columns - first_column);
  bool begins = part.first_elem + elem < part.n_columns;  // in the first row: its term is the sum so far
  if (elem >= part.n_elems) return;
  for (uint32_t v = 0; !begins && v < n_values; ++v) totals[v] = running[v];
  for (; elem < part.n_elems; elem += part.n_columns) {
    float x[kInputs > 0 ? kInputs : kMaxInputs];
    uint32_t draws[Sum::kDraws ? (kInputs > 0 ? kInputs : kMaxModels) : 1];
    double values[kMaxValues];
    sum(Prepare<Sum>(part, elem, static_cast<uint32_t>(elem), x, draws), values);
    for (uint32_t v = 0; v < n_values; ++v) totals[v] = begins ? values[v] : Combine(part.op, totals[v], values[v]);
    begins = false;
  }
  for (uint32_t v = 0; v < n_values; ++v) running[v] = totals[v];
}

}  // namespace gpumerge::GM_TARGET
