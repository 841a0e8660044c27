// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What every kernel over DeviceParts needs: which part a block works on, its functor in shared memory, elements loaded
// and widened, random words drawn.
#pragma once

#include "kernels/convert.h"
#include "kernels/device_part.h"
#include "kernels/recipe.h"

#include <curand_philox4x32_x.h>

namespace gpumerge::GM_TARGET {

inline constexpr uint32_t kThreads = 256;

// Which part of the launch this block works on, and which of the part's blocks it is. For all threads.
struct BlockPlace {
  uint32_t part, block;
};
__device__ inline BlockPlace FindPlace(const DevicePart* parts, uint32_t n_parts) {
  uint32_t low = 0, high = n_parts;  // the last part that begins at or before this block
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (parts[middle].first_block <= blockIdx.x) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return {low, blockIdx.x - parts[low].first_block};
}

// The number of inputs or values of a functor where the compiler knows it, else 0.
template <class Functor>
constexpr uint32_t InputsOf() {
  if constexpr (requires { Functor::kInputs; })
    return Functor::kInputs;
  else
    return 0;
}
template <class Functor>
constexpr uint32_t ValuesOf() {
  if constexpr (requires { Functor::kValues; })
    return Functor::kValues;
  else
    return 0;
}
inline constexpr uint32_t kMaxInputs = kMaxModels + 1;

// The block's own copy of its part's functor. One copy a block, in shared memory: for many models it is larger than a
// thread's registers.
template <class Functor>
__device__ Functor& ShareBytes(const DevicePart& part, const std::byte* functors) {
  constexpr uint32_t kUsed = (sizeof(Functor) + 3) / 4;
  constexpr uint32_t kWords = (kUsed + 3) / 4 * 4;  // compilers load 16 bytes at once, what is behind it included
  static_assert(alignof(Functor) <= 16);
  __shared__ alignas(16) uint32_t words[kWords];
  // The table pads every functor to whole words.
  const uint32_t* from = reinterpret_cast<const uint32_t*>(functors + part.functor_offset);
  for (uint32_t i = threadIdx.x; i < kWords; i += blockDim.x) words[i] = i < kUsed ? from[i] : 0;
  __syncthreads();
  return *reinterpret_cast<Functor*>(words);
}

// The same, bound to its selections and moved to first_elem of the tensor.
template <class Functor>
__device__ Functor& ShareFunctor(const DevicePart& part, const std::byte* functors, uint64_t first_elem) {
  Functor& functor = ShareBytes<Functor>(part, functors);
  if (threadIdx.x == 0) {
    functor.Bind(part.kept);
    functor.MoveTo(first_elem);
  }
  __syncthreads();
  return functor;
}

__device__ inline float LoadOne(DType dtype, const std::byte* tensor, uint64_t i) {
  switch (dtype) {
    case DType::kBF16:
      return FromBf16(reinterpret_cast<const uint16_t*>(tensor)[i]);
    case DType::kF16:
      return FromF16(reinterpret_cast<const uint16_t*>(tensor)[i]);
    case DType::kF32:
      return reinterpret_cast<const float*>(tensor)[i];
    case DType::kF8E4M3:
      return FromF8E4M3(reinterpret_cast<const uint8_t*>(tensor)[i]);
    case DType::kF8E5M2:
      return FromF8E5M2(reinterpret_cast<const uint8_t*>(tensor)[i]);
    default:  // the host lets no other type through
      return FromF64(reinterpret_cast<const double*>(tensor)[i]);
  }
}

// The random words of elements 4 * block to 4 * block + 3: cuRAND's generator at the counter of kernels/philox.h.
__device__ inline uint4 Draw(const DevicePart& part, uint32_t model, uint64_t block) {
  return curand_Philox4x32_10(make_uint4(static_cast<uint32_t>(block), model, static_cast<uint32_t>(part.name_hash),
                                         static_cast<uint32_t>(part.name_hash >> 32)),
                              make_uint2(static_cast<uint32_t>(part.seed), static_cast<uint32_t>(part.seed >> 32)));
}
__device__ inline uint32_t Word(const uint4& words, uint32_t number) {
  return number == 0 ? words.x : number == 1 ? words.y : number == 2 ? words.z : words.w;
}

// What a functor reads besides the element's values: those of its row or column, its ranks.
template <class Functor>
__device__ void AddPlace(const DevicePart& part, uint64_t elem, At<float>* at) {
  constexpr GroupAxis kAxis = GroupsOf<Functor>();
  if constexpr (kAxis != GroupAxis::kNone) {
    const uint32_t index = static_cast<uint32_t>(part.first_elem + elem);  // tensors of 2^32 elements are refused
    const uint32_t group = kAxis == GroupAxis::kRows ? index / part.row_elems : index % part.n_columns;
    at->group = {part.group_values + size_t{group} * part.n_group_values, 1};
  }
  if constexpr (kRanks<Functor>) at->rank = {part.ranks + elem, part.rank_stride};
}

// Everything a functor reads at one element, which lies i behind the one it was moved to: x (n_inputs), draws
// (n_models).
template <class Functor>
__device__ At<float> Prepare(const DevicePart& part, uint64_t elem, uint32_t i, float* x, uint32_t* draws) {
  constexpr uint32_t kInputs = InputsOf<Functor>();
  const uint32_t n_inputs = kInputs > 0 ? kInputs : part.n_inputs;
  for (uint32_t input = 0; input < n_inputs; ++input)
    x[input] = LoadOne(part.inputs[input].dtype, part.inputs[input].data, elem);
  if constexpr (Functor::kDraws) {
    const uint64_t index = part.first_elem + elem;
    const uint32_t n_models = n_inputs - part.has_base;
    for (uint32_t m = 0; m < n_models; ++m)
      draws[m] = Word(Draw(part, part.inputs[m + part.has_base].model_index, index / 4), index % 4);
  }
  At<float> at{{x, 1}, {draws, 1}, i};
  AddPlace<Functor>(part, elem, &at);
  return at;
}

}  // namespace gpumerge::GM_TARGET
