# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The task-vector family step by step: differences from a base, sparsified, rescaled, weighted, elected, joined."""
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens.contract_core import (F32, F64, RULES, Refused, as_rows, checked_weight_sum, draw_mask, keys, kept_count,
                                   largest_first, rescale_factor, sum_in_order, top_k_mask, tree_sum)


def _band_mask(delta, density, gamma):
    """Of the ranks by rising magnitude, the band below the gamma largest."""
    n, mask = len(delta), np.zeros(len(delta), bool)
    if density <= 0:
        return mask
    if density >= 1:
        return ~mask
    kept = kept_count(density, n)
    first = max(0, n - kept - int(gamma * n))
    magnitude = np.abs(delta).astype(F64)
    mask[np.argsort(magnitude, kind="stable")[first:first + kept]] = True
    return mask


def keep_chances(delta, density, epsilon, shape):
    """float64 for every element, by its rank in its row."""
    rows = as_rows(np.abs(delta), shape)
    extent = rows.shape[1]
    ranks = np.argsort(np.argsort(rows, axis=1, kind="stable"), axis=1, kind="stable").astype(F64)
    if extent <= 1:
        return np.full(delta.size, F64(density))
    return ((density - epsilon) + ranks / F64(extent - 1) * (2 * epsilon)).reshape(-1)


def model_mask(delta, selection, keep_all):
    """A selection over the whole model: magnitude bits above a threshold, and those equal to it before an index."""
    threshold, tie_end = selection
    key = keys(delta)
    return (key > threshold) | ((key == threshold) & (keep_all | (np.arange(len(delta)) < tie_end)))


def _sparsified(delta, m, p, sparsify, words, shape):
    density, rule = p["density"][m], p["rescale"]
    n, chances = len(delta), None
    if density >= 1 or density <= 0:
        return delta if density >= 1 else np.zeros_like(delta)
    if p.get("trim_scope") == "model":
        mask = model_mask(delta, p["model_selections"][m], p["tie_break"] == "keep_all")
    elif sparsify == "magnitude":
        mask = top_k_mask(delta, density, p.get("tie_break") == "keep_all")
    elif sparsify == "outliers":
        mask = _band_mask(delta, density, p["gamma"][m])
    elif sparsify == "random":
        mask = draw_mask(words(m, n), density)
    else:
        epsilon = p["epsilon"][m]
        if not (density - abs(epsilon) > 0 and density + abs(epsilon) < 1):
            raise Refused("CFG-RANGE")
        chances = keep_chances(delta, density, epsilon, shape)
        mask = draw_mask(words(m, n), chances)
    if rule is True:
        rule = "inv_density" if sparsify in ("random", "magprune") else "l1"
    if rule == "inv_density" and chances is not None:
        return np.where(mask, delta / chances.astype(F32), F32(0))
    factor = rescale_factor(delta, mask, rule, density)
    return np.where(mask, delta if factor is None else delta * factor, F32(0))


def _elected_signs(votes, p):
    """+1, 0 or -1 for every element."""
    if p.get("sign") == "count":
        votes = [np.sign(v) for v in votes]
    sign = np.sign(sum_in_order(votes))
    rule = p.get("zero_sign", "plus")
    majority = p["model_majority"] if p.get("trim_scope") == "model" else np.sign(sign.sum(dtype=F64))
    at_zero = {"plus": 1 if RULES["zero_elects_plus"] else -1, "zero": 0, "majority": majority}
    return np.where(sign == 0, F32(at_zero[rule]), sign)


def task_vectors(xs, p, words, shape, sparsify, elect):
    base, models = xs[0], xs[1:]
    weights = [F32(w) for w in p["weight"]]
    vectors = [x - base for x in models]
    if sparsify:
        vectors = [_sparsified(v, m, p, sparsify, words, shape) for m, v in enumerate(vectors)]
    deltas = [v * w for v, w in zip(vectors, weights)]
    if elect:
        voters = vectors if p.get("elect_on") == "raw" else deltas
        sign = _elected_signs(voters, p)
        agrees = [np.where(sign > 0, v > 0, np.where(sign < 0, v < 0, False)) for v in voters]
        merged = sum_in_order([np.where(a, d, F32(0)) for a, d in zip(agrees, deltas)])
        if p["normalize"]:
            shares = [F32(1)] * len(weights) if p.get("divide_by") == "count" else weights
            divisor = sum_in_order([np.where(a, s, F32(0)) for a, s in zip(agrees, shares)])
            merged = merged / np.where(divisor == 0, RULES["zero_divisor"], divisor)
    else:
        divisor = checked_weight_sum(weights) if p["normalize"] else None
        merged = sum_in_order(deltas)
        if p["normalize"]:
            merged = merged / divisor
    scale = F32(p["lambda"])
    return base + (merged if scale == 1 else scale * merged)


def _variances(deltas):
    """Over the models, float64 rounded to float32."""
    wide = [d.astype(F64) for d in deltas]
    mean = sum_in_order(wide) / len(wide)
    return (sum_in_order([(d - mean) * (d - mean) for d in wide]) / len(wide)).astype(F32)


def sce(xs, p):
    base, models = xs[0], xs[1:]
    deltas = [x - base for x in models]
    if p["select_topk"] < 1:
        variance = _variances(deltas)
        count = math.floor(p["select_topk"] * int(np.count_nonzero(variance)))
        mask = np.zeros(base.size, bool)
        mask[largest_first(variance)[:count]] = True
        kept = [np.where(mask, d, F32(0)) for d in deltas]
    else:
        kept = deltas
    energy = [tree_sum(d.astype(F64) * d.astype(F64)) / d.size for d in kept]
    deltas = deltas if p["mask"] == "weights" else kept
    total = sum(energy)
    uniform = total == 0 or total < p["weight_floor"]
    shares = [F32(1 / len(models)) if uniform else F32(e / total) for e in energy]
    plus = sum_in_order(deltas) >= 0
    agrees = [np.where(plus, d > 0, d < 0) for d in deltas]
    merged = sum_in_order([np.where(a, s * d, F32(0)) for a, s, d in zip(agrees, shares, deltas)])
    divisor = sum_in_order([np.where(a, s, F32(0)) for a, s in zip(agrees, shares)])
    floor = F32(p["divisor_floor"])
    return base + merged / np.where(divisor > floor, divisor, floor if floor > 0 else F32(1))
