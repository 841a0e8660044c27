# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Golden cases of task_arithmetic, ties, dare_linear and dare_ties."""
import gm_numpy  # noqa: F401
import numpy as np

from goldens import randomness, trees
from goldens.case import DEFAULT_TENSOR, Case
from goldens.inputs import SHAPES, doubles, family, odd, raw
from goldens.randomness import Noise

TYPE_SETS = [["BF16"] * 4, ["F32"] * 4, ["F16"] * 4, ["F32", "BF16", "F16", "BF16"],
             ["F8_E4M3", "F8_E5M2", "BF16", "F32"]]
OUTS = ["F32", "BF16", "F16", "F32"]
BIG_SEED = 0x9E3779B97F4A7C15


def _sweep(method, params):
    for i, shape in enumerate(SHAPES):
        dtypes = TYPE_SETS[0 if shape == (4097,) else i % 5]
        name = "shape_" + ("x".join(map(str, shape)) or "scalar")
        yield Case(method, name, f"sizes and types: {', '.join(dtypes[:1 + 2 + i % 2])}",
                   family(method + name, shape, 2 + i % 2, dtypes), params(i, 2 + i % 2), shape, out_dtype=OUTS[i % 4])


def _case(method):
    def make(name, about, inputs, params, n=None, **more):
        shape = (n,) if n is not None else (100,)
        return Case(method, name, about, inputs, params, shape, **more)

    return make


def _common(method, weighted):
    """What all four have in common. weighted: adds the method's own parameters to the weights."""
    case = _case(method)
    three = family(method, (100,), 3, ["F32"] * 4)
    yield case("defaults", "every parameter but weight left out", three, {"weight": [0.6, 0.7, 0.8]})
    yield case("lambda", "the sum is scaled", three, weighted({"weight": [0.6, 0.7, 0.8], "lambda": 0.3}))
    yield case("lambda_normalized", "after the division", three,
               weighted({"weight": [0.6, 0.7, 0.8], "lambda": 1.7, "normalize": True}))
    yield case("unnormalized", "no division", three, weighted({"weight": [0.6, 0.7, 0.8], "normalize": False}))
    yield case("negative_weight", "subtracts a task", three, weighted({"weight": [1.0, -0.5, 0.3]}))
    yield case("five_models", "sums go from left to right", family(method + "five", (100,), 5, ["F32"] * 6),
               weighted({"weight": [0.7, 0.3, 0.11, 0.013, 0.9]}))
    odds = [raw(np.where(np.abs(odd(90, t)) > 1e29, 1.5, odd(90, t))) for t in range(3)]
    yield case("odd_values", "zeros of both signs, denormals, equal inputs", odds, weighted({"weight": [0.5, 0.25]}),
               n=90)
    yield case("double_inputs", "F64 is rounded to float32 once, on loading",
               [doubles([0.1, 1 / 3, 1 + 2.0**-25]), doubles([0.1 + 1e-9, 0.4, 1 + 2.0**-23])],
               weighted({"weight": [1.0]}), n=3)


def task_arithmetic():
    case = _case("task_arithmetic")
    yield from _sweep("task_arithmetic", lambda i, m: {"weight": [1.0, 0.5, 0.3][:m], "lambda": [1.0, 0.7][i % 2]})
    yield from _common("task_arithmetic", lambda p: p)
    three = family("ta", (100,), 3, ["F32"] * 4)
    yield case("zero_sum_refused", "|sum w| = 0.95e-8 sum |w|", three,
               {"weight": [1.0, -1.0, 1.9e-8], "normalize": True}, error="NUM-ZEROSUM")
    yield case("zero_sum_allowed", "|sum w| = 1.05e-8 sum |w|", three,
               {"weight": [1.0, -1.0, 2.1e-8], "normalize": True})
    yield case("zero_sum_unnormalized", "nothing is divided, so nothing is wrong", three,
               {"weight": [1.0, -1.0, 0.0]})
    yield case("negation", "forgets a task", three[:2], {"weight": [-1.0]})
    yield case("analogy", "C + B - A", three, {"weight": [1.0, 1.0, -1.0]})
    yield case("lambda_rounds_to_float32", "0.1 is rounded to float32 first", [raw([0.0] * 3), raw([1.0, 3.0, 1e10])],
               {"weight": [1.0], "lambda": 0.1}, n=3)
    yield case("negative_zero_base", "-0 + 0 = +0 and -0 + -0 = -0", [raw([-0.0] * 3), raw([-0.0, 0.0, 1.0])],
               {"weight": [1.0]}, n=3)


def ties():
    case = _case("ties")
    yield from _sweep("ties", lambda i, m: {"weight": [1.0, 0.5, 0.3][:m],
                                            "density": [[0.5, 0.2, 0.7][:m], [0.3] * m, [0.9, 0.5, 0.1][:m]][i % 3],
                                            "rescale": [False, "l1", True, "l2", "linf", "inv_density"][i % 6]})
    yield from _common("ties", lambda p: {**p, "density": [0.5] * len(p["weight"])})
    zeros = raw([0.0] * 100)
    ladder = raw(np.arange(1, 101) / 64.0)
    level = raw(np.where(Noise("signs").below(100, 2) > 0, 0.25, -0.25))
    yield case("keep_count_truncates", "0.29 * 100 is 28.999...: 28 are kept", [zeros, ladder],
               {"weight": [1.0], "density": [0.29]})
    yield case("keep_count_at_least_one", "0.004 * 100 is 0.4: one is kept", [zeros, ladder],
               {"weight": [1.0], "density": [0.004]})
    yield case("density_zero", "nothing is kept", [ladder, level], {"weight": [1.0], "density": [0.0]})
    yield case("all_equal", "equal magnitudes: the lowest indices are kept", [zeros, level],
               {"weight": [1.0], "density": [0.35]})
    few = Noise("few values")
    steps = [raw((few.below(100, 7).astype(np.float32) - 3) / 8) for _ in range(3)]
    yield case("many_equal", "seven different values", [zeros, *steps],
               {"weight": [1.0, 1.0, 1.0], "density": [0.5, 0.3, 0.6]})
    sparse = raw(np.where(Noise("sparse").below(100, 10) == 0, 0.5, 0.0))
    yield case("fewer_than_kept", "fewer values than the density keeps", [zeros, sparse, steps[0]],
               {"weight": [1.0, 0.5], "density": [0.5, 0.9]})
    yield case("delta_rounds_first", "magnitudes are those of the float32 differences",
               [raw([1.0] * 4), raw([1 + 2.0**-23, 1 - 2.0**-24, 1 + 2.0**-23, 1.0])],
               {"weight": [1.0], "density": [0.5]}, n=4)
    yield case("denormal_deltas", "denormals are ranked too",
               [raw([0.0] * 6), raw([1e-45, 3e-45, -4e-45, 6e-45, -1e-45, 3e-45])],
               {"weight": [1.0], "density": [0.5]}, n=6)
    yield case("zero_vote", "a sum of zero elects plus", [raw([1.0] * 4), raw([1.5, 0.5, 1.0, 1.25]),
                                                        raw([0.5, 1.5, 1.0, 0.75])], {"weight": [1.0, 1.0]}, n=4)
    yield case("zero_divisor", "weights of the agreeing models cancel: divided by 1",
               [raw([0.0] * 4), raw([2.0, -2.0, 2.0, 0.0]), raw([-3.0, 3.0, -3.0, 1.0]), raw([-0.5, 0.5, 0.5, -1.0])],
               {"weight": [0.5, -0.5, 1.0]}, n=4)
    yield case("weights_vote", "the vote is on weighted deltas", [raw([0.0] * 2), raw([1.0, -1.0]), raw([-3.0, 3.0])],
               {"weight": [1.0, 0.25]}, n=2)
    three = family("ties rules", (100,), 3, ["BF16"] * 4)
    for rule in (False, True, "l1", "l2", "linf", "inv_density"):
        yield case(f"rescale_{str(rule).lower()}", "the factor of survivors", three,
                   {"weight": [1.0, 0.5, 0.3], "density": [0.3, 0.5, 0.99], "rescale": rule})
    yield from _floors(case, [raw([0.0] * 4)], {"weight": [1.0], "density": [0.5]}, n=4)
    for i, (about, inputs, params, n) in enumerate(trees.cases()):
        yield case(f"sum_order_{i}", about, inputs, params, n=n, out_dtype="BF16")


def _floors(case, base, params, n):
    """Rescale norms around 1e-7: of four elements two equal ones are kept. (The largest is always kept: no linf.)"""
    for rule, norm_of_kept in (("l1", 2), ("l2", 2.0**0.5)):
        for side, factor in (("below", 0.99), ("above", 1.01)):
            high = factor * 1e-7 / norm_of_kept
            values = raw([high, high * 0.5, -high, high * 0.5])
            yield case(f"rescale_{rule}_floor_kept_{side}", f"norm of the kept {factor}e-7", base + [values],
                       {**params, "rescale": rule}, n=n)


def dare(method):
    case = _case(method)
    yield from _sweep(method, lambda i, m: {"weight": [1.0, 0.5, 0.3][:m],
                                            "density": [[0.5, 0.2, 0.7][:m], [0.3] * m, [0.9, 0.5, 0.1][:m]][i % 3],
                                            "rescale": [True, False, "l1", "inv_density", "l2", "linf"][i % 6]})
    yield from _common(method, lambda p: {**p, "density": [0.5] * len(p["weight"])})
    three = family(method + " more", (100,), 3, ["F32"] * 4)
    plain = {"weight": [1.0, 0.5, 0.3], "density": [0.4, 0.5, 0.6]}
    yield case("seed_64_bits", "both words of the seed count", three, plain, seed=BIG_SEED)
    yield case("seed_high_word", "the high word alone", three, plain, seed=1 << 32)
    yield case("seed_low_word", "the low word alone", three, plain, seed=1)
    yield case("name_hash", "another tensor, other draws", three, plain, tensor_name="lm_head.weight")
    yield case("name_utf8", "the name's UTF-8 bytes are hashed", three, plain, tensor_name="größe.層.weight")
    yield case("name_long", "a name longer than the hash's 32-byte stripes", three, plain,
               tensor_name="model.language_model.layers.117.block_sparse_moe.experts.63.gate_up_proj.weight")
    yield case("name_empty", "a name of no bytes", three, plain, tensor_name="")
    yield case("model_indices", "a model that lacks the tensor keeps its place", three[:3],
               {"weight": [1.0, 0.5], "density": [0.4, 0.5]}, model_indices=[0, 2])
    yield case("same_model_twice", "equal deltas, other draws", [three[0], three[1], three[1]],
               {"weight": [1.0, 0.5], "density": [0.5, 0.5]})
    yield case("density_zero", "nothing is kept", three, {"weight": [1.0, 0.5, 0.3], "density": [0.0, 0.5, 0.5]})
    yield case("density_one", "nothing is drawn or rescaled", three, {"weight": [1.0, 0.5, 0.3], "density": [1.0] * 3})
    words = randomness.draw_words(100, 0, randomness.xxh64(DEFAULT_TENSOR.encode()), 0)
    ladder = [raw([0.0] * 100), raw(np.arange(1, 101) / 64.0)]
    for at in (3, 42, 77):
        yield case(f"limit_is_exclusive_{at}", f"density * 2^32 is the word of element {at}: dropped", ladder,
                   {"weight": [1.0], "density": [int(words[at]) / 2**32], "rescale": False})
        yield case(f"limit_rounds_up_{at}", f"density * 2^32 is 0.25 above the word of element {at}: kept", ladder,
                   {"weight": [1.0], "density": [(int(words[at]) + 0.25) / 2**32], "rescale": False})
    few = family(method + " rules", (100,), 3, ["BF16"] * 4)
    for rule in (False, True, "l1", "l2", "linf", "inv_density"):
        yield case(f"rescale_{str(rule).lower()}", "the factor of survivors", few,
                   {"weight": [1.0, 0.5, 0.3], "density": [0.3, 0.5, 0.7], "rescale": rule})
    yield case("dropped_is_plus_zero", "a dropped delta is +0 before its weight: -0 + (-1 * +0) = -0",
               [raw([-0.0] * 20), raw([2.0] * 20)], {"weight": [-1.0], "density": [0.5]}, n=20)
    yield from _dare_floors(case)
    yield _dare_mean(method)


def _dare_floors(case):
    words = randomness.draw_words(8, 0, randomness.xxh64(DEFAULT_TENSOR.encode()), 0)
    kept = words < 2**31
    assert 0 < kept.sum() < 8
    for rule, norm in (("l1", lambda n: n), ("l2", lambda n: n**0.5), ("linf", lambda n: 1)):
        for side, factor in (("below", 0.99), ("above", 1.01)):
            high = factor * 1e-7 / norm(int(kept.sum()))
            # The dropped ones are as large again, so that the factor is far from 1 and the whole norm above the floor.
            values = np.where(kept, high, -2 * high)
            yield case(f"rescale_{rule}_floor_{side}", f"norm of the kept {factor}e-7", [raw([0.0] * 8), raw(values)],
                       {"weight": [1.0], "density": [0.5], "rescale": rule}, n=8)


def _dare_mean(method):
    """64 draws of one delta, averaged: the expectation is the delta itself, six standard deviations are allowed."""
    n, density, models_n, step = 1000, 0.3, 64, 2.0**-7
    base = raw(Noise("mean").normal(n, 0.02), "BF16")
    signs = np.where(Noise("mean signs").below(n, 2) > 0, step, -step)
    from_base = np.frombuffer(base[1], "<u2").astype(np.uint32) << 16
    tuned = raw((from_base.view(np.float32) + signs).astype(np.float32))
    deviation = step * ((1 - density) / density / models_n) ** 0.5
    return Case(method, "mean_of_64", "mean of 64 draws within six standard deviations of the delta",
                [base] + [tuned] * models_n, {"weight": [1 / models_n] * models_n, "density": [density] * models_n},
                (n,), oracle="expectation", abs_tolerance=6 * deviation,
                expected=(from_base.view(np.float32).astype(np.float64) + signs))


def all_cases():
    yield from task_arithmetic()
    yield from ties()
    yield from dare("dare_linear")
    yield from dare("dare_ties")
