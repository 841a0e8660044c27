# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Every method step by step in numpy float32, one rounding an operation, in the order that gpumerge promises.

The rules: inputs widen exactly to float32; arithmetic is float32 without fused multiply-adds, over the models in recipe
order; sums over elements are float64 in a fixed tree; scalars derived from them are float64, rounded once; parameters
are doubles, of which weight, t, lambda and scale are rounded to float32 once. The caller rounds the result to the
output type. The numbers and rules that a method could get wrong lie in RULES, so that the generator can show which
golden notices.
"""
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens import randomness

F32, F64 = np.float32, np.float64


class ZeroSum(Exception):
    """Weights that sum to zero where the method divides by their sum."""


def pair_neighbours(parts):
    """Sums axis 0 pairwise: neighbours first, an odd last one moves up unchanged."""
    while len(parts) > 1:
        paired = parts[0:len(parts) // 2 * 2:2] + parts[1::2]
        parts = np.concatenate([paired, parts[-1:]]) if len(parts) % 2 else paired
    return parts[0]


RULES = {
    "slerp_lerp_cos": 0.9995,      # |cos| above it: plain interpolation
    "slerp_norm_floor": 1e-8,      # a norm not above it counts as 1
    "rescale_floor": 1e-7,         # a norm below it: no rescale
    "zero_sum": 1e-8,              # |sum of weights| below it times the sum of |weights|: an error
    "zero_elects_plus": True,      # sign of a sum that is zero
    "ties_keep_lowest_index": True,
    "keep_at_least": 1,
    "keep_count": math.floor,      # of density * n
    "draw_limit": math.ceil,       # of density * 2^32
    "draw_below": np.less,
    "zero_divisor": F32(1),        # an element's sum of kept weights that is zero
    "block_elems": 4096,
    "lanes": 64,
    "join_lanes": pair_neighbours,
    "join_blocks": pair_neighbours,
}

DEFAULTS = {
    "linear": {"normalize": True},
    "slerp": {},
    "task_arithmetic": {"normalize": False, "lambda": 1.0},
    "ties": {"density": 1.0, "normalize": True, "rescale": False, "lambda": 1.0},
    "dare_linear": {"density": 1.0, "normalize": False, "rescale": True, "lambda": 1.0},
    "dare_ties": {"density": 1.0, "normalize": False, "rescale": True, "lambda": 1.0},
    "passthrough": {"scale": None},
}


# ---------------------------------------------------------------------------------------------- sums over elements
def tree_sum(values):
    """float64 sum of a flat array: lanes by index modulo 64 within blocks of 4096, then lanes, then blocks."""
    block, lanes = RULES["block_elems"], RULES["lanes"]
    if len(values) == 0:
        return 0.0
    padded = np.zeros(-(-len(values) // block) * block, F64)
    padded[:len(values)] = values
    rows = padded.reshape(-1, block // lanes, lanes)
    partial = np.zeros((len(rows), lanes), F64)
    for row in range(block // lanes):
        partial = partial + rows[:, row, :]
    return float(RULES["join_blocks"](RULES["join_lanes"](partial.T.copy())))


# ---------------------------------------------------------------------------------------------- selection and rescale
def top_k_mask(delta, density):
    """The k elements of largest magnitude; equal ones by lowest index."""
    n = len(delta)
    if density <= 0:
        return np.zeros(n, bool)
    if density >= 1:
        return np.ones(n, bool)
    k = max(RULES["keep_at_least"], int(RULES["keep_count"](density * n)))
    key = (delta.view(np.uint32) & np.uint32(0x7FFFFFFF)).astype(np.int64)
    if RULES["ties_keep_lowest_index"]:
        order = np.argsort(-key, kind="stable")
    else:
        order = np.argsort(key, kind="stable")[::-1]
    mask = np.zeros(n, bool)
    mask[order[:k]] = True
    return mask


def draw_mask(n, density, seed, name_hash, model_index):
    """The elements whose word lies below density * 2^32."""
    if density >= 1:
        return np.ones(n, bool)
    limit = np.uint64(RULES["draw_limit"](density * 4294967296.0))
    return RULES["draw_below"](randomness.draw_words(n, seed, name_hash, model_index).astype(np.uint64), limit)


def rescale_factor(delta, mask, rule, density):
    """float32, or None for no multiplication."""
    if rule is False or density >= 1 or density <= 0:
        return None
    if rule == "inv_density":
        return F32(1.0 / density)
    magnitude = np.abs(delta.astype(F64))
    kept = np.where(mask, magnitude, 0.0)
    if rule == "l1":
        norms = tree_sum(magnitude), tree_sum(kept)
    elif rule == "l2":
        norms = math.sqrt(tree_sum(magnitude * magnitude)), math.sqrt(tree_sum(kept * kept))
    elif rule == "linf":
        norms = float(magnitude.max(initial=0.0)), float(kept.max(initial=0.0))
    else:
        raise ValueError(rule)
    if min(norms) < RULES["rescale_floor"]:
        return None
    return F32(norms[0] / norms[1])


# ---------------------------------------------------------------------------------------------- methods
def _sum(terms):
    """Left to right, from the first term."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _checked_weight_sum(weights):
    if abs(sum(float(w) for w in weights)) < RULES["zero_sum"] * sum(abs(float(w)) for w in weights):
        raise ZeroSum()
    return _sum(weights)


def linear(xs, p, _draw):
    weights = [F32(w) for w in p["weight"]]
    divisor = _checked_weight_sum(weights) if p["normalize"] else None
    total = _sum([w * x for w, x in zip(weights, xs)])
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


def slerp(xs, p, _draw):
    a, b = xs
    t = float(F32(p["t"]))
    if t == 0.0 or t == 1.0:
        return a if t == 0.0 else b
    of_a, of_b = slerp_coefficients(a, b, t)
    return of_a * a + of_b * b


def passthrough(xs, p, _draw):
    (x,) = xs
    scale = p["scale"][0] if p["scale"] is not None else None
    return x if scale is None else F32(scale) * x


def _task_vectors(xs, p, draw, sparsify, elect):
    base, models = xs[0], xs[1:]
    weights = [F32(w) for w in p["weight"]]
    deltas = []
    for m, x in enumerate(models):
        delta = x - base
        if sparsify:
            density, rule = p["density"][m], p["rescale"]
            if rule is True:
                rule = "inv_density" if sparsify == "random" else "l1"
            mask = draw(m, len(delta), density) if sparsify == "random" else top_k_mask(delta, density)
            factor = rescale_factor(delta, mask, rule, density)
            delta = np.where(mask, delta if factor is None else delta * factor, F32(0))
        deltas.append(weights[m] * delta)
    if elect:
        total = _sum(deltas)
        plus = total >= 0 if RULES["zero_elects_plus"] else total > 0
        keep = [np.where(plus, d > 0, d < 0) for d in deltas]
        merged = _sum([np.where(k, d, F32(0)) for k, d in zip(keep, deltas)])
        if p["normalize"]:
            divisor = _sum([np.where(k, w, F32(0)) for k, w in zip(keep, weights)])
            merged = merged / np.where(divisor == 0, RULES["zero_divisor"], divisor)
    else:
        divisor = _checked_weight_sum(weights) if p["normalize"] else None
        merged = _sum(deltas)
        if p["normalize"]:
            merged = merged / divisor
    scale = F32(p["lambda"])
    return base + (merged if scale == 1 else scale * merged)


METHODS = {
    "linear": linear,
    "slerp": slerp,
    "passthrough": passthrough,
    "task_arithmetic": lambda xs, p, draw: _task_vectors(xs, p, draw, None, False),
    "ties": lambda xs, p, draw: _task_vectors(xs, p, draw, "magnitude", True),
    "dare_linear": lambda xs, p, draw: _task_vectors(xs, p, draw, "random", False),
    "dare_ties": lambda xs, p, draw: _task_vectors(xs, p, draw, "random", True),
}


def resolve(method, params, n_models):
    """Fills in the defaults; a per-model parameter becomes a list."""
    resolved = {**DEFAULTS[method], **params}
    if "density" in resolved and not isinstance(resolved["density"], list):
        resolved["density"] = [resolved["density"]] * n_models
    return resolved


def merge(method, xs, params, seed, tensor_name, model_indices):
    """xs: flat float32 arrays, the base first where there is one. Returns flat float32. Raises ZeroSum."""
    name_hash = randomness.xxh64(tensor_name.encode("utf-8"))

    def draw(m, n, density):
        return draw_mask(n, density, seed, name_hash, model_indices[m])

    with np.errstate(all="ignore"):
        result = METHODS[method](xs, resolve(method, params, len(model_indices)), draw)
    assert result.dtype == F32, result.dtype
    return result
