// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The pipeline below RunMerge: parts of a plan, a backend and a sink that fail, staging memory, how a plan is cut.
#include "src/run/pipeline.h"

#include "src/run/layout.h"
#include "src/run/staging.h"
#include "tests/run/run_fixture.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

namespace gpumerge::test {
namespace {

class PipelineTest : public RunFixture {
 protected:
  static PipelineOptions Options() {
    PipelineOptions options;
    options.units = {{.chunk_bytes = 300'000, .resident_bytes = 2'000'000}};
    return options;
  }

  static PipelineResult Run(const Plan& plan, PlanPart part, Backend& backend, PipelineOptions options,
                            const OutputSink& sink) {
    Backend* const backends[] = {&backend};
    options.units[0].workers = backend.part_workers();
    options.staging = backend.AllocateStaging(2'000'000);
    return RunPipeline(plan, part, backends, options, sink);
  }

  // The shards' data as written by a run of that part, zeros elsewhere.
  static std::vector<std::string> Shards(const Plan& plan, PlanPart part, std::vector<std::string> shards = {}) {
    if (shards.empty())
      for (const PlanShard& shard : plan.shards) shards.push_back(std::string(shard.size_bytes, '\0'));
    const auto backend = MakeCpuBackend(2, "");
    Run(plan, part, *backend, Options(), [&](uint32_t shard, uint64_t offset, const std::byte* data, uint64_t size) {
      std::memcpy(shards[shard].data() + offset, data, size);
    });
    return shards;
  }
};

TEST_F(PipelineTest, PartsOfAPlanWriteTheBytesOfTheWhole) {
  WriteModels(2);
  const Plan plan = MakePlan(Recipe("dare_ties") + "shard_size: 100K\n", "out");
  ASSERT_GT(plan.shards.size(), 1u);
  const auto whole = Shards(plan, {0, plan.items.size()});
  for (const uint32_t n_parts : {2u, 3u, 5u}) {
    std::vector<std::string> joined;
    std::vector<PlanPart> parts = CutPlan(plan, n_parts);
    std::reverse(parts.begin(), parts.end());  // in any order
    for (const PlanPart& part : parts) joined = Shards(plan, part, joined);
    EXPECT_EQ(joined, whole) << n_parts << " parts";
  }
}

TEST_F(PipelineTest, EveryByteIsWrittenOnce) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  std::vector<int> written(plan.shards[0].size_bytes);
  const auto backend = MakeCpuBackend(2, "");
  PipelineOptions options = Options();
  options.units[0].max_chunk_elems = kBlockElems;
  const PipelineResult result = Run(plan, {0, plan.items.size()}, *backend, options,
                                    [&](uint32_t, uint64_t offset, const std::byte*, uint64_t size) {
                                      for (uint64_t i = 0; i < size; ++i) ++written[offset + i];
                                    });
  const uint64_t header = plan.shards[0].header.size();
  EXPECT_EQ(std::count(written.begin() + static_cast<long>(header), written.end(), 1),
            static_cast<long>(written.size() - header));
  EXPECT_EQ(result.totals.bytes_written, written.size() - header);
  EXPECT_EQ(result.totals.bytes_read, result.totals.bytes_to_read);
  // Streamed: three readings of the tensors of more than one chunk, one of the others.
  EXPECT_GT(result.totals.bytes_read, 2 * Totals(plan).input_bytes);
  EXPECT_EQ(result.totals.tensors_done, plan.items.size());
}

TEST_F(PipelineTest, AFailingSinkStopsTheRun) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  const auto calls_when_failing_at = [&](int fail_at) {
    std::atomic<int> calls = 0;
    const auto backend = MakeCpuBackend(2, "");
    const auto run = [&] {
      Run(plan, {0, plan.items.size()}, *backend, Options(), [&](uint32_t, uint64_t, const std::byte*, uint64_t) {
        const int call = calls++;
        if (call == fail_at) throw Error({.code = ErrorCode::kOutIo, .message = "disk full"});
        // Time for the failed worker to say so: its exception is still on its way when the other one goes on.
        if (fail_at >= 0 && call > fail_at) std::this_thread::sleep_for(std::chrono::milliseconds(200));
      });
    };
    if (fail_at < 0) {
      run();
    } else {
      EXPECT_THROW(run(), Error);
    }
    return calls.load();
  };
  const int all_calls = calls_when_failing_at(-1);
  ASSERT_GT(all_calls, 8);
  for (const int fail_at : {0, 1, 3}) {
    const int calls = calls_when_failing_at(fail_at);
    EXPECT_GE(calls, fail_at + 1);
    EXPECT_LT(calls, all_calls) << "every output was made in spite of the failure";
  }
}

// Counts what it is given; fails when told to.
class FakeBackend : public Backend {
 public:
  class State : public JobState {
    std::optional<NonFinite> InputNonFinite(uint32_t) const override { return std::nullopt; }
    std::optional<NonFinite> OutputOverflow() const override { return std::nullopt; }
    bool UsedLerp() const override { return false; }
  };
  BackendInfo Info() const override { return {"fake", "", true}; }
  uint64_t StateBytes(const MergeJob&, const PassList&) const override { return 0; }
  uint64_t FixedBytes(std::span<const MergeJob* const>) const override { return 0; }
  std::span<std::byte> AllocateStaging(uint64_t bytes) override {
    memory.resize(bytes);
    return memory;
  }
  std::unique_ptr<JobState> NewState(const MergeJob&, const PassList&) override { return std::make_unique<State>(); }
  uint64_t Submit(std::span<const Work> batch) override {
    for (const Work& work : batch) {
      if (fail_after-- == 0) throw std::runtime_error("the device fell off the bus");
      works.push_back(work);
    }
    return 0;
  }
  void Wait(uint64_t) override {}
  double ComputeSeconds() const override { return 0; }

  std::vector<std::byte> memory;
  std::vector<Work> works;
  int fail_after = 1 << 30;
};

TEST_F(PipelineTest, WorkComesInOrderAndCoversEveryReading) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  FakeBackend backend;
  PipelineOptions options = Options();
  options.units[0].max_chunk_elems = 2 * kBlockElems;
  Run(plan, {0, plan.items.size()}, backend, options, [](uint32_t, uint64_t, const std::byte*, uint64_t) {});
  std::map<const MergeJob*, std::pair<uint32_t, uint64_t>> next;  // (reading, first element) expected next
  const MergeJob* current = nullptr;
  for (const Work& work : backend.works) {
    auto& [read, first] = next[work.job];
    if (work.job != current) {
      EXPECT_EQ(read, 0u);  // tensors are not interleaved
      EXPECT_EQ(first, 0u);
    }
    current = work.job;
    EXPECT_EQ(work.first_read, read);
    EXPECT_EQ(work.first_elem, first);
    for (const std::byte* input : work.inputs)
      EXPECT_EQ(reinterpret_cast<uintptr_t>(input) % 64, reinterpret_cast<uintptr_t>(backend.memory.data()) % 64);
    first += work.n_elems;
    if (first == work.job->n_elems) {
      first = 0;
      read = work.last_read;
    }
  }
  for (const auto& [job, place] : next) EXPECT_EQ(place.first, 3u);  // two counts and the merge
}

TEST_F(PipelineTest, InputsAreAlignedAfterEmptyTensors) {
  for (const char* name : {"base", "a", "b", "c"})
    WriteModel(scratch / name,
               {PatternTensor("a", DType::kBF16, {0}), PatternTensor("b", DType::kBF16, {200'000}),
                PatternTensor("c", DType::kBF16, {0}), PatternTensor("d", DType::kBF16, {200'000})},
               kConfigJson);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  FakeBackend backend;
  Run(plan, {0, plan.items.size()}, backend, Options(), [](uint32_t, uint64_t, const std::byte*, uint64_t) {});
  for (const Work& work : backend.works)
    for (const std::byte* input : work.inputs) EXPECT_EQ((input - backend.memory.data()) % 64, 0);
}

// Finishes a batch only when it is waited for, like a device with queues of its own.
class LateBackend : public FakeBackend {
 public:
  BackendInfo Info() const override { return {.name = "late", .max_in_flight = 3}; }
  uint64_t Submit(std::span<const Work> batch) override {
    EXPECT_FALSE(batch.empty());
    most_waiting = std::max(most_waiting, ++n_submitted - n_waited);
    return n_submitted;
  }
  void Wait(uint64_t ticket) override {
    EXPECT_EQ(ticket, ++n_waited);  // in order, each once
  }
  uint64_t n_submitted = 0, n_waited = 0, most_waiting = 0;
};

TEST_F(PipelineTest, SeveralBatchesMayBeInFlight) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  LateBackend backend;
  PipelineOptions options = Options();
  options.units[0].max_chunk_elems = 2 * kBlockElems;
  const PipelineResult result =
      Run(plan, {0, plan.items.size()}, backend, options, [](uint32_t, uint64_t, const std::byte*, uint64_t) {});
  EXPECT_EQ(backend.n_waited, backend.n_submitted);
  EXPECT_LE(backend.most_waiting, 3u);
  EXPECT_EQ(result.totals.tensors_done, plan.items.size());
}

TEST_F(PipelineTest, AFailingBackendStopsTheRun) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  for (const int works : {0, 1, 4}) {
    FakeBackend backend;
    backend.fail_after = works;
    EXPECT_THROW(
        Run(plan, {0, plan.items.size()}, backend, Options(), [](uint32_t, uint64_t, const std::byte*, uint64_t) {}),
        std::runtime_error);
  }
}

TEST(StagingTest, FirstFitAndReuse) {
  Staging staging(100);
  EXPECT_EQ(staging.Take(40), 0u);
  EXPECT_EQ(staging.Take(40), 40u);
  EXPECT_EQ(staging.Take(40), std::nullopt);
  EXPECT_EQ(staging.Take(20), 80u);
  staging.Give(40);
  EXPECT_EQ(staging.Take(10), 40u);
  EXPECT_EQ(staging.Take(31), std::nullopt);
  EXPECT_EQ(staging.Take(30), 50u);
  staging.Give(0);
  EXPECT_EQ(staging.Take(40), 0u);
}

TEST_F(PipelineTest, LayoutKeepsTheBudget) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  const auto backend = MakeCpuBackend(2, "");
  Backend* const backends[] = {backend.get()};
  RunOptions options;
  for (const uint64_t spare : {uint64_t{0}, uint64_t{1'000'000}, uint64_t{1'000'000'000}}) {
    options.memory_bytes = LayOutMemory(plan, options, backends).smallest_budget_bytes + spare + 32'000'000;
    const MemoryLayout layout = LayOutMemory(plan, options, backends);
    EXPECT_GT(layout.staging_bytes, 0u);
    EXPECT_LE(layout.overhead_bytes + layout.staging_bytes, *options.memory_bytes);
    for (const PlanItem& item : plan.items) {
      if (WayOf(item, layout.units[0]) != Way::kWhole) continue;
      EXPECT_LE(GroupBytes(item), layout.staging_bytes) << item.name;
    }
  }
}

}  // namespace
}  // namespace gpumerge::test
