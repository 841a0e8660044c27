// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Which kernels a part of a tensor asks for and in what order, how many blocks of threads they take, how much device
// memory the state between them has, and how equal steps become one launch.
#include "src/cuda/handles.h"
#include "src/cuda/job_state.h"
#include "src/cuda/launch_list.h"

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

std::string StepsIn(const PassList& passes, uint64_t n_elems, const PartOfReads& part) {
  const char* const names[] = {"select", "high", "end-high", "low",        "end-low",
                               "ties",   "tie",  "reduce",   "end-reduce", "map"};
  MergeJob job;
  job.n_elems = n_elems;
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

TEST(StepsEagerOnly, BlocksOfThreads) {
  DevicePart part{};
  part.n_models = 3;
  part.n_values = 6;
  part.n_elems = 1;
  EXPECT_EQ(BlocksOf(DeviceStep::kMap, part), 1u);
  EXPECT_EQ(BlocksOf(DeviceStep::kReduce, part), 1u);
  EXPECT_EQ(BlocksOf(DeviceStep::kSelectWhole, part), 3u);
  EXPECT_EQ(BlocksOf(DeviceStep::kFindTie, part), 3u);
  EXPECT_EQ(BlocksOf(DeviceStep::kEndReduce, part), 6u);
  part.n_elems = 2 * kSegmentElems;
  EXPECT_EQ(BlocksOf(DeviceStep::kMap, part), 2u);
  EXPECT_EQ(BlocksOf(DeviceStep::kCountTies, part), 2u);
  EXPECT_EQ(BlocksOf(DeviceStep::kReduce, part), 2 * kSegmentElems / kReduceSegmentElems);
  ++part.n_elems;
  EXPECT_EQ(BlocksOf(DeviceStep::kCountHigh, part), 3u);
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
