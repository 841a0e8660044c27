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
    "nuslerp_norm_floor 2e-7": {"nuslerp_norm_floor": 2e-7},
    "nuslerp_norm_floor 1e-8": {"nuslerp_norm_floor": 1e-8},
    "nuslerp_collinear 1e-4": {"nuslerp_collinear": 1e-4},
    "nuslerp_collinear -1": {"nuslerp_collinear": -1.0},
    "nuslerp_opposite -1": {"nuslerp_opposite": -1.0},
    "nuslerp_zero_sum 1e-7": {"nuslerp_zero_sum": 1e-7},
    "nearswap_floor 2e-6": {"nearswap_floor": 2e-6},
    "nearswap_floor 0.6e-6": {"nearswap_floor": 0.6e-6},
    "arcee_epsilon 1e-4": {"arcee_epsilon": 1e-4},
    "stock_singular 0": {"stock_singular": 0.0},
    **{f"sum over {name}": rules for name, rules in trees.OTHER_ORDERS.items()},
}

# The methods whose cases can notice a rule, by the first word of its name; the rest is the classic ones'.
METHODS_OF = {"slerp": ("slerp",), "nuslerp": ("nuslerp",), "nearswap": ("nearswap",), "arcee": ("arcee_fusion",),
              "stock": ("model_stock",)}
CLASSIC = ("linear", "slerp", "task_arithmetic", "ties", "dare_linear", "dare_ties")

DEFAULT_CHANGES = [(method, key, value) for method, changes in {
    "linear": {"normalize": False},
    "task_arithmetic": {"normalize": True, "lambda": 0.999},
    "ties": {"density": 0.999, "normalize": False, "rescale": "inv_density", "lambda": 0.999},
    "dare_linear": {"density": 0.999, "normalize": True, "rescale": False, "lambda": 0.999},
    "dare_ties": {"density": 0.999, "normalize": True, "rescale": False, "lambda": 0.999},
    "passthrough": {"scale": [0.999]},
    "breadcrumbs": {"density": 0.999, "normalize": True, "rescale": True, "lambda": 0.999, "gamma": 0.3},
    "breadcrumbs_ties": {"density": 0.999, "normalize": True, "rescale": True, "lambda": 0.999, "gamma": 0.3},
    "della": {"normalize": False, "rescale": "l1", "lambda": 0.999, "epsilon": 0.1},
    "della_linear": {"normalize": True, "rescale": "l1", "lambda": 0.999, "epsilon": 0.1},
    "sce": {"select_topk": 0.9, "weight_floor": 1e-6, "divisor_floor": 0.5},
    "nuslerp": {"nuslerp_flatten": False},
    "multislerp": {"normalize_weights": False, "eps": 1e-3},
    "karcher": {"max_iter": 1, "tol": 0.1},
    "model_stock": {"filter_wise": True, "norm_floor": 1e-6, "clamp_t": True},
    "arcee_fusion": {"iqr_factor": 1.0},
    "ram": {"epsilon": 1e-3},
    "ramplus_tl": {"r": 0.2, "alpha": 0.1, "epsilon": 1e-3},
}.items() for key, value in changes.items()]


def _changes(case):
    try:
        return case.contract_result() != case.expected
    except ZeroDivisionError:
        return True


def _changed(cases):
    return sum(map(_changes, cases))


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
        methods = METHODS_OF.get(name.split("_")[0], CLASSIC)
        is_tree = name.startswith("sum over")
        subset = [c for c in cases if c.method in methods and ("sum_order" in c.name or not is_tree)]
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
