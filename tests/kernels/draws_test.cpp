// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// What DARE and DELLA draw, as statistics: the share that is kept, that masks of different tensors, models and seeds
// are independent, and that the mean over seeds is the difference itself. Draws are the same on every run, so a test
// cannot fail by chance; limits are five standard deviations of what a fair draw may do (six where the worst of
// thousands is looked at).
#include "tests/support/literal_jobs.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gpumerge {
namespace {

using namespace testing;  // NOLINT: the test support's names

struct Sparsifier {
  std::string_view method;
  double density;
  double epsilon;  // 0: the method has none
};
constexpr Sparsifier kSparsifiers[] = {
    {"dare_linear", 0.3, 0}, {"dare_ties", 0.7, 0}, {"della_linear", 0.3, 0.2}, {"della", 0.6, 0.3}};

std::ostream& operator<<(std::ostream& out, const Sparsifier& s) { return out << s.method; }

class Draws : public ::testing::TestWithParam<Sparsifier> {
 protected:
  Draws() : backend_(MakeCpuBackend(1, std::string(UsableIsas().back()->isa))) {}

  // Differences of 1/n to 1 in a scrambled order, so that the rank of each is known.
  static std::vector<float> Deltas(size_t n) {
    std::vector<float> deltas(n);
    for (size_t i = 0; i < n; ++i) deltas[i] = static_cast<float>((i * 389) % n + 1) / static_cast<float>(n);
    return deltas;
  }

  double Chance(size_t n, double delta) const {
    const double rank = delta * static_cast<double>(n) - 1;
    return GetParam().density - GetParam().epsilon + rank / static_cast<double>(n - 1) * 2 * GetParam().epsilon;
  }

  // The result for a base of zeros and n_models equal models, whose deltas these are; of `model` alone.
  std::vector<float> Run(const std::vector<float>& deltas, uint64_t seed, uint64_t name_hash, uint32_t model,
                         std::string_view rescale) {
    JobSpec spec{.method = GetParam().method, .inputs = {std::vector<float>(deltas.size()), deltas}};
    spec.params = {{"weight", {1}},
                   {"density", {GetParam().density}},
                   {"rescale", {Choice(GetParam().method, "rescale", rescale)}}};
    if (GetParam().epsilon != 0) spec.params["epsilon"] = {GetParam().epsilon};
    spec.seed = seed;
    spec.name_hash = name_hash;
    spec.model_indices = {model};
    return RunJob(*backend_, MakeJob(spec));
  }

 private:
  std::unique_ptr<Backend> backend_;
};

TEST_P(Draws, KeepAsManyAsTheyShould) {
  constexpr size_t kElems = 100'003;
  const std::vector<float> deltas = Deltas(kElems);
  const std::vector<float> kept = Run(deltas, 1, 2, 0, "false");
  double n_kept = 0, n_small = 0, expected = 0, expected_small = 0, variance = 0, variance_small = 0;
  for (size_t i = 0; i < kElems; ++i) {
    ASSERT_TRUE(kept[i] == 0 || kept[i] == deltas[i]);
    const double chance = Chance(kElems, static_cast<double>(deltas[i])), drawn = kept[i] != 0 ? 1 : 0;
    n_kept += drawn, expected += chance, variance += chance * (1 - chance);
    if (deltas[i] < 0.1f) n_small += drawn, expected_small += chance, variance_small += chance * (1 - chance);
  }
  EXPECT_NEAR(n_kept, expected, 5 * std::sqrt(variance));
  EXPECT_NEAR(n_small, expected_small, 5 * std::sqrt(variance_small)) << "of the smallest tenth";
}

TEST_P(Draws, MasksOfOtherSeedsTensorsAndModelsAreIndependent) {
  constexpr size_t kElems = 100'003;
  const std::vector<float> deltas = Deltas(kElems);
  const std::vector<float> masks[] = {Run(deltas, 1, 2, 0, "false"),          Run(deltas, 2, 2, 0, "false"),
                                      Run(deltas, 1ull << 32, 2, 0, "false"), Run(deltas, 1, 3, 0, "false"),
                                      Run(deltas, 1, 2, 1, "false"),          Run(deltas, 2, 1, 0, "false"),
                                      Run(deltas, 1, 2ull << 32, 0, "false")};
  for (size_t a = 0; a < std::size(masks); ++a) {
    for (size_t b = a + 1; b < std::size(masks); ++b) {
      double together = 0, expected = 0, variance = 0;
      for (size_t i = 0; i < kElems; ++i) {
        const double chance = Chance(kElems, static_cast<double>(deltas[i])), both = chance * chance;
        together += masks[a][i] != 0 && masks[b][i] != 0 ? 1 : 0;
        expected += both, variance += both * (1 - both);
      }
      EXPECT_NEAR(together, expected, 5 * std::sqrt(variance)) << "masks " << a << " and " << b;
    }
  }
}

TEST_P(Draws, MeanOverSeedsIsTheDifference) {
  constexpr size_t kElems = 97;
  constexpr uint64_t kSeeds = 2000;
  const std::vector<float> deltas = Deltas(kElems);
  std::vector<double> sum(kElems);
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::vector<float> merged = Run(deltas, seed, 7, 0, "true");
    for (size_t i = 0; i < kElems; ++i) sum[i] += static_cast<double>(merged[i]);
  }
  double total = 0, variance = 0;
  for (size_t i = 0; i < kElems; ++i) {
    const double delta = static_cast<double>(deltas[i]), chance = Chance(kElems, delta);
    const double square = delta * delta * (1 - chance) / chance / static_cast<double>(kSeeds);
    const double error = sum[i] / static_cast<double>(kSeeds) - delta;
    EXPECT_LE(std::fabs(error), 6 * std::sqrt(square)) << "element " << i << " of " << delta;
    total += error, variance += square;
  }
  EXPECT_LE(std::fabs(total), 5 * std::sqrt(variance));
}

INSTANTIATE_TEST_SUITE_P(Sparsifier, Draws, ::testing::ValuesIn(kSparsifiers),
                         [](const auto& row) { return std::string(row.param.method); });

}  // namespace
}  // namespace gpumerge
