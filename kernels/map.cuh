// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The last pass of every recipe: all inputs in, the output out, once. Where the number of inputs is known to the
// compiler a thread has 8 neighbouring elements in registers, loaded and stored 16 bytes at a time; else one.
#pragma once

#include "kernels/block.cuh"

#include "gpumerge/backend.h"

namespace gpumerge::GM_TARGET {

inline constexpr uint32_t kVectorElems = 8;

__device__ inline void LoadVector(DType dtype, const std::byte* tensor, uint64_t first, float* x) {
  switch (dtype) {
    case DType::kBF16:
    case DType::kF16: {
      const uint4 words = *reinterpret_cast<const uint4*>(tensor + first * 2);
      const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (uint32_t j = 0; j < kVectorElems; ++j) {
        const uint16_t h = static_cast<uint16_t>(pairs[j / 2] >> (j % 2 * 16));
        x[j] = dtype == DType::kBF16 ? FromBf16(h) : FromF16(h);
      }
      return;
    }
    case DType::kF32: {
      const float4* from = reinterpret_cast<const float4*>(tensor + first * 4);
      const float4 a = from[0], b = from[1];
      x[0] = a.x, x[1] = a.y, x[2] = a.z, x[3] = a.w, x[4] = b.x, x[5] = b.y, x[6] = b.z, x[7] = b.w;
      return;
    }
    case DType::kF8E4M3:
    case DType::kF8E5M2: {
      const uint2 words = *reinterpret_cast<const uint2*>(tensor + first);
#pragma unroll
      for (uint32_t j = 0; j < kVectorElems; ++j) {
        const uint8_t h = static_cast<uint8_t>((j < 4 ? words.x : words.y) >> (j % 4 * 8));
        x[j] = dtype == DType::kF8E4M3 ? FromF8E4M3(h) : FromF8E5M2(h);
      }
      return;
    }
    default:
#pragma unroll
      for (uint32_t j = 0; j < kVectorElems; ++j) x[j] = LoadOne(dtype, tensor, first + j);
  }
}

__device__ inline void StoreOne(DType dtype, float y, std::byte* tensor, uint64_t i) {
  switch (dtype) {
    case DType::kBF16:
      reinterpret_cast<uint16_t*>(tensor)[i] = ToBf16(y);
      return;
    case DType::kF16:
      reinterpret_cast<uint16_t*>(tensor)[i] = ToF16(y);
      return;
    case DType::kF32:
      reinterpret_cast<float*>(tensor)[i] = y;
      return;
    case DType::kF8E4M3:
      reinterpret_cast<uint8_t*>(tensor)[i] = ToF8E4M3(y);
      return;
    case DType::kF8E5M2:
      reinterpret_cast<uint8_t*>(tensor)[i] = ToF8E5M2(y);
      return;
    default:
      reinterpret_cast<double*>(tensor)[i] = static_cast<double>(y);
  }
}

__device__ inline void StoreVector(DType dtype, const float* y, std::byte* tensor, uint64_t first) {
  switch (dtype) {
    case DType::kBF16:
    case DType::kF16: {
      uint32_t pairs[4];
#pragma unroll
      for (uint32_t p = 0; p < 4; ++p) {
        const uint32_t low = dtype == DType::kBF16 ? ToBf16(y[2 * p]) : ToF16(y[2 * p]);
        const uint32_t high = dtype == DType::kBF16 ? ToBf16(y[2 * p + 1]) : ToF16(y[2 * p + 1]);
        pairs[p] = low | high << 16;
      }
      *reinterpret_cast<uint4*>(tensor + first * 2) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      return;
    }
    case DType::kF32: {
      float4* to = reinterpret_cast<float4*>(tensor + first * 4);
      to[0] = make_float4(y[0], y[1], y[2], y[3]);
      to[1] = make_float4(y[4], y[5], y[6], y[7]);
      return;
    }
    default:
#pragma unroll
      for (uint32_t j = 0; j < kVectorElems; ++j) StoreOne(dtype, y[j], tensor, first + j);
  }
}

// What StoreOne makes of a value.
__device__ inline float Rounded(DType dtype, float y) {
  switch (dtype) {
    case DType::kBF16:
      return FromBf16(ToBf16(y));
    case DType::kF16:
      return FromF16(ToF16(y));
    case DType::kF8E4M3:
      return FromF8E4M3(ToF8E4M3(y));
    case DType::kF8E5M2:
      return FromF8E5M2(ToF8E5M2(y));
    default:
      return y;
  }
}

__device__ inline void NoteFinding(DeviceFinding* finding, uint64_t index, uint32_t finite_bits) {
  atomicMax(reinterpret_cast<unsigned long long*>(&finding->last_index_complement),
            static_cast<unsigned long long>(~index));
  atomicAdd(reinterpret_cast<unsigned long long*>(&finding->count), 1ull);
  atomicMax(&finding->largest_finite_bits, finite_bits);
}

// The rare path: which of an element's inputs are not finite, or whether its result overflowed all the same.
// x: (n_inputs), `stride` apart.
__device__ inline void NoteNonFinite(const DevicePart& part, uint64_t elem, const float* x, uint32_t stride, float y,
                                     uint32_t overflow_bits) {
  bool finite_inputs = true;
  for (uint32_t input = 0; input < part.n_inputs; ++input) {
    if ((Bits(x[input * stride]) & kMagnitudeMask) < kInfinityBits) continue;
    finite_inputs = false;
    NoteFinding(&part.findings[input], part.first_elem + elem, 0);
  }
  const uint32_t magnitude = Bits(y) & kMagnitudeMask;
  if (finite_inputs && magnitude >= overflow_bits)
    NoteFinding(&part.findings[part.n_inputs], part.first_elem + elem, magnitude < kInfinityBits ? magnitude : 0);
}

// What rounding costs (see RoundingLoss): a pair of squares for each sampled element, in shared memory. Of a tensor
// whose elements are all sampled there is room for those that the threads have at hand.
struct LossSamples {
  static constexpr uint32_t kStride = static_cast<uint32_t>(SampleStride(kSegmentElems));
  static constexpr uint32_t kBlockPairs = static_cast<uint32_t>(kBlockElems) / kStride;
  static constexpr uint32_t kPairs = kThreads;
  static_assert(kSegmentElems / kStride <= kPairs);
  double* pairs;  // (kPairs, 2)
  bool all;
  __device__ void Note(DType dtype, float y, float first_input, uint32_t offset, uint32_t overflow_bits) const {
    if (!all && offset % kStride != 0) return;
    double* const pair = pairs + 2 * (all ? offset % kPairs : offset / kStride);
    const bool finite = (Bits(y) & kMagnitudeMask) < overflow_bits;
    const double error = static_cast<double>(Rounded(dtype, y)) - y, change = static_cast<double>(y) - first_input;
    pair[0] = finite ? error * error : 0;
    pair[1] = finite ? change * change : 0;
  }
  // One thread a value adds pairs in the order of elements. For all threads.
  __device__ double Add(double sum, uint32_t value, uint32_t begin, uint32_t end) const {
    __syncthreads();
    for (uint32_t pair = begin; pair < end; ++pair) sum += pairs[2 * pair + value];
    __syncthreads();
    return sum;
  }
};

// One element, any number of inputs.
template <class Element>
__device__ void MapOne(const DevicePart& part, const Element& element, const LossSamples& loss, uint64_t first,
                       uint32_t offset, uint32_t overflow_bits) {
  constexpr uint32_t kInputs = InputsOf<Element>();
  float x[kInputs > 0 ? kInputs : kMaxInputs];
  uint32_t draws[Element::kDraws ? (kInputs > 0 ? kInputs : kMaxModels) : 1];
  const float y = element(Prepare<Element>(part, first + offset, offset, x, draws));
  StoreOne(part.out_dtype, y, part.output, first + offset);
  loss.Note(part.out_dtype, y, x[0], offset, overflow_bits);
  const uint32_t n_inputs = kInputs > 0 ? kInputs : part.n_inputs;
  uint32_t largest = 0;
  for (uint32_t input = 0; input < n_inputs; ++input) largest = max(largest, Bits(x[input]) & kMagnitudeMask);
  if (largest >= kInfinityBits || (Bits(y) & kMagnitudeMask) >= overflow_bits)
    NoteNonFinite(part, first + offset, x, 1, y, overflow_bits);
}

// kVectorElems neighbours, at most the first of them sampled; a known number of inputs.
template <class Element>
__device__ void MapVector(const DevicePart& part, const Element& element, const LossSamples& loss, uint64_t first,
                          uint32_t offset, uint32_t overflow_bits) {
  constexpr uint32_t kInputs = InputsOf<Element>();
  float x[kInputs * kVectorElems];
  uint32_t draws[Element::kDraws ? kInputs * kVectorElems : 1];
  uint32_t largest = 0, largest_result = 0;
#pragma unroll
  for (uint32_t input = 0; input < kInputs; ++input) {
    LoadVector(part.inputs[input].dtype, part.inputs[input].data, first + offset, &x[input * kVectorElems]);
#pragma unroll
    for (uint32_t j = 0; j < kVectorElems; ++j)
      largest = max(largest, Bits(x[input * kVectorElems + j]) & kMagnitudeMask);
  }
  if constexpr (Element::kDraws) {
    const uint64_t quad = (part.first_elem + first + offset) / 4;
#pragma unroll
    for (uint32_t m = 0; m + 1 < kInputs; ++m) {  // methods that draw have a base
      const uint32_t model = part.inputs[m + 1].model_index;
      const uint4 a = Draw(part, model, quad), b = Draw(part, model, quad + 1);
      uint32_t* words = &draws[m * kVectorElems];
      words[0] = a.x, words[1] = a.y, words[2] = a.z, words[3] = a.w;
      words[4] = b.x, words[5] = b.y, words[6] = b.z, words[7] = b.w;
    }
  }
  float y[kVectorElems];
#pragma unroll
  for (uint32_t j = 0; j < kVectorElems; ++j) {
    At<float> at{{x + j, kVectorElems}, {draws + (Element::kDraws ? j : 0), kVectorElems}, offset + j};
    AddPlace<Element>(part, first + offset + j, &at);
    y[j] = element(at);
    largest_result = max(largest_result, Bits(y[j]) & kMagnitudeMask);
  }
  StoreVector(part.out_dtype, y, part.output, first + offset);
  loss.Note(part.out_dtype, y[0], x[0], offset, overflow_bits);
  if (largest < kInfinityBits && largest_result < overflow_bits) return;
  for (uint32_t j = 0; j < kVectorElems; ++j)
    NoteNonFinite(part, first + offset + j, x + j, kVectorElems, y[j], overflow_bits);
}

template <class Element>
__global__ void __launch_bounds__(kThreads)
    MapKernel(const DevicePart* parts, uint32_t n_parts, const std::byte* functors) {
  const BlockPlace place = FindPlace(parts, n_parts);
  const DevicePart& part = parts[place.part];
  const uint64_t first = uint64_t{place.block} * kSegmentElems;
  const Element& element = ShareFunctor<Element>(part, functors, part.first_elem + first);
  const uint32_t overflow_bits = OverflowBits(part.out_dtype);
  __shared__ double pairs[2 * LossSamples::kPairs];
  const LossSamples loss{pairs, SampleStride(part.tensor_elems) == 1};
  const uint64_t left = part.n_elems - first;
  const uint32_t n = left < kSegmentElems ? static_cast<uint32_t>(left) : kSegmentElems;
  uint32_t done = 0;
  if constexpr (InputsOf<Element>() > 0) {
    if (!loss.all) done = n / kVectorElems * kVectorElems;
    for (uint32_t offset = threadIdx.x * kVectorElems; offset < done; offset += kThreads * kVectorElems)
      MapVector(part, element, loss, first, offset, overflow_bits);
  }
  // A thread adds up one value of one block of elements.
  const uint32_t block = threadIdx.x / 64, value = threadIdx.x / 32 % 2;
  const bool adds = threadIdx.x % 32 == 0 && block * kBlockElems < n;
  double sum = 0;
  for (uint32_t base = done; base < n; base += kThreads) {
    if (base + threadIdx.x < n) MapOne(part, element, loss, first, base + threadIdx.x, overflow_bits);
    if (loss.all) sum = loss.Add(sum, value, 0, adds ? min(kThreads, n - base) : 0);
  }
  if (!loss.all) {
    constexpr uint32_t kPairs = LossSamples::kBlockPairs, kStride = LossSamples::kStride;
    sum = loss.Add(sum, value, block * kPairs, adds ? min((block + 1) * kPairs, (n + kStride - 1) / kStride) : 0);
  }
  if (adds) part.losses[2 * (first / kBlockElems + block) + value] = sum;
}

}  // namespace gpumerge::GM_TARGET
