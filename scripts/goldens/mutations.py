# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Shows that the golden cases notice every number and rule: each is changed in turn, and some case must follow."""
import math
from types import SimpleNamespace

import gm_numpy  # noqa: F401
import numpy as np

from goldens import contract, contract_core, contract_geometry, trees

RULE_CHANGES = {
    "slerp_lerp_cos 0.9994": {"slerp_lerp_cos": 0.9994},
    "slerp_lerp_cos 0.9996": {"slerp_lerp_cos": 0.9996},
    "slerp_norm_floor 2e-8": {"slerp_norm_floor": 2e-8},
    "slerp_norm_floor 0.5e-8": {"slerp_norm_floor": 0.5e-8},
    "rescale_floor 2e-7": {"rescale_floor": 2e-7},
    "rescale_floor 0.5e-7": {"rescale_floor": 0.5e-7},
    "zero_sum 2e-8": {"zero_sum": 2e-8},
    "zero_sum 0.5e-8": {"zero_sum": 0.5e-8},
    "a zero sum elects minus": {"zero_elects_plus": False},
    "highest index among equals": {"ties_keep_lowest_index": False},
    "keep at least 0": {"keep_at_least": 0},
    "keep at least 2": {"keep_at_least": 2},
    "density * n rounded up": {"keep_count": math.ceil},
    "density * n rounded to nearest": {"keep_count": round},
    "density * 2^32 rounded down": {"draw_limit": math.floor},
    "word <= limit": {"draw_below": np.less_equal},
    "zero divisor 2": {"zero_divisor": np.float32(2)},
    **{f"sum over {name}": rules for name, rules in trees.OTHER_ORDERS.items()},
}

DEFAULT_CHANGES = [(method, key, value) for method, changes in {
    "linear": {"normalize": False},
    "task_arithmetic": {"normalize": True, "lambda": 0.999},
    "ties": {"density": 0.999, "normalize": False, "rescale": "inv_density", "lambda": 0.999},
    "dare_linear": {"density": 0.999, "normalize": True, "rescale": False, "lambda": 0.999},
    "dare_ties": {"density": 0.999, "normalize": True, "rescale": False, "lambda": 0.999},
    "passthrough": {"scale": [0.999]},
}.items() for key, value in changes.items()]


def _changed(cases):
    return sum(case.contract_result() != case.expected for case in cases)


def check_library_independence(cases):
    """Another C library's acos and sin, whose last bits differ, must not show."""
    for nudge in (1 - 2e-15, 1 + 2e-15):
        nudged = {"acos": lambda v, k=nudge: math.acos(v) * k, "sin": lambda v, k=nudge: math.sin(v) / k}
        contract.math = contract_geometry.math = SimpleNamespace(**{**vars(math), **nudged})
        changed = [(case.method, case.name) for case in cases if case.oracle == "contract"
                   and case.method in ("slerp", "nuslerp", "karcher") and case.contract_result() != case.expected]
        contract.math = contract_geometry.math = math
        assert not changed, f"cases too close to a rounding boundary: {changed}"


def report(cases):
    """One line a change with the number of cases that notice; raises when none does."""
    cases = [case for case in cases if case.oracle == "contract"]
    lines = []
    for name, rules in RULE_CHANGES.items():
        saved = {key: contract_core.RULES[key] for key in rules}
        contract_core.RULES.update(rules)
        # A tree changes nothing outside the cases made for it; the others are many and slow.
        subset = [c for c in cases if "sum_order" in c.name] if name.startswith("sum over") else cases
        lines.append((name, _changed(subset)))
        contract_core.RULES.update(saved)
    for method, key, value in DEFAULT_CHANGES:
        saved = contract.DEFAULTS[method][key]
        contract.DEFAULTS[method][key] = value
        lines.append((f"{method}: default {key} {value}", _changed([c for c in cases if c.method == method])))
        contract.DEFAULTS[method][key] = saved
    missed = [name for name, count in lines if count == 0]
    assert not missed, f"no golden case notices: {missed}"
    return "\n".join(f"{count:4d} of the contract cases change: {name}" for name, count in lines)
