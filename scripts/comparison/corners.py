# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Which merges are run through both tools: every method with every parameter that mergekit has, at its corners."""
from dataclasses import dataclass, field

# float32(0.6) and the like, so that rounding a weight to float32 changes nothing in either tool.
THIRD, HALF, MOST = 0.300000011920928955078125, 0.5, 0.60000002384185791015625
WEIGHTS = [MOST, -THIRD, 0.75]
BASE_AND_MODELS, MODELS_ONLY = True, False


@dataclass
class Corner:
    method: str
    name: str
    per_model: dict = field(default_factory=dict)  # {parameter: a value for each model}
    shared: dict = field(default_factory=dict)
    base: bool = BASE_AND_MODELS
    n_models: int = 3
    theirs: dict = field(default_factory=dict)  # parameters that mergekit gets instead
    ours: dict = field(default_factory=dict)    # parameters that only gpumerge gets, or gets instead
    in_double: bool = False                     # mergekit computes in float64: sums over the tensor
    medium: bool = False                        # also on the model of 5 M elements


def _simple():
    for name, shared in (("normalized", {}), ("sum", {"normalize": False})):
        yield Corner("linear", name, {"weight": WEIGHTS}, shared, MODELS_ONLY, medium=True)
    yield Corner("linear", "one model", {"weight": [THIRD]}, {}, MODELS_ONLY, 1)
    yield Corner("linear", "wise-ft", {"weight": [THIRD, 1 - THIRD]}, {}, MODELS_ONLY, 2)
    yield Corner("passthrough", "as it is", {}, {}, MODELS_ONLY, 1, medium=True)
    yield Corner("passthrough", "scaled", {"scale": [1.25 * MOST]}, {}, MODELS_ONLY, 1)
    for t in (0.0, THIRD, HALF, 1.0, 1.25):
        yield Corner("slerp", f"t {t:.2g}", {}, {"t": t}, n_models=1, in_double=True, medium=t == THIRD)
    for t in (0.0, 1e-4, 0.0078125, 1.0):
        yield Corner("nearswap", f"t {t:.2g}", {}, {"t": t}, n_models=1, medium=t == 0.0078125)


def _geometry():
    modes = {"flat": {}, "rows": {"nuslerp_flatten": False},
             "columns": {"nuslerp_flatten": False, "nuslerp_row_wise": True}}
    for base in (BASE_AND_MODELS, MODELS_ONLY):
        of = "differences" if base else "vectors"
        for name, mode in modes.items():
            yield Corner("nuslerp", f"{name}, {of}", {"weight": [MOST, THIRD]}, mode, base, 2, in_double=True,
                         medium=base or name == "rows")
        yield Corner("nuslerp", f"weights cancel, {of}", {"weight": [1.0, -1.0]}, {}, base, 2, in_double=True)
        yield Corner("multislerp", of, {"weight": [MOST, THIRD, 0.75]}, {}, base, in_double=True, medium=True)
        yield Corner("multislerp", f"weights as they are, {of}", {"weight": WEIGHTS}, {"normalize_weights": False},
                     base, in_double=True)
        yield Corner("multislerp", f"eps 2^-10, {of}", {"weight": [MOST, THIRD, 0.75]}, {"eps": 2.0**-10}, base,
                     in_double=True)
        yield Corner("multislerp", f"one model, {of}", {"weight": [MOST]}, {}, base, 1, in_double=True)
    yield Corner("karcher", "defaults", {}, {}, MODELS_ONLY, in_double=True, medium=True)
    yield Corner("karcher", "two models", {}, {}, MODELS_ONLY, 2, in_double=True)
    yield Corner("karcher", "one step", {}, {"max_iter": 1}, MODELS_ONLY, in_double=True)
    yield Corner("karcher", "coarse", {}, {"tol": 0.5}, MODELS_ONLY, in_double=True)
    yield Corner("karcher", "one model", {}, {}, MODELS_ONLY, 1, in_double=True)
    for models in (2, 3):
        yield Corner("model_stock", f"whole, {models} models", {}, {}, n_models=models, in_double=True, medium=True)
        yield Corner("model_stock", f"rows, {models} models", {}, {"filter_wise": True}, n_models=models,
                     in_double=True, medium=models == 2)
    yield Corner("arcee_fusion", "defaults", {}, {}, n_models=1, in_double=True, medium=True)
    for topk in (1.0, 0.6, 0.1, 0.0):
        yield Corner("sce", f"select_topk {topk}", {}, {"select_topk": topk}, in_double=True, medium=topk == 0.6)
    for models in (1, 3):
        yield Corner("ram", f"{models} models", {}, {}, n_models=models, medium=models == 3)
        yield Corner("ramplus_tl", f"{models} models", {}, {}, n_models=models, medium=models == 3)
    yield Corner("ram", "epsilon 0.01", {}, {"epsilon": 0.01})
    yield Corner("ramplus_tl", "epsilon 0.01", {}, {"epsilon": 0.01})
    yield Corner("ramplus_tl", "r 0.5, alpha 2", {}, {"r": 0.5, "alpha": 2.0, "epsilon": 0.01})


def _family(method, sparsifies, own=None):
    """sparsifies: the two tools drop the same elements, so that densities below 1 can be compared."""
    own = own or {}
    given = {"weight": WEIGHTS, **({"density": [HALF, 0.2, 0.9]} if sparsifies else {}), **own}
    yield Corner(method, "defaults", {"weight": WEIGHTS}, medium=not sparsifies)
    yield Corner(method, "densities" if sparsifies else "weights", given, medium=sparsifies)
    yield Corner(method, "normalized", given, {"normalize": True})
    yield Corner(method, "sum", given, {"normalize": False})
    yield Corner(method, "lambda", given, {"lambda": 0.75 * MOST})
    yield Corner(method, "one model", {name: values[:1] for name, values in given.items()}, n_models=1)
    yield Corner(method, "int8_mask", given, {"int8_mask": True})
    if sparsifies:
        yield Corner(method, "one element kept", {"weight": WEIGHTS, "density": [1e-3] * 3, **own})
        yield Corner(method, "nothing kept", {"weight": WEIGHTS, "density": [0.0, HALF, 0.0], **own})
        yield Corner(method, "rescaled", given, {"rescale": True}, ours={"rescale": "l1"}, in_double=True, medium=True)


def all_corners():
    yield from _simple()
    yield from _family("task_arithmetic", False)
    yield from _family("ties", True)
    for method in ("breadcrumbs", "breadcrumbs_ties"):
        yield from _family(method, True, {"gamma": [0.1, 0.0, 0.05]})
    for method in ("dare_linear", "dare_ties", "della", "della_linear"):
        yield from _family(method, False)
    yield from _geometry()


# gamma and epsilon mean something below density 1 only; draws are compared by their statistics.
DRAWING = {"dare_linear": {}, "dare_ties": {}, "della": {"epsilon": 0.2}, "della_linear": {"epsilon": 0.2}}
