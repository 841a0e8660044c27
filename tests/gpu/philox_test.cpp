// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The random words of the GPU's kernels are those of kernels/philox.h on the host, and cuRAND's: its device generator
// at the place that the counter layout promises, and its generator for hosts, word by word.
#define GM_TARGET on_gpu_philox_test
#include "kernels/philox.h"

#include "tests/gpu/philox_draws.h"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <memory>

namespace gpumerge {
namespace {

using on_gpu_philox_test::MakePhiloxKey;
using on_gpu_philox_test::Philox;
using testing::DrawOnGpu;
using testing::PhiloxDraws;
using testing::PhiloxPlace;
using Words = std::array<uint32_t, 4>;

Words OnHost(const PhiloxPlace& place) {
  Words words{};
  Philox(MakePhiloxKey(place.seed, place.name_hash), place.model, place.block, words.data());
  return words;
}

TEST(GpuPhilox, KernelsDrawTheHostsWordsAndCurands) {
  std::vector<PhiloxPlace> places;
  for (const uint64_t seed : {uint64_t{0}, uint64_t{42}, uint64_t{0xdeadbeefcafef00d}, ~uint64_t{0}})
    for (const uint64_t name :
         {uint64_t{0}, uint64_t{5}, uint64_t{1} << 32, uint64_t{0xfedcba9876543210}, ~uint64_t{0}})
      for (const uint32_t model : {0u, 1u, 63u})
        for (const uint32_t block : {0u, 1u, 4095u, 0x3fffffffu}) places.push_back({seed, name, model, block});
  const std::vector<PhiloxDraws> draws = DrawOnGpu(places);
  for (size_t i = 0; i < places.size(); ++i) {
    const Words expected = OnHost(places[i]);
    EXPECT_EQ(draws[i].by_kernels, expected) << i;
    EXPECT_EQ(draws[i].by_philox_h, expected) << i;
    EXPECT_EQ(draws[i].by_curand_init, expected) << i;
  }
}

#ifdef GPUMERGE_CURAND_LIBRARY
// cuRAND's generator for hosts runs without a GPU. It cannot be told a subsequence: it takes 65536 of them in turn,
// four words of each, then the next four of each. So its words are those of names that hash to 0 to 65535.
TEST(GpuPhilox, CurandsHostGeneratorEagerOnly) {
  constexpr size_t kSubsequences = 65536, kRounds = 3, kWords = 4 * kSubsequences * kRounds;
  constexpr int kPhilox4x32_10 = 161;
  constexpr uint64_t kSeed = 0x0123456789abcdef;
  void* const library = dlopen(GPUMERGE_CURAND_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) GTEST_SKIP() << dlerror();
  const auto create = reinterpret_cast<int (*)(void**, int)>(dlsym(library, "curandCreateGeneratorHost"));
  const auto set_seed =
      reinterpret_cast<int (*)(void*, unsigned long long)>(dlsym(library, "curandSetPseudoRandomGeneratorSeed"));
  const auto generate = reinterpret_cast<int (*)(void*, unsigned*, size_t)>(dlsym(library, "curandGenerate"));
  const auto destroy = reinterpret_cast<int (*)(void*)>(dlsym(library, "curandDestroyGenerator"));
  ASSERT_TRUE(create != nullptr && set_seed != nullptr && generate != nullptr && destroy != nullptr);
  void* generator = nullptr;
  ASSERT_EQ(create(&generator, kPhilox4x32_10), 0);
  ASSERT_EQ(set_seed(generator, kSeed), 0);
  std::vector<unsigned> words(kWords);
  ASSERT_EQ(generate(generator, words.data(), words.size()), 0);
  EXPECT_EQ(destroy(generator), 0);
  for (uint32_t block = 0; block < kRounds; ++block)
    for (uint32_t name = 0; name < kSubsequences; ++name) {
      const Words expected = OnHost({kSeed, name, 0, block});
      for (size_t w = 0; w < 4; ++w)
        ASSERT_EQ(words[4 * (block * kSubsequences + name) + w], expected[w]) << block << " " << name << " " << w;
    }
}
#else
TEST(GpuPhilox, CurandsHostGeneratorEagerOnly) {
  GTEST_SKIP() << "cuRAND's library is not here; scripts/setup brings it";
}
#endif

}  // namespace
}  // namespace gpumerge
