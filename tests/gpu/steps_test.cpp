// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which kernels a part of a tensor asks for and in what order, how many blocks of threads they take, how much device
// memory the state between them has, and how equal steps become one launch.
#include "src/cuda/handles.h"
#include "src/cuda/job_state.h"
#include "src/cuda/launch_list.h"
#include "src/cuda/part_steps.h"

#include <gtest/gtest.h>

#include <string>

namespace gpumerge {
namespace {

const PassList kMapOnly = {{PassKind::kMap}};
const PassList kSelectMap = {{PassKind::kSelect, 2}, {PassKind::kMap}};
const PassList kReduceMap = {{PassKind::kReduce, 3}, {PassKind::kMap}};
const PassList kSelectReduceMap = {{PassKind::kSelect, 2}, {PassKind::kReduce, 4}, {PassKind::kMap}};

struct PartOfReads {
  uint64_t first, n;
  uint32_t first_read, last_read;
};

std::string StepsIn(const PassList& passes, const MergeJob& job, const PartOfReads& part) {
  const char* const names[] = {"select", "high",       "end-high", "low", "end-low", "ties",  "tie",
                               "reduce", "end-reduce", "rank",     "sum", "send",    "store", "map"};
  Work work;
  work.job = &job;
  work.first_elem = part.first;
  work.n_elems = part.n;
  work.first_read = part.first_read;
  work.last_read = part.last_read;
  std::string text;
  for (const PartStep& step : StepsOf(work, passes))
    text += (text.empty() ? "" : " ") + std::to_string(step.pass) + names[static_cast<int>(step.step)];
  return text;
}

MergeJob JobOf(const std::vector<uint64_t>& shape, size_t n_models = 2) {
  MergeJob job;
  job.inputs.resize(n_models);
  job.shape = shape;
  job.n_elems = 1;
  for (const uint64_t extent : shape) job.n_elems *= extent;
  return job;
}
std::string StepsIn(const PassList& passes, uint64_t n_elems, const PartOfReads& part) {
  return StepsIn(passes, JobOf({n_elems}), part);
}

TEST(StepsEagerOnly, WholeTensors) {
  constexpr uint64_t kSmall = kSelectWholeElems, kLarge = kSelectWholeElems + 1;
  EXPECT_EQ(StepsIn(kMapOnly, 5, {0, 5, 0, 1}), "0map");
  EXPECT_EQ(StepsIn(kReduceMap, 5, {0, 5, 0, 2}), "0reduce 0end-reduce 1map");
  EXPECT_EQ(StepsIn(kSelectMap, kSmall, {0, kSmall, 0, 3}), "0select 1map");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kSmall, {0, kSmall, 0, 4}), "0select 1reduce 1end-reduce 2map");
  EXPECT_EQ(StepsIn(kSelectMap, kLarge, {0, kLarge, 0, 3}), "0high 0end-high 0low 0end-low 0ties 0tie 1map");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kLarge, {0, kLarge, 0, 4}),
            "0high 0end-high 0low 0end-low 0ties 0tie 1reduce 1end-reduce 2map");
}

TEST(StepsEagerOnly, EmptyTensorsHaveNone) {
  EXPECT_EQ(StepsIn(kSelectReduceMap, 0, {0, 0, 0, 4}), "");
  EXPECT_EQ(StepsIn(kMapOnly, 0, {0, 0, 0, 1}), "");
}

// Ends of passes come with the last part only; ties are looked for in the pass after the selection, part by part.
TEST(StepsEagerOnly, TensorsInParts) {
  constexpr uint64_t kChunk = kBlockElems, kElems = 2 * kChunk + 5;
  const PartOfReads first{0, kChunk, 0, 1}, last{2 * kChunk, 5, 0, 1};
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, first), "0high");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, last), "0high 0end-high");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, {0, kChunk, 1, 2}), "0low");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, {2 * kChunk, 5, 1, 2}), "0low 0end-low");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, {0, kChunk, 2, 3}), "0ties 0tie 1reduce");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, {2 * kChunk, 5, 2, 3}), "0ties 0tie 1reduce 1end-reduce");
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, {kChunk, kChunk, 3, 4}), "2map");
  EXPECT_EQ(StepsIn(kSelectMap, kElems, {kChunk, kChunk, 2, 3}), "0ties 0tie 1map");
  // Kept: everything between the first reading and the last at once.
  EXPECT_EQ(StepsIn(kSelectReduceMap, kElems, {0, kElems, 1, 3}), "0low 0end-low 0ties 0tie 1reduce 1end-reduce");
}

PassList RowsThenMap(uint32_t n_values, bool ranks = false) {
  return {{PassKind::kReduceGroups, n_values, ReduceOp::kSum, GroupAxis::kRows, 2, ranks},
          {PassKind::kMap, 0, ReduceOp::kSum, GroupAxis::kRows, 2}};
}
PassList ColumnsThenMap(uint32_t n_values) {
  return {{PassKind::kReduceGroups, n_values, ReduceOp::kSum, GroupAxis::kColumns, 2},
          {PassKind::kMap, 0, ReduceOp::kSum, GroupAxis::kColumns, 2}};
}

// Rows are finished part by part, columns when all of them have been seen; as many at once as the mailbox takes.
TEST(StepsEagerOnly, Groups) {
  constexpr uint32_t kValues = kStepMailBytes / sizeof(double) / 2 - 2;  // two groups a step
  const MergeJob job = JobOf({6, 4096});
  EXPECT_EQ(StepsIn(RowsThenMap(3), job, {0, 6 * 4096, 0, 2}), "0sum 0send 0store 1map");
  EXPECT_EQ(StepsIn(RowsThenMap(kValues), job, {4096, 4 * 4096, 0, 1}), "0sum 0send 0store 0sum 0send 0store");
  EXPECT_EQ(StepsIn(RowsThenMap(10 * kValues), job, {0, 2 * 4096, 0, 1}), "0sum 0send 0store 0sum 0send 0store");
  const MergeJob wide = JobOf({4096, 6});
  EXPECT_EQ(StepsIn(ColumnsThenMap(3), wide, {0, 4096, 0, 1}), "0sum");
  EXPECT_EQ(StepsIn(ColumnsThenMap(3), wide, {4096, 5 * 4096, 0, 1}), "0sum 0send 0store");
  EXPECT_EQ(StepsIn(ColumnsThenMap(kValues), wide, {0, 6 * 4096, 0, 2}),
            "0sum 0send 0store 0send 0store 0send 0store 1map");
  EXPECT_EQ(GroupBlocks(job, RowsThenMap(kValues)[0]), 2u);
  EXPECT_EQ(GroupBlocks(JobOf({100, 4097}), RowsThenMap(3)[0]), 200u);
  EXPECT_EQ(GroupBlocks(wide, ColumnsThenMap(kValues)[0]), 6u);
}

TEST(StepsEagerOnly, RanksComeBeforeWhatReadsThem) {
  const PassList passes = {{PassKind::kReduce, 4, ReduceOp::kSum, GroupAxis::kNone, 0, true},
                           {PassKind::kMap, 0, ReduceOp::kSum, GroupAxis::kNone, 0, true}};
  EXPECT_EQ(StepsIn(passes, JobOf({10, 100}), {0, 1000, 0, 2}), "0rank 0reduce 0end-reduce 1rank 1map");
  EXPECT_EQ(StepsIn(RowsThenMap(3, true), JobOf({10, 100}), {0, 1000, 0, 1}), "0rank 0sum 0send 0store");
  const MergeJob many = JobOf({1000, 1000}, 5);
  Work work;
  work.job = &many;
  work.n_elems = many.n_elems;
  work.last_read = 2;
  uint64_t ranked_end = 0, end = 0, n_ranked = 0;
  for (const PartStep& step : StepsOf(work, passes)) {
    if (step.step == DeviceStep::kRank) {
      EXPECT_EQ(step.elems.first % 1000, 0u);
      EXPECT_EQ(step.elems.n % 1000, 0u);
      EXPECT_LE(step.elems.n, MostRankedElems(many));
      EXPECT_LE(step.elems.first, end);
      ranked_end = step.elems.first + step.elems.n;
      ++n_ranked;
    } else if (step.step == DeviceStep::kMap || step.step == DeviceStep::kReduce) {
      if (step.step == DeviceStep::kMap && step.elems.first == 0) end = 0;
      EXPECT_EQ(step.elems.first, end);
      EXPECT_EQ(step.elems.first % kReduceSegmentElems, 0u);
      end += step.elems.n;
      EXPECT_LE(end, ranked_end);
    } else {
      end = 0;
    }
  }
  EXPECT_EQ(end, many.n_elems);
  EXPECT_GT(n_ranked, 4u);
}

TEST(StepsEagerOnly, LargeTensorsAreMappedInSteps) {
  constexpr uint64_t kMost = kStepMailBytes / 16 * kBlockElems;
  EXPECT_EQ(StepsIn(kMapOnly, kMost, {0, kMost, 0, 1}), "0map");
  EXPECT_EQ(StepsIn(kMapOnly, 2 * kMost + 1, {0, 2 * kMost + 1, 0, 1}), "0map 0map 0map");
}

TEST(StepsEagerOnly, BlocksOfThreads) {
  DevicePart part{};
  part.n_models = 3;
  part.n_values = 6;
  part.row_elems = 1;
  part.n_elems = 1;
  EXPECT_EQ(BlocksOf(DeviceStep::kMap, part), 1u);
  EXPECT_EQ(BlocksOf(DeviceStep::kReduce, part), 1u);
  EXPECT_EQ(BlocksOf(DeviceStep::kSelectWhole, part), 6u);
  EXPECT_EQ(BlocksOf(DeviceStep::kFindTie, part), 6u);
  EXPECT_EQ(BlocksOf(DeviceStep::kEndReduce, part), 6u);
  part.n_elems = 2 * kSegmentElems;
  EXPECT_EQ(BlocksOf(DeviceStep::kMap, part), 2u);
  EXPECT_EQ(BlocksOf(DeviceStep::kCountTies, part), 2u);
  EXPECT_EQ(BlocksOf(DeviceStep::kReduce, part), 2 * kSegmentElems / kReduceSegmentElems);
  ++part.n_elems;
  EXPECT_EQ(BlocksOf(DeviceStep::kCountHigh, part), 3u);
  part.row_elems = 8191;
  part.n_elems = 10 * part.row_elems;
  EXPECT_EQ(BlocksOf(DeviceStep::kRank, part), 30u);
  part.axis = GroupAxis::kRows;
  part.n_groups = 3;
  part.blocks_per_group = 2;
  part.n_group_values = 1;
  EXPECT_EQ(BlocksOf(DeviceStep::kSumGroups, part), 2u);
  EXPECT_EQ(BlocksOf(DeviceStep::kSendGroups, part), 1u);
  part.axis = GroupAxis::kColumns;
  part.n_columns = 257;
  part.n_groups = 257;
  EXPECT_EQ(BlocksOf(DeviceStep::kSumGroups, part), 2u);
  EXPECT_EQ(BlocksOf(DeviceStep::kSendGroups, part), 8u);
  EXPECT_EQ(BlocksOf(DeviceStep::kStoreGroups, part), 2u);
}

TEST(StateLayoutEagerOnly, CountersOnlyWhereTheyAreUsed) {
  MergeJob job;
  job.inputs.resize(3);
  job.n_elems = 1000;
  const StateLayout small(job, kSelectReduceMap, false), parts(job, kSelectReduceMap, true);
  constexpr uint64_t kCounters = 2 * (kDeviceHighBins + kDeviceLowBins) * sizeof(uint32_t);
  EXPECT_LT(small.bytes, 4096u);
  EXPECT_GE(parts.zeroed_bytes, kCounters);
  EXPECT_GE(parts.bytes, parts.zeroed_bytes);
  job.n_elems = kSelectWholeElems + 1;
  const StateLayout large(job, kSelectReduceMap, false);
  EXPECT_GE(large.zeroed_bytes, kCounters);
  for (const StateLayout* layout : {&small, &parts, &large}) {
    EXPECT_EQ(layout->bytes % 256, 0u);
    EXPECT_EQ(layout->findings_bytes, 4 * sizeof(DeviceFinding));
  }
}

// What launches of the test's own see of the table.
struct Seen {
  int kernel;
  std::vector<DevicePart> parts;
  uint32_t n_blocks;
  const std::byte* functors;
};
std::vector<Seen> g_seen;

template <int kKernel>
void FakeLaunch(const DevicePart* parts, uint32_t n_parts, uint32_t n_blocks, const std::byte* functors,
                CUstream_st* stream) {
  Seen seen{kKernel, std::vector<DevicePart>(n_parts), n_blocks, functors};
  GM_CUDA_TRY(cudaStreamSynchronize(stream));
  GM_CUDA_TRY(cudaMemcpy(seen.parts.data(), parts, n_parts * sizeof(DevicePart), cudaMemcpyDeviceToHost));
  g_seen.push_back(std::move(seen));
}

StepRequest Request(LaunchFunction launch, uint8_t functor, size_t functor_bytes) {
  StepRequest request;
  request.launch = launch;
  request.functor.assign(functor_bytes, std::byte{functor});
  request.wanted = {functor, functor + 1u};
  return request;
}

TEST(LaunchListEagerOnly, EqualStepsOfARoundAreOneLaunch) {
  const PinnedBuffer host = MakePinnedBuffer(1 << 16);
  const DeviceBuffer device = MakeDeviceBuffer(1 << 16);
  const Stream stream = MakeStream();
  LaunchList list;
  EXPECT_TRUE(list.empty());
  DevicePart part{};
  part.n_models = 1;
  std::vector<DeviceInput> inputs(2, {nullptr, DType::kF16, 5});
  const auto add = [&](uint32_t round, LaunchFunction launch, uint8_t functor, uint64_t n_elems) {
    part.n_elems = n_elems;
    part.seed = functor;
    list.Add(round, DeviceStep::kMap, Request(launch, functor, 3 + functor), part, inputs);
  };
  add(0, FakeLaunch<1>, 10, kSegmentElems);
  add(1, FakeLaunch<1>, 11, 1);
  add(0, FakeLaunch<2>, 20, 1);
  add(0, FakeLaunch<1>, 12, kSegmentElems + 1);
  add(0, FakeLaunch<1>, 13, 5);
  const uint64_t table_bytes = list.TableBytes();
  ASSERT_LE(table_bytes, uint64_t{1} << 16);
  g_seen.clear();
  list.Launch(host.get(), device.get(), stream.get());
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.TableBytes(), 0u);

  ASSERT_EQ(g_seen.size(), 3u);
  EXPECT_EQ(g_seen[2].kernel, 1);  // the later round comes last
  ASSERT_EQ(g_seen[2].parts.size(), 1u);
  EXPECT_EQ(g_seen[2].parts[0].seed, 11u);
  const Seen& joined = g_seen[0].kernel == 1 ? g_seen[0] : g_seen[1];
  ASSERT_EQ(joined.parts.size(), 3u);
  EXPECT_EQ(joined.n_blocks, 1u + 2u + 1u);
  const uint32_t first_blocks[] = {0, 1, 3};
  const uint8_t functors[] = {10, 12, 13};
  for (size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(joined.parts[p].first_block, first_blocks[p]);
    EXPECT_EQ(joined.parts[p].functor_offset % 16, 0u);
    std::vector<std::byte> functor(3u + functors[p]);
    GM_CUDA_TRY(cudaMemcpy(functor.data(), joined.functors + joined.parts[p].functor_offset, functor.size(),
                           cudaMemcpyDeviceToHost));
    EXPECT_EQ(functor, std::vector<std::byte>(3u + functors[p], std::byte{functors[p]}));
    uint64_t wanted[2];
    GM_CUDA_TRY(cudaMemcpy(wanted, joined.parts[p].wanted, sizeof wanted, cudaMemcpyDeviceToHost));
    EXPECT_EQ(wanted[1], functors[p] + 1u);
    DeviceInput input[2];
    GM_CUDA_TRY(cudaMemcpy(input, joined.parts[p].inputs, sizeof input, cudaMemcpyDeviceToHost));
    EXPECT_EQ(input[1].model_index, 5u);
  }
}

}  // namespace
}  // namespace gpumerge
