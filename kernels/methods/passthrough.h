// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// passthrough: the only input, scaled.   out = scale * x
//
// Mirrors mergekit's passthrough (frankenmerges). Differs: with scale 1 and no change of type the bytes are copied.
#pragma once

#include "kernels/recipe.h"

namespace gpumerge::GM_TARGET {

struct ScaleElement : PlainFunctor, KnownCounts<1, 1> {
  float scale;
  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    return at.x[0] * F(scale);
  }
};

struct Passthrough {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {
        {.name = "scale",
         .scope = ParamScope::kPerInput,
         .default_value = 1.0,
         .min = -1e30,
         .max = 1e30,
         .help = "factor for the tensor; with 1 (the default) its bytes are copied"}};
    static constexpr MethodInfo kInfo{
        .name = "passthrough",
        .summary = "takes every tensor from one model, unchanged or scaled; stacks layers of several models",
        .formula = "out = scale * x",
        .reference = "mergekit passthrough",
        .base = BaseUse::kOrdinaryInput,
        .min_models = 1,
        .max_models = 1,
        .params = kParams};
    return kInfo;
  }
  static bool IsCopy(const MergeJob& job) { return job.PerModel("scale", 0) == 1; }
  template <class X>
  static void Recipe(X& x) {
    ScaleElement element;
    element.scale = static_cast<float>(x.job().PerModel("scale", 0));
    x.Map(element);
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Passthrough)
