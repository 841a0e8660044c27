# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Golden cases of nuslerp, multislerp, karcher, model_stock, nearswap, arcee_fusion, ram and ramplus_tl."""
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens.case import Case
from goldens.inputs import FEW_SHAPES, doubles, family, models, odd, raw, shape_name, unit_pair
from goldens.randomness import Noise

DTYPES = ["F32", "BF16", "F16", "F8_E4M3"]
OUTS = ["F32", "BF16", "F16"]
GRID = (12, 11)


# What an optional base does to the sweep: every other shape has one.
def _based(i):
    return i % 2 == 0


def _sweep(method, make_inputs, params, with_base=None, shapes=FEW_SHAPES):
    for i, shape in enumerate(shapes):
        dtypes = [DTYPES[(i + j * (1 + i // 3)) % (3 if i % 2 else 4)] for j in range(4)]
        if len(shape) == 1 and shape[0] > 4000:
            dtypes = ["BF16"] * 4
        inputs = make_inputs(method + shape_name(shape), shape, dtypes)
        inputs = inputs if with_base is None or _based(i) else inputs[1:]
        yield Case(method, shape_name(shape), "sizes and types", inputs, params(i), shape,
                   out_dtype=OUTS[i % 3 if len(shape) != 1 else 1],
                   with_base=with_base is not None and _based(i))


def _case(method):
    def make(name, about, inputs, params, shape=GRID, **more):
        return Case(method, name, about, inputs, params, shape, **more)

    return make


def _tame(n, turn):
    return raw(np.where(np.abs(odd(n, turn)) > 1e29, 1.5, odd(n, turn)))


def nuslerp():
    case = _case("nuslerp")
    modes = [{}, {"nuslerp_flatten": False}, {"nuslerp_flatten": False, "nuslerp_row_wise": True}]
    yield from _sweep("nuslerp", lambda name, shape, d: family(name, shape, 2, d),
                      lambda i: {"weight": [[0.3, 0.7], [1.0, 0.5]][i % 2], **modes[i % 3]}, _based)
    pair, three = models("nuslerp", GRID, ["F32"] * 2), family("nuslerp", GRID, 2, ["F32"] * 3)
    for name, mode in zip(("whole", "rows", "columns"), modes):
        yield case(name, "vectors as they are", pair, {"weight": [0.6, 0.2], **mode})
        yield case(name + "_base", "differences from a base", three, {"weight": [0.6, 0.2], **mode}, with_base=True)
    yield case("row_wise_flat", "row-wise has no effect on a flat tensor", pair,
               {"weight": [0.6, 0.2], "nuslerp_row_wise": True})
    yield case("columns_3d", "the first axis", models("nuslerp 3d", (3, 4, 5), ["F32"] * 2),
               {"weight": [0.6, 0.2], "nuslerp_flatten": False, "nuslerp_row_wise": True}, (3, 4, 5))
    yield case("rows_3d", "the last axis", models("nuslerp 3d", (3, 4, 5), ["F32"] * 2),
               {"weight": [0.6, 0.2], "nuslerp_flatten": False}, (3, 4, 5))
    yield case("negative_weight", "t beyond 1", pair, {"weight": [-0.2, 0.8]})
    yield case("weights_cancel", "|w0 + w1| = 0.95e-6: half of each", pair, {"weight": [1.0, -1.0 + 2.0**-20]})
    for side, cos in (("below", 1 - 3e-15), ("at", 1.0)):
        yield case(f"collinear_{side}", "1 - cos^2 around 1e-16", unit_pair(4, cos), {"weight": [0.3, 0.6]}, (4,))
    yield case("close", "no threshold of 0.9995 here", unit_pair(4, 0.99999), {"weight": [0.3, 0.6]}, (4,))
    yield case("opposite", "antiparallel: a line through zero", [raw([1.0, -2.0, 3.0]), raw([-1.0, 2.0, -3.0])],
               {"weight": [0.3, 0.6]}, (3,))
    for side, scale in (("below", 0.5e-7), ("above", 1.01e-7)):
        yield case(f"norm_{side}", f"a norm of {scale} counts as at least 1e-7", unit_pair(4, 0.5, scale_a=scale),
                   {"weight": [0.3, 0.6]}, (4,))
    yield case("zero", "a zero vector is at 90 degrees", [raw([0.0] * 4), raw([1.0, 2.0, -3.0, 0.5])],
               {"weight": [0.3, 0.6]}, (4,))
    yield case("odd_values", "zeros of both signs, denormals", [_tame(90, 0), _tame(90, 2)], {"weight": [0.4, 0.6]},
               (90,))
    yield case("blocks", "sums over several blocks", models("nuslerp blocks", (2, 4500), ["BF16"] * 2, 1.0),
               {"weight": [0.37, 0.4], "nuslerp_flatten": False}, (2, 4500), out_dtype="BF16")


def multislerp():
    case = _case("multislerp")
    weights = [[1.0, 1.0, 1.0], [0.3, 0.5, 0.2], [1.0, -0.4, 0.7]]
    yield from _sweep("multislerp", lambda name, shape, d: family(name, shape, 3, d),
                      lambda i: {"weight": weights[i % 3]}, _based)
    three = models("multislerp", (100,), ["F32"] * 3)
    yield case("unnormalized", "weights as they are", three, {"weight": [0.3, 0.5, 0.4], "normalize_weights": False},
               (100,))
    yield case("one_model", "as it is, bit for bit", [_tame(90, 1)], {"weight": [0.3]}, (90,))
    yield case("one_model_base", "the base is not consulted", [_tame(90, 2), _tame(90, 1)], {"weight": [0.3]}, (90,),
               with_base=True)
    yield case("five_models", "sums go from left to right", models("multi five", (100,), ["F32"] * 5),
               {"weight": [0.7, 0.3, 0.11, 0.013, 0.9]}, (100,))
    yield case("eps", "counts in short vectors", unit_pair(4, 0.3, scale_a=1e-3), {"weight": [0.3, 0.6], "eps": 1e-3},
               (4,))
    yield case("opposite", "two opposite vectors of one weight: the weighted sum",
               [raw([1.0, -2.0, 3.0]), raw([-2.0, 4.0, -6.0])], {"weight": [0.5, 0.5]}, (3,))
    yield case("zeros_base", "no change at all", [_tame(90, 1)] * 3, {"weight": [0.5, 0.5]}, (90,), with_base=True)
    yield case("no_direction", "three directions that cancel out",
               [raw([1.0, 0.0]), raw([-1.0, 0.0]), raw([0.0, 0.0])], {"weight": [0.5, 0.5, 1.0]}, (2,),
               error="NUM-SINGULAR")
    yield case("equal", "equal inputs", [_tame(90, 1)] * 3, {"weight": [0.5, 0.25, 0.25]}, (90,))
    yield case("zero_sum_refused", "weights sum to zero", three, {"weight": [1.0, -0.5, -0.5]}, (100,),
               error="NUM-ZEROSUM")


def karcher():
    case = _case("karcher")
    def inputs(name, shape, dtypes):  # few elements of their own signs might be opposite
        return models(name, shape, dtypes[:3]) if math.prod(shape) > 2 else family(name, shape, 2, dtypes)

    yield from _sweep("karcher", inputs, lambda i: {})
    three = models("karcher", (100,), ["F32"] * 3)
    yield case("one_step", "max_iter 1", three, {"max_iter": 1}, (100,))
    yield case("no_step", "max_iter 0 is the mean direction", three, {"max_iter": 0}, (100,))
    yield case("coarse", "tol 0.3 stops at once", three, {"tol": 0.3}, (100,))
    yield case("one_model", "as it is, bit for bit", [_tame(90, 1)], {}, (90,))
    yield case("uneven", "unequal angles and lengths take several steps",
               [raw([1.0, 0.0, 0.0, 0.0]), raw([0.1, 2.0, 0.0, 0.0]), raw([0.0, -0.3, 3.0, 0.5])], {}, (4,))
    yield case("short_dropped", "a vector of norm 0.9e-5 counts in the length only",
               [raw([0.9e-5, 0.0]), raw([0.6, 0.8]), raw([1.0, 0.5])], {}, (2,))
    yield case("short_kept", "a vector of norm 1.1e-5 takes part", [raw([1.1e-5, 0.0]), raw([0.6, 0.8]),
                                                                 raw([1.0, 0.5])], {}, (2,))
    yield case("all_short", "no direction at all: the mean", [raw([1e-6, 0.0]), raw([2e-6, -3e-6])], {}, (2,))
    yield case("opposite", "no arc leads to the opposite", [raw([1.0, -2.0, 0.5]), raw([-2.0, 4.0, -1.0])], {}, (3,),
               error="NUM-SINGULAR")
    yield case("zeros", "only zeros", [raw([0.0] * 4)] * 2, {}, (4,))
    yield case("five_models", "sums go from left to right", models("karcher five", (100,), ["F32"] * 5), {}, (100,))


def model_stock():
    case = _case("model_stock")
    yield from _sweep("model_stock", lambda name, shape, d: family(name, shape, 2, d),
                      lambda i: {"filter_wise": i % 2 == 1, "singular": "base"})
    three = family("stock", GRID, 3, ["F32"] * 4)
    yield case("three", "the mean cosine of three pairs", three, {})
    yield case("three_rows", "a share for every row", three, {"filter_wise": True})
    yield case("rows_3d", "rows along the last axis", family("stock 3d", (3, 4, 5), 2, ["F32"] * 3),
               {"filter_wise": True}, (3, 4, 5))
    base = Noise("stock").normal(64, 1.0)
    shared, own = Noise("stock shared").normal(64, 0.02), [Noise(f"stock own {m}").normal(64, 0.02) for m in range(2)]
    yield case("alike", "a common direction", [raw(base), *(raw(base + shared + v) for v in own)], {}, (64,))
    yield case("opposed", "a negative cosine goes beyond the base",
               [raw(base), raw(base + shared + 0.5 * own[0]), raw(base - 0.5 * shared + own[1])], {}, (64,))
    yield case("tiny_changes", "norms are not held above 1e-6", [raw([0.0] * 2), raw([3e-5, 1e-5]), raw([2e-5, 2e-5])],
               {}, (2,))
    yield case("floor", "norms held above 1e-6 as in mergekit", [raw([0.0] * 2), raw([3e-5, 1e-5]), raw([2e-5, 2e-5])],
               {"norm_floor": 1e-6}, (2,))
    opposite = [raw([0.5, 1.0]), raw([0.75, 0.5]), raw([0.25, 1.5])]
    yield case("singular", "a mean cosine of -1/(N-1)", opposite, {"singular": "error"}, (2,),
               error="NUM-SINGULAR")
    yield case("singular_is_base", "as in mergekit", opposite, {"singular": "base"}, (2,))
    yield case("clamped", "t of at least 0", [raw([0.5, 1.0]), raw([0.75, 0.5]), raw([0.25, 1.25])],
               {"clamp_t": True}, (2,))
    yield case("unchanged", "no change has no direction", [raw([0.5, 1.0])] * 3, {}, (2,))


def nearswap():
    case = _case("nearswap")
    yield from _sweep("nearswap", lambda name, shape, d: family(name, shape, 1, d),
                      lambda i: {"t": [1e-3, 5e-4][i % 2]})
    pair = family("nearswap", (100,), 1, ["F32"] * 2)
    yield case("zero", "t = 0 is the base", pair, {"t": 0.0}, (100,))
    yield case("large", "t above every distance is the model", pair, {"t": 1.0}, (100,))
    yield case("odd_values", "zeros of both signs, denormals", [_tame(90, 0), _tame(90, 2)], {"t": 0.3}, (90,))
    yield case("ends", "w = 0, w = 1 and equal values keep the sign of zero",
               [raw([-0.0, 1.0, -0.0, 0.5]), raw([1.0, -0.0, -0.0, 0.5])], {"t": 0.0}, (4,))
    yield case("ends_model", "w = 1", [raw([-0.0, 1.0, -0.0, 0.5]), raw([1.0, -0.0, -0.0, 0.5])], {"t": 2.0}, (4,))
    yield case("floor", "distances around 1e-6", [raw([0.0] * 4), raw([0.5e-6, 1e-6, 2e-6, 0.0])], {"t": 0.7e-6}, (4,))
    yield case("t_rounds_to_float32", "0.1 is rounded to float32 first", [raw([0.0] * 3), raw([0.3, 0.7, 10.0])],
               {"t": 0.1}, (3,))


def arcee_fusion():
    case = _case("arcee_fusion")
    yield from _sweep("arcee_fusion", lambda name, shape, d: family(name, shape, 1, d, base_sd=0.5, delta_sd=0.1),
                      lambda i: {})
    pair = family("arcee", GRID, 1, ["F32"] * 2, base_sd=1.0, delta_sd=0.2)
    yield case("matrix", "a row's divergence weighs its changes", pair, {})
    for factor in (0.0, 0.5, 3.0):
        yield case(f"iqr_{factor}", "how far above the median", pair, {"iqr_factor": factor})
    yield case("epsilon", "a share of 1e-13 counts as 1e-8: the first row's divergence is the larger one",
               [raw([30.0, 0.0, 7.0, 0.0]), raw([31.0, 31.0, 6.0, 13.0])], {"iqr_factor": 0.0}, (2, 2))
    yield case("equal", "no change: every importance is zero", [pair[0], pair[0]], {})
    yield case("large_values", "the exponent of the largest is 1", [raw([500.0, -900.0, 3.0, 0.0]),
                                                                  raw([501.0, -900.0, 7.0, 1.0])], {}, (2, 2))
    yield case("double_inputs", "F64 is rounded to float32 once",
               [doubles([0.1, 1 / 3, 1 + 2.0**-25]), doubles([0.3, 0.4, 1.5])], {}, (3,))


def ram(method):
    case = _case(method)
    yield from _sweep(method, lambda name, shape, d: family(name, shape, 3, d), lambda i: {})
    three = family(method, (100,), 3, ["BF16"] * 4)
    yield case("epsilon", "changes up to 1e-3 are none", three, {"epsilon": 1e-3}, (100,))
    yield case("epsilon_exclusive", "a change of exactly epsilon is none",
               [raw([0.0] * 4), raw([0.5, 0.25, -0.25, 1.0]), raw([0.25, 0.5, 0.0, -0.25])], {"epsilon": 0.25}, (4,))
    yield case("alone", "one model: every change is its own", three[:2], {}, (100,))
    yield case("five_models", "sums go from left to right, each term divided", family(method + "5", (100,), 5,
                                                                                     ["F32"] * 6),
               {"epsilon": 5e-4}, (100,))
    yield case("odd_values", "zeros of both signs, denormals", [_tame(90, t) for t in range(3)], {}, (90,))
    if method == "ramplus_tl":
        sparse = [raw(np.where(Noise(f"ram {m}").below(100, 5) == 0, 0.125 * (m + 1), 0.0)) for m in range(3)]
        some = [raw([0.0] * 100), *sparse]
        yield case("reinforced", "r of the shared per own change, below alpha", some, {"r": 0.7, "alpha": 5.0}, (100,))
        yield case("clipped", "alpha limits the ratio", some, {"r": 0.7, "alpha": 0.15}, (100,))
        yield case("defaults", "r = 0.1, alpha = 0.2", some, {}, (100,))
        yield case("none_own", "no change of its own", [raw([0.0] * 4), raw([1.0, 2.0, 3.0, 4.0]),
                                                       raw([1.0, 2.0, 3.0, 0.0])], {"r": 0.5}, (4,))


def all_cases():
    yield from nuslerp()
    yield from multislerp()
    yield from karcher()
    yield from model_stock()
    yield from nearswap()
    yield from arcee_fusion()
    yield from ram("ram")
    yield from ram("ramplus_tl")
