# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Methods of directions, importance and agreement as they are published, in float64; independent of contract.py.

nuslerp: Shoemake's arc on whole tensors, rows or columns. multislerp: tangent vectors at the mean direction and the
exponential map back. karcher: the mean on the sphere by gradient descent (arXiv 2603.04972). model_stock: Jang et al.
2024. sce: FuseChat, arXiv 2408.07990. ram: arXiv 2601.13572. nearswap and arcee_fusion: no paper, their formulas. Sums
over a tensor are exact (math.fsum).
"""
import itertools
import math

import gm_numpy  # noqa: F401
import numpy as np


def _dot(a, b):
    return math.fsum((a * b).reshape(-1))


def _norm(v):
    return math.sqrt(_dot(v, v))


def _arc(a, b, t):
    lengths = max(_norm(a), 1e-7), max(_norm(b), 1e-7)
    cos = min(1.0, max(-1.0, _dot(a, b) / (lengths[0] * lengths[1])))
    if 1 - cos * cos <= 1e-16:
        return (1 - t) * a + t * b
    angle = math.acos(cos)
    return (math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle)


def nuslerp(models, base, p, shape):
    w0, w1 = p["weight"]
    t = 0.5 if abs(w0 + w1) < 1e-6 else w1 / (w0 + w1)
    a, b = models if base is None else [x - base for x in models]
    if p["nuslerp_flatten"]:
        merged = _arc(a, b, t)
    elif p["nuslerp_row_wise"]:
        columns = [x.reshape(shape[0] if shape else 1, -1) for x in (a, b)]
        merged = np.stack([_arc(u, v, t) for u, v in zip(columns[0].T, columns[1].T)], axis=1).reshape(-1)
    else:
        rows = [x.reshape(-1, shape[-1] if shape else 1) for x in (a, b)]
        merged = np.concatenate([_arc(u, v, t) for u, v in zip(*rows)])
    return merged if base is None else base + merged


def multislerp(models, base, p, _shape):
    if len(models) == 1:
        return models[0]
    vectors = models if base is None else [x - base for x in models]
    weights = p["weight"]
    if p["normalize_weights"]:
        weights = [w / math.fsum(weights) for w in weights]
    units = [v / (_norm(v) + p["eps"]) for v in vectors]
    mean = sum(w * u for w, u in zip(weights, units))
    if _norm(mean) < p["eps"]:
        assert len(models) == 2
        merged = sum(w * v for w, v in zip(weights, vectors))
    else:
        mean = mean / _norm(mean)
        tangent = sum(w * (u - _dot(u, mean) * mean) for w, u in zip(weights, units))
        angle = _norm(tangent)
        point = mean if angle < p["eps"] else math.cos(angle) * mean + math.sin(angle) / angle * tangent
        merged = point * math.fsum(w * _norm(v) for w, v in zip(weights, vectors))
    return merged if base is None else base + merged


def karcher(models, _base, p, _shape):
    if len(models) == 1:
        return models[0]
    lengths = [_norm(v) for v in models]
    units = [v / n for v, n in zip(models, lengths) if n > p["tol"]]
    if not units:
        return np.zeros_like(models[0])
    share = 1 / len(units)
    point = sum(share * u for u in units)
    point = units[0] if _norm(point) < p["tol"] else point / _norm(point)
    for _ in range(int(p["max_iter"])):
        tangent = np.zeros_like(point)
        for unit in units:
            cos = min(1.0, max(-1.0, _dot(point, unit)))
            angle = math.acos(cos)
            if angle >= p["tol"]:
                tangent = tangent + share * (angle / math.sin(angle)) * (unit - cos * point)
        step = _norm(tangent)
        if step < p["tol"]:
            break
        point = math.cos(step) * point + math.sin(step) * (tangent / step)
        point = point / _norm(point)
    return point * (math.fsum(lengths) / len(models))


def _stock(models, base, norm_floor):
    deltas, count = [x - base for x in models], len(models)
    cosines = []
    for a, b in itertools.combinations(deltas, 2):
        lengths = max(_norm(a) * _norm(b), norm_floor)
        cosines.append(min(1.0, max(-1.0, _dot(a, b) / lengths)) if lengths > 0 else 0.0)
    cos = math.fsum(cosines) / len(cosines)
    t = count * cos / (1 + (count - 1) * cos)
    return t * sum(models) / count + (1 - t) * base


def model_stock(models, base, p, shape):
    floor = p["norm_floor"]
    if not p["filter_wise"]:
        return _stock(models, base, floor)
    rows = [x.reshape(-1, shape[-1] if shape else 1) for x in (base, *models)]
    return np.concatenate([_stock(row[1:], row[0], floor) for row in zip(*rows)])


def nearswap(models, base, p, _shape):
    near = np.clip(p["t"] / np.maximum(np.abs(base - models[0]), 1e-6), 0, 1)
    return near * models[0] + (1 - near) * base


def arcee_importance(model, base, shape):
    """How much each element matters: its change times the divergence of its row's softmax."""
    def softmax(x):
        grown = np.exp(x - x.max(axis=1, keepdims=True))
        return grown / np.array([[math.fsum(row)] for row in grown])

    tuned, old = (x.reshape(-1, shape[-1] if shape else 1) for x in (model, base))
    p, q = softmax(tuned) + 1e-8, softmax(old) + 1e-8
    divergence = np.array([[math.fsum(row)] for row in p * np.log(p / q)])
    return (np.abs(tuned - old) * divergence).reshape(-1)


def arcee_fusion(models, base, p, shape):
    importance = arcee_importance(models[0], base, shape)
    ordered = np.sort(importance)
    low, median, high = (ordered[int(q * (len(ordered) - 1))] for q in (0.25, 0.5, 0.75))
    swap = importance >= median + p["iqr_factor"] * (high - low)
    return base + np.where(swap, models[0] - base, 0.0)


def ram(models, base, p, _shape, reinforced=False):
    deltas = np.stack([x - base for x in models])
    active = np.abs(deltas) > p["epsilon"]
    counts = active.sum(axis=0)
    terms = np.where(active, deltas / np.maximum(counts, 1), 0.0)
    if reinforced:
        for m in range(len(models)):
            unique, shared = int((active[m] & (counts == 1)).sum()), int((active[m] & (counts > 1)).sum())
            ratio = shared / max(unique, p["epsilon"])
            terms[m] = np.where(counts == 1, (1 + p["r"] * min(max(ratio, 0), p["alpha"])) * terms[m], terms[m])
    return base + terms.sum(axis=0)


def sce(models, base, p, _shape):
    deltas = np.stack([x - base for x in models])
    if p["select_topk"] < 1:
        # Exact but for the division, for differences of few bits, so that equal variances are equal.
        variance = (len(deltas) * np.square(deltas).sum(axis=0) - np.square(deltas.sum(axis=0))) / len(deltas)**2
        keep = int(p["select_topk"] * np.count_nonzero(variance)) if p["select_topk"] > 0 else 0
        mask = np.zeros(base.size, bool)
        mask[np.argsort(-variance, kind="stable")[:keep]] = True
        deltas = np.where(mask, deltas, 0.0)
    energy = [_dot(d, d) / d.size for d in deltas]
    total = math.fsum(energy)
    shares = [1 / len(models)] * len(models) if total == 0 or total < p["weight_floor"] else [e / total for e in energy]
    sign = np.where(deltas.sum(axis=0) >= 0, 1, -1)
    kept = np.array(shares)[:, None] * (deltas * sign > 0)
    divisor = kept.sum(axis=0)
    return base + (kept * deltas).sum(axis=0) / np.where(divisor > p["divisor_floor"], divisor,
                                                         p["divisor_floor"] or 1.0)


METHODS = {
    "nuslerp": nuslerp, "multislerp": multislerp, "karcher": karcher, "model_stock": model_stock,
    "nearswap": nearswap, "arcee_fusion": arcee_fusion, "ram": ram, "sce": sce,
    "ramplus_tl": lambda *args: ram(*args, reinforced=True),
}
