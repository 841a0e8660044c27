// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Merges on the CPU, whose workers read, compute and write parts themselves: whatever their number and the memory they
// share, every byte is written once and is the same; whatever fails, all of them end.
#include "src/run/direct.h"

#include "src/run/layout.h"
#include "tests/run/run_fixture.h"
#include "tests/support/errors.h"

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>

namespace gpumerge::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Sunk {
  std::mutex mutex;
  std::vector<std::string> shards;
  std::vector<std::vector<uint8_t>> times;  // each byte was written
  uint64_t calls = 0;

  explicit Sunk(const Plan& plan) {
    for (const PlanShard& shard : plan.shards) {
      shards.emplace_back(shard.size_bytes, '\0');
      times.emplace_back(shard.size_bytes);
    }
  }
  void Write(uint32_t shard, uint64_t offset, const std::byte* data, uint64_t size) {
    const std::lock_guard lock(mutex);
    ++calls;
    std::memcpy(shards[shard].data() + offset, data, size);
    for (uint64_t i = 0; i < size; ++i) ++times[shard][offset + i];
  }
};

// How one run is made.
struct Setting {
  uint32_t threads = 4;
  uint64_t slot_bytes = 300'000, n_slots = 4;
  uint64_t max_chunk_elems = kBlockElems;
  double selfcheck_percent = 0;
};

class DirectTest : public RunFixture {
 protected:
  PipelineResult Run(const Plan& plan, const Setting& setting, const OutputSink& sink,
                     const std::function<void(PipelineOptions*)>& change = {}) {
    const auto backend = MakeCpuBackend(setting.threads, "");
    PipelineOptions options;
    options.units = {{.chunk_bytes = setting.slot_bytes,
                      .resident_bytes = setting.slot_bytes,
                      .workers = backend->part_workers(),
                      .max_chunk_elems = setting.max_chunk_elems}};
    options.staging = backend->AllocateStaging((setting.slot_bytes + 63) / 64 * 64 * setting.n_slots);
    options.selfcheck_percent = setting.selfcheck_percent;
    std::optional<Scratch> scratch_file;
    if (!plan.stages.empty()) {
      scratch_file.emplace(scratch.path(), Totals(plan).stage_bytes);
      options.scratch = &*scratch_file;
    }
    if (change) change(&options);
    return RunDirect(plan, {0, plan.items.size()}, backend.get(), options, sink);
  }

  // What a run writes, which is checked to be all of it, each byte once.
  std::vector<std::string> Written(const Plan& plan, const Setting& setting) {
    Sunk sunk(plan);
    const PipelineResult result = Run(plan, setting, SinkOf(&sunk));
    for (size_t s = 0; s < plan.shards.size(); ++s) {
      const size_t header = plan.shards[s].header.size();
      for (size_t i = 0; i < sunk.times[s].size(); ++i) {
        if (sunk.times[s][i] == (i < header ? 0 : 1)) continue;
        ADD_FAILURE() << "byte " << i << " of shard " << s << " was written " << int{sunk.times[s][i]} << " times";
        break;
      }
    }
    EXPECT_EQ(result.totals.bytes_read, result.totals.bytes_to_read);
    EXPECT_EQ(result.totals.bytes_written, result.totals.bytes_to_write);
    EXPECT_EQ(result.totals.tensors_done, result.totals.tensors_total);
    hashes_.clear();
    for (const ItemResult& item : result.items) hashes_.emplace_back(item.output_hash, item.input_hashes);
    return sunk.shards;
  }

  static OutputSink SinkOf(Sunk* sunk) {
    return [sunk](uint32_t shard, uint64_t offset, const std::byte* data, uint64_t size) {
      sunk->Write(shard, offset, data, size);
    };
  }

  // f must end, by that error.
  template <class Function>
  static void ExpectError(ErrorCode code, const std::string& message, const Function& f) {
    auto ended = std::async(std::launch::async, [&] { return FirstDiagnosticOf(f); });
    if (ended.wait_for(seconds(60)) != std::future_status::ready) {
      fprintf(stderr, "the run hangs\n");
      std::abort();  // its threads cannot be stopped
    }
    const Diagnostic found = ended.get();
    EXPECT_EQ(found.code, code) << found.message;
    EXPECT_EQ(found.message, message);
  }

  std::vector<std::pair<std::string, std::vector<std::string>>> hashes_;
};

TEST_F(DirectTest, SameBytesForAnyWorkersAndParts) {
  WriteModels(2);
  for (const char* method : {"linear", "ties", "slerp", "dare_ties", "della", "breadcrumbs", "passthrough"}) {
    const Plan plan = MakePlan(Recipe(method) + "shard_size: 100K\n", "out");
    const auto expected = Written(plan, {.threads = 1, .slot_bytes = 2'000'000, .n_slots = 1, .max_chunk_elems = 0});
    const auto expected_hashes = hashes_;
    for (const Setting& setting : {Setting{.threads = 1, .n_slots = 1}, Setting{.threads = 2, .n_slots = 2},
                                   Setting{.threads = 8, .n_slots = 8}, Setting{.threads = 8, .n_slots = 3},
                                   Setting{.threads = 40, .slot_bytes = 2'000'000, .n_slots = 40, .max_chunk_elems = 0},
                                   Setting{.threads = 5, .n_slots = 5, .max_chunk_elems = 3 * kBlockElems}}) {
      EXPECT_EQ(Written(plan, setting), expected) << method << ", " << setting.threads << " threads";
      EXPECT_EQ(hashes_, expected_hashes) << method << ", " << setting.threads << " threads";
    }
  }
}

// Selections that keep all or nothing are not counted: fewer readings than foretold.
TEST_F(DirectTest, ProgressEndsAtAllOfIt) {
  WriteModels(1);
  for (const char* method : {"ties", "breadcrumbs"})
    for (const char* density : {"0", "1", "0.4"})
      for (const char* rescale : {"false", "l1"}) {
        const std::string head = Recipe(method), params = "parameters: {density: ";
        const std::string recipe = head.substr(0, head.rfind("parameters: {density")) + params + density +
                                   std::string(", rescale: ") + rescale + "}\n";
        Written(MakePlan(recipe, "out"), {});
      }
}

TEST_F(DirectTest, ProgressNeverGoesBeyondTheEnd) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  uint64_t n_reports = 0;
  Run(
      plan, {.threads = 2, .n_slots = 2},
      [](uint32_t, uint64_t, const std::byte*, uint64_t) { std::this_thread::sleep_for(milliseconds(5)); },
      [&](PipelineOptions* options) {
        options->on_progress = [&](const Progress& now) {
          ++n_reports;
          EXPECT_LE(now.bytes_read, now.bytes_to_read);
          EXPECT_LE(now.bytes_written, now.bytes_to_write);
          EXPECT_LE(now.tensors_done, now.tensors_total);
          return true;
        };
      });
  EXPECT_GT(n_reports, 0u);
}

TEST_F(DirectTest, TheFirstErrorOfASinkEndsAllWorkers) {
  WriteModels(1);
  for (const char* method : {"ties", "linear"}) {
    const Plan plan = MakePlan(Recipe(method), "out");
    Sunk all(plan);
    Run(plan, {}, SinkOf(&all));
    for (const uint32_t n : {1u, 2u, 8u})
      for (uint64_t fail_at = 0; fail_at < all.calls; fail_at += 1 + all.calls / 12) {
        std::atomic<uint64_t> calls = 0;
        ExpectError(ErrorCode::kOutIo, "disk full", [&] {
          Run(plan, {.threads = n, .n_slots = n}, [&](uint32_t, uint64_t, const std::byte*, uint64_t) {
            const uint64_t call = calls++;
            if (call == fail_at) throw Error({.code = ErrorCode::kOutIo, .message = "disk full"});
            if (call > fail_at) std::this_thread::sleep_for(milliseconds(1));
          });
        });
        EXPECT_LE(calls, fail_at + n);  // a worker that was writing then may have finished
      }
  }
}

// The file is cut short under the run, wherever that is.
TEST_F(DirectTest, AReaderThatFailsEndsAllWorkers) {
  const std::string file = scratch / "b/model.safetensors";
  for (const int part : {1, 2, 5})
    for (const uint32_t n : {1u, 4u}) {
      WriteModels(1);
      const Plan plan = MakePlan(Recipe("ties"), "out");
      std::once_flag cut;
      auto ended = std::async(std::launch::async, [&] {
        return FirstDiagnosticOf([&] {
          Run(plan, {.threads = n, .n_slots = n}, [&](uint32_t, uint64_t, const std::byte*, uint64_t) {
            std::call_once(cut, [&] {
              std::filesystem::resize_file(file, std::filesystem::file_size(file) * static_cast<uint64_t>(part) / 6);
            });
          });
        });
      });
      ASSERT_EQ(ended.wait_for(seconds(60)), std::future_status::ready);
      const ErrorCode code = ended.get().code;
      EXPECT_TRUE(code == ErrorCode::kInTruncated || code == ErrorCode::kInChanged) << Info(code).code;
    }
}

// Nobody hands out the result of an item whose parts were not all done.
TEST_F(DirectTest, WhatWasNotFinishedIsNotRecorded) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  std::vector<std::string> expected;
  for (const ItemResult& item : Run(plan, {}, [](uint32_t, uint64_t, const std::byte*, uint64_t) {}).items)
    expected.push_back(item.output_hash);
  for (uint64_t fail_at = 0; fail_at < 30; ++fail_at) {
    Sunk sunk(plan);
    std::atomic<uint64_t> calls = 0;
    std::vector<uint64_t> done;
    EXPECT_THROW(Run(
                     plan, {.threads = 6, .n_slots = 6},
                     [&](uint32_t shard, uint64_t offset, const std::byte* data, uint64_t size) {
                       if (calls++ == fail_at) throw std::runtime_error("failed");
                       sunk.Write(shard, offset, data, size);
                     },
                     [&](PipelineOptions* options) {
                       options->on_item_done = [&](uint64_t item, const ItemResult& result) {
                         EXPECT_EQ(result.output_hash.empty() ? result.input_hashes[0] : result.output_hash,
                                   expected[item]);
                         done.push_back(item);
                       };
                     }),
                 std::runtime_error);
    for (const uint64_t index : done) {
      const PlanItem& item = plan.items[index];
      for (uint64_t i = 0; i < item.size_bytes; ++i)
        ASSERT_EQ(sunk.times[item.shard][item.offset_bytes + i], 1) << item.name << " was not all written";
    }
  }
}

TEST_F(DirectTest, CancelledAtAnyTime) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  for (const int reports : {0, 1})
    for (const uint32_t threads : {1u, 4u})
      ExpectError(ErrorCode::kCancelled, "stopped before the merge was complete", [&] {
        std::atomic<int> left = reports;
        Run(
            plan, {.threads = threads, .n_slots = threads},
            [](uint32_t, uint64_t, const std::byte*, uint64_t) { std::this_thread::sleep_for(milliseconds(20)); },
            [&](PipelineOptions* options) { options->on_progress = [&](const Progress&) { return left-- > 0; }; });
      });
}

TEST_F(DirectTest, EverythingIsSelfchecked) {
  WriteModels(1);
  for (const char* method : {"linear", "ties", "della"}) {
    const Plan plan = MakePlan(Recipe(method), "out");
    for (const uint32_t n : {1u, 8u}) {
      const PipelineResult result = Run(plan, {.threads = n, .n_slots = n, .selfcheck_percent = 100},
                                        [](uint32_t, uint64_t, const std::byte*, uint64_t) {});
      EXPECT_EQ(result.selfcheck_tensors, 7u);
    }
  }
}

// What one document passes on to the next is read while other workers are at it.
TEST_F(DirectTest, StagesInAScratchFile) {
  WriteModels(1);
  const std::string d = scratch.path();
  const std::string recipe = "name: first\nmerge_method: ties\nbase_model: " + d + "/base\n" +
                             "parameters: {density: 0.4, weight: 1}\nmodels: [{model: " + d + "/a}, {model: " + d +
                             "/b}]\n---\nmerge_method: slerp\nbase_model: first\nparameters: {t: 0.4}\nmodels: " +
                             "[{model: first}, {model: " + d + "/c}]\n";
  const Plan plan = MakePlan(recipe, "out");
  ASSERT_FALSE(plan.stages.empty());
  const auto expected = Written(plan, {.threads = 1, .n_slots = 1});
  for (const Setting& setting : {Setting{.threads = 8, .n_slots = 8}, Setting{.threads = 4, .n_slots = 2},
                                 Setting{.threads = 8, .n_slots = 8, .selfcheck_percent = 100}})
    EXPECT_EQ(Written(plan, setting), expected);
}

// Copies that differ between models are found by whoever has that part.
TEST_F(DirectTest, CopiesThatDiffer) {
  for (const char* name : {"base", "a", "b", "c"})
    WriteModel(scratch / name,
               {PatternTensor("x.weight", DType::kBF16, {100, 300}, 1),
                PatternTensor("y.ids", DType::kI64, {50'000}, name[0] == 'c' ? 8 : 7)},
               kConfigJson);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  for (const uint32_t n : {1u, 4u}) {
    auto ended = std::async(std::launch::async, [&] {
      return FirstDiagnosticOf(
          [&] { Run(plan, {.threads = n, .n_slots = n}, [](uint32_t, uint64_t, const std::byte*, uint64_t) {}); });
    });
    ASSERT_EQ(ended.wait_for(seconds(60)), std::future_status::ready);
    EXPECT_EQ(ended.get().code, ErrorCode::kMmIntDiffers);
  }
}

TEST_F(DirectTest, ItemsThatAreDoneAreLeftOut) {
  WriteModels(1);
  const Plan plan = MakePlan(Recipe("ties"), "out");
  const auto expected = Written(plan, {});
  std::vector<bool> done(plan.items.size());
  for (size_t i = 0; i < done.size(); i += 2) done[i] = true;
  Sunk sunk(plan);
  const PipelineResult result = Run(plan, {}, SinkOf(&sunk), [&](PipelineOptions* options) { options->done = &done; });
  EXPECT_EQ(result.totals.bytes_read, result.totals.bytes_to_read);
  EXPECT_EQ(result.totals.tensors_done, plan.items.size());
  for (size_t i = 0; i < plan.items.size(); ++i) {
    const PlanItem& item = plan.items[i];
    const auto bytes = [&](const std::vector<std::string>& shards) {
      return shards[item.shard].substr(item.offset_bytes, item.size_bytes);
    };
    EXPECT_EQ(bytes(sunk.shards), done[i] ? std::string(item.size_bytes, '\0') : bytes(expected)) << item.name;
  }
  std::fill(done.begin(), done.end(), true);
  EXPECT_EQ(Run(plan, {}, SinkOf(&sunk), [&](PipelineOptions* options) { options->done = &done; }).totals.bytes_read,
            0u);
}

}  // namespace
}  // namespace gpumerge::test
