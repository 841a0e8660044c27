// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Many tensors under way at once: batches of mixed methods, sums that one batch waits for while the next is copied in,
// lanes that alternate, kept tensors one after another, memory that just suffices and memory that does not.
#include "tests/gpu/gpu_compare.h"
#include "tests/gpu/runtime_spy.h"
#include "tests/support/literal_jobs.h"

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

using Tensors = std::vector<std::unique_ptr<GpuTensor>>;

void ExpectAll(const Tensors& tensors) {
  for (const auto& tensor : tensors) {
    EXPECT_TRUE(tensor->AtEnd());
    ExpectSame(tensor->test, Expected(tensor->test), tensor->result, "lane " + std::to_string(tensor->lane));
  }
}

TestJob SlerpJob(uint64_t n, uint32_t variant, double t = 0.25) {
  TestJob test = MakeTestJob(MethodNumber("slerp"), 1, n, {DType::kF32}, DType::kF32, variant);
  test.job.params.at(0).values = {t};
  return test;
}

TestJob RescaledJob(uint64_t n, uint32_t variant) {
  TestJob test = MakeTestJob(MethodNumber("ties"), 2, n, {DType::kBF16}, DType::kBF16, variant);
  const MethodInfo& info = *Methods()[test.job.method].info;
  for (size_t p = 0; p < info.params.size(); ++p) {
    if (info.params[p].name == "rescale") test.job.params[p].values = {Choice("ties", "rescale", "l2")};
    if (info.params[p].name == "density") test.job.params[p].values = {0, 0.4, 0.6};
    if (info.params[p].name == "trim_scope") test.job.params[p].values = {Choice("ties", "trim_scope", "tensor")};
  }
  return test;
}

// Five batches on their way at once, each of every method, sizes and parameters differing.
TEST(GpuBatches, MixedMethods) {
  GpuBackend gpu;
  std::vector<TestJob> tests;
  const uint32_t n_methods = static_cast<uint32_t>(Methods().size());
  for (uint32_t t = 0; t < 5 * 2 * n_methods; ++t)
    tests.push_back(MakeTestJob(t % n_methods, 1 + t % 5, (t * 577) % 2500, {DType::kBF16, DType::kF32},
                                t % 2 == 0 ? DType::kBF16 : DType::kF16, t));
  Tensors all;
  for (size_t begin = 0; begin < tests.size(); begin += 2 * n_methods) {
    std::vector<GpuTensor*> batch;
    for (size_t t = begin; t < begin + 2 * n_methods; ++t) {
      all.push_back(gpu.Begin(tests[t]));
      batch.push_back(all.back().get());
    }
    gpu.Submit(batch);
  }
  gpu.Drain();
  ExpectAll(all);
}

// A batch waits for its sums only when the next one's copies have begun: every such batch here does.
TEST(GpuBatches, DeferredSums) {
  GpuBackend gpu;
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 24; ++t) {
    const double ends[] = {0.25, 0.0, 1.0, 0.75};  // at the ends no sums are needed
    if (t % 5 == 4) {
      tests.push_back(RescaledJob(3000 + t, t));
    } else {
      tests.push_back(SlerpJob(1 + 5000 * (t % 3) + t, t, ends[t % 4]));
    }
  }
  Tensors all;
  for (size_t begin = 0; begin < tests.size();) {
    const size_t end = std::min(tests.size(), begin + 1 + begin % 4);
    std::vector<GpuTensor*> batch;
    for (; begin < end; ++begin) {
      all.push_back(gpu.Begin(tests[begin]));
      batch.push_back(all.back().get());
    }
    gpu.Submit(batch);
  }
  gpu.Drain();
  ExpectAll(all);
}

// Rings of device memory that come round many times, copies early.
TEST(GpuBatches, SmallRingsWhileCopiesRunAhead) {
  Spy().Reset();
  Spy().copies_run_ahead = true;
  GpuBackend gpu({40 << 10, 3, 0, 1 << 20});
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 40; ++t)
    tests.push_back(t % 3 == 0 ? SlerpJob(100 + 90 * t, t) : RescaledJob(100 + 70 * t, t));
  Tensors all;
  for (const TestJob& test : tests) {
    all.push_back(gpu.Begin(test));
    gpu.Submit(*all.back());
  }
  gpu.Drain();
  Spy().Reset();
  ExpectAll(all);
}

// While a tensor's output comes back in parts the next one's inputs go in, in the other lane; small tensors between.
void AlternateLanes(const std::vector<TestJob>& tests, const std::vector<GpuRun>& runs, const GpuMemory& memory) {
  GpuBackend gpu(memory);
  const TestJob small = SlerpJob(77, 3), small_trim = RescaledJob(99, 4);
  Tensors all, between;
  for (size_t t = 0; t < tests.size(); ++t)
    all.push_back(gpu.Begin(tests[t], runs[t % runs.size()], static_cast<uint32_t>(t % 2)));
  while (all[0]->NextBringsInputs()) gpu.Submit(*all[0]);
  for (size_t t = 0; t < all.size(); ++t) {
    GpuTensor* const next = t + 1 < all.size() ? all[t + 1].get() : nullptr;
    while (!all[t]->AtEnd() || (next != nullptr && next->NextBringsInputs())) {
      if (next != nullptr && next->NextBringsInputs()) gpu.Submit(*next);
      if (!all[t]->AtEnd()) gpu.Submit(*all[t]);
      if (between.size() > 12) continue;
      between.push_back(gpu.Begin(small));
      between.push_back(gpu.Begin(small_trim));
      gpu.Submit(std::vector<GpuTensor*>{between.end()[-2].get(), between.end()[-1].get()});
    }
  }
  gpu.Drain();
  ExpectAll(all);
  ExpectAll(between);
}

void KeptTensorsAlternate() {
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 6; ++t) {
    const uint64_t n = (2 + t % 3) * kBlockElems + t;
    tests.push_back(t % 2 == 0 ? RescaledJob(n, t) : SlerpJob(n, t));
  }
  AlternateLanes(tests, {{GpuMode::kKept}, {GpuMode::kKept, 2 * kBlockElems, kBlockElems}}, {});
  AlternateLanes(tests, {{GpuMode::kKept, kBlockElems, 2 * kBlockElems}}, {1 << 20, 2, 4 << 20, 1 << 20});
}

TEST(GpuLanes, KeptTensorsAlternate) { KeptTensorsAlternate(); }

TEST(GpuLanes, StreamedAndKeptAlternate) {
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 2 * Methods().size(); ++t)
    tests.push_back(MakeTestJob(t % static_cast<uint32_t>(Methods().size()), 2, 2 * kBlockElems + 5 + t, {DType::kBF16},
                                DType::kF32, t));
  AlternateLanes(tests, {{GpuMode::kKept}, {GpuMode::kStreamed}, {GpuMode::kStreamed}}, {});
}

// Without alternating: a lane's next tensor takes the place of its last one.
void KeptTensorsInARow() {
  GpuBackend gpu({1 << 20, 2, 4 << 20, 1 << 20});
  std::vector<TestJob> tests;
  for (uint32_t t = 0; t < 5; ++t) tests.push_back(RescaledJob(3 * kBlockElems + t, t));
  Tensors all;
  for (const TestJob& test : tests) {
    all.push_back(gpu.Begin(test, {GpuMode::kKept}, all.size() == 3 ? 1 : 0));
    while (!all.back()->AtEnd()) gpu.Submit(*all.back());
  }
  gpu.Drain();
  ExpectAll(all);
}

TEST(GpuLanes, KeptTensorsInARow) { KeptTensorsInARow(); }

// Memory is not used again before the kernels that read it are done: a copy that is early would show.
TEST(GpuLanes, WhileCopiesRunAhead) {
  Spy().Reset();
  Spy().copies_run_ahead = true;
  KeptTensorsAlternate();
  KeptTensorsInARow();
  Spy().Reset();
}

// A tensor that needs nearly all of the kept memory goes alone, between ones of both lanes.
TEST(GpuLanes, LargeTensorAlone) {
  const TestJob large = RescaledJob(5 * kBlockElems + 1, 1), small = RescaledJob(2 * kBlockElems + 1, 2);
  GpuBackend probe({1 << 20, 1, 0, 1 << 20});
  const auto held = [&](const TestJob& test) {
    uint64_t bytes = probe.backend().DeviceStateBytes(test.job, Methods()[test.job.method].passes(test.job), true);
    for (const auto& input : test.inputs) bytes += (input.size() + 255) / 256 * 256;
    return bytes;
  };
  Spy().copies_run_ahead = true;
  GpuBackend gpu({1 << 20, 2, held(large), 1 << 20});
  Tensors all;
  for (uint32_t t = 0; t < 5; ++t) {
    all.push_back(gpu.Begin(t % 2 == 0 ? small : large, {GpuMode::kKept}, t % 4 == 3 ? 1 : 0));
    while (!all.back()->AtEnd()) gpu.Submit(*all.back());
  }
  gpu.Drain();
  ExpectAll(all);
  Spy().Reset();

  // With less it does not fit; nor does a second one while the first is open.
  GpuBackend too_small({1 << 20, 2, held(large) * 9 / 10, 1 << 20});
  const auto refused = too_small.Begin(large, {GpuMode::kKept});
  EXPECT_THROW(too_small.Submit(*refused), Error);
  GpuBackend half({1 << 20, 2, held(large) * 19 / 10, 1 << 20});
  const auto first = half.Begin(large, {GpuMode::kKept}), second = half.Begin(large, {GpuMode::kKept}, 1);
  half.Submit(*first);
  EXPECT_THROW(half.Submit(*second), Error);
}

// What the backend says a tensor needs suffices, with one unit and with several.
TEST(GpuMemoryFits, AsAnnounced) {
  for (const uint32_t n_units : {1u, 2u, 3u}) {
    GpuBackend probe({1 << 20, 1, 0, 1 << 20});
    for (uint32_t method = 0; method < Methods().size(); ++method)
      for (const uint64_t n : {1u, 63u, 2048u}) {
        const TestJob test = MakeTestJob(method, 2, n, {DType::kBF16}, DType::kBF16, 0);
        const auto align = [](uint64_t bytes) { return (bytes + 63) / 64 * 64; };
        uint64_t bytes = align(n * ElementBytes(test.job.out_dtype));
        for (const auto& input : test.inputs) bytes += align(input.size());
        bytes += probe.backend().DeviceStateBytes(test.job, Methods()[method].passes(test.job), false);
        GpuBackend gpu({bytes, n_units, 0, 1 << 20});
        Tensors all;
        for (int repeat = 0; repeat < 4; ++repeat) {
          all.push_back(gpu.Begin(test));
          gpu.Submit(*all.back());
        }
        gpu.Drain();
        ExpectAll(all);
      }
  }
}

TEST(GpuMemoryFits, TooLargeABatchIsAnError) {
  const TestJob test = MakeTestJob(MethodNumber("linear"), 2, 4096, {DType::kF32}, DType::kF32, 0);
  GpuBackend gpu({4096, 2, 0, 1 << 20});
  const auto tensor = gpu.Begin(test);
  EXPECT_THROW(gpu.Submit(*tensor), Error);
}

// Waiting for the last batch first, and again for what is done.
TEST(GpuBatches, WaitInAnyOrder) {
  GpuBackend gpu;
  const TestJob test = SlerpJob(100, 1);
  const auto tensor = gpu.Begin(test);
  gpu.Submit(*tensor);
  gpu.backend().Wait(1);
  gpu.backend().Wait(1);
  gpu.backend().Wait(0);
  gpu.Drain();
  ExpectSame(test, Expected(test), tensor->result);
  EXPECT_GE(gpu.backend().ComputeSeconds(), 0.0);
}

}  // namespace
}  // namespace gpumerge
