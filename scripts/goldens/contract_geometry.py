# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The methods of directions, distances and agreement step by step: statistics in float64 from float32 values, their
coefficients rounded to float32 once, elements in float32."""
import itertools
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens.contract_core import (F32, F64, RULES, Refused, as_columns, as_rows, checked_weight_sum, column_sums,
                                   sum_in_order, tree_sum)


def _dot(a, b):
    return tree_sum(a.astype(F64) * b.astype(F64))


def _norm(v):
    return math.sqrt(_dot(v, v))


def _weighted(coefficients, vectors):
    return sum_in_order([F32(c) * v for c, v in zip(coefficients, vectors)])


def arc_coefficients(aa, bb, ab, t):
    """From the two squared norms and the product."""
    floor, norm_a, norm_b = RULES["nuslerp_norm_floor"], math.sqrt(aa), math.sqrt(bb)
    lengths = math.sqrt(aa * bb) if min(norm_a, norm_b) >= floor else max(norm_a, floor) * max(norm_b, floor)
    cos = min(1.0, max(-1.0, ab / lengths))
    if 1 - cos * cos <= RULES["nuslerp_opposite" if cos < 0 else "nuslerp_collinear"]:
        return F32(1 - t), F32(t)
    theta = math.acos(cos)
    return F32(math.sin((1 - t) * theta) / math.sin(theta)), F32(math.sin(t * theta) / math.sin(theta))


def nuslerp(xs, base, p, shape):
    w0, w1 = (float(F32(w)) for w in p["weight"])
    t = 0.5 if abs(w0 + w1) < RULES["nuslerp_zero_sum"] else w1 / (w0 + w1)
    a, b = xs if base is None else [x - base for x in xs]
    if p["nuslerp_flatten"]:
        of_a, of_b = arc_coefficients(_dot(a, a), _dot(b, b), _dot(a, b), t)
        merged = of_a * a + of_b * b
    elif p["nuslerp_row_wise"]:
        u, v = as_columns(a, shape), as_columns(b, shape)
        sums = [column_sums(m.astype(F64) * n.astype(F64)) for m, n in ((u, u), (v, v), (u, v))]
        found = np.array([arc_coefficients(*three, t) for three in zip(*sums)], F32).reshape(-1, 2)
        merged = (found[:, 0] * u + found[:, 1] * v).reshape(-1)
    else:
        u, v = as_rows(a, shape), as_rows(b, shape)
        found = [arc_coefficients(_dot(m, m), _dot(n, n), _dot(m, n), t) for m, n in zip(u, v)]
        found = np.array(found, F32).reshape(-1, 2)
        merged = (found[:, :1] * u + found[:, 1:] * v).reshape(-1)
    return merged if base is None else base + merged


def _gram(vectors):
    n = len(vectors)
    gram = np.zeros((n, n), F64)
    for i, j in itertools.combinations_with_replacement(range(n), 2):
        gram[i, j] = gram[j, i] = _dot(vectors[i], vectors[j])
    return gram


def multislerp(xs, base, p, _shape):
    if len(xs) == 1:
        return xs[0]
    vectors = xs if base is None else [x - base for x in xs]
    weights = [F32(w) for w in p["weight"]]
    if p["normalize_weights"]:
        checked_weight_sum(weights)
    weights = np.array([float(w) for w in weights])
    if p["normalize_weights"]:
        weights = weights / weights.sum()
    norms = np.array([_norm(v) for v in vectors])
    directions = weights / (norms + p["eps"])
    mean = sum_in_order([d * v.astype(F64) for d, v in zip(directions, vectors)])
    length = math.sqrt(tree_sum(mean * mean))
    coefficients = weights
    if length > 0 and length >= p["eps"]:
        coefficients = directions * (float(weights @ norms) / length)
    elif len(xs) > 2 and (weights * norms).any():
        raise Refused("NUM-SINGULAR")
    merged = _weighted(coefficients, vectors)
    return merged if base is None else base + merged


def karcher_coefficients(gram, max_iter, tol):
    """Of the inputs. Everything happens in the span of the unit vectors."""
    norms = np.sqrt(np.diag(gram))
    used = norms > tol
    if not used.any():
        return np.full(len(norms), 1 / len(norms))
    n = int(used.sum())
    units = gram[np.ix_(used, used)] / np.outer(norms[used], norms[used])

    def length(c):
        return math.sqrt(max(0.0, float(c @ units @ c)))

    point = np.full(n, 1 / n)
    point = point / length(point) if length(point) >= tol else np.eye(n)[0]
    for _ in range(int(max_iter)):
        tangent = np.zeros(n)
        for i in range(n):
            cos = min(1.0, max(-1.0, float(point @ units[i])))
            theta = math.acos(cos)
            if theta < tol:
                continue
            if math.pi - theta < tol:
                raise Refused("NUM-SINGULAR")
            tangent += (theta / math.sin(theta) / n) * (np.eye(n)[i] - cos * point)
        step = length(tangent)
        if step < tol:
            break
        point = math.cos(step) * point + math.sin(step) / step * tangent
        if length(point) > tol:
            point = point / length(point)
    coefficients = np.zeros(len(norms))
    coefficients[used] = point / norms[used] * norms.mean()
    return coefficients


def karcher(xs, _base, p, _shape):
    if len(xs) == 1:
        return xs[0]
    return _weighted(karcher_coefficients(_gram(xs), p["max_iter"], p["tol"]), xs)


def stock_share(gram, p):
    """Of the sum of the differences: from the mean cosine of all pairs. float32."""
    cosines = []
    for i, j in itertools.combinations(range(len(gram)), 2):
        lengths = max(math.sqrt(gram[i, i] * gram[j, j]), p["norm_floor"])
        cosines.append(min(1.0, max(-1.0, gram[i, j] / lengths)) if lengths > 0 else 0.0)
    cos, n = sum(cosines) / len(cosines), len(gram)
    divisor = 1 + (n - 1) * cos
    if abs(divisor) < RULES["stock_singular"]:
        if p["singular"] == "base":
            return F32(0)
        raise Refused("NUM-SINGULAR")
    t = n * cos / divisor
    return F32((min(1.0, max(0.0, t)) if p["clamp_t"] else t) / n)


def model_stock(xs, base, p, shape):
    deltas = [x - base for x in xs]
    share = None
    if p["filter_wise"]:
        rows = [as_rows(d, shape) for d in deltas]
        share = np.repeat(np.array([stock_share(_gram(row), p) for row in zip(*rows)], F32), rows[0].shape[1])
    else:
        share = stock_share(_gram(deltas), p)
    return base + sum_in_order(deltas) * share


def nearswap(xs, base, p, _shape):
    near = F32(p["t"]) / np.maximum(np.abs(base - xs[0]), F32(RULES["nearswap_floor"]))
    near = np.minimum(np.maximum(near, F32(0)), F32(1))
    between = near * xs[0] + (F32(1) - near) * base
    return np.where((near == 0) | (xs[0] == base), base, np.where(near == 1, xs[0], between))


def arcee_importance(x, base, shape):
    """float32."""
    def distribution(row):
        grown = np.exp(row.astype(F64) - float(row.max()))
        return grown / tree_sum(grown) + RULES["arcee_epsilon"]

    rows = []
    for tuned, old in zip(as_rows(x, shape), as_rows(base, shape)):
        p, q = distribution(tuned), distribution(old)
        divergence = max(tree_sum(p * np.log(p / q)), 0.0)
        rows.append((np.abs(tuned - old).astype(F64) * divergence).astype(F32))
    return np.concatenate(rows)


def arcee_fusion(xs, base, p, shape):
    importance = arcee_importance(xs[0], base, shape)
    ordered = np.sort(importance).astype(F64)
    low, median, high = (ordered[int(math.floor(q * (len(ordered) - 1)))] for q in (0.25, 0.5, 0.75))
    swap = importance.astype(F64) >= median + p["iqr_factor"] * (high - low)
    return np.where(swap, base + (xs[0] - base), base)


def ram(xs, base, p, _shape, reinforced=False):
    deltas = [x - base for x in xs]
    active = [np.abs(d).astype(F64) > p["epsilon"] for d in deltas]
    count = sum(a.astype(F32) for a in active)
    terms = []
    for delta, mine in zip(deltas, active):
        own = delta
        if reinforced:
            unique, shared = (float((mine & where).sum()) for where in (count == 1, count > 1))
            ratio = min(max(shared / max(unique, p["epsilon"]), 0.0), p["alpha"])
            own = delta * F32(1 + p["r"] * ratio)
        parts = np.where(count > 1, delta / np.maximum(count, F32(1)), own)
        terms.append(np.where(mine, parts, F32(0)))
    return base + sum_in_order(terms)
