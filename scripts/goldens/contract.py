# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Every method step by step in numpy float32, one rounding an operation, in the order that gpumerge promises.

The rules: inputs widen exactly to float32; arithmetic is float32 without fused multiply-adds, over the models in recipe
order; sums over elements are float64 in a fixed tree; scalars derived from them are float64, rounded once; parameters
are doubles, of which weight, t, lambda and scale are rounded to float32 once. The caller rounds the result to the
output type. The numbers and rules that a method could get wrong lie in contract_core.RULES.
"""
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens import contract_geometry, contract_vectors, randomness
from goldens.contract_core import F32, F64, RULES, checked_weight_sum, sum_in_order, tree_sum, words_of

_FAMILY = {"density": 1.0, "normalize": False, "rescale": False, "lambda": 1.0}
_ELECTION = {"sign": "sum", "zero_sign": "plus", "elect_on": "weighted", "divide_by": "weights"}

DEFAULTS = {
    "linear": {"normalize": True},
    "slerp": {},
    "passthrough": {"scale": None},
    "task_arithmetic": {"normalize": False, "lambda": 1.0},
    "ties": {**_FAMILY, **_ELECTION, "normalize": True, "tie_break": "lowest_index", "trim_scope": "tensor"},
    "dare_linear": {**_FAMILY, "rescale": True},
    "dare_ties": {**_FAMILY, **_ELECTION, "rescale": True},
    "breadcrumbs": {**_FAMILY, "gamma": 0.01},
    "breadcrumbs_ties": {**_FAMILY, **_ELECTION, "gamma": 0.01},
    "della": {**_FAMILY, **_ELECTION, "normalize": True, "rescale": True, "epsilon": 0.15},
    "della_linear": {**_FAMILY, "rescale": True, "epsilon": 0.15},
    "sce": {"select_topk": 1.0, "mask": "deltas", "weight_floor": 0.0, "divisor_floor": 0.0},
    "nuslerp": {"nuslerp_row_wise": False, "nuslerp_flatten": True},
    "multislerp": {"normalize_weights": True, "eps": 1e-8},
    "karcher": {"max_iter": 10, "tol": 1e-5},
    "model_stock": {"filter_wise": False, "norm_floor": 0.0, "singular": "error", "clamp_t": False},
    "nearswap": {},
    "arcee_fusion": {"iqr_factor": 1.5},
    "ram": {"epsilon": 1e-5},
    "ramplus_tl": {"r": 0.1, "alpha": 0.2, "epsilon": 1e-5},
}
# Given as one value a model, or one for all.
PER_MODEL = ("density", "gamma", "epsilon")
PER_MODEL_METHODS = ("ties", "dare_linear", "dare_ties", "breadcrumbs", "breadcrumbs_ties", "della", "della_linear")


def linear(xs, p):
    weights = [F32(w) for w in p["weight"]]
    divisor = checked_weight_sum(weights) if p["normalize"] else None
    total = sum_in_order([w * x for w, x in zip(weights, xs)])
    return total / divisor if p["normalize"] else total


def slerp_coefficients(a, b, t):
    """Of a and b, float32; t is the float32 value as a double."""
    a64, b64 = a.astype(F64), b.astype(F64)
    norm_a, norm_b = (math.sqrt(tree_sum(v * v)) for v in (a64, b64))
    floor = RULES["slerp_norm_floor"]
    norm_a, norm_b = (n if n > floor else 1.0 for n in (norm_a, norm_b))
    cos = min(1.0, max(-1.0, tree_sum(a64 * b64) / (norm_a * norm_b)))
    if abs(cos) > RULES["slerp_lerp_cos"]:
        return F32(1.0 - t), F32(t)
    theta = math.acos(cos)
    return F32(math.sin((1.0 - t) * theta) / math.sin(theta)), F32(math.sin(t * theta) / math.sin(theta))


def slerp(xs, p):
    a, b = xs
    t = float(F32(p["t"]))
    if t == 0.0 or t == 1.0:
        return a if t == 0.0 else b
    of_a, of_b = slerp_coefficients(a, b, t)
    return of_a * a + of_b * b


def passthrough(xs, p):
    (x,) = xs
    scale = p["scale"][0] if p["scale"] is not None else None
    return x if scale is None else F32(scale) * x


SIMPLE = {"linear": linear, "slerp": slerp, "passthrough": passthrough}
# Sparsifier, and whether a sign is elected.
FAMILY = {"task_arithmetic": (None, False), "ties": ("magnitude", True), "dare_linear": ("random", False),
          "dare_ties": ("random", True), "breadcrumbs": ("outliers", False), "breadcrumbs_ties": ("outliers", True),
          "della_linear": ("magprune", False), "della": ("magprune", True)}
GEOMETRY = {"nuslerp": contract_geometry.nuslerp, "multislerp": contract_geometry.multislerp,
            "karcher": contract_geometry.karcher, "model_stock": contract_geometry.model_stock,
            "nearswap": contract_geometry.nearswap, "arcee_fusion": contract_geometry.arcee_fusion,
            "ram": contract_geometry.ram,
            "ramplus_tl": lambda *args: contract_geometry.ram(*args, reinforced=True)}
METHODS = {*SIMPLE, *FAMILY, *GEOMETRY, "sce"}


def resolve(method, params, n_models):
    """Fills in the defaults; a per-model parameter becomes a list."""
    resolved = {**DEFAULTS[method], **params}
    for name in PER_MODEL if method in PER_MODEL_METHODS else ():
        if name in resolved and not isinstance(resolved[name], list):
            resolved[name] = [resolved[name]] * n_models
    return resolved


def merge(method, xs, params, seed, tensor_name, model_indices, shape, has_base,
          over_model=None):
    """xs: flat float32 arrays, the base first where there is one. over_model: what `trim_scope: model` found. Returns
    flat float32. Raises Refused."""
    name_hash = randomness.xxh64(tensor_name.encode("utf-8"))
    p = {**resolve(method, params, len(model_indices)), **(over_model or {})}

    def words(m, n):
        return words_of(n, seed, name_hash, model_indices[m])

    with np.errstate(all="ignore"):
        if xs[0].size == 0:
            result = xs[0]
        elif method in SIMPLE:
            result = SIMPLE[method](xs, p)
        elif method in FAMILY:
            result = contract_vectors.task_vectors(xs, p, words, shape, *FAMILY[method])
        elif method == "sce":
            result = contract_vectors.sce(xs, p)
        else:
            base, models = (xs[0], xs[1:]) if has_base else (None, xs)
            result = GEOMETRY[method](models, base, p, shape)
    assert result.dtype == F32, (method, result.dtype)
    return result
