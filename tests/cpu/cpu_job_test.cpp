// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a pass ends: thresholds from counts in brackets, sums from block sums, findings of ranges put together.
#include "src/cpu/cpu_job.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace gpumerge {
namespace {

MergeJob JobOf(uint32_t n_inputs, uint64_t n_elems) {
  MergeJob job;
  job.inputs.resize(n_inputs);
  job.n_elems = n_elems;
  return job;
}

constexpr uint64_t kElems = 5000;

// A state with one selection over two models that keep `wanted`, which count in these brackets.
std::unique_ptr<CpuJobState> SelectState(uint64_t wanted_0, uint64_t wanted_1, const std::vector<Bracket>& brackets) {
  auto state = std::make_unique<CpuJobState>(JobOf(3, kElems), PassList{{PassKind::kSelect, 2}, {PassKind::kMap}});
  state->views()[0].wanted[0] = wanted_0;
  state->views()[0].wanted[1] = wanted_1;
  state->BeginCount(0, brackets);
  return state;
}

constexpr uint32_t kDifferent = KeyBin<uint64_t>::kDifferent;

TEST(CpuJobState, ThresholdLiesWhereTheCountIsReached) {
  const auto of_job = SelectState(5, 9, {{100, 131, 3}, {7, 8, 0}});
  CpuJobState& state = *of_job;
  // 100..107, 108..115, 116..123, 124..131; of the first model's the last but one has one key only.
  const std::vector<KeyBin<uint64_t>> of_first = {{900, kDifferent}, {90, kDifferent}, {6, 117 + 1}, {2, kDifferent}};
  const std::vector<KeyBin<uint64_t>> of_second = {{5, 7 + 1}, {4, 8 + 1}};
  EXPECT_TRUE(state.EndCount(0, std::vector<uint64_t>{2, 0}, std::vector{of_first, of_second}, 16));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 117u);
  EXPECT_EQ(state.select(0).ties_left[0], 1u);  // of the six ties one is kept
  EXPECT_EQ(state.select(0).selections[1].threshold_bits, 7u);
  EXPECT_EQ(state.select(0).ties_left[1], 0u);  // all five are kept: none has to be found
  EXPECT_EQ(state.select(0).selections[1].tie_end, ~uint64_t{0});
  EXPECT_TRUE(state.select(0).HasTiesLeft());
}

TEST(CpuJobState, OnlyWhatIsNotKnownIsCountedAgain) {
  const auto of_job = SelectState(3, 3, {{100, 103, 1}, {100, 103, 1}});
  CpuJobState& state = *of_job;
  const std::vector<KeyBin<uint64_t>> known = {{0, 0}, {4, 102 + 1}}, several = {{0, 0}, {4, kDifferent}};
  EXPECT_FALSE(state.EndCount(0, std::vector<uint64_t>{0, 0}, std::vector{known, several}, 16));
  EXPECT_EQ(state.select(0).brackets[0].n_bins(), 0u);
  EXPECT_EQ(state.select(0).brackets[1], (Bracket{102, 103, 0}));
  EXPECT_EQ(state.select(0).ties_left[0], 3u);
  const std::vector<KeyBin<uint64_t>> bins = {{3, 102 + 1}, {1, 103 + 1}};
  EXPECT_TRUE(state.EndCount(0, std::vector<uint64_t>{0, 0}, std::vector{{}, bins}, 16));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 102u);  // as it was
  EXPECT_EQ(state.select(0).ties_left[0], 3u);
  EXPECT_EQ(state.select(0).selections[1].threshold_bits, 102u);
  EXPECT_EQ(state.select(0).ties_left[1], 2u);
}

TEST(CpuJobState, ABracketThatMissedIsFollowedByWhatIsBesideIt) {
  const auto of_job = SelectState(5, 5, {{100, 100, 0}, {100, 100, 0}});
  CpuJobState& state = *of_job;
  const std::vector<KeyBin<uint64_t>> none = {{0, 0}};
  EXPECT_FALSE(state.EndCount(0, std::vector<uint64_t>{5, 4}, std::vector{none, none}, 1u << 16));
  EXPECT_EQ(state.select(0).brackets[0].first_key, 101u);
  EXPECT_EQ(state.select(0).brackets[0].last_key, 0x7fffffffu);
  EXPECT_EQ(state.select(0).brackets[1], (Bracket{0, 99, 0}));
}

TEST(CpuJobState, KeepingNothingAndEverythingTakesNoCount) {
  const auto of_job = SelectState(0, kElems, {{1, 2, 0}, {1, 2, 0}});
  CpuJobState& state = *of_job;
  EXPECT_EQ(state.select(0).brackets[0].n_bins(), 0u);
  EXPECT_EQ(state.select(0).brackets[1].n_bins(), 0u);
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 0xffffffffu);
  EXPECT_EQ(state.select(0).selections[0].tie_end, 0u);
  EXPECT_EQ(state.select(0).selections[1].threshold_bits, 0u);
  EXPECT_EQ(state.select(0).selections[1].tie_end, ~uint64_t{0});
  EXPECT_FALSE(state.select(0).HasTiesLeft());
  EXPECT_TRUE(state.EndCount(0, std::vector<uint64_t>{0, 0}, std::vector<std::vector<KeyBin<uint64_t>>>(2), 16));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 0xffffffffu);  // still
}

// A method may read the smallest of all keys as a value: quartiles of three elements.
TEST(CpuJobState, AllOfATinyTensorIsCounted) {
  CpuJobState state(JobOf(3, 3), {{PassKind::kSelect, 1}, {PassKind::kMap}});
  state.views()[0].wanted[0] = 3;
  state.BeginCount(0, {{100, 102, 0}});
  ASSERT_EQ(state.select(0).brackets[0].n_bins(), 3u);
  const std::vector<KeyBin<uint64_t>> bins = {{2, 100 + 1}, {1, 101 + 1}, {0, 0}};
  EXPECT_TRUE(state.EndCount(0, std::vector<uint64_t>{0}, std::vector<std::vector<KeyBin<uint64_t>>>{bins}, 16));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 100u);
  EXPECT_EQ(state.select(0).selections[0].tie_end, ~uint64_t{0});
  EXPECT_FALSE(state.select(0).HasTiesLeft());
}

TEST(CpuJobState, TheLargestKeyIsOneLikeAnother) {
  const auto of_job = SelectState(1, 1, {{0x7fffffff, 0x7fffffff, 0}, {0, 0x7fffffff, 15}});
  CpuJobState& state = *of_job;
  std::vector<KeyBin<uint64_t>> all(1u << 16);
  all.back() = {1, 0x7fff8000u + 1};
  EXPECT_TRUE(state.EndCount(0, std::vector<uint64_t>{0, 0}, std::vector{{{2, 0x80000000u}}, all}, 16));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 0x7fffffffu);
  EXPECT_EQ(state.select(0).ties_left[0], 1u);
  EXPECT_EQ(state.select(0).selections[1].threshold_bits, 0x7fff8000u);
  EXPECT_EQ(state.select(0).ties_left[1], 0u);
}

// The reduced value of blocks, each with one value that counts and one that is its negative.
double Reduced(ReduceOp op, const std::vector<double>& blocks) {
  CpuJobState state(JobOf(1, blocks.size() * kBlockElems), {{PassKind::kReduce, 2, op}, {PassKind::kMap}});
  EXPECT_EQ(state.block_sums(0).size(), 2 * blocks.size());
  EXPECT_EQ(state.views()[0].sums[0], 0);
  for (size_t b = 0; b < blocks.size(); ++b) {
    state.block_sums(0)[2 * b] = blocks[b];
    state.block_sums(0)[2 * b + 1] = -blocks[b];
  }
  state.EndReduce(0);
  if (op == ReduceOp::kSum) {
    EXPECT_EQ(state.views()[0].sums[1], -state.views()[0].sums[0]);
  }
  return state.views()[0].sums[0];
}

TEST(CpuJobState, BlocksArePairedAndAnOddOneMovesUp) {
  constexpr double kBig = 0x1p53;  // adding 1 to it rounds back to it
  EXPECT_EQ(Reduced(ReduceOp::kSum, {}), 0);
  EXPECT_EQ(Reduced(ReduceOp::kSum, {0.1}), 0.1);
  EXPECT_EQ(Reduced(ReduceOp::kSum, {0.1, 0.2}), 0.1 + 0.2);
  EXPECT_EQ(Reduced(ReduceOp::kSum, {kBig, 1, 1}), kBig);  // (0 + 1) + 2
  EXPECT_EQ(Reduced(ReduceOp::kSum, {1, 1, kBig}), kBig + 2);
  EXPECT_EQ(Reduced(ReduceOp::kSum, {kBig, 0, 1, 1}), kBig + 2);           // (0 + 1) + (2 + 3)
  EXPECT_EQ(Reduced(ReduceOp::kSum, {kBig, 0, 1, 0, 1}), kBig);            // ((0 + 1) + (2 + 3)) + 4
  EXPECT_EQ(Reduced(ReduceOp::kSum, {kBig, 0, 0, 0, 1, 1}), kBig + 2);     // ((0 + 1) + (2 + 3)) + (4 + 5)
  EXPECT_EQ(Reduced(ReduceOp::kSum, {kBig, 0, 0, 0, 1, 0, 1}), kBig + 2);  // (... + ...) + ((4 + 5) + 6)
  EXPECT_EQ(Reduced(ReduceOp::kSum, {0, 0, 0, 0, kBig, 1, 1}), kBig);
}

TEST(CpuJobState, TheLargestOfAnyNumberOfBlocks) {
  for (size_t n = 1; n <= 9; ++n)
    for (size_t at = 0; at < n; ++at) {
      std::vector<double> blocks(n, 1.0);
      blocks[at] = 7;
      EXPECT_EQ(Reduced(ReduceOp::kMax, blocks), 7) << n << " blocks, at " << at;
    }
}

TEST(CpuJobState, FindingsOfRangesAddUp) {
  CpuJobState state(JobOf(2, 100), {{PassKind::kMap}});
  EXPECT_FALSE(state.InputNonFinite(0).has_value());
  EXPECT_FALSE(state.OutputOverflow().has_value());
  const RangeFinding none, late{90, 2, 0}, early{7, 1, 0}, big{50, 1, 3e38f}, bigger{60, 3, 3.1e38f};
  state.AddFindings(std::vector<RangeFinding>{none, late, bigger});
  state.AddFindings(std::vector<RangeFinding>{none, early, big});
  EXPECT_FALSE(state.InputNonFinite(0).has_value());
  ASSERT_TRUE(state.InputNonFinite(1).has_value());
  EXPECT_EQ(state.InputNonFinite(1)->first_index, 7u);
  EXPECT_EQ(state.InputNonFinite(1)->count, 3u);
  ASSERT_TRUE(state.OutputOverflow().has_value());
  EXPECT_EQ(state.OutputOverflow()->first_index, 50u);
  EXPECT_EQ(state.OutputOverflow()->count, 4u);
  EXPECT_EQ(state.OutputOverflow()->largest_finite, 3.1e38f);
}

}  // namespace
}  // namespace gpumerge
