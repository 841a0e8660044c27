// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// Rows of settings in which every pair of values of any two factors occurs: a fraction of the full product. Greedy and
// deterministic. For tests.
#pragma once

#include <cstddef>
#include <set>
#include <tuple>
#include <vector>

namespace gpumerge::testing {

// factors: how many values each has, at least one. A row holds one value a factor.
inline std::vector<std::vector<size_t>> Pairwise(const std::vector<size_t>& factors) {
  using Pair = std::tuple<size_t, size_t, size_t, size_t>;  // factor, value, later factor, value
  std::set<Pair> missing;
  for (size_t f = 0; f < factors.size(); ++f)
    for (size_t g = f + 1; g < factors.size(); ++g)
      for (size_t a = 0; a < factors[f]; ++a)
        for (size_t b = 0; b < factors[g]; ++b) missing.insert({f, a, g, b});
  const auto pair_of = [](size_t f, size_t a, size_t g, size_t b) {
    return f < g ? Pair(f, a, g, b) : Pair(g, b, f, a);
  };

  std::vector<std::vector<size_t>> rows;
  while (!missing.empty()) {
    constexpr size_t kUnset = ~size_t{0};
    std::vector<size_t> row(factors.size(), kUnset);
    const auto [first, first_value, second, second_value] = *missing.begin();
    row[first] = first_value;
    row[second] = second_value;
    for (size_t f = 0; f < factors.size(); ++f) {
      if (row[f] != kUnset) continue;
      size_t best = rows.size() % factors[f], most = 0;
      for (size_t a = 0; a < factors[f]; ++a) {
        size_t gained = 0;
        for (size_t g = 0; g < factors.size(); ++g)
          if (row[g] != kUnset) gained += missing.count(pair_of(f, a, g, row[g]));
        if (gained <= most) continue;
        best = a;
        most = gained;
      }
      row[f] = best;
    }
    for (size_t f = 0; f < factors.size(); ++f)
      for (size_t g = f + 1; g < factors.size(); ++g) missing.erase({f, row[f], g, row[g]});
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace gpumerge::testing
