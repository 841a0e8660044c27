# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Golden cases whose expected values do not come from gpumerge's contract: the papers and real mergekit."""
from dataclasses import replace

import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np

from goldens.case import Case
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


def paper_cases_of_others():
    """The same of the methods beside the classic ones."""
    def make(method, name, inputs, params, **more):
        return Case(method, name, "float64 from the published formula", inputs, params, more.pop("shape", (40, 25)),
                    oracle="paper", **more)

    few, soup = family("paper", (1000,), 3, BF16), models("paper soup", (1000,), BF16[:3])
    weights, binary, density = [0.6, 0.8, 0.5], [0.5, 1.0, 0.75], {"density": [0.5, 0.25, 0.875]}
    for name, mode in NUSLERP_MODES.items():
        yield make("nuslerp", name, soup[:2], {"weight": [0.6, 0.3], **mode})
        yield make("nuslerp", name + "_base", few[:3], {"weight": [0.6, 0.3], **mode}, with_base=True)
    yield make("multislerp", "directions", soup, {"weight": weights})
    yield make("multislerp", "differences", few, {"weight": weights, "normalize_weights": False}, with_base=True)
    yield make("karcher", "directions", soup, {})
    yield make("karcher", "one_step", soup, {"max_iter": 1})
    for rows in (False, True):
        yield make("model_stock", f"filter_wise_{rows}".lower(), few, {"filter_wise": rows})
    yield make("nearswap", "some", few[:2], {"t": 5e-4})
    yield make("arcee_fusion", "swaps", family("paper arcee", (1000,), 1, BF16, 0.5, 0.1), {})
    yield make("ram", "counts", few, {})
    yield make("ramplus_tl", "reinforced", few, {"r": 0.5, "alpha": 2.0, "epsilon": 1e-3})
    yield make("sce", "all", few, {})
    yield make("sce", "some", few[:3], {"select_topk": 0.4})
    for method, w in (("breadcrumbs", weights), ("breadcrumbs_ties", binary)):
        yield make(method, "band", few, {"weight": w, **density, "gamma": [0.05, 0.01, 0.1]}, shape=(1000,))
    for method, w in (("della", binary), ("della_linear", weights)):
        for rule in (True, "l1"):
            yield make(method, f"rescale_{rule}".lower(), few,
                       {"weight": w, "density": [0.5, 0.4, 0.6], "epsilon": [0.25, 0.1, 0.3], "rescale": rule})
    for name, options in (("paper", {"zero_sign": "majority", "tie_break": "keep_all", "elect_on": "raw",
                                     "divide_by": "count"}),
                          ("peft", {"elect_on": "raw", "divide_by": "count"}),
                          ("frequency", {"sign": "count", "elect_on": "raw", "divide_by": "count",
                                         "zero_sign": "zero"})):
        yield make("ties", name, few, {"weight": binary, "density": [0.25] * 3, **options})


NUSLERP_MODES = {"whole": {}, "rows": {"nuslerp_flatten": False},
                 "columns": {"nuslerp_flatten": False, "nuslerp_row_wise": True}}


def mergekit_cases_of_others():
    def make(method, name, inputs, params, **more):
        shape = more.pop("shape", (40, 25))
        return Case(method, name, "real mergekit", inputs, params, shape, oracle="mergekit", **more)

    few, soup = family("mergekit", (1000,), 3, BF16), models("mergekit soup", (1000,), BF16[:3])
    fine = family("mergekit fine", (1000,), 3, ["F32"] * 4)
    weights, density = [0.6, -0.8, 0.5], {"density": [0.5, 0.2, 0.9]}
    for name, mode in NUSLERP_MODES.items():
        yield make("nuslerp", name, soup[:2], {"weight": [0.6, 0.3], **mode})
        yield make("nuslerp", name + "_base", few[:3], {"weight": [0.6, 0.3], **mode}, with_base=True)
    yield make("multislerp", "defaults", soup, {"weight": [0.6, 0.8, 0.5]})
    yield make("multislerp", "differences", few, {"weight": weights, "normalize_weights": False, "eps": 1e-3},
               with_base=True)
    yield make("karcher", "defaults", soup, {})
    yield make("karcher", "coarse", soup, {"tol": 0.3, "max_iter": 3})
    for rows in (False, True):
        yield make("model_stock", f"filter_wise_{rows}".lower(), few, {"filter_wise": rows})
    yield make("nearswap", "some", fine[:2], {"t": 5e-4})
    yield make("arcee_fusion", "defaults", family("mergekit arcee", (1000,), 1, BF16, 0.5, 0.1), {})
    for method in ("ram", "ramplus_tl"):
        yield make(method, "defaults", fine, {})
        yield make(method, "epsilon", few, {"epsilon": 1e-3})
    loud = family("mergekit loud", (1000,), 3, BF16, 0.5, 0.02)  # above mergekit's floor of 1e-6
    yield make("sce", "defaults", loud, {})
    yield make("sce", "some", loud[:3], {"select_topk": 0.4})
    for method in ("breadcrumbs", "breadcrumbs_ties"):
        yield make(method, "defaults", few, {"weight": weights})
        yield make(method, "band", few, {"weight": weights, **density, "gamma": [0.05, 0.0, 0.2]})
        yield make(method, "default_gamma", fine, {"weight": weights, **density, "normalize": True, "lambda": 0.7})
        yield make(method, "rescale", few, {"weight": weights, **density, "rescale": True})
    for method in ("della", "della_linear"):
        yield make(method, "defaults", fine, {"weight": weights})
        yield make(method, "normalized", few, {"weight": weights, "normalize": True, "lambda": 0.6})


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


# Their results depend on sums over the tensor.
REDUCING = ("slerp", "nuslerp", "multislerp", "karcher", "model_stock", "sce", "arcee_fusion")


def run_mergekit(case):
    """float32. Its argsort is made stable, as gpumerge promises the lowest index among equals; methods with sums over
    the tensor run in float64, because its float32 norms are torch's own sums."""
    import torch
    from mergekit.merge_methods import merge_tensors

    in_double = case.method in REDUCING or bool(case.params.get("rescale"))
    dtype = torch.float64 if in_double else torch.float32
    tensors = [torch.from_numpy(x.reshape(case.shape).copy()).to(dtype) for x in case.widened()]
    unstable = torch.argsort, torch.sort

    def stable_topk(values, k, **_):
        order = unstable[0](values, descending=True, stable=True)[:k]
        return values[order], order

    saved_topk, torch.topk = torch.topk, stable_topk
    torch.argsort, torch.sort = (lambda *args, f=f, **more: f(*args, **{**more, "stable": True}) for f in unstable)
    try:
        result = merge_tensors(tensors, case.method, parameters=case.params, base_index=0 if case.has_base else None)
    finally:
        (torch.argsort, torch.sort), torch.topk = unstable, saved_topk
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
    yield from paper_cases_of_others()
    yield from mergekit_cases()
    yield from mergekit_cases_of_others()
