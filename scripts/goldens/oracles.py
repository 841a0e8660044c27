# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Golden cases whose expected values do not come from gpumerge's contract: the papers and real mergekit."""
from dataclasses import replace

import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np

from goldens.case import NO_BASE, Case
from goldens.inputs import family, models, unit_pair

BF16 = ["BF16"] * 4


def paper_cases():
    """Bfloat16 inputs, whose deltas float32 holds exactly: float64 then selects the same elements."""
    def make(method, name, inputs, params, shape=(1000,), **more):
        return Case(method, name, "float64 from the paper's formula", inputs, params, shape, oracle="paper", **more)

    few = family("paper", (1000,), 3, BF16)
    # Where a sign is elected, weights are binary fractions: else float32 and float64 disagree about sums that are zero.
    weights, binary = [0.6, 0.8, 0.5], [0.5, 1.0, 0.75]
    yield make("linear", "mean", models("paper soup", (1000,), BF16[:3]), {"weight": weights})
    yield make("linear", "sum", models("paper soup", (1000,), BF16[:3]), {"weight": weights, "normalize": False})
    yield make("slerp", "arc", models("paper arc", (1000,), BF16[:2]), {"t": 0.35})
    yield make("slerp", "obtuse", unit_pair(1000, -0.7), {"t": 0.8})
    yield make("slerp", "line", few[:2], {"t": 0.35})
    yield make("task_arithmetic", "sum", few, {"weight": weights, "lambda": 0.4})
    yield make("task_arithmetic", "mean", few, {"weight": weights, "normalize": True})
    yield make("passthrough", "scaled", few[:1], {"scale": [1.3]})
    for density in (0.2, 0.5):
        name = f"density_{density}"
        yield make("ties", name, few, {"weight": [1.0] * 3, "density": [density] * 3})
        yield make("dare_linear", name, few, {"weight": weights, "density": [density] * 3})
        yield make("dare_ties", name, few, {"weight": binary, "density": [density] * 3}, seed=7)
    for rule in ("l1", "l2", "linf", "inv_density"):
        for method in ("ties", "dare_ties"):
            yield make(method, f"rescale_{rule}", few,
                       {"weight": binary, "density": [0.3, 0.5, 0.7], "rescale": rule, "lambda": 0.7})


def mergekit_cases():
    """Parameters left out here are left out there: the defaults must be mergekit's. (rescale of dare is not, at
    density 1 nothing is rescaled.)"""
    def make(method, name, inputs, params, shape=(1000,)):
        return Case(method, name, "real mergekit", inputs, params, shape, oracle="mergekit")

    few, wide = family("mergekit", (1000,), 3, BF16), family("mergekit wide", (33, 65), 3, BF16)
    fine = family("mergekit fine", (1000,), 3, ["F32"] * 4)
    mixed = family("mergekit mixed", (1000,), 2, ["F32", "BF16", "F16"])
    weights = [0.6, 0.8, 0.5]
    yield make("linear", "defaults", fine, {"weight": [0.6, 0.8, 0.5, 0.1]})
    yield make("linear", "unnormalized", few[:3], {"weight": weights, "normalize": False})
    yield make("linear", "mixed", mixed, {"weight": weights})
    yield make("slerp", "arc", models("mergekit arc", (33, 65), ["F32", "F32"]), {"t": 0.35}, (33, 65))
    yield make("slerp", "line", few[:2], {"t": 0.6})
    yield make("slerp", "below_threshold", unit_pair(1000, 0.99949), {"t": 0.3})
    yield make("slerp", "above_threshold", unit_pair(1000, 0.99951), {"t": 0.3})
    yield make("slerp", "tiny_base", unit_pair(1000, 0.5, scale_a=0.99e-8), {"t": 0.3})
    yield make("slerp", "small_base", unit_pair(1000, 0.5, scale_a=1.01e-8), {"t": 0.3})
    yield make("task_arithmetic", "defaults", few, {"weight": weights})
    yield make("task_arithmetic", "mixed", mixed, {"weight": weights[:2]})
    yield make("task_arithmetic", "lambda", fine, {"weight": [0.6, -0.8, 0.5], "lambda": 0.3})
    yield make("task_arithmetic", "normalized", wide, {"weight": weights, "normalize": True}, (33, 65))
    yield make("ties", "defaults", few, {"weight": weights})
    for density in (0.2, 0.5, 0.7):
        yield make("ties", f"density_{density}", wide, {"weight": [1.0] * 3, "density": [density] * 3}, (33, 65))
    yield make("ties", "unnormalized", fine, {"weight": weights, "density": [0.3, 0.5, 1.0], "normalize": False})
    yield make("ties", "mixed_signs", few, {"weight": [0.6, -0.3, 0.5], "density": [0.5] * 3, "lambda": 1.3})
    yield make("ties", "one_kept", few[:2], {"weight": [1.0], "density": [0.0004]})
    yield make("ties", "rescale", few, {"weight": weights, "density": [0.3, 0.5, 0.7], "rescale": True})
    for method in ("dare_linear", "dare_ties"):
        yield make(method, "defaults", fine, {"weight": weights})
        yield make(method, "normalized", few, {"weight": weights, "normalize": True, "lambda": 0.6})
    yield make("passthrough", "defaults", fine[:1], {})
    yield make("passthrough", "scaled", fine[:1], {"scale": [1.3]})


def run_mergekit(case):
    """float32. Its argsort is made stable, as gpumerge promises the lowest index among equals; methods with sums over
    the tensor run in float64, because its float32 norms are torch's own sums."""
    import torch
    from mergekit.merge_methods import merge_tensors

    in_double = case.method == "slerp" or bool(case.params.get("rescale"))
    dtype = torch.float64 if in_double else torch.float32
    tensors = [torch.from_numpy(x.reshape(case.shape).copy()).to(dtype) for x in case.widened()]
    unstable = torch.argsort
    torch.argsort = lambda *args, **more: unstable(*args, **{**more, "stable": True})
    try:
        result = merge_tensors(tensors, case.method, parameters=case.params,
                               base_index=None if case.method in NO_BASE else 0)
    finally:
        torch.argsort = unstable
    return result.to(torch.float32).numpy().reshape(-1)


def check_types():
    """This project's own rounding against torch's: random float32, every 16-bit and 8-bit value."""
    import torch

    from goldens.randomness import Noise
    kinds = {"BF16": torch.bfloat16, "F16": torch.float16, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}
    for dtype, kind in kinds.items():
        scale = 3.0 ** (Noise(dtype).below(20000, 24).astype(np.float64) - 18)
        values = (Noise(dtype + "v").normal(20000, 1.0) * np.minimum(scale, 60)).astype(np.float32)
        expected = torch.from_numpy(values).to(kind)
        got = gm_safetensors.narrow(values, dtype)
        assert expected.view(torch.uint8).numpy().tobytes() == got, dtype
        assert np.array_equal(gm_safetensors.widen(got, dtype), expected.float().numpy()), dtype


def check_dare_statistics():
    """mergekit's draws cannot be repeated; the share that both keep must be the density within five deviations."""
    import torch

    n, density = 100_000, 0.3
    deviation = (density * (1 - density) / n) ** 0.5
    torch.manual_seed(0)
    case = Case("dare_linear", "statistics", "", [("F32", bytes(4 * n)), ("F32", np.ones(n, "<f4").tobytes())],
                {"weight": [1.0], "density": [density], "rescale": False}, (n,))
    theirs, ours = run_mergekit(case), gm_safetensors.widen(case.contract_result(), "F32")
    for share in (float(np.mean(theirs)), float(np.mean(ours))):
        assert abs(share - density) < 5 * deviation, share
    ours = gm_safetensors.widen(replace(case, params={**case.params, "rescale": True}).contract_result(), "F32")
    assert set(np.unique(ours)) == {np.float32(0), np.float32(1 / density)}


def all_cases():
    yield from paper_cases()
    yield from mergekit_cases()
