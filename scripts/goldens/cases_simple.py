# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Golden cases of linear, slerp and passthrough."""
import gm_numpy  # noqa: F401
import numpy as np

from goldens.case import Case
from goldens.inputs import SHAPES, doubles, models, odd, raw, unit_pair
from goldens.randomness import Noise

DTYPES = ["F32", "BF16", "F16", "F8_E4M3", "F8_E5M2"]
OUTS = ["F32", "BF16", "F16"]


def _sweep(method, n_inputs, params):
    for i, shape in enumerate(SHAPES):
        dtypes = [DTYPES[(i + j * (1 + i // 3)) % (3 if i % 2 else 5)] for j in range(n_inputs)]
        name = "shape_" + ("x".join(map(str, shape)) or "scalar")
        yield Case(method, name, f"sizes and types: {', '.join(dtypes)}", models(method + name, shape, dtypes),
                   params(i), shape, out_dtype=OUTS[i % 3])


def linear():
    weights = [[1.0, 1.0, 1.0], [0.3, 0.5, 0.2], [1.0, -0.4, 0.7], [0.1, 0.1, 0.1]]
    yield from _sweep("linear", 3, lambda i: {"weight": weights[i % 4]})

    def case(name, about, inputs, params, **more):
        n = more.pop("n", 100)
        return Case("linear", name, about, inputs, params, (n,), **more)

    three = models("linear", (100,), ["F32"] * 3)
    yield case("unnormalised", "normalize off", three, {"weight": [0.3, 0.5, 0.4], "normalize": False})
    yield case("one_model", "w x / w rounds twice", three[:1], {"weight": [0.3]})
    yield case("zero_weight", "a weight of zero takes part", three, {"weight": [0.0, 0.5, 0.4]})
    yield case("five_models", "sums go from left to right", models("five", (100,), ["F32"] * 5),
               {"weight": [0.7, -0.3, 0.11, 0.013, 0.9]})
    yield case("odd_values", "zeros of both signs, denormals, large values", [raw(odd(90, t)) for t in range(3)],
               {"weight": [0.5, 0.25, 0.125], "normalize": False}, n=90)
    yield case("negative_zero", "the sum starts from the first term, so that -0 stays", [raw([-0.0] * 3)] * 2,
               {"weight": [1.0, 1.0]}, n=3)
    yield case("order", "(1e8 - 1e8) + 1, not 1e8 + (1 - 1e8)", [raw([1e8]), raw([-1e8]), raw([1.0])],
               {"weight": [1.0, 1.0, 1.0], "normalize": False}, n=1)
    yield case("weight_rounds_to_float32", "0.1 is rounded to float32 before the product", [raw([1.0, 3.0, 10.0])],
               {"weight": [0.1], "normalize": False}, n=3)
    yield case("zero_sum_refused", "|sum w| = 0.95e-8 sum |w|", three, {"weight": [1.0, -1.0, 1.9e-8]},
               error="NUM-ZEROSUM")
    yield case("zero_sum_allowed", "|sum w| = 1.05e-8 sum |w|", three, {"weight": [1.0, -1.0, 2.1e-8]})
    yield case("zero_sum_unnormalised", "nothing is divided, so nothing is wrong", three,
               {"weight": [1.0, -1.0, 0.0], "normalize": False})
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 2.0**-133, 3 * 2.0**-134, 5 * 2.0**-135], np.float32)
    yield case("round_bf16", "halfway values go to the even neighbour", [raw(ties)], {"weight": [1.0]}, n=6,
               out_dtype="BF16")
    halves = np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11, 2.0**-25, 3 * 2.0**-25, -(2.0**-25), 5e-8, 65519.0], np.float32)
    yield case("round_f16", "halfway values and denormals", [raw(halves)], {"weight": [1.0]}, n=7, out_dtype="F16")
    small = np.array([1 + 1 / 16, 1 + 3 / 16, 2.0**-10, 3 * 2.0**-10, 0.001, -0.3, 447.0, -17.0], np.float32)
    yield case("round_f8_e4m3", "halfway values and denormals", [raw(small)], {"weight": [1.0]}, n=8,
               out_dtype="F8_E4M3")
    small = np.array([1 + 1 / 8, 1 + 3 / 8, 2.0**-17, 3 * 2.0**-17, 1e-4, -0.3, 57000.0, -17.0], np.float32)
    yield case("round_f8_e5m2", "halfway values and denormals", [raw(small)], {"weight": [1.0]}, n=8,
               out_dtype="F8_E5M2")
    yield case("double_inputs", "F64 is rounded to float32 once, on loading", [doubles([0.1, 1 / 3, 1 + 2.0**-25]),
                                                                              doubles([0.7, 2 / 3, 1.0])],
               {"weight": [0.6, 0.4]}, n=3)
    yield case("double_output", "F64 holds the float32 result", [raw([0.1, 1 / 3, 1e-40])], {"weight": [0.7]}, n=3,
               out_dtype="F64")


def slerp():
    yield from _sweep("slerp", 2, lambda i: {"t": [0.3, 0.5, 0.75][i % 3]})

    def case(name, about, inputs, t, n=4, **more):
        return Case("slerp", name, about, inputs, {"t": t}, (n,), **more)

    pair = models("slerp pair", (100,), ["F32", "F32"])
    odds = [raw(np.where(np.abs(odd(90, t)) > 1e29, 1.5, odd(90, t))) for t in (0, 2)]
    yield case("just_below_lerp", "cos 0.99949 is still an arc", unit_pair(4, 0.99949), 0.3)
    yield case("just_above_lerp", "cos 0.99951 is a line", unit_pair(4, 0.99951), 0.3)
    yield case("just_below_lerp_opposite", "cos -0.99949 is still an arc", unit_pair(4, -0.99949), 0.3)
    yield case("just_above_lerp_opposite", "cos -0.99951 is a line", unit_pair(4, -0.99951), 0.3)
    # With the floor a tiny vector counts as orthogonal to the other, without it as at 60 degrees.
    yield case("tiny_base", "norm 0.99e-8 counts as 1", unit_pair(4, 0.5, scale_a=0.99e-8), 0.4)
    yield case("small_base", "norm 1.01e-8 is a norm", unit_pair(4, 0.5, scale_a=1.01e-8), 0.4)
    yield case("tiny_model", "norm 0.99e-8 counts as 1", unit_pair(4, 0.5, scale_b=0.99e-8), 0.4)
    yield case("small_model", "norm 1.01e-8 is a norm", unit_pair(4, 0.5, scale_b=1.01e-8), 0.4)
    yield case("zero_base", "a zero vector is at 90 degrees", [raw([0.0] * 4), raw([1.0, 2.0, -3.0, 0.5])], 0.3)
    yield case("zero_both", "two zero vectors", [raw([0.0, -0.0, 0.0, -0.0]), raw([0.0, 0.0, -0.0, -0.0])], 0.3)
    yield case("t_zero", "t = 0 is the base, bit for bit", odds, 0.0, n=90)
    yield case("t_one", "t = 1 is the model, bit for bit", odds, 1.0, n=90)
    yield case("t_zero_sign", "-0 stays beside values of both signs", [raw([-0.0, -0.0, 1.0, 2.0]),
                                                                     raw([1.0, -1.0, 0.5, 3.0])], 0.0)
    yield case("t_one_sign", "-0 stays beside values of both signs", [raw([1.0, -1.0, 0.5, 3.0]),
                                                                    raw([-0.0, -0.0, 1.0, 2.0])], 1.0)
    yield case("t_near_zero", "t = 1e-3", pair, 1e-3, n=100)
    yield case("t_beyond", "t = 1.25 goes on along the arc", pair, 1.25, n=100)
    yield case("t_negative", "t = -0.25", pair, -0.25, n=100)
    yield case("t_rounds_to_float32", "0.1 is rounded to float32 first", unit_pair(4, 0.999), 0.1)
    yield case("opposite", "antiparallel vectors: a line through zero", [raw([1.0, -2.0, 3.0, 0.1]),
                                                                        raw([-1.0, 2.0, -3.0, -0.1])], 0.3)
    yield case("odd_values", "zeros of both signs, denormals", odds, 0.3, n=90)
    yield case("large_values", "squares beyond float32", [raw([1e30, -2e30, 3e30, 0.0]), raw([3e30, 1e30, 1e25, 1.0])],
               0.5)
    yield case("fine_tune_is_lerp", "a fine-tune lies within the threshold", _fine_tune(), 0.5, n=500,
               out_dtype="BF16")
    yield case("long_arc", "norms and product over several blocks", models("arc", (10000,), ["BF16"] * 2, 1.0), 0.37,
               n=10000, out_dtype="BF16")


def _fine_tune():
    noise = Noise("fine tune")
    base = noise.normal(500, 0.02)
    return [raw(base, "BF16"), raw(base + noise.normal(500, 2e-4), "BF16")]


def passthrough():
    for i, shape in enumerate(SHAPES):
        name = "shape_" + ("x".join(map(str, shape)) or "scalar")
        yield Case("passthrough", name, "one product", models("pass" + name, shape, [DTYPES[i % 3]]),
                   {"scale": [[0.5, 1.7, -0.3][i % 3]]}, shape, out_dtype=OUTS[(i + 1) % 3])
    values = [raw(odd(90, 1))]
    tame = [raw(np.where(np.abs(odd(90, 1)) > 1e29, 1.5, odd(90, 1)))]
    yield Case("passthrough", "as_is", "scale is absent: the same bits", values, {}, (90,))
    yield Case("passthrough", "as_is_to_bf16", "only the type changes", values, {}, (90,), out_dtype="BF16")
    yield Case("passthrough", "as_is_to_f16", "only the type changes", tame, {}, (90,), out_dtype="F16")
    yield Case("passthrough", "as_is_widened", "bf16 to float32 is exact", models("widen", (65,), ["BF16"]), {}, (65,))
    yield Case("passthrough", "scale_zero", "zeros keep the sign of the product", values, {"scale": [0.0]}, (90,))
    yield Case("passthrough", "scale_one", "the same bits", values, {"scale": [1.0]}, (90,))
    yield Case("passthrough", "scale_rounds_to_float32", "0.1 is rounded to float32 first", [raw([1.0, 3.0, 1e10])],
               {"scale": [0.1]}, (3,))


def all_cases():
    yield from linear()
    yield from slerp()
    yield from passthrough()
