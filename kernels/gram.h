// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// The Gram matrix: every inner product of the models' vectors, or of their differences from the base, in one pass.
// Whatever stays in the span of the models (norms, cosines, means on the sphere) follows from it on the host in fp64.
#pragma once

#include "kernels/recipe.h"

namespace gpumerge::GM_TARGET {

// Where the product of models a and b lies among the values.
inline uint32_t GramIndex(uint32_t a, uint32_t b) { return a >= b ? a * (a + 1) / 2 + b : b * (b + 1) / 2 + a; }
inline uint32_t GramValues(uint32_t n_models) { return n_models * (n_models + 1) / 2; }

// Of the whole tensor, or of every row or column. n_models: at most kMaxGramModels.
template <int kModels, bool kFromBase, GroupAxis kAxis = GroupAxis::kNone>
struct GramSums : PlainFunctor, KnownCounts<kModels, kModels + (kFromBase ? 1 : 0), kModels*(kModels + 1) / 2> {
  static constexpr GroupAxis kGroups = kAxis;
  ModelCount<kModels> n_models;

  GM_HD void operator()(const At<float>& at, double* values) const {
    double x[kModels > 0 ? kCapacity<kModels> : kMaxGramModels];
    ForModels<kModels>(n_models(), [&](uint32_t a) GM_INLINED {
      if constexpr (kFromBase)
        x[a] = at.x[a + 1] - at.x[0];
      else
        x[a] = at.x[a];
    });
    uint32_t v = 0;
    ForModels<kModels>(n_models(), [&](uint32_t a) GM_INLINED {
      ForModels<kModels>(n_models(), [&](uint32_t b) GM_INLINED {
        if (b <= a) values[v++] = x[a] * x[b];
      });
    });
  }
};

// sum_m factor_m x_m over the models, or base + sum_m factor_m (x_m - base).
template <int kModels>
struct CombinationElement : PlainFunctor {
  ModelCount<kModels> n_models;
  uint32_t first_model;  // among the inputs
  bool from_base;
  float factor[kCapacity<kModels>];

  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    F sum(0.0f);
    ForModels<kModels>(n_models(), [&](uint32_t m) GM_INLINED {
      const F x = at.x[first_model + m];
      const F term = (from_base ? x - at.x[0] : x) * F(factor[m]);
      sum = m == 0 ? term : sum + term;
    });
    return from_base ? at.x[0] + sum : sum;
  }
};

}  // namespace gpumerge::GM_TARGET
