# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Golden cases of breadcrumbs, breadcrumbs_ties, della, della_linear, sce, and of how TIES and its relatives elect."""
import itertools

import gm_numpy  # noqa: F401
import numpy as np

from goldens import contract_vectors, randomness
from goldens.case import DEFAULT_TENSOR, Case
from goldens.inputs import FEW_SHAPES, family, odd, raw, shape_name
from goldens.randomness import Noise

TYPE_SETS = [["BF16"] * 4, ["F32"] * 4, ["F16"] * 4, ["F32", "BF16", "F16", "BF16"]]
OUTS = ["F32", "BF16", "F16", "F32"]
ELECTING = ("ties", "dare_ties", "breadcrumbs_ties", "della")


def _case(method):
    def make(name, about, inputs, params, shape=(100,), **more):
        return Case(method, name, about, inputs, params, shape, **more)

    return make


def _sweep(method, params):
    for i, shape in enumerate(FEW_SHAPES):
        n_models = 2 + i % 2
        dtypes = TYPE_SETS[0 if shape == (4099,) else i % 4]
        yield Case(method, shape_name(shape), f"sizes and types: {', '.join(dtypes[:1 + n_models])}",
                   family(method + shape_name(shape), shape, n_models, dtypes), params(i, n_models), shape,
                   out_dtype="BF16" if shape == (4099,) else OUTS[i % 4])


def _common(method, own):
    """What the task-vector family has in common. own: the method's own parameters for one model, written for all."""
    case = _case(method)

    def with_own(params):
        return {**params, **{name: [value] * len(params["weight"]) for name, value in own.items()}}

    three, weights = family(method, (100,), 3, ["F32"] * 4), [0.6, -0.7, 0.8]
    yield case("defaults", "every parameter but weight left out", three, {"weight": weights})
    yield case("lambda_normalized", "after the division", three,
               with_own({"weight": weights, "lambda": 1.7, "normalize": True}))
    yield case("unnormalized", "no division", three, with_own({"weight": weights, "normalize": False}))
    odds = [raw(np.where(np.abs(odd(90, t)) > 1e29, 1.5, odd(90, t))) for t in range(3)]
    yield case("odd_values", "zeros of both signs, denormals, equal inputs", odds, with_own({"weight": [0.5, 0.25]}),
               (90,))
    yield case("density_zero", "nothing is kept", three, {"weight": weights, "density": [0.0] * 3})
    few = family(method + " rules", (100,), 3, ["BF16"] * 4)
    for rule in (False, True, "l1", "l2", "linf", "inv_density"):
        yield case(f"rescale_{str(rule).lower()}", "the factor of survivors", few,
                   with_own({"weight": [1.0, 0.5, 0.3], "rescale": rule}))


def breadcrumbs(method):
    case = _case(method)
    yield from _sweep(method, lambda i, m: {"weight": [1.0, 0.5, 0.3][:m], "density": [[0.5, 0.2, 0.7][:m], [0.3] * m,
                                                                                      [0.9, 0.98, 0.1][:m]][i % 3],
                                            "gamma": [[0.1, 0.01, 0.2][:m], [0.0] * m][i % 2]})
    yield from _common(method, {"density": 0.5, "gamma": 0.1})
    ladder = [raw([0.0] * 100), raw(np.arange(1, 101) / 64.0)]
    for gamma, density in ((0.0, 0.25), (0.05, 0.25), (0.019, 0.29), (0.2, 0.9), (0.01, 0.999), (1.0, 0.5),
                           (0.1, 1e-3)):
        yield case(f"band_{gamma}_{density}", "the band below the largest", ladder,
                   {"weight": [1.0], "density": [density], "gamma": [gamma]})
    yield case("default_gamma", "one in a hundred", ladder, {"weight": [1.0], "density": [0.25]})
    yield case("density_one", "gamma counts for nothing", ladder, {"weight": [1.0], "density": [1.0], "gamma": [0.5]})
    level = raw(np.where(np.arange(100) % 2 == 0, 0.75, -0.75))
    yield case("all_equal", "equal magnitudes: a band of the indices", [ladder[0], level],
               {"weight": [1.0], "density": [0.35], "gamma": [0.2]})
    steps = [raw((Noise("few values").below(100, 7).astype(np.float32) - 3) / 8) for _ in range(2)]
    yield case("many_equal", "seven different values", [ladder[0], *steps],
               {"weight": [1.0, 0.5], "density": [0.5, 0.3], "gamma": [0.1, 0.3]})


def della(method):
    case = _case(method)
    yield from _sweep(method, lambda i, m: {"weight": [1.0, 0.5, 0.3][:m], "density": [[0.5, 0.4, 0.7][:m], [0.3] * m,
                                                                                      [0.8, 0.5, 0.2][:m]][i % 3],
                                            "epsilon": [[0.1] * m, [0.15, 0.05, 0.19][:m]][i % 2]})
    yield from _common(method, {"density": 0.5, "epsilon": 0.3})
    three = family(method + " more", (10, 10), 3, ["F32"] * 4)
    plain = {"weight": [1.0, 0.5, 0.3], "density": [0.4, 0.5, 0.6]}
    yield case("rows", "ranks within rows", three, plain, (10, 10))
    yield case("columns_of_one", "a row of one element is kept with probability density", three, plain, (100, 1))
    yield case("seed", "other draws", three, plain, (10, 10), seed=0x9E3779B97F4A7C15)
    yield case("model_indices", "a model that lacks the tensor keeps its place", three[:3],
               {"weight": [1.0, 0.5], "density": [0.4, 0.5]}, (10, 10), model_indices=[0, 2])
    yield case("default_epsilon", "0.15", three, plain, (5, 20))
    yield case("epsilon_zero", "the same chance for all", three, {**plain, "epsilon": [0.0] * 3}, (10, 10))
    yield case("epsilon_negative", "small ones are likelier", three, {**plain, "epsilon": [-0.2] * 3}, (10, 10))
    yield case("density_one", "nothing is drawn", three, {**plain, "density": [1.0] * 3}, (10, 10))
    level = raw(np.where(np.arange(100) % 2 == 0, 0.75, -0.75))
    yield case("all_equal", "equal magnitudes rank by index", [raw([0.0] * 100), level],
               {"weight": [1.0], "density": [0.5], "epsilon": [0.45]}, (4, 25))
    yield from _della_limits(case)
    yield case("chance_below_zero", "density - epsilon must be above 0", three[:2],
               {"weight": [1.0], "density": [0.1], "epsilon": [0.1]}, (10, 10), error="CFG-RANGE")
    yield case("chance_above_one", "density + epsilon must be below 1", three[:2],
               {"weight": [1.0], "density": [0.9], "epsilon": [0.1]}, (10, 10), error="CFG-RANGE")


def _della_limits(case):
    """Densities that put one element's chance right at its random word, which is then dropped, or just above."""
    n, epsilon = 65, 0.125
    words = randomness.draw_words(n, 0, randomness.xxh64(DEFAULT_TENSOR.encode()), 0)
    ladder = [raw([0.0] * n), raw(np.arange(1, n + 1) / 64.0)]
    for at in (12, 32, 50):
        offset = -epsilon + at / 64 * 2 * epsilon
        for name, extra in (("exclusive", 0.0), ("rounds_up", 0.25)):
            density = (int(words[at]) + extra) / 2**32 - offset
            if not epsilon < density < 1 - epsilon:
                continue
            chance = contract_vectors.keep_chances(np.arange(1, n + 1, dtype=np.float32), density, epsilon, (n,))[at]
            if chance * 2**32 != int(words[at]) + extra:
                continue
            yield case(f"limit_{name}_{at}", f"chance * 2^32 is {extra} above the word of element {at}", ladder,
                       {"weight": [1.0], "density": [density], "epsilon": [epsilon], "rescale": False}, (n,))


def elections(method):
    """All combinations; weights of both signs, deltas of few values, so that sums are often zero."""
    steps = [raw((Noise(f"election {m}").below(64, 7).astype(np.float32) - 3) / 8) for m in range(3)]
    inputs, own = [raw(np.full(64, 0.5)), *steps], {"density": [0.75] * 3} if method != "della" else {
        "density": [0.75] * 3, "epsilon": [0.125] * 3}
    for sign, zero, on, by in itertools.product(("sum", "count"), ("plus", "majority", "zero"), ("weighted", "raw"),
                                                ("weights", "count")):
        if method != "ties" and (zero == "plus") != (by == "count"):
            continue  # the relatives share the code: half of them do
        yield Case(method, f"elect_{sign}_{zero}_{on}_{by}", "how a sign is elected and terms are joined", inputs,
                   {"weight": [1.0, -0.5, 0.75], "sign": sign, "zero_sign": zero, "elect_on": on, "divide_by": by,
                    "normalize": True, "rescale": False, **own}, (64,))


def ties_keep_all():
    steps = [raw((Noise(f"keep all {m}").below(64, 7).astype(np.float32) - 3) / 8) for m in range(2)]
    for density in (0.01, 0.3, 0.95):
        for rescale in (False, "l1"):
            yield Case("ties", f"keep_all_{density}_{rescale}".lower(), "all that equal the smallest kept one stay",
                       [raw([0.0] * 64), *steps], {"weight": [1.0, 0.5], "density": [density] * 2, "rescale": rescale,
                                                   "tie_break": "keep_all"}, (64,))
    yield Case("ties", "keep_all_none", "nothing equals nothing", [raw([0.0] * 64), *steps],
               {"weight": [1.0, 0.5], "density": [0.0] * 2, "tie_break": "keep_all"}, (64,))


def ties_of_model():
    """The selections of a larger model, of which this tensor is one: thresholds that this tensor's share misses."""
    steps = [raw((Noise(f"of model {m}").below(64, 7).astype(np.float32) - 3) / 8) for m in range(2)]
    bits = [int(np.float32(value).view(np.uint32)) for value in (0.25, 0.125)]
    for name, ends, more in (("ties_end", [20, 7], {}), ("no_ties", [0, 0], {}),
                             ("all_ties", [0, 64], {"tie_break": "keep_all"}),
                             ("majority", [20, 7], {"zero_sign": "majority"})):
        for majority in (1, -1) if name == "majority" else (0,):
            yield Case("ties", f"scope_model_{name}_{majority}".replace("-", "minus_"), "selections of the whole model",
                       [raw([0.0] * 64), *steps], {"weight": [1.0, 1.0], "density": [0.5, 0.3], "trim_scope": "model",
                                                   **more}, (64,),
                       over_model={"model_selections": list(map(list, zip(bits, ends))), "model_majority": majority})
    yield Case("ties", "scope_tensor", "the default", [raw([0.0] * 64), *steps],
               {"weight": [1.0, 1.0], "density": [0.5, 0.3], "trim_scope": "tensor", "tie_break": "lowest_index"},
               (64,))


def sce():
    case = _case("sce")
    yield from _sweep("sce", lambda i, m: {"select_topk": [0.5, 1.0, 0.1, 0.8][i % 4]})
    three = family("sce", (100,), 3, ["F32"] * 4)
    yield case("defaults", "every element", three, {})
    for topk in (0.0, 0.004, 0.25, 0.999):
        yield case(f"topk_{topk}", "the elements of largest variance", three, {"select_topk": topk})
    sparse = [raw(np.where(Noise(f"sce {m}").below(100, 4) == 0, 0.125 * (m + 1), 0.0)) for m in range(3)]
    yield case("share_of_nonzero", "elements that differ, not all elements, are counted", [raw([0.0] * 100), *sparse],
               {"select_topk": 0.5})
    yield case("one_model", "no variance", three[:2], {"select_topk": 0.5})
    yield case("one_model_all", "its own share is 1", three[:2], {})
    yield case("five_models", "sums go from left to right", family("sce5", (100,), 5, ["F32"] * 6),
               {"select_topk": 0.6})
    yield case("unchanged", "no energy at all", [three[0]] * 3, {})
    small = family("sce small", (100,), 2, ["F32"] * 3, base_sd=0.02, delta_sd=1e-4)
    yield case("small_changes", "weights follow the energy however small", small, {})
    yield case("small_changes_uniform", "energy below 1e-6 counts as none, as in mergekit", small,
               {"weight_floor": 1e-6})
    yield case("divisor_floor", "a divisor of at least 0.4", small, {"divisor_floor": 0.4})
    yield case("mask_weights", "all elements are merged, the selection makes the shares", three,
               {"select_topk": 0.3, "mask": "weights"})
    yield case("mask_deltas", "the default", three, {"select_topk": 0.3, "mask": "deltas"})
    yield case("opposed", "the elected side takes all", [raw([0.0] * 4), raw([2.0, -2.0, 1.0, 0.0]),
                                                       raw([-1.0, 1.0, -1.0, 3.0])], {}, (4,))


def all_cases():
    for method in ("breadcrumbs", "breadcrumbs_ties"):
        yield from breadcrumbs(method)
    for method in ("della", "della_linear"):
        yield from della(method)
    for method in ELECTING:
        yield from elections(method)
    yield from ties_keep_all()
    yield from ties_of_model()
    yield from sce()
