# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""How far two results are apart, and what explains a distance."""
from dataclasses import dataclass, field

import gm_numpy  # noqa: F401
import numpy as np

ELEMENTWISE_ULPS, REDUCTION_ULPS = 1, 2


def in_order(values):
    """float32 as integers that count representable numbers; both zeros are 0."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF))


def ulps(a, b):
    return np.abs(in_order(a) - in_order(b))


def ulp_of(magnitude):
    """The distance of float32 neighbours at that magnitude."""
    return np.spacing(np.maximum(np.abs(magnitude), np.finfo(np.float32).tiny).astype(np.float32)).astype(np.float64)


def round_to_bfloat16(values):
    """float64 to the nearest bfloat16, once; as its 16 bits."""
    bits = np.ascontiguousarray(values, np.float64).view(np.uint64)
    odd = (bits >> np.uint64(45)) & np.uint64(1)
    rounded = (bits + np.uint64((1 << 44) - 1) + odd) & ~np.uint64((1 << 45) - 1)
    return rounded.view(np.float64).astype(np.float32).view(np.uint32) >> np.uint32(16)


def fused_chain(inputs, weights, normalize):
    """linear as mergekit's CPU kernel does it: sum <- fma(x, w, sum) from +0, then one division."""
    total = np.zeros(inputs[0].shape, np.float32)
    for x, w in zip(inputs, weights):
        exact = x.astype(np.longdouble) * np.longdouble(np.float32(w)) + total.astype(np.longdouble)
        total = exact.astype(np.float32)
    divisor = np.float32(0)
    for w in weights:
        divisor = divisor + np.float32(w)
    return total / divisor if normalize else total


def nearswap_by_reciprocal(inputs, t):
    base, model = inputs
    near = np.float32(1) / np.maximum(np.abs(base - model), np.float32(1e-6)) * np.float32(t)
    near = np.minimum(np.maximum(near, np.float32(0)), np.float32(1))
    return near * model + (np.float32(1) - near) * base


@dataclass
class Difference:
    """Of one corner on one model's tensors, all together."""
    elements: int = 0
    equal_bits: int = 0
    max_ulp: int = 0
    beyond: int = 0        # elements above the limit
    unexplained: int = 0   # of these
    reasons: dict = field(default_factory=dict)  # {reason: elements}

    def add(self, other):
        self.elements += other.elements
        self.equal_bits += other.equal_bits
        self.max_ulp = max(self.max_ulp, other.max_ulp)
        self.beyond += other.beyond
        self.unexplained += other.unexplained
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count


FUSED = "mergekit's CPU kernel fuses product and sum: a chain of fmaf gives its bits"
RECIPROCAL = "torch computes t / x as t * (1 / x): done so in float32, the bits are mergekit's"
CANCELS = "terms cancel, each rounded to float32: within 4 ulp of the largest of inputs, differences and result"
TERMS_ULPS = 4  # differences, coefficients, products, sums: half an ulp each
COS_EPS = "mergekit's result is shorter by the cosine of eps, which it adds to an angle that is zero"
ONE_KEPT = "density * n is below 1: mergekit's breadcrumbs keeps nothing, gpumerge one element"
SAMPLED = "above 1e6 elements mergekit takes its quantiles from a random sample, gpumerge the exact ones"
SWAP = "an importance within rounding of the threshold: the element is swapped in one and not in the other"


def compare(corner, inputs, ours, theirs):
    """One tensor. inputs: float32, the base first; theirs: float64."""
    nearest = theirs.astype(np.float32)
    apart = ulps(ours, nearest)
    limit = REDUCTION_ULPS if corner.in_double else ELEMENTWISE_ULPS
    beyond = apart > limit
    found = Difference(ours.size, int((ours.view(np.uint32) == nearest.view(np.uint32)).sum()),
                       int(apart.max(initial=0)), int(beyond.sum()))
    if found.beyond:
        left = beyond
        for reason, explained in _explanations(corner, inputs, ours, theirs):
            count = int((left & explained).sum())
            if count:
                found.reasons[reason] = count
                left = left & ~explained
        found.unexplained = int(left.sum())
    return found


def _explanations(corner, inputs, ours, theirs):
    method = corner.method
    everything = np.ones(ours.shape, bool)
    if method == "linear":
        chain = fused_chain(inputs, corner.per_model["weight"], corner.shared.get("normalize", True))
        yield FUSED, np.full(ours.shape, bool((chain == theirs.astype(np.float32)).all()))
    if method.startswith("breadcrumbs") and any(0 < d * ours.size < 1 for d in corner.per_model.get("density", [])):
        yield ONE_KEPT, everything
    if method == "nearswap":
        same = bool((nearswap_by_reciprocal(inputs, corner.shared["t"]) == theirs.astype(np.float32)).all())
        yield RECIPROCAL, np.full(ours.shape, same)
    if corner.in_double:
        stack = np.stack(inputs)
        largest = np.maximum(np.abs(stack).max(axis=0), np.abs(theirs))
        if corner.base:
            largest = np.maximum(largest, np.abs(stack - inputs[0]).max(axis=0))
        if method == "multislerp" and "eps" in corner.shared:
            base = inputs[0].astype(np.float64) if corner.base else 0.0
            shorter = base + (ours - base) * np.cos(corner.shared["eps"])
            yield COS_EPS, np.abs(shorter - theirs) <= TERMS_ULPS * ulp_of(largest)
        yield CANCELS, np.abs(ours.astype(np.float64) - theirs) <= TERMS_ULPS * ulp_of(largest)
    if method == "arcee_fusion":
        either = (ours == inputs[0]) | (ours == inputs[0] + (inputs[1] - inputs[0]))
        yield (SAMPLED, either) if ours.size > 1_000_000 else (SWAP, either)
