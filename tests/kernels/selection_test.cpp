// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Exactly-k selection: how many a density keeps, which of equal ones, and that the last one is found wherever it lies
// among tiles, ranges, chunks and threads.
#define GM_TARGET on_selection_test
#include "kernels/selection.h"

#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <numeric>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names
using on_selection_test::ForTile;
using on_selection_test::Keeps;
using on_selection_test::KeptCount;
using on_selection_test::TileSelection;

TEST(KeptCount, TruncatesInDouble) {
  EXPECT_EQ(KeptCount(0.5, 7), 3u);
  EXPECT_EQ(KeptCount(0.29, 100), 28u);  // 28.999999999999996
  EXPECT_EQ(KeptCount(0.57, 100), 56u);  // 56.99999999999999
  EXPECT_EQ(KeptCount(0.1, 10), 1u);
  EXPECT_EQ(KeptCount(0.999999, 1000), 999u);
  EXPECT_EQ(KeptCount(0.2, 16'777'217), 3'355'443u);
  EXPECT_EQ(KeptCount(0.3, uint64_t{1} << 40), 329'853'488'332u);
}

TEST(KeptCount, KeepsAtLeastOneWhenAnyDensity) {
  EXPECT_EQ(KeptCount(0.001, 10), 1u);
  EXPECT_EQ(KeptCount(1e-300, 1), 1u);
  EXPECT_EQ(KeptCount(0.5, 1), 1u);
  EXPECT_EQ(KeptCount(0.0, 10), 0u);
  EXPECT_EQ(KeptCount(-0.0, 10), 0u);
}

TEST(KeptCount, KeepsNothingOfNothingAndAllAtOne) {
  EXPECT_EQ(KeptCount(0.5, 0), 0u);
  EXPECT_EQ(KeptCount(1.0, 0), 0u);
  EXPECT_EQ(KeptCount(1.0, 12'345), 12'345u);
  EXPECT_EQ(KeptCount(1.0, (uint64_t{1} << 53) + 1), (uint64_t{1} << 53) + 1);  // not through double
}

bool KeepsKey(const TileSelection& selection, uint32_t key, uint32_t i) { return Keeps(selection, key, i); }

TEST(TileSelection, KeepsAboveTheThresholdAndTiesBeforeTheEnd) {
  const TileSelection tile = ForTile({0x3f800000, 100}, 0);
  EXPECT_TRUE(KeepsKey(tile, 0x3f800001, 5000));
  EXPECT_FALSE(KeepsKey(tile, 0x3f7fffff, 0));
  EXPECT_TRUE(KeepsKey(tile, 0x3f800000, 99));
  EXPECT_FALSE(KeepsKey(tile, 0x3f800000, 100));
}

TEST(TileSelection, TieEndCountsFromTheTile) {
  const Selection selection{7, 1030};
  EXPECT_EQ(ForTile(selection, 0).tie_end, 1030u);
  EXPECT_EQ(ForTile(selection, 1024).tie_end, 6u);
  EXPECT_EQ(ForTile(selection, 1030).tie_end, 0u);
  EXPECT_EQ(ForTile(selection, 2048).tie_end, 0u);
  EXPECT_EQ(ForTile(selection, 2048).threshold_bits, 7u);
}

TEST(TileSelection, HugeTensors) {
  constexpr uint64_t kFar = uint64_t{1} << 33;
  EXPECT_EQ(ForTile({7, kFar + 5}, kFar).tie_end, 5u);
  EXPECT_EQ(ForTile({7, kFar + 5}, 0).tie_end, 0xffffffffu);
  EXPECT_EQ(ForTile({7, 5}, kFar).tie_end, 0u);
  const TileSelection all = ForTile(on_selection_test::kKeepAll, kFar);
  EXPECT_TRUE(KeepsKey(all, 0, 1023));
  EXPECT_TRUE(KeepsKey(all, 0x7f800000, 0));
}

TEST(TileSelection, KeepNoneKeepsNotEvenNan) {
  const TileSelection none = ForTile(on_selection_test::kKeepNone, 0);
  EXPECT_FALSE(KeepsKey(none, 0x7fffffff, 0));
  EXPECT_FALSE(KeepsKey(none, 0, 0));
}

// One model on a base of zeros: the result is what was kept.
JobSpec TrimSpec(std::vector<float> deltas, double density) {
  std::vector<float> base(deltas.size(), 0.0f);
  return {.method = "ties",
          .inputs = {std::move(base), std::move(deltas)},
          .params = {{"weight", {1}}, {"density", {density}}}};
}

TEST(TrimmedDeltas, LargestMagnitudesThenLowestIndices) {
  const std::vector<float> deltas = {3, -5, 1, 5, 0.5f, -3, 3};
  const std::pair<double, std::vector<float>> cases[] = {
      {0.0, {0, 0, 0, 0, 0, 0, 0}},       {0.01, {0, -5, 0, 0, 0, 0, 0}},
      {2.5 / 7, {0, -5, 0, 5, 0, 0, 0}},  {3.5 / 7, {3, -5, 0, 5, 0, 0, 0}},
      {4.5 / 7, {3, -5, 0, 5, 0, -3, 0}}, {5.5 / 7, {3, -5, 0, 5, 0, -3, 3}},
      {6.5 / 7, {3, -5, 1, 5, 0, -3, 3}}, {1.0, deltas},
  };
  for (const auto& [density, expected] : cases)
    for (const auto& backend : EveryBackend())
      EXPECT_EQ(RunJob(*backend, MakeJob(TrimSpec(deltas, density))), expected) << density << " " << NameOf(*backend);
}

TEST(TrimmedDeltas, RanksTheRoundedDifference) {
  // Differences to 1: 2^-23, -2^-24, 0, 2^-23; the second input's magnitude alone would rank otherwise.
  JobSpec spec = TrimSpec({1 + 0x1p-23f, 1 - 0x1p-24f, 1.0f, 1 + 0x1p-23f}, 0.25);
  spec.inputs[0] = {1, 1, 1, 1};
  for (const auto& backend : EveryBackend())
    EXPECT_EQ(RunJob(*backend, MakeJob(spec)), (std::vector<float>{1 + 0x1p-23f, 1, 1, 1})) << NameOf(*backend);
}

TEST(TrimmedDeltas, DenormalsAndNeighbouringBitsAreToldApart) {
  std::vector<float> deltas, expected(20, 0.0f);
  for (uint32_t i = 0; i < 10; ++i) deltas.push_back(std::bit_cast<float>(i));                 // denormals
  for (uint32_t i = 0; i < 10; ++i) deltas.push_back(-std::bit_cast<float>(0x3f7ffffbu + i));  // across a high bin
  for (size_t i = 13; i < 20; ++i) expected[i] = deltas[i];
  for (const auto& backend : EveryBackend()) {
    EXPECT_EQ(RunJob(*backend, MakeJob(TrimSpec(deltas, 7.5 / 20))), expected) << NameOf(*backend);
    std::vector<float> most = deltas;
    for (size_t i = 0; i < 7; ++i) most[i] = 0;
    EXPECT_EQ(BitsOf(RunJob(*backend, MakeJob(TrimSpec(deltas, 13.5 / 20)))), BitsOf(most)) << NameOf(*backend);
  }
}

TEST(TrimmedDeltas, TheLastTieIsFoundWhereverItLies) {
  constexpr size_t kElems = 200'003;  // four ranges of work, the last one short
  const std::vector<float> level(kElems, 0.25f);
  const auto streaming = MakeCpuBackend(2, "");
  const auto alone = MakeCpuBackend(1, "");
  for (const uint64_t k : {uint64_t{1}, uint64_t{2}, uint64_t{1023}, uint64_t{1024}, uint64_t{1025}, uint64_t{4095},
                           uint64_t{4096}, uint64_t{4097}, uint64_t{65'535}, uint64_t{65'536}, uint64_t{65'537},
                           uint64_t{131'072}, uint64_t{196'608}, uint64_t{196'609}, uint64_t{200'002}}) {
    const TestJob test = MakeJob(TrimSpec(level, (static_cast<double>(k) + 0.5) / kElems));
    std::vector<float> expected(kElems, 0.0f);
    std::fill_n(expected.begin(), k, 0.25f);
    EXPECT_EQ(RunJob(*alone, test), expected) << k;
    for (const uint64_t chunk : {uint64_t{0}, kBlockElems, 3 * kBlockElems, 16 * kBlockElems})
      EXPECT_EQ(RunJob(*streaming, test, chunk), expected) << k << " in chunks of " << chunk;
  }
}

TEST(TrimmedDeltas, TiesSpreadAmongLargerAndSmallerOnes) {
  constexpr size_t kElems = 70'001;
  std::vector<float> deltas(kElems), expected(kElems, 0.0f);
  for (size_t i = 0; i < kElems; ++i) deltas[i] = i % 3 == 0 ? 2.0f : i % 3 == 1 ? -1.0f : 0.5f;
  // All of the 23334 largest, then the first 10000 of the ties at indices 1, 4, 7, ...
  for (size_t i = 0; i < kElems; ++i)
    if (i % 3 == 0 || (i % 3 == 1 && i / 3 < 10'000)) expected[i] = deltas[i];
  const TestJob test = MakeJob(TrimSpec(deltas, 33'334.5 / kElems));
  for (const auto& backend : EveryBackend()) EXPECT_EQ(RunJob(*backend, test), expected) << NameOf(*backend);
  EXPECT_EQ(RunJob(*MakeCpuBackend(3, ""), test, 2 * kBlockElems), expected);
}

TEST(TrimmedDeltas, EachModelHasItsOwnSelection) {
  JobSpec spec = TrimSpec({4, 3, 2, 1}, 0.25);
  spec.inputs.push_back({1, 2, 3, 4});
  spec.inputs.push_back({1, 1, 1, 1});
  spec.params = {{"weight", {1, 1, 1}}, {"density", {0.25, 0.5, 0.75}}, {"normalize", {0}}};
  for (const auto& backend : EveryBackend())
    EXPECT_EQ(RunJob(*backend, MakeJob(spec)), (std::vector<float>{5, 1, 4, 4})) << NameOf(*backend);
}

}  // namespace
}  // namespace gpumerge
