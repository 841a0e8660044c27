// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The random words: Random123's known answers, cuRAND's counter layout, which word belongs to which element, and that
// seeds, tensors, models and elements draw independently.
#define GM_TARGET on_philox_test
#include "kernels/philox.h"

#include "src/cpu/tile.h"
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using on_philox_test::MakePhiloxKey;
using on_philox_test::Philox;
using on_philox_test::PhiloxKey;

using Words = std::array<uint32_t, 4>;

Words WordsOf(const PhiloxKey& key, uint32_t model, uint32_t block) {
  Words words{};
  Philox(key, model, block, words.data());
  return words;
}

// Random123's tests/kat_vectors for philox4x32, 10 rounds. A counter is (block, model, name low, name high).
TEST(Philox, Random123KnownAnswers) {
  EXPECT_EQ(WordsOf({0, 0, 0, 0}, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(WordsOf({kOnes, kOnes, kOnes, kOnes}, kOnes, kOnes),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(WordsOf({0xa4093822, 0x299f31d0, 0x13198a2e, 0x03707344}, 0x85a308d3, 0x243f6a88),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// curand_init(42, 5, 4): key 42, subsequence 5 in the counter's upper half, offset 4 = block 1.
TEST(Philox, CurandLayout) {
  EXPECT_EQ(WordsOf(MakePhiloxKey(42, 5), 0, 1), (Words{0x98712bb9, 0xc696c1de, 0x5845cbee, 0x74a6ba17}));
}

TEST(Philox, KeyTakesBothWordsOfSeedAndName) {
  const PhiloxKey key = MakePhiloxKey(0x1122334455667788, 0x99aabbccddeeff00);
  EXPECT_EQ(key.key_low, 0x55667788u);
  EXPECT_EQ(key.key_high, 0x11223344u);
  EXPECT_EQ(key.name_low, 0xddeeff00u);
  EXPECT_EQ(key.name_high, 0x99aabbccu);
}

// A base of zeros and models of ones, so that a result of one is an element that was kept.
JobSpec DropSpec(size_t n, double density) {
  return {.method = "dare_linear",
          .inputs = {std::vector<float>(n, 0.0f), std::vector<float>(n, 1.0f)},
          .params = {{"weight", {1}}, {"density", {density}}, {"rescale", {Choice("dare_linear", "rescale", "false")}}},
          .seed = 1234567,
          .name_hash = 0xabcdef0123456789};
}

TEST(Draws, ElementTakesItsWordOfItsBlock) {
  constexpr size_t kElems = 3 * kBlockElems + 4099;
  JobSpec spec = DropSpec(kElems, 0.375);
  spec.seed = 0x0123456789abcdef;
  spec.model_indices = {6};
  const PhiloxKey key = MakePhiloxKey(spec.seed, spec.name_hash);
  std::vector<float> expected(kElems);
  for (size_t i = 0; i < kElems; ++i)
    expected[i] = WordsOf(key, 6, static_cast<uint32_t>(i / 4))[i % 4] < 0x60000000u ? 1.0f : 0.0f;
  for (const auto& backend : EveryBackend()) {
    EXPECT_EQ(RunJob(*backend, MakeJob(spec)), expected) << NameOf(*backend);
    if (backend->Info().can_stream) {
      EXPECT_EQ(RunJob(*backend, MakeJob(spec), kBlockElems), expected) << NameOf(*backend);
    }
  }
}

TEST(Draws, TileHoldsEveryModelsWords) {
  JobSpec spec = DropSpec(4, 0.5);
  spec.inputs.push_back(spec.inputs[1]);
  spec.params["weight"] = spec.params["density"] = {1, 1};
  spec.model_indices = {1, 4};
  std::vector<uint32_t> draws(2 * kTileElems);
  const MergeJob job = MakeJob(spec).job;
  on_philox_test::DrawTile(job, 8 * kTileElems, 10, draws.data());
  const PhiloxKey key = MakePhiloxKey(spec.seed, spec.name_hash);
  for (uint32_t j = 0; j < 10; ++j) {
    EXPECT_EQ(draws[j], WordsOf(key, 1, 2 * kTileElems + j / 4)[j % 4]) << j;
    EXPECT_EQ(draws[kTileElems + j], WordsOf(key, 4, 2 * kTileElems + j / 4)[j % 4]) << j;
  }
}

TEST(Draws, KeepRateIsTheDensity) {
  constexpr size_t kElems = 200'000;
  const auto backend = MakeCpuBackend(2, "");
  const auto reference = MakeReferenceBackend();
  for (const double density : {0.001, 0.1, 0.25, 0.5, 0.9, 0.999}) {
    double kept = 0;
    for (const float value : RunJob(*backend, MakeJob(DropSpec(kElems, density)))) kept += static_cast<double>(value);
    const double sigma = std::sqrt(kElems * density * (1 - density));
    EXPECT_NEAR(kept, kElems * density, 5 * sigma) << density;
    double kept_by_reference = 0;
    for (const float value : RunJob(*reference, MakeJob(DropSpec(20'000, density))))
      kept_by_reference += static_cast<double>(value);
    EXPECT_NEAR(kept_by_reference, 20'000 * density, 5 * sigma / std::sqrt(10.0)) << density;
  }
}

TEST(Draws, EndsOfTheDensityRange) {
  for (const auto& backend : EveryBackend()) {
    EXPECT_EQ(RunJob(*backend, MakeJob(DropSpec(5000, 0))), std::vector<float>(5000, 0.0f));
    EXPECT_EQ(RunJob(*backend, MakeJob(DropSpec(5000, 1))), std::vector<float>(5000, 1.0f));
    // One word of 2^32 is kept: none of these. Just below one: none is dropped.
    EXPECT_EQ(RunJob(*backend, MakeJob(DropSpec(5000, 1e-12))), std::vector<float>(5000, 0.0f));
    EXPECT_EQ(RunJob(*backend, MakeJob(DropSpec(5000, 1 - 1e-12))), std::vector<float>(5000, 1.0f));
  }
}

// Half of two independent masks of density 1/2 agree.
void ExpectIndependent(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  double equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i] ? 1 : 0;
  const double n = static_cast<double>(a.size());
  EXPECT_NEAR(equal, n / 2, 5 * std::sqrt(n / 4)) << what;
}

TEST(Draws, SeedNameModelAndElementDrawIndependently) {
  constexpr size_t kElems = 40'000;
  const auto backend = MakeCpuBackend(2, "");
  const JobSpec spec = DropSpec(kElems, 0.5);
  const auto mask = RunJob(*backend, MakeJob(spec));
  const auto changed = [&](auto change) {
    JobSpec other = spec;
    change(other);
    return RunJob(*backend, MakeJob(other));
  };
  ExpectIndependent(mask, changed([](JobSpec& s) { s.seed += 1; }), "seed, low word");
  ExpectIndependent(mask, changed([](JobSpec& s) { s.seed += uint64_t{1} << 32; }), "seed, high word");
  ExpectIndependent(mask, changed([](JobSpec& s) { s.name_hash += 1; }), "name, low word");
  ExpectIndependent(mask, changed([](JobSpec& s) { s.name_hash += uint64_t{1} << 32; }), "name, high word");
  ExpectIndependent(mask, changed([](JobSpec& s) { s.model_indices = {1}; }), "model");
  for (const size_t distance : {size_t{1}, size_t{2}, size_t{3}, size_t{4}, size_t{1024}, size_t{4096}})
    ExpectIndependent({mask.begin() + static_cast<ptrdiff_t>(distance), mask.end()},
                      {mask.begin(), mask.end() - static_cast<ptrdiff_t>(distance)}, "elements");
}

TEST(Draws, GrowingTheDensityOnlyAddsElements) {
  const auto backend = MakeCpuBackend(2, "");
  std::vector<float> before(10'000, 0.0f);
  for (const double density : {0.1, 0.2, 0.5, 0.8, 1.0}) {
    const auto mask = RunJob(*backend, MakeJob(DropSpec(before.size(), density)));
    for (size_t i = 0; i < mask.size(); ++i) ASSERT_GE(mask[i], before[i]) << density << " " << i;
    before = mask;
  }
}

}  // namespace
}  // namespace gpumerge
