// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cpu/guess.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace gpumerge {
namespace {

// Standard deviations of the sample's quantile within which the threshold is looked for.
constexpr double kMarginDeviations = 3.5;
// Guessing is worth a pass when one of the guesses is the threshold with about this probability.
constexpr double kWorthwhileProbability = 0.7;

}  // namespace

uint64_t SampleSize(uint64_t n_elems) { return std::clamp<uint64_t>(n_elems / 64, 4096, kMaxSamples) / 64 * 64; }

std::optional<Guesses> GuessThreshold(std::span<uint32_t> sample, uint64_t wanted, uint64_t n_elems) {
  const double share = static_cast<double>(wanted) / static_cast<double>(n_elems);
  const double size = static_cast<double>(sample.size());
  // The true quantile is about normally distributed around the sample's.
  const double deviation = std::sqrt(size * share * (1 - share)) + 1;
  const auto rank = [&](double of) {  // 0 = the largest key
    return sample.begin() + static_cast<std::ptrdiff_t>(std::clamp(of, 0.0, size - 1));
  };
  const auto begin = rank(share * size - kMarginDeviations * deviation);
  const auto end = rank(share * size + kMarginDeviations * deviation) + 1;
  std::nth_element(sample.begin(), begin, sample.end(), std::greater<>{});
  std::nth_element(begin, end - 1, sample.end(), std::greater<>{});
  std::sort(begin, end, std::greater<>{});

  std::map<uint32_t, double> probability;  // up to one factor
  double total = 0;
  for (auto key = begin; key != end; ++key) {
    const double distance = (static_cast<double>(key - sample.begin()) - share * size) / deviation;
    const double weight = std::exp(-distance * distance / 2);
    probability[*key] += weight;
    total += weight;
  }
  Guesses guesses;
  double covered = 0;
  for (uint32_t& guess : guesses.keys) {
    const auto most = std::max_element(probability.begin(), probability.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    guess = most == probability.end() ? ~uint32_t{0} : most->first;
    if (most == probability.end()) continue;
    covered += most->second;
    probability.erase(most);
  }
  if (covered < kWorthwhileProbability * total) return std::nullopt;
  return guesses;
}

std::optional<GuessedSelection> ConfirmGuess(const GuessCounts& counts, uint64_t wanted) {
  for (uint32_t g = 0; g < kGuesses; ++g) {
    const uint64_t above = counts.above[g], equal = counts.equal[g];
    if (above < wanted && wanted <= above + equal) return GuessedSelection{g, wanted - above, wanted == above + equal};
  }
  return std::nullopt;
}

}  // namespace gpumerge
