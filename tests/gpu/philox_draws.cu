// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#define GM_TARGET on_philox_draws
#include "kernels/block.cuh"
#include "kernels/philox.h"
#include "src/cuda/handles.h"
#include "tests/gpu/philox_draws.h"

#include <curand_kernel.h>

namespace gpumerge::testing {
namespace {

struct Words {
  uint32_t of[3][4];
};

__global__ void DrawKernel(const PhiloxPlace* places, uint32_t n, Words* words) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const PhiloxPlace place = places[i];
  Words& out = words[i];
  DevicePart part{};
  part.seed = place.seed;
  part.name_hash = place.name_hash;
  const uint4 drawn = on_philox_draws::Draw(part, place.model, place.block);
  for (uint32_t w = 0; w < 4; ++w) out.of[0][w] = on_philox_draws::Word(drawn, w);
  on_philox_draws::Philox(on_philox_draws::MakePhiloxKey(place.seed, place.name_hash), place.model, place.block,
                          out.of[1]);
  // A subsequence a tensor; in it 2^32 blocks of four words a model.
  curandStatePhilox4_32_10_t state;
  const uint64_t block = uint64_t{place.model} << 32 | place.block;
  curand_init(place.seed, place.name_hash, 4 * block, &state);
  const uint4 by_curand = curand4(&state);
  for (uint32_t w = 0; w < 4; ++w) out.of[2][w] = on_philox_draws::Word(by_curand, w);
}

}  // namespace

std::vector<PhiloxDraws> DrawOnGpu(const std::vector<PhiloxPlace>& places) {
  const uint32_t n = static_cast<uint32_t>(places.size());
  const DeviceBuffer from = MakeDeviceBuffer(n * sizeof(PhiloxPlace)), to = MakeDeviceBuffer(n * sizeof(Words));
  GM_CUDA_TRY(cudaMemcpy(from.get(), places.data(), n * sizeof(PhiloxPlace), cudaMemcpyHostToDevice));
  DrawKernel<<<(n + 63) / 64, 64>>>(reinterpret_cast<const PhiloxPlace*>(from.get()), n,
                                    reinterpret_cast<Words*>(to.get()));
  GM_CUDA_TRY(cudaGetLastError());
  std::vector<Words> words(n);
  GM_CUDA_TRY(cudaMemcpy(words.data(), to.get(), n * sizeof(Words), cudaMemcpyDeviceToHost));
  std::vector<PhiloxDraws> draws(n);
  for (uint32_t i = 0; i < n; ++i)
    for (uint32_t w = 0; w < 4; ++w) {
      draws[i].by_kernels[w] = words[i].of[0][w];
      draws[i].by_philox_h[w] = words[i].of[1][w];
      draws[i].by_curand_init[w] = words[i].of[2][w];
    }
  return draws;
}

}  // namespace gpumerge::testing
