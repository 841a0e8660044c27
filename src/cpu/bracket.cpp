// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
#include "src/cpu/bracket.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <vector>

namespace gpumerge {
namespace {

// Standard deviations of the sample's quantile within which the threshold is looked for.
constexpr double kMarginDeviations = 3.3;

// The bins of [first_key, end_key), as few bits wide as max_bins allow.
Bracket Cut(uint32_t first_key, uint32_t end_key, uint32_t max_bins) {
  Bracket bracket{first_key, end_key - 1, 0};
  while (bracket.n_bins() > max_bins) ++bracket.shift;
  return bracket;
}

// The deviation of the share of keys above `key`, as the runs show it: neighbours are alike.
double DeviationOfShare(std::span<const uint32_t> sample, uint64_t run_elems, uint32_t key, double share) {
  const double n_runs = static_cast<double>(sample.size() / run_elems);
  double squares = 0;
  for (size_t first = 0; first + run_elems <= sample.size(); first += run_elems) {
    const auto run = sample.subspan(first, run_elems);
    const auto above = std::count_if(run.begin(), run.end(), [&](uint32_t k) { return k > key; });
    const auto equal = std::count(run.begin(), run.end(), key);
    // Ties are shared out as the whole sample's are, which they do not bear on.
    const double low = static_cast<double>(above) / static_cast<double>(run_elems);
    const double high = static_cast<double>(above + equal) / static_cast<double>(run_elems);
    const double off = share < low ? low - share : share > high ? share - high : 0;
    squares += off * off;
  }
  const double independent = share * (1 - share) / static_cast<double>(sample.size());
  return std::sqrt(std::max(squares / n_runs / n_runs, independent));
}

}  // namespace

Bracket WholeBracket(uint32_t max_bins) { return Cut(0, kKeyEnd, max_bins); }

Bracket BracketOf(std::span<const uint32_t> sample, uint64_t run_elems, uint64_t wanted, uint64_t n_elems,
                  uint32_t max_bins) {
  const double share = static_cast<double>(wanted) / static_cast<double>(n_elems);
  const double size = static_cast<double>(sample.size());
  std::vector<uint32_t> sorted(sample.begin(), sample.end());
  const auto rank = [&](double of) {  // 0 = the largest key
    return sorted.begin() + static_cast<std::ptrdiff_t>(std::clamp(of, 0.0, size - 1));
  };
  std::nth_element(sorted.begin(), rank(share * size), sorted.end(), std::greater<>{});
  const double margin = kMarginDeviations * DeviationOfShare(sample, run_elems, *rank(share * size), share) + 1 / size;
  const auto top = rank((share - margin) * size), bottom = rank((share + margin) * size);
  const auto middle = rank(share * size);  // what is before it is in the first part
  std::nth_element(sorted.begin(), top, middle, std::greater<>{});
  const uint32_t last_key = *top;
  std::nth_element(middle, bottom, sorted.end(), std::greater<>{});
  return Cut(*bottom, last_key + 1, max_bins);
}

Narrowed Narrow(const Bracket& bracket, uint64_t n_above, std::span<const KeyBin<uint64_t>> bins, uint64_t wanted,
                uint32_t max_bins) {
  if (n_above >= wanted) return {.threshold = {}, .next = Cut(bracket.last_key + 1, kKeyEnd, max_bins)};
  uint64_t left = wanted - n_above;  // of the keys from this bin down
  for (uint32_t bin = bracket.n_bins(); bin-- > 0;) {
    if (bins[bin].n_keys < left) {
      left -= bins[bin].n_keys;
      continue;
    }
    const uint32_t first_key = bracket.first_key + (bin << bracket.shift);
    if (bins[bin].mark != KeyBin<uint64_t>::kDifferent)
      return {.threshold = bins[bin].mark - 1, .tie_rank = left, .keeps_all_ties = left == bins[bin].n_keys};
    const uint64_t end_key = std::min<uint64_t>(uint64_t{first_key} + (1u << bracket.shift), bracket.last_key + 1u);
    return {.threshold = {}, .next = Cut(first_key, static_cast<uint32_t>(end_key), max_bins)};
  }
  return {.threshold = {}, .next = Cut(0, bracket.first_key, max_bins)};
}

}  // namespace gpumerge
