# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The methods as their papers write them, in float64, element by element; independent of contract.py on purpose.

linear: Model Soups (Wortsman et al. 2022). slerp: Shoemake 1985. task_arithmetic: Ilharco et al. 2023. ties: Yadav et
al. 2023, with weights in vote and mean and a trim per tensor. dare: Yu et al. 2024, on top of task arithmetic or of
TIES. Sums over a tensor are exact (math.fsum). Only the random words of DARE come from elsewhere.
"""
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens import randomness


def linear(xs, p):
    weights = p["weight"]
    scale = 1 / math.fsum(weights) if p["normalize"] else 1.0
    return [scale * math.fsum(w * v for w, v in zip(weights, column)) for column in zip(*xs)]


def slerp(xs, p):
    a, b = xs
    t = p["t"]
    length_a, length_b = math.sqrt(math.fsum(v * v for v in a)), math.sqrt(math.fsum(v * v for v in b))
    cos = math.fsum(u * v for u, v in zip(a, b)) / (length_a * length_b)
    if abs(cos) > 0.9995:
        return [(1 - t) * u + t * v for u, v in zip(a, b)]
    angle = math.acos(cos)
    return [(math.sin((1 - t) * angle) * u + math.sin(t * angle) * v) / math.sin(angle) for u, v in zip(a, b)]


def passthrough(xs, p):
    scale = 1.0 if p["scale"] is None else p["scale"][0]
    return [scale * v for v in xs[0]]


def _trim(vector, density):
    """TIES step 1: zero all but the largest; equal ones by position."""
    if density >= 1:
        return vector
    order = sorted(range(len(vector)), key=lambda i: (-abs(vector[i]), i))
    kept = set(order[:max(1, int(density * len(vector)))])
    return [v if i in kept else 0.0 for i, v in enumerate(vector)]


def _drop(vector, density, words):
    """DARE step 1: keep an element when its uniform number lies below the density."""
    return [v if density >= 1 or word < density * 2**32 else 0.0 for v, word in zip(vector, words)]


def _rescale(vector, sparse, rule, density):
    def norm(values):
        if rule == "l1":
            return math.fsum(abs(v) for v in values)
        if rule == "l2":
            return math.sqrt(math.fsum(v * v for v in values))
        return max((abs(v) for v in values), default=0.0)

    if rule is False or density >= 1:
        return sparse
    factor = 1 / density if rule == "inv_density" else norm(vector) / norm(sparse)
    return [factor * v for v in sparse]


def _elect_and_join(column, weights, normalize):
    """TIES steps 2 and 3 for one element: the weighted vote, then the (weighted mean of the) terms that agree."""
    sign = 1 if math.fsum(column) >= 0 else -1
    agreeing = [(v, w) for v, w in zip(column, weights) if v * sign > 0]
    total, divisor = math.fsum(v for v, _ in agreeing), math.fsum(w for _, w in agreeing)
    return total / divisor if normalize and divisor != 0 else total


def task_vectors(xs, p, sparsifier, elect, words_of):
    base, deltas = xs[0], []
    for m, x in enumerate(xs[1:]):
        vector = [v - b for v, b in zip(x, base)]
        if sparsifier:
            density, rule = p["density"][m], p["rescale"]
            if sparsifier == "trim":
                sparse, rule = _trim(vector, density), "l1" if rule is True else rule
            else:
                sparse, rule = _drop(vector, density, words_of(m)), "inv_density" if rule is True else rule
            vector = _rescale(vector, sparse, rule, density)
        deltas.append([p["weight"][m] * v for v in vector])
    if elect:
        merged = [_elect_and_join(column, p["weight"], p["normalize"]) for column in zip(*deltas)]
    else:
        divisor = math.fsum(p["weight"]) if p["normalize"] else 1.0
        merged = [math.fsum(column) / divisor for column in zip(*deltas)]
    return [b + p["lambda"] * v for b, v in zip(base, merged)]


def merge(method, xs, params, seed, tensor_name, model_indices):
    """params: all of them, defaults filled in. Returns flat float64."""
    name_hash = randomness.xxh64(tensor_name.encode("utf-8"))

    def words_of(m):
        return [int(word) for word in randomness.draw_words(len(xs[0]), seed, name_hash, model_indices[m])]

    xs = [[float(v) for v in x] for x in xs]
    simple = {"linear": linear, "slerp": slerp, "passthrough": passthrough}
    family = {"task_arithmetic": (None, False), "ties": ("trim", True), "dare_linear": ("drop", False),
              "dare_ties": ("drop", True)}
    result = simple[method](xs, params) if method in simple else task_vectors(xs, params, *family[method], words_of)
    return np.array(result, np.float64)
