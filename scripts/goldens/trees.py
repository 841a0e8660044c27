# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs whose result shows in which order a sum over elements was taken.

4096 deltas of 1 are kept and the dropped ones sum to almost 4096 * 2^-24, so that the l1 factor lies at the midpoint
of 1 and its float32 successor: one unit in the last place of the float64 sum decides. The base is -1 where a delta is
kept, so the result there is 0 or 2^-23, even in bfloat16. SEEDS were found by `search()`.
"""
import gm_numpy  # noqa: F401
import numpy as np

from goldens import contract_core as contract
from goldens.inputs import raw
from goldens.randomness import Noise

N_ELEMS = 16461  # four blocks and a fifth of 77 elements
KEPT = 4096
SEEDS = (7, 4, 2)


def _halves(parts):
    """i with i + n/2 instead of neighbours."""
    while len(parts) > 1:
        half = (len(parts) + 1) // 2
        parts = np.concatenate([parts[:len(parts) - half] + parts[half:], parts[len(parts) - half:half]])
    return parts[0]


def _in_turn(parts):
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _odd_one_first(parts):
    """An odd first one moves up instead of an odd last one."""
    while len(parts) > 1:
        odd = len(parts) % 2
        paired = parts[odd::2] + parts[odd + 1::2]
        parts = np.concatenate([parts[:odd], paired])
    return parts[0]


OTHER_ORDERS = {
    "32 lanes": {"lanes": 32},
    "128 lanes": {"lanes": 128},
    "16 lanes": {"lanes": 16},
    "8 lanes": {"lanes": 8},
    "blocks of 2048": {"block_elems": 2048},
    "blocks of 8192": {"block_elems": 8192},
    "blocks of 1024": {"block_elems": 1024},
    "one block": {"block_elems": 64 * 512},
    "lanes halved": {"join_lanes": _halves},
    "lanes in turn": {"join_lanes": _in_turn},
    "blocks in turn": {"join_blocks": _in_turn},
    "blocks halved": {"join_blocks": _halves},
    "odd first block": {"join_blocks": _odd_one_first},
}


def deltas(seed):
    """Kept ones of exactly 1, and small bfloat16 ones whose exact sum lies half a last place above the midpoint."""
    noise = Noise(f"tree {seed}")
    order = np.argsort(noise.words(N_ELEMS), kind="stable")
    small = order[KEPT:]
    mantissa, exponent = noise.below(len(small), 128), noise.below(len(small), 24)
    values = np.zeros(N_ELEMS, np.float32)
    values[order[:KEPT]] = 1
    values[small] = (1 + mantissa / 128.0) * 2.0 ** (-22.0 - exponent.astype(np.float64))
    # In whole units of 2^-57, of which all of them are multiples: drop the first ones until the rest is below the
    # target, then fill their places with powers of two. 2^-41 is half a unit in the last place of 4096.
    units = np.rint(values[small].astype(np.float64) * 2.0**57).astype(np.int64)
    missing = 2**45 + 2**16
    rest = missing - int(units.sum())
    at = 0
    while rest < 0:
        rest += int(units[at])
        values[small[at]] = 0
        at += 1
    for i in range(at):
        bit = rest.bit_length() - 1
        values[small[i]] = 2.0 ** (bit - 57) if rest else 0.0
        rest -= (1 << bit) if rest else 0
    assert rest == 0
    return values


def case(seed):
    values = deltas(seed)
    kept = values == 1
    base = np.where(kept, -1.0, 0.0)
    params = {"weight": [1.0], "density": [(KEPT + 0.5) / N_ELEMS], "rescale": "l1"}
    return [raw(base, "F8_E4M3"), raw(np.where(kept, 0.0, values), "BF16")], params


def factor_is_up(seed):
    values = deltas(seed)
    return contract.rescale_factor(values, values == 1, "l1", 0.5) > 1


def told_apart(seed):
    """The orders that give another factor for this seed."""
    expected, found = factor_is_up(seed), set()
    for name, rules in OTHER_ORDERS.items():
        saved = {key: contract.RULES[key] for key in rules}
        contract.RULES.update(rules)
        if factor_is_up(seed) != expected:
            found.add(name)
        contract.RULES.update(saved)
    return found


def search(limit=200):
    """Seeds that together tell every other order apart, greedily."""
    by_seed = {seed: told_apart(seed) for seed in range(limit)}
    missing, chosen = set(OTHER_ORDERS), []
    while missing:
        best = max(by_seed, key=lambda seed: len(by_seed[seed] & missing))
        if not by_seed[best] & missing:
            return chosen, missing
        chosen.append(best)
        missing -= by_seed[best]
    return chosen, missing


def cases():
    for seed in SEEDS:
        yield f"the order of a float64 sum decides a rounding (seed {seed})", *case(seed), N_ELEMS
