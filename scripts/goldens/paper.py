# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The methods as their papers write them, in float64, element by element; independent of contract.py on purpose.

linear: Model Soups (Wortsman et al. 2022). slerp: Shoemake 1985. task_arithmetic: Ilharco et al. 2023. ties: Yadav et
al. 2023, with weights in vote and mean and a trim per tensor. dare: Yu et al. 2024, on top of task arithmetic or of
TIES. breadcrumbs: Davari and Belilovsky 2023, over the tensor instead of a row. della: Deep et al. 2024. Sums over a
tensor are exact (math.fsum). Only the random words of DARE and DELLA come from elsewhere. The other methods are in
paper_geometry.py.
"""
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens import paper_geometry, randomness


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


def _ranks(vector):
    """Positions by rising magnitude; equal ones by position."""
    return sorted(range(len(vector)), key=lambda i: (abs(vector[i]), i))


def _trim(vector, density, p, _words):
    """TIES step 1: zero all but the largest; equal ones by position, or all of them."""
    order = sorted(range(len(vector)), key=lambda i: (-abs(vector[i]), i))
    kept = set(order[:max(1, int(density * len(vector)))])
    if p.get("tie_break") == "keep_all" and kept:
        smallest = min(abs(vector[i]) for i in kept)
        kept = {i for i in order if abs(vector[i]) >= smallest}
    return [v if i in kept else 0.0 for i, v in enumerate(vector)]


def _drop(vector, density, _p, words):
    """DARE step 1: keep an element when its uniform number lies below the density."""
    return [v if word < density * 2**32 else 0.0 for v, word in zip(vector, words)]


def _middle(vector, density, p, _words):
    """Breadcrumbs: drop the gamma largest, keep the density next ones; when these are too few, larger ones as well."""
    n, keep = len(vector), max(1, int(density * len(vector)))
    first = max(0, n - keep - int(p["gamma"] * n))
    kept = set(_ranks(vector)[first:first + keep])
    return [v if i in kept else 0.0 for i, v in enumerate(vector)]


def _keep_chances(vector, density, p):
    """DELLA: from density - epsilon for a row's smallest to density + epsilon for its largest."""
    chances, row = [], p["row"]
    for begin in range(0, len(vector), max(row, 1)):
        part = [0.0] * row
        for rank, i in enumerate(_ranks(vector[begin:begin + row])):
            part[i] = density - p["epsilon"] + rank / (row - 1) * 2 * p["epsilon"] if row > 1 else density
        chances += part
    return chances


def _magprune(vector, density, p, words):
    return [v if word < chance * 2**32 else 0.0
            for v, word, chance in zip(vector, words, _keep_chances(vector, density, p))]


def _rescale(vector, sparse, rule, density, p, sparsifier):
    def norm(values):
        if rule == "l1":
            return math.fsum(abs(v) for v in values)
        if rule == "l2":
            return math.sqrt(math.fsum(v * v for v in values))
        return max((abs(v) for v in values), default=0.0)

    if rule is False:
        return sparse
    if rule == "inv_density" and sparsifier == "magprune":
        return [v / chance for v, chance in zip(sparse, _keep_chances(vector, density, p))]
    factor = 1 / density if rule == "inv_density" else norm(vector) / norm(sparse)
    return [factor * v for v in sparse]


def _sign(number):
    return (number > 0) - (number < 0)


def _vote(column, p):
    return math.fsum(map(_sign, column) if p.get("sign") == "count" else column)


def _elect_and_join(raw, column, p, majority):
    """TIES steps 2 and 3 for one element: the vote, then the (mean of the) terms that agree."""
    voters, weights = raw if p.get("elect_on") == "raw" else column, p["weight"]
    sign = _sign(_vote(voters, p)) or {"plus": 1, "zero": 0, "majority": majority}[p.get("zero_sign", "plus")]
    agreeing = [(v, w) for u, v, w in zip(voters, column, weights) if _sign(u) == sign and u != 0]
    total = math.fsum(v for v, _ in agreeing)
    if p.get("divide_by") == "count":
        divisor = len(agreeing)
    else:
        divisor = math.fsum(w for _, w in agreeing)
    return total / divisor if p["normalize"] and divisor != 0 else total


SPARSIFIERS = {"trim": _trim, "drop": _drop, "outliers": _middle, "magprune": _magprune}


def task_vectors(xs, p, sparsifier, elect, words_of, shape):
    base, deltas, raws = xs[0], [], []
    for m, x in enumerate(xs[1:]):
        vector = [v - b for v, b in zip(x, base)]
        own = {**p, "row": shape[-1] if shape else 1, **{k: p[k][m] for k in ("gamma", "epsilon") if k in p}}
        density, rule = p["density"][m] if sparsifier else 1.0, p.get("rescale")
        if density <= 0:
            vector = [0.0] * len(vector)
        elif density < 1:
            sparse = SPARSIFIERS[sparsifier](vector, density, own, words_of(m))
            if rule is True:
                rule = "inv_density" if sparsifier in ("drop", "magprune") else "l1"
            vector = _rescale(vector, sparse, rule, density, own, sparsifier)
        raws.append(vector)
        deltas.append([p["weight"][m] * v for v in vector])
    if elect:
        votes = [_sign(_vote(c, p)) for c in zip(*(raws if p.get("elect_on") == "raw" else deltas))]
        majority = _sign(sum(votes))
        merged = [_elect_and_join(raw, column, p, majority) for raw, column in zip(zip(*raws), zip(*deltas))]
    else:
        divisor = math.fsum(p["weight"]) if p["normalize"] else 1.0
        merged = [math.fsum(column) / divisor for column in zip(*deltas)]
    return [b + p["lambda"] * v for b, v in zip(base, merged)]


SIMPLE = {"linear": linear, "slerp": slerp, "passthrough": passthrough}
FAMILY = {"task_arithmetic": (None, False), "ties": ("trim", True), "dare_linear": ("drop", False),
          "dare_ties": ("drop", True), "breadcrumbs": ("outliers", False), "breadcrumbs_ties": ("outliers", True),
          "della_linear": ("magprune", False), "della": ("magprune", True)}


def merge(method, xs, params, seed, tensor_name, model_indices, shape, has_base):
    """params: all of them, defaults filled in. Returns flat float64."""
    name_hash = randomness.xxh64(tensor_name.encode("utf-8"))

    def words_of(m):
        return [int(word) for word in randomness.draw_words(len(xs[0]), seed, name_hash, model_indices[m])]

    if len(xs[0]) == 0:
        return np.zeros(0)
    if method in paper_geometry.METHODS:
        arrays = [np.asarray(x, np.float64) for x in xs]
        base, models = (arrays[0], arrays[1:]) if has_base else (None, arrays)
        return paper_geometry.METHODS[method](models, base, params, shape)
    xs = [[float(v) for v in x] for x in xs]
    if method in SIMPLE:
        return np.array(SIMPLE[method](xs, params), np.float64)
    return np.array(task_vectors(xs, params, *FAMILY[method], words_of, shape), np.float64)
