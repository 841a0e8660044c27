// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// How a pass ends: thresholds from histograms, sums from block sums, findings of ranges put together.
#include "src/cpu/cpu_job.h"

#include <gtest/gtest.h>

namespace gpumerge {
namespace {

MergeJob JobOf(uint32_t n_inputs, uint64_t n_elems) {
  MergeJob job;
  job.inputs.resize(n_inputs);
  job.n_elems = n_elems;
  return job;
}

// A state with one selection over two models that keep `wanted`.
CpuJobState SelectState(uint64_t wanted_0, uint64_t wanted_1) {
  CpuJobState state(JobOf(3, 1000), {{PassKind::kSelect, 2}, {PassKind::kMap}});
  state.views()[0].wanted[0] = wanted_0;
  state.views()[0].wanted[1] = wanted_1;
  return state;
}

struct Bin {
  uint32_t model, bin;
  uint64_t count;
};

std::vector<uint64_t> Histogram(uint32_t n_bins, const std::vector<Bin>& bins) {
  std::vector<uint64_t> histogram(2 * n_bins);
  for (const Bin& b : bins) histogram[b.model * n_bins + b.bin] = b.count;
  return histogram;
}

TEST(CpuJobState, ThresholdLiesWhereTheCountIsReached) {
  CpuJobState state = SelectState(5, 9);
  state.EndHighCount(0,
                     Histogram(kHighBins, {{0, 0x7e80, 3}, {0, 0x7e00, 4}, {0, 0, 993}, {1, 0xff, 9}, {1, 0xfe, 991}}));
  EXPECT_EQ(state.views()[0].high_bins[0], 0x7e00u);
  EXPECT_EQ(state.select(0).wanted_in_bin[0], 2u);
  EXPECT_EQ(state.views()[0].high_bins[1], 0xffu);  // exactly full: the bin below is not touched
  EXPECT_EQ(state.select(0).wanted_in_bin[1], 9u);

  state.EndLowCount(0, Histogram(kLowBins, {{0, 100, 1}, {0, 50, 3}, {1, 32767, 4}, {1, 0, 5}}));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 0x7e00u << 15 | 50u);
  EXPECT_EQ(state.select(0).ties_left[0], 1u);  // of the three ties one is kept
  EXPECT_EQ(state.select(0).selections[1].threshold_bits, 0xffu << 15);
  EXPECT_EQ(state.select(0).ties_left[1], 0u);  // all five are kept: none has to be found
  EXPECT_EQ(state.select(0).selections[1].tie_end, ~uint64_t{0});
}

TEST(CpuJobState, KeepingNothingAndEverything) {
  CpuJobState state = SelectState(0, 1000);
  state.EndHighCount(0, Histogram(kHighBins, {{0, 0xffff, 1000}, {1, 0, 1000}}));
  EXPECT_EQ(state.views()[0].high_bins[1], 0u);
  state.EndLowCount(0, Histogram(kLowBins, {{0, 1, 1000}, {1, 0, 400}, {1, 7, 600}}));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 0xffffffffu);
  EXPECT_EQ(state.select(0).selections[0].tie_end, 0u);
  EXPECT_EQ(state.select(0).ties_left[0], 0u);
  EXPECT_EQ(state.select(0).selections[1].threshold_bits, 0u);
  EXPECT_EQ(state.select(0).ties_left[1], 0u);
}

TEST(CpuJobState, TheLargestKeyIsABinLikeAnother) {
  CpuJobState state = SelectState(1, 1);
  state.EndHighCount(0, Histogram(kHighBins, {{0, 0xffff, 2}, {1, 0xffff, 1}}));
  state.EndLowCount(0, Histogram(kLowBins, {{0, 0x7fff, 2}, {1, 0, 1}}));
  EXPECT_EQ(state.select(0).selections[0].threshold_bits, 0x7fffffffu);
  EXPECT_EQ(state.select(0).ties_left[0], 1u);
  EXPECT_EQ(state.select(0).selections[1].threshold_bits, 0x7fff8000u);
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
