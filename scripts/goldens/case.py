# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""One golden case: a small merge with its expected result, and how it is written to a folder."""
import json
import math
import os
from dataclasses import dataclass, field

import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np

from goldens import contract, contract_core, paper

NO_BASE = ("linear", "passthrough", "karcher")
BASE_WHEN_GIVEN = ("nuslerp", "multislerp")
DEFAULT_TENSOR = "model.layers.0.mlp.up_proj.weight"

# How far gpumerge may be from an oracle that does not promise the same bits: units of 2^-24 times the largest magnitude
# met on the way (inputs, deltas times weights and factors, result). 0: equal as numbers, the sign of a zero aside.
TOLERANCE_UNITS = {
    ("paper", "linear"): (8, "float32 products and sums against float64"),
    ("paper", "slerp"): (8, "coefficients and two products rounded to float32"),
    ("paper", "task_arithmetic"): (8, "float32 deltas, products and sums against float64"),
    ("paper", "ties"): (12, "as task_arithmetic, one division and the rescale factor"),
    ("paper", "dare_linear"): (12, "as task_arithmetic and the rescale factor"),
    ("paper", "dare_ties"): (12, "as task_arithmetic and the rescale factor"),
    ("paper", "passthrough"): (2, "scale and product rounded to float32"),
    ("mergekit", "linear"): (4, "mergekit's CPU kernel fuses each product with its sum; gpumerge rounds both"),
    ("mergekit", "slerp"): (4, "mergekit in float64, gpumerge in float32 with float64 coefficients"),
    ("mergekit", "task_arithmetic"): (0, "the same operations in the same order"),
    ("mergekit", "ties"): (0, "the same operations in the same order, with mergekit's argsort made stable"),
    ("mergekit", "ties rescale"): (12, "mergekit in float64: its float32 norms are torch's own sums"),
    ("mergekit", "dare_linear"): (0, "density 1, where nothing is drawn"),
    ("mergekit", "dare_ties"): (0, "density 1, where nothing is drawn"),
    ("mergekit", "passthrough"): (0, "one product"),
    ("paper", "breadcrumbs"): (12, "as task_arithmetic"),
    ("paper", "breadcrumbs_ties"): (12, "as ties"),
    ("paper", "della"): (12, "as ties, and each survivor's own factor"),
    ("paper", "della_linear"): (12, "as task_arithmetic, and each survivor's own factor"),
    ("paper", "sce"): (12, "shares rounded to float32, products, sums and a division"),
    ("paper", "nuslerp"): (8, "coefficients and two products rounded to float32"),
    ("paper", "multislerp"): (12, "coefficients, products and sums in float32; the paper's way goes along a tangent"),
    ("paper", "karcher"): (12, "coefficients, products and sums in float32"),
    ("paper", "model_stock"): (8, "a share rounded to float32, sums and a product"),
    ("paper", "nearswap"): (8, "a division and two products in float32"),
    ("paper", "arcee_fusion"): (0, "the same elements are swapped"),
    ("paper", "ram"): (8, "float32 divisions and sums"),
    ("paper", "ramplus_tl"): (8, "float32 divisions, products and sums"),
    ("mergekit", "breadcrumbs"): (0, "the same operations in the same order, with mergekit's sort made stable"),
    ("mergekit", "breadcrumbs_ties"): (0, "the same operations in the same order, with mergekit's sort made stable"),
    ("mergekit", "breadcrumbs rescale"): (12, "mergekit in float64: its float32 norms are torch's own sums"),
    ("mergekit", "breadcrumbs_ties rescale"): (12, "mergekit in float64: its float32 norms are torch's own sums"),
    ("mergekit", "della"): (0, "density 1, where nothing is drawn"),
    ("mergekit", "della_linear"): (0, "density 1, where nothing is drawn"),
    ("mergekit", "sce"): (12, "mergekit in float64"),
    ("mergekit", "nuslerp"): (8, "mergekit in float64"),
    ("mergekit", "multislerp"): (12, "mergekit in float64"),
    ("mergekit", "karcher"): (12, "mergekit in float64"),
    ("mergekit", "model_stock"): (8, "mergekit in float64"),
    ("mergekit", "nearswap"): (4, "torch divides a number by a tensor as number * (1 / tensor)"),
    ("mergekit", "arcee_fusion"): (0, "mergekit in float64: the same elements are swapped"),
    ("mergekit", "ram"): (0, "the same operations in the same order"),
    ("mergekit", "ramplus_tl"): (2, "mergekit's factor is made in float32, gpumerge's in float64"),
}


@dataclass
class Case:
    method: str
    name: str
    about: str
    inputs: list  # (dtype, raw bytes), the base first where there is one; equal ones are stored once
    params: dict
    shape: tuple
    out_dtype: str = "F32"
    seed: int = 0
    tensor_name: str = DEFAULT_TENSOR
    model_indices: list = None
    with_base: bool = False  # for a method that can do without
    over_model: dict = None  # what `trim_scope: model` found: model_selections, model_majority
    oracle: str = "contract"
    abs_tolerance: float = None  # overrides the table
    expected: np.ndarray = field(default=None, repr=False)  # flat; float32 or float64
    error: str = None
    tolerance: dict = None

    def __post_init__(self):
        if self.model_indices is None:
            self.model_indices = list(range(len(self.inputs) - self.has_base))

    @property
    def has_base(self):
        return self.with_base if self.method in BASE_WHEN_GIVEN else self.method not in NO_BASE

    @property
    def folder(self):
        return self.name if self.oracle == "contract" else f"{self.oracle}_{self.name}"

    def widened(self):
        return [gm_safetensors.widen(data, dtype) for dtype, data in self.inputs]

    def contract_result(self):
        """Raw bytes in out_dtype, or None when it is an error."""
        try:
            result = contract.merge(self.method, self.widened(), self.params, self.seed, self.tensor_name,
                                    self.model_indices, self.shape, self.has_base, self.over_model)
        except contract_core.Refused:
            return None
        return gm_safetensors.narrow(result, self.out_dtype)

    def paper_result(self):
        params = contract.resolve(self.method, self.params, len(self.model_indices))
        return paper.merge(self.method, self.widened(), params, self.seed, self.tensor_name, self.model_indices,
                           self.shape, self.has_base)

    def set_tolerance(self):
        if self.oracle == "contract":
            self.tolerance = {"kind": "bits"}
            return
        if self.abs_tolerance is not None:
            self.tolerance = {"kind": "abs", "abs": self.abs_tolerance, "reason": self.about}
            return
        key = self.method + (" rescale" if self.oracle == "mergekit" and self.params.get("rescale") else "")
        units, reason = TOLERANCE_UNITS[self.oracle, key]
        limit = units * 2.0**-24 * self._magnitude()
        self.tolerance = {"kind": "abs", "abs": float(f"{limit:.3e}"), "units": units, "reason": reason}

    def _magnitude(self):
        largest = max((float(np.abs(x).max(initial=0)) for x in self.widened()), default=0.0)
        weights = self.params.get("weight") or self.params.get("scale") or [1.0]
        densities = self.params.get("density", [1.0])
        densities = [d - e for d, e in zip(densities, self.params.get("epsilon", []))] \
            if isinstance(self.params.get("epsilon"), list) else densities
        factor = max(1.0, sum(abs(w) for w in weights)) / min([d for d in densities if d > 0] or [1.0])
        return max(largest * factor, float(np.abs(self.expected).max(initial=0)))

    def check_against_contract(self):
        """The two independent calculations must agree within the tolerance that the case states."""
        got = gm_safetensors.widen(self.contract_result(), self.out_dtype).astype(np.float64)
        worst = float(np.abs(got - self.expected).max(initial=0))
        assert worst <= self.tolerance["abs"], (self.method, self.folder, worst, self.tolerance)

    def write(self, out_dir):
        directory = os.path.join(out_dir, self.method, self.folder)
        os.makedirs(directory)
        stored, names = {}, []
        for item in self.inputs:
            names.append(stored.setdefault(item, f"x{len(stored)}"))
        gm_safetensors.write(os.path.join(directory, "inputs.safetensors"),
                             {name: (dtype, self.shape, data) for (dtype, data), name in stored.items()})
        text = {"method": self.method, "oracle": self.oracle, "about": self.about, "has_base": bool(self.has_base),
                "inputs": names, "model_indices": self.model_indices, "shape": list(self.shape),
                "tensor_name": self.tensor_name, "seed": self.seed, "params": self.params, "out_dtype": self.out_dtype,
                "tolerance": self.tolerance}
        text.update(self.over_model or {})
        if self.error:
            text["expected_error"] = self.error
        else:
            exact = self.oracle == "contract"
            dtype = self.out_dtype if exact else ("F32" if self.oracle == "mergekit" else "F64")
            data = self.expected if exact else self.expected.astype("<f8" if dtype == "F64" else "<f4").tobytes()
            assert len(data) == math.prod(self.shape) * gm_safetensors.DTYPE_BYTES[dtype]
            gm_safetensors.write(os.path.join(directory, "expected.safetensors"), {"y": (dtype, self.shape, data)})
        with open(os.path.join(directory, "case.json"), "w", encoding="utf-8") as file:
            lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in text.items()]
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
