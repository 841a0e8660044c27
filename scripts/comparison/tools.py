# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Runs one merge with gpumerge (a process) and with mergekit (its in-memory interface, in this process)."""
import json
import pathlib
import shutil
import subprocess
import tempfile
from contextlib import contextmanager

import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np
import torch
from mergekit.merge_methods import merge_tensors

from comparison.data import NAMES

TORCH_TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F64": torch.float64}
OUR_TYPES = {"F32": "float32", "BF16": "bfloat16"}


class Gpumerge:
    def __init__(self, program):
        self.program = str(program)
        self._presets = {}

    def version(self):
        return self.run("--version").strip()

    def run(self, *arguments):
        result = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"gpumerge {arguments} exits {result.returncode}:\n{result.stderr}")
        return result.stdout

    def methods(self):
        lines = self.run("methods").splitlines()
        return sorted(line.split()[0] for line in lines if line and line[0].isalpha() and not line.startswith("`"))

    def has_mergekit_preset(self, method):
        if method not in self._presets:
            text = self.run("methods", method)
            self._presets[method] = "preset" in text and "mergekit " in text[text.index("preset"):]
        return self._presets[method]

    def merge(self, corner, models, seed=0, **keys):
        """{tensor: float32 array}"""
        shared = {**corner.shared, **corner.ours}
        if self.has_mergekit_preset(corner.method):
            shared["preset"] = "mergekit"
        shared = {key: value for key, value in {**shared, **keys}.items() if value is not None}
        listed = NAMES[1:corner.n_models + 1]
        recipe = {"merge_method": corner.method, "parameters": shared, "dtype": OUR_TYPES[models.dtype], "seed": seed,
                  "models": [{"model": str(models.folder / name),
                              "parameters": {key: values[m] for key, values in corner.per_model.items()}}
                             for m, name in enumerate(listed)]}
        if corner.base:
            recipe["base_model"] = str(models.folder / NAMES[0])
        with tempfile.TemporaryDirectory() as folder:
            path, out = pathlib.Path(folder) / "recipe.json", pathlib.Path(folder) / "merged"
            path.write_text(json.dumps(recipe), encoding="utf-8")
            self.run("--config", path, "--out", out)
            merged = {name: gm_safetensors.read_float32(info)
                      for name, info in gm_safetensors.read_model_headers(out).items()}
            shutil.rmtree(out)
        assert {name: value.shape for name, value in merged.items()} == models.shapes
        return merged


@contextmanager
def stable_sorts():
    """torch's sorts put equal values in any order; gpumerge promises the lowest index first."""
    saved = torch.argsort, torch.sort, torch.topk

    def topk(values, k, largest=True, **_):
        assert values.dim() == 1
        order = saved[0](values, descending=largest, stable=True)[:k]
        return values[order], order

    torch.argsort = lambda *args, **more: saved[0](*args, **{**more, "stable": True})
    torch.sort = lambda *args, **more: saved[1](*args, **{**more, "stable": True})
    torch.topk = topk
    try:
        yield
    finally:
        torch.argsort, torch.sort, torch.topk = saved


def mergekit(corner, models, tensor, dtype=None):
    """One tensor as mergekit merges it in float32, float64 (corner.in_double) or dtype; a float64 array."""
    dtype = TORCH_TYPES[dtype or ("F64" if corner.in_double else "F32")]
    inputs = [torch.from_numpy(np.array(x)).to(dtype) for x in models.inputs(corner, tensor)]
    parameters = {**corner.per_model, **corner.shared, **corner.theirs}
    with stable_sorts():
        merged = merge_tensors(inputs, corner.method, parameters=parameters, base_index=0 if corner.base else None)
    return merged.to(torch.float64).numpy()
