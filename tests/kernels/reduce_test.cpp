// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The fixed tree of sums: 64 lanes by index in each block of 4096, neighbouring lanes paired, then neighbouring blocks.
// Values are chosen so that any other order gives another sum, worked out by hand.
#define GM_TARGET on_reduce_test
#include "src/cpu/cpu_job.h"
#include "src/cpu/range_executor.h"
#include "src/reference/executor.h"
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <numeric>

namespace gpumerge {
namespace {

using on_reduce_test::At;
using on_reduce_test::PlainFunctor;
using on_reduce_test::RangeExecutor;
using on_reduce_test::ReferenceExecutor;

// Two values an element: itself and its negative.
struct Both : PlainFunctor {
  static constexpr uint32_t kValues = 2;
  void operator()(const At<float>& at, double* values) const {
    values[0] = at.x[0];
    values[1] = -static_cast<double>(at.x[0]);
  }
};

// The same without a number of values that the compiler knows.
struct BothOfUnknown : PlainFunctor {
  void operator()(const At<float>& at, double* values) const { Both{}(at, values); }
};

template <class Sum>
std::vector<double> ByReference(const std::vector<float>& values, ReduceOp op) {
  testing::TestJob test = testing::MakeJob({.method = "passthrough", .inputs = {values}});
  const std::byte* input = test.inputs[0].data();
  ReferenceResult result;
  ReferenceExecutor executor({&test.job, {&input, 1}, nullptr, &result});
  const double* sums = executor.Reduce(Sum{}, 2, op);
  return {sums, sums + 2};
}

// Ranges of range_elems, in the order last to first; then the end of the reduction.
template <class Sum>
std::vector<double> ByRanges(const std::vector<float>& values, ReduceOp op, uint64_t range_elems) {
  testing::TestJob test = testing::MakeJob({.method = "passthrough", .inputs = {values}});
  const PassList passes = {{PassKind::kReduce, 2, op}};
  CpuJobState state(test.job, passes);
  std::vector<float> scratch(ScratchFloats(test.job, passes) + 16);
  const size_t misaligned = (reinterpret_cast<uintptr_t>(scratch.data()) / sizeof(float)) % 16;
  const uint64_t n_ranges = (values.size() + range_elems - 1) / range_elems;
  for (uint64_t range = n_ranges; range-- > 0;) {
    RangeContext context;
    context.job = &test.job;
    context.passes = state.views();
    context.step = Step::kReduce;
    context.first_elem = range * range_elems;
    context.n_elems = std::min(range_elems, values.size() - context.first_elem);
    const std::byte* input = test.inputs[0].data() + context.first_elem * sizeof(float);
    context.inputs = &input;
    context.scratch = scratch.data() + (16 - misaligned) % 16;
    context.block_sums = state.block_sums(0).data() + context.first_elem / kBlockElems * 2;
    RangeExecutor(context).Reduce(Sum{}, 2, op);
  }
  state.EndReduce(0);
  return {state.views()[0].sums, state.views()[0].sums + 2};
}

void ExpectReduced(const std::vector<float>& values, ReduceOp op, double expected, double expected_of_negatives) {
  const std::vector<double> both = {expected, expected_of_negatives};
  EXPECT_EQ(ByReference<Both>(values, op), both);
  EXPECT_EQ(ByReference<BothOfUnknown>(values, op), both);
  for (const uint64_t range_elems : {kBlockElems, 4 * kBlockElems}) {
    EXPECT_EQ(ByRanges<Both>(values, op, range_elems), both) << range_elems;
    EXPECT_EQ(ByRanges<BothOfUnknown>(values, op, range_elems), both) << range_elems;
  }
}

void ExpectSum(const std::vector<float>& values, double expected) {
  ExpectReduced(values, ReduceOp::kSum, expected, -expected);
}

constexpr float kBig = 0x1p53f;  // adding 1 to it rounds back to it; adding 2 does not
std::vector<float> WithAt(size_t n, const std::vector<std::pair<size_t, float>>& entries) {
  std::vector<float> values(n, 0.0f);
  for (const auto& [at, value] : entries) values[at] = value;
  return values;
}

TEST(SumTree, NeighbouringLanesArePaired) {
  ExpectSum({kBig, 1, 1, 0}, 0x1p53);      // (big + 1) + (1 + 0)
  ExpectSum({kBig, 0, 1, 1}, 0x1p53 + 2);  // (big + 0) + (1 + 1)
  ExpectSum({1, 1, kBig, 0}, 0x1p53 + 2);
  ExpectSum({1, 0, 0, 1, kBig}, 0x1p53 + 2);                         // ((1 + 0) + (0 + 1)) + big
  ExpectSum({kBig, 0, 0, 0, 1, 0, 0, 0, 1}, 0x1p53);                 // (lanes 0-3 + lanes 4-7) + lanes 8-15
  ExpectSum(WithAt(64, {{0, kBig}, {32, 1}, {63, 1}}), 0x1p53 + 2);  // lower half + upper half
  ExpectSum(WithAt(64, {{0, kBig}, {31, 1}, {63, 1}}), 0x1p53);
}

TEST(SumTree, ALaneTakesEvery64thElementInOrder) {
  ExpectSum(WithAt(129, {{0, kBig}, {64, 1}, {128, 1}}), 0x1p53);      // lane 0: (big + 1) + 1
  ExpectSum(WithAt(129, {{0, 1}, {64, 1}, {128, kBig}}), 0x1p53 + 2);  // lane 0: (1 + 1) + big
  ExpectSum(WithAt(192, {{0, kBig}, {65, 1}, {129, 1}}), 0x1p53 + 2);  // lane 1 gathers its own ones first
}

TEST(SumTree, BlocksOf4096AreSummedAlone) {
  ExpectSum(WithAt(4097, {{0, kBig}, {4095, 1}, {4096, 1}}), 0x1p53);      // block 0 rounds before block 1 comes
  ExpectSum(WithAt(8192, {{0, kBig}, {4096, 1}, {8191, 1}}), 0x1p53 + 2);  // block 1 gathers its ones
  ExpectSum(WithAt(8192, {{4095, kBig}, {4096, 1}, {4160, 1}}), 0x1p53 + 2);
}

TEST(SumTree, NeighbouringBlocksArePaired) {
  const auto block = [](size_t b) { return b * kBlockElems; };
  ExpectSum(WithAt(block(2) + 1, {{block(0), kBig}, {block(1), 1}, {block(2), 1}}), 0x1p53);  // (0 + 1) + 2
  ExpectSum(WithAt(block(4), {{block(0), kBig}, {block(2), 1}, {block(3), 1}}), 0x1p53 + 2);  // (0 + 1) + (2 + 3)
  ExpectSum(WithAt(block(4), {{block(1), 1}, {block(2), 1}, {block(3), kBig}}), 0x1p53);
  // An odd last one moves up unchanged: ((0 + 1) + (2 + 3)) + 4, and (((0 + 1) + (2 + 3)) + ((4 + 5) + 6)).
  ExpectSum(WithAt(block(4) + 5, {{block(0), 1}, {block(2), 1}, {block(4), kBig}}), 0x1p53 + 2);
  ExpectSum(WithAt(block(4) + 5, {{block(0), kBig}, {block(2), 1}, {block(4), 1}}), 0x1p53);
  ExpectSum(WithAt(block(7), {{block(0), kBig}, {block(4), 1}, {block(6), 1}}), 0x1p53 + 2);
  ExpectSum(WithAt(block(7), {{block(4), kBig}, {block(5), 1}, {block(6), 1}}), 0x1p53);
  ExpectSum(WithAt(block(6), {{block(2), 1}, {block(3), 1}, {block(5), kBig}}), 0x1p53 + 2);
}

TEST(SumTree, SmallSizes) {
  ExpectSum({}, 0);
  ExpectSum({0.1f}, static_cast<double>(0.1f));
  ExpectSum({1e30f, 1, -1e30f}, 0);
}

TEST(MaxTree, TakesTheLargestFromZeroUp) {
  ExpectReduced({}, ReduceOp::kMax, 0, 0);
  ExpectReduced({-3, 2, -7, 1}, ReduceOp::kMax, 2, 7);
  ExpectReduced({-3, -2}, ReduceOp::kMax, 0, 3);  // magnitudes are never below zero
  for (const size_t at : {size_t{0}, size_t{63}, size_t{64}, size_t{4095}, size_t{4096}, size_t{20'000}})
    ExpectReduced(WithAt(20'001, {{at, 5}}), ReduceOp::kMax, 5, 0);
}

}  // namespace
}  // namespace gpumerge
