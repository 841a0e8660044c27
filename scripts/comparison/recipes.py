# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Whole recipes through both programs, on the tiny models of tests/models: gradients, filters, slices, stages, levels of
parameters. mergekit runs in this process."""
import json
import pathlib
import tempfile
from dataclasses import dataclass, field

import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge

from comparison.measures import ulps
from comparison.tools import stable_sorts

MODELS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "models"
BASE, GERMAN, PYTHON, KJV = (str(MODELS / name) for name in ("base", "german", "python", "kjv"))


@dataclass
class Recipe:
    name: str
    keys: dict
    dtype: str = "float32"  # of mergekit's arithmetic
    ours: dict = field(default_factory=dict)
    limit: int = 1          # ulp of float32, where nothing cancels
    stages: list = field(default_factory=list)  # recipes with a name, which come before


def _source(model, first, last, **parameters):
    return {"model": model, "layer_range": [first, last], **({"parameters": parameters} if parameters else {})}


def _model(model, **parameters):
    return {"model": model, "parameters": parameters}


def all_recipes():
    by_filter = [{"filter": "self_attn", "value": [0, 0.5, 0.3, 0.75, 1]},
                 {"filter": "mlp", "value": [1, 0.5, 0.75, 0.25, 0]}, {"value": 0.5}]
    yield Recipe("slerp: a gradient for each filter over the slices' layers",
                 {"merge_method": "slerp", "base_model": GERMAN, "parameters": {"t": by_filter},
                  "slices": [{"sources": [_source(GERMAN, 0, 4), _source(PYTHON, 0, 4)]}]}, "float64", limit=2)
    yield Recipe("ties: gradients and filters at models, lambda for all",
                 {"merge_method": "ties", "base_model": BASE, "parameters": {"lambda": [0.5, 1.0], "normalize": True},
                  "models": [_model(GERMAN, weight=[0.25, 1.0], density=0.5),
                             _model(PYTHON, weight=[{"filter": "mlp", "value": [0.5, 0.75]}, {"value": 1.0}],
                                    density=[0.2, 0.8]),
                             _model(KJV, weight=0.5, density=[{"filter": "q_proj", "value": 0.3}, {"value": 1.0}])]})
    yield Recipe("passthrough: layers twice and out of order, scaled by filter",
                 {"merge_method": "passthrough",
                  "slices": [{"sources": [_source(GERMAN, 2, 4)]},
                             {"sources": [_source(PYTHON, 0, 3, scale=[{"filter": "o_proj", "value": 0.0},
                                                                      {"filter": "down_proj", "value": [0.5, 1.0]},
                                                                      {"value": 1.0}])]},
                             {"sources": [_source(GERMAN, 1, 2)]}]})
    yield Recipe("task_arithmetic: slices with parameters of their own, gradients begin anew",
                 {"merge_method": "task_arithmetic", "base_model": BASE, "parameters": {"lambda": 0.75, "weight": 0.5},
                  "slices": [{"sources": [_source(BASE, 0, 2), _source(GERMAN, 0, 2, weight=[0.5, 1.0])]},
                             {"sources": [_source(BASE, 2, 4), _source(PYTHON, 2, 4)],
                              "parameters": {"lambda": [0.25, 0.5], "normalize": False}}]})
    yield Recipe("linear: a base that is one more input, one weight for all",
                 {"merge_method": "linear", "base_model": BASE, "parameters": {"weight": 0.5, "normalize": False},
                  "models": [{"model": GERMAN}, _model(KJV, weight=0.25)]})
    yield Recipe("breadcrumbs_ties: gradients of density and gamma",
                 {"merge_method": "breadcrumbs_ties", "base_model": BASE, "parameters": {"gamma": [0.0, 0.125]},
                  "models": [_model(GERMAN, weight=1.0, density=[0.5, 0.75]),
                             _model(PYTHON, weight=0.5, density=0.25)]})
    yield Recipe("nuslerp with a base: filters at the top",
                 {"merge_method": "nuslerp", "base_model": BASE,
                  "parameters": {"nuslerp_flatten": [{"filter": "mlp", "value": False}, {"value": True}]},
                  "models": [_model(GERMAN, weight=[0.25, 0.75]), _model(PYTHON, weight=0.5)]}, "float64", limit=2)
    yield Recipe("model_stock: rows of some tensors",
                 {"merge_method": "model_stock", "base_model": BASE,
                  "parameters": {"filter_wise": {"filter": "self_attn", "value": True}},
                  "models": [{"model": GERMAN}, {"model": PYTHON}, {"model": KJV}]}, "float64",
                 {"preset": "mergekit"}, limit=2)


    soup = {"name": "soup", "merge_method": "linear",
            "models": [_model(GERMAN, weight=0.5), _model(PYTHON, weight=0.5)]}
    task = {"name": "task", "merge_method": "task_arithmetic", "base_model": BASE,
            "models": [_model("soup", weight=0.75), _model(KJV, weight=[0.25, 0.5])]}
    yield Recipe("three stages, as mergekit-multi: linear, task_arithmetic on it, ties of both",
                 {"merge_method": "ties", "base_model": BASE,
                  "models": [_model("task", weight=1.0, density=0.5), _model("soup", weight=0.5, density=0.25)]},
                 stages=[soup, task])


@dataclass
class Outcome:
    name: str
    tensors: int
    elements: int
    equal_bits: int
    max_ulp: int
    problems: list


def _run_mergekit(recipe, out):
    """One stage after the other; a later one finds an earlier one's output where its name stands."""
    for stage in [*recipe.stages, recipe.keys]:
        text = json.dumps({**stage, "dtype": recipe.dtype})
        for earlier in recipe.stages:
            name = earlier["name"]
            text = text.replace(f'"model": "{name}"', f'"model": "{out}-{name}"')
        configuration = MergeConfiguration.model_validate(json.loads(text))
        place = f"{out}-{stage['name']}" if "name" in stage else str(out)
        with stable_sorts():
            run_merge(configuration, place, MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True))


def compare(gpumerge, recipe):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        keys = {**recipe.keys, "dtype": "float32", "parameters": {**recipe.keys.get("parameters", {}), **recipe.ours}}
        documents = [{**stage, "dtype": "float32"} for stage in recipe.stages] + [keys]
        (folder / "recipe.yaml").write_text("\n---\n".join(map(json.dumps, documents)), encoding="utf-8")
        gpumerge.run("--config", folder / "recipe.yaml", "--out", folder / "ours")
        _run_mergekit(recipe, folder / "theirs")
        ours, theirs = (gm_safetensors.read_model_headers(folder / name) for name in ("ours", "theirs"))
        result = Outcome(recipe.name, len(ours), 0, 0, 0, [])
        for missing in sorted(set(ours) ^ set(theirs)):
            result.problems.append(f"{missing} is in one output only")
        for name in sorted(set(ours) & set(theirs)):
            a, b = gm_safetensors.read_float32(ours[name]), gm_safetensors.read_float32(theirs[name])
            if a.shape != b.shape:
                result.problems.append(f"{name} has the shapes {a.shape} and {b.shape}")
                continue
            apart = ulps(a, b)
            # Within the limit, or as near as that to the largest value of the tensor's row.
            near = np.abs(a - b) <= recipe.limit * np.spacing(np.abs(a).max(axis=-1, keepdims=True))
            if not (near | (apart <= recipe.limit)).all():
                result.problems.append(f"{name} differs by {apart.max()} ulp")
            result.elements += a.size
            result.equal_bits += int((a.view(np.uint32) == b.view(np.uint32)).sum())
            result.max_ulp = max(result.max_ulp, int(apart.max(initial=0)))
        return result
