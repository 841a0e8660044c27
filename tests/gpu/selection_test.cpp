// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Selections on the GPU where they are hardest: nothing or everything kept, all keys equal, thresholds of zero, the
// last tie at the edges of segments, chunks and the tensor. Every case whole, streamed and kept.
#include "kernels/device_part.h"
#include "tests/gpu/gpu_compare.h"
#include "tests/support/literal_jobs.h"

#include <limits>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

// Two and a half segments: the last part is short in every way of cutting.
constexpr uint64_t kElems = 2 * kSegmentElems + kSegmentElems / 2 + 37;
const std::vector<GpuRun> kRuns = {
    {GpuMode::kWhole}, {GpuMode::kStreamed, kBlockElems}, {GpuMode::kKept, kSegmentElems, 3 * kBlockElems}};

// The density that keeps exactly k of n.
double DensityOf(uint64_t k, uint64_t n) {
  return k == n ? 1.0 : k == 0 ? 0.0 : (static_cast<double>(k) + 0.5) / static_cast<double>(n);
}

// One model over a base of zeros: the output is the kept deltas.
TestJob TrimJob(const std::vector<float>& deltas, const std::vector<uint64_t>& kept) {
  JobSpec spec{.method = "ties", .inputs = {std::vector<float>(deltas.size(), 0.0f)}};
  std::vector<double> densities;
  for (const uint64_t k : kept) {
    spec.inputs.push_back(deltas);
    densities.push_back(DensityOf(k, deltas.size()));
  }
  spec.params = {{"weight", std::vector<double>(kept.size(), 1.0)}, {"density", densities}};
  return MakeJob(spec);
}

void ExpectReferenceEveryWay(const TestJob& test) {
  GpuBackend gpu({2 << 20, 2, 8 << 20, 4 << 20});
  const TestResult expected = Expected(test);
  for (const GpuRun& run : kRuns) ExpectSame(test, expected, gpu.Run(test, run), Text(run));
}

// All k of one tensor at once: each is a model.
void ExpectTrims(const std::vector<float>& deltas, const std::vector<uint64_t>& kept) {
  GpuBackend gpu({2 << 20, 2, 8 << 20, 4 << 20});
  ExpectReferenceEveryWay(TrimJob(deltas, kept));
  // And one of them by its count, which needs no other executor.
  const TestJob test = TrimJob(deltas, {kept[0]});
  uint64_t nonzero = 0, nonzero_deltas = 0;
  for (const float value : Widened(DType::kF32, gpu.Run(test).output)) nonzero += value != 0 ? 1u : 0u;
  for (const float value : deltas) nonzero_deltas += value != 0 ? 1u : 0u;
  EXPECT_EQ(nonzero, std::min(kept[0], nonzero_deltas));
}

TEST(GpuSelection, AllKeysEqual) {
  std::vector<float> deltas(kElems, -0.75f);
  ExpectTrims(deltas, {kSegmentElems, 1, kElems - 1});
  ExpectTrims(deltas, {kSegmentElems - 1, kSegmentElems + 1, kBlockElems});
  ExpectTrims(deltas, {2 * kSegmentElems, kBlockElems + 1, 0});
  ExpectTrims(deltas, {2 * kSegmentElems + 1, kElems, kElems - 36});
}

TEST(GpuSelection, AllDeltasZero) { ExpectTrims(std::vector<float>(kElems, 0.0f), {5, kElems - 1, kSegmentElems}); }

// More are kept than differ from zero: the threshold is zero, and zeros of both signs tie.
TEST(GpuSelection, ThresholdZero) {
  std::vector<float> deltas(kElems, 0.0f);
  for (size_t i = 0; i < kElems; i += 2) deltas[i] = -0.0f;
  deltas[3] = deltas[kSegmentElems] = deltas[kElems - 1] = 1.0f;
  ExpectTrims(deltas, {4, 3, kSegmentElems + 2});
}

// Large values all over, and ties only where they are put.
TEST(GpuSelection, LastTieAtEveryEdge) {
  const uint64_t edges[] = {0,
                            31,
                            255,
                            kBlockElems - 1,
                            kBlockElems,
                            kSegmentElems - 1,
                            kSegmentElems,
                            2 * kSegmentElems - 1,
                            2 * kSegmentElems,
                            kElems - 1};
  std::vector<float> deltas(kElems, 0.125f);
  for (const uint64_t edge : edges) deltas[edge] = edge % 2 == 0 ? 0.5f : -0.5f;
  deltas[100] = deltas[kSegmentElems + 100] = 2.0f;
  for (uint64_t k = 2; k < std::size(edges) + 2; k += 3) ExpectTrims(deltas, {k + 1, k + 2, k + 3});
}

// Keys that differ in their low bits only, or their high bits only, and one bin from end to end.
TEST(GpuSelection, KeysOfOneBin) {
  std::vector<float> low(kElems), high(kElems);
  for (uint32_t i = 0; i < kElems; ++i) {
    low[i] = std::bit_cast<float>(0x3f800000u + (i * 2654435761u >> 17));
    high[i] = std::bit_cast<float>((i * 2654435761u >> 17 << kDeviceLowKeyBits) % 0x7f800000u);
  }
  ExpectTrims(low, {1, kElems / 2, kElems - 1});
  ExpectTrims(high, {1, kElems / 3, kElems - 1});
}

TEST(GpuSelection, DenormalsAndExtremes) {
  std::vector<float> deltas(kElems);
  for (uint32_t i = 0; i < kElems; ++i) deltas[i] = std::bit_cast<float>(i % 7 == 0 ? 0x80000000u + i : i % 1000);
  deltas[17] = std::numeric_limits<float>::max();
  deltas[kElems - 2] = -std::numeric_limits<float>::max();
  ExpectTrims(deltas, {1, 2, kElems / 2});
}

// Infinities and NaNs have the largest keys, as on the CPU.
TEST(GpuSelection, NonFiniteKeys) {
  std::vector<float> deltas(kElems, 1.0f);
  deltas[5] = std::numeric_limits<float>::infinity();
  deltas[kSegmentElems + 5] = std::numeric_limits<float>::quiet_NaN();
  deltas[kElems - 1] = -std::numeric_limits<float>::infinity();
  ExpectReferenceEveryWay(TrimJob(deltas, {1, 2, 4, kElems - 1}));
}

TEST(GpuSelection, TinyTensorsAndDensities) {
  GpuBackend gpu({2 << 20, 2, 8 << 20, 4 << 20});
  for (const uint64_t n : {1u, 2u, 3u, 33u}) {
    const std::vector<float> deltas(n, 0.5f);
    for (const double density : {0.0, 1e-300, 1e-9, 0.5, 1 - 1e-9, 1.0}) {
      JobSpec spec{.method = "ties", .inputs = {std::vector<float>(n, 0.25f), deltas, deltas}};
      spec.params = {{"weight", {1, 2}}, {"density", {density, 1 - density}}};
      for (const GpuRun& run : kRuns) ExpectReference(MakeJob(spec), gpu, run);
    }
  }
}

// Rescaling reduces after selecting: in parts, both carry state from one part to the next.
TEST(GpuSelection, RescaledInParts) {
  GpuBackend gpu({2 << 20, 2, 16 << 20, 4 << 20});
  for (const std::string_view method : {"ties", "dare_linear", "dare_ties"})
    for (const std::string_view rescale : {"true", "l1", "l2", "linf", "inv_density"}) {
      TestJob test = MakeTestJob(MethodNumber(method), 3, kElems, {DType::kBF16, DType::kF32}, DType::kF32, 0);
      const MethodInfo& info = *Methods()[test.job.method].info;
      for (size_t p = 0; p < info.params.size(); ++p) {
        if (info.params[p].name == "rescale") test.job.params[p].values = {Choice(method, "rescale", rescale)};
        if (info.params[p].name == "density") test.job.params[p].values = {0, 0.3, 1.0, 0.01};
      }
      const TestResult expected = Expected(test);
      for (const GpuRun& run : kRuns)
        ExpectSame(test, expected, gpu.Run(test, run), std::string(rescale) + " " + Text(run));
    }
}

// Just above what one block of threads selects from, whole.
TEST(GpuSelection, WholeByRadixEagerOnly) {
  constexpr uint64_t kLarge = (1 << 18) + 1;
  GpuBackend gpu({16 << 20, 2, 1 << 20, 32 << 20});
  std::vector<float> deltas(kLarge, 0.5f);
  deltas[kLarge - 1] = 0.75f;
  for (const uint64_t k : {uint64_t{0}, uint64_t{1}, uint64_t{2}, kLarge - 1, kLarge, uint64_t{20 * kSegmentElems + 1}})
    ExpectReference(TrimJob(deltas, {k, kLarge / 2}), gpu);
}

}  // namespace
}  // namespace gpumerge
