// SPDX-FileCopyrightText: 2026 the gpumerge authors
// SPDX-License-Identifier: Apache-2.0
//
// nearswap: the base takes over another model's values where the two are near.
//   w = clamp(t / max(|a - b|, 1e-6), 0, 1);  out = w b + (1 - w) a, a the base
//
// Mirrors mergekit's nearswap (by alchemonaut). w = 0, w = 1 and a = b give the end itself, the sign of zero included.
#pragma once

#include "kernels/recipe.h"

namespace gpumerge::GM_TARGET {

struct NearswapElement : PlainFunctor, KnownCounts<1, 2> {
  float t;
  template <class F>
  GM_HD F operator()(const At<F>& at) const {
    const F zero(0.0f), one(1.0f), smallest(1e-6f);
    const F a = at.x[0], b = at.x[1];
    const F difference = a - b;
    const F distance = Where(difference < zero, zero - difference, difference);
    F w = F(t) / Where(distance < smallest, smallest, distance);
    w = Where(w < zero, zero, w);
    const F mixed = b * w + a * (one - w);
    return Where(w >= one, b, Where((w == zero) || (a == b), a, mixed));
  }
};

struct Nearswap {
  static const MethodInfo& Info() {
    static constexpr ParamSpec kParams[] = {{.name = "t",
                                             .min = -1e30,
                                             .max = 1e30,
                                             .help = "values that differ by at most this are taken from the model"}};
    static constexpr std::string_view kRemarks[] = {
        "Where the two are equal, where w = 0 and where w = 1, the result is that value bit for bit.",
        "mergekit computes in the type of the inputs; here the distance and w are float32 whatever the type.",
        "mergekit's w may be one unit in the last place away: PyTorch multiplies t by a rounded reciprocal."};
    static constexpr MethodInfo kInfo{
        .name = "nearswap",
        .summary = "takes values from the model where it is near the base",
        .formula = "out = w model + (1-w) base, w = clamp(t / max(|base - model|, 1e-6), 0, 1)",
        .reference = "mergekit nearswap, by alchemonaut",
        .base = BaseUse::kRequired,
        .min_models = 1,
        .max_models = 1,
        .params = kParams,
        .remarks = kRemarks};
    return kInfo;
  }
  template <class X>
  static void Recipe(X& x) {
    NearswapElement element;
    element.t = static_cast<float>(x.job().Shared("t"));
    x.Map(element);
  }
};

}  // namespace gpumerge::GM_TARGET
GM_METHODS(Nearswap)
