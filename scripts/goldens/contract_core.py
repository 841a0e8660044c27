# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What the methods' contracts share: the numbers and rules that a method could get wrong, sums over elements in their
fixed order, selections, sums over models. RULES is one dictionary so that the generator can change each entry in turn
and show which golden notices.
"""
import math

import gm_numpy  # noqa: F401
import numpy as np

from goldens import randomness

F32, F64 = np.float32, np.float64


class Refused(Exception):
    """The merge is an error; str() is its code."""


def pair_neighbours(parts):
    """Sums axis 0 pairwise: neighbours first, an odd last one moves up unchanged."""
    while len(parts) > 1:
        paired = parts[0:len(parts) // 2 * 2:2] + parts[1::2]
        parts = np.concatenate([paired, parts[-1:]]) if len(parts) % 2 else paired
    return parts[0]


RULES = {
    "slerp_lerp_cos": 0.9995,      # |cos| above it: plain interpolation
    "slerp_norm_floor": 1e-8,      # a norm not above it counts as 1
    "nuslerp_norm_floor": 1e-7,    # a norm counts as at least this
    "nuslerp_collinear": 1e-16,    # 1 - cos^2 not above it: plain interpolation
    "nuslerp_opposite": 1e-14,     # the same for cos < 0
    "nuslerp_zero_sum": 1e-6,      # |w0 + w1| below it: half of each
    "nearswap_floor": 1e-6,        # a distance counts as at least this
    "arcee_epsilon": 1e-8,         # added to both distributions
    "stock_singular": 1e-6,        # |1 + (N - 1) cos| below it: the base
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


def column_sums(values):
    """float64 sums down a matrix, from the first row on."""
    total = np.zeros(values.shape[1], F64)
    for row in values:
        total = total + row
    return total


def as_rows(x, shape):
    return x.reshape(math.prod(shape[:-1]), shape[-1] if shape else 1)


def as_columns(x, shape):
    return x.reshape(shape[0] if shape else 1, math.prod(shape[1:]))


# ---------------------------------------------------------------------------------------------- selection and rescale
def keys(values):
    return (values.view(np.uint32) & np.uint32(0x7FFFFFFF)).astype(np.int64)


def kept_count(density, n):
    return max(RULES["keep_at_least"], int(RULES["keep_count"](density * n)))


def largest_first(values):
    """Places by falling magnitude; equal ones by lowest index."""
    if RULES["ties_keep_lowest_index"]:
        return np.argsort(-keys(values), kind="stable")
    return np.argsort(keys(values), kind="stable")[::-1]


def top_k_mask(delta, density, keep_all=False):
    """The k elements of largest magnitude; equal ones by lowest index, or with keep_all all that equal the k-th."""
    mask = np.zeros(len(delta), bool)
    if density <= 0:
        return mask
    if density >= 1:
        return ~mask
    mask[largest_first(delta)[:kept_count(density, len(delta))]] = True
    return keys(delta) >= keys(delta)[mask].min(initial=2**31) if keep_all else mask


def draw_mask(words, chance):
    """The elements whose word lies below chance * 2^32; chance is one number or one an element."""
    scaled = np.asarray(chance, F64) * 4294967296.0
    limit = np.array([RULES["draw_limit"](v) for v in np.atleast_1d(scaled)], np.uint64)
    return RULES["draw_below"](words.astype(np.uint64), limit)


def words_of(n, seed, name_hash, model_index):
    return randomness.draw_words(n, seed, name_hash, model_index)


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


# ---------------------------------------------------------------------------------------------- sums over models
def sum_in_order(terms):
    """Left to right, from the first term."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def checked_weight_sum(weights):
    if abs(sum(float(w) for w in weights)) < RULES["zero_sum"] * sum(abs(float(w)) for w in weights):
        raise Refused("NUM-ZEROSUM")
    return sum_in_order(weights)
