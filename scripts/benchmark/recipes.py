# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""A recipe for every method, on the models of scripts/make_bench_models.py."""
import json
import os
from collections import namedtuple

MODELS = ["base", "model1", "model2", "model3"]

# base: the recipe has a base_model. models: the others. in_list: slerp names its base among the models as well.
Recipe = namedtuple("Recipe", "base models in_list model_parameters parameters")
RECIPES = {
    "linear": Recipe(False, 3, False, {"weight": 1.0}, {}),
    "slerp": Recipe(True, 1, True, {}, {"t": 0.5}),
    "task_arithmetic": Recipe(True, 3, False, {"weight": 0.4}, {}),
    "ties": Recipe(True, 3, False, {"weight": 1.0, "density": 0.5}, {}),
    "dare_ties": Recipe(True, 3, False, {"weight": 0.4, "density": 0.5}, {}),
    "passthrough": Recipe(False, 1, False, {}, {}),
    "arcee_fusion": Recipe(True, 1, False, {}, {}),
    "breadcrumbs": Recipe(True, 3, False, {"weight": 0.5, "density": 0.8, "gamma": 0.02}, {}),
    "breadcrumbs_ties": Recipe(True, 3, False, {"weight": 1.0, "density": 0.7, "gamma": 0.01}, {}),
    "dare_linear": Recipe(True, 3, False, {"weight": 0.4, "density": 0.5}, {}),
    "della": Recipe(True, 3, False, {"weight": 1.0, "density": 0.5, "epsilon": 0.15}, {}),
    "della_linear": Recipe(True, 3, False, {"weight": 0.4, "density": 0.5, "epsilon": 0.15}, {}),
    "karcher": Recipe(False, 3, False, {}, {}),
    "model_stock": Recipe(True, 3, False, {}, {}),
    "multislerp": Recipe(False, 3, False, {"weight": 1.0}, {}),
    "nearswap": Recipe(True, 1, False, {}, {"t": 0.001}),
    "nuslerp": Recipe(False, 2, False, {"weight": 1.0}, {}),
    "ram": Recipe(True, 3, False, {}, {}),
    "ramplus_tl": Recipe(True, 3, False, {}, {}),
    "sce": Recipe(True, 3, False, {}, {"select_topk": 0.5}),
}
# Those with a goal of their own for the share of the I/O floor, and what a plain run measures.
MAIN_METHODS = ["linear", "slerp", "task_arithmetic", "ties", "dare_ties"]
MERGEKIT_METHODS = ["ties", "dare_ties", "linear", "slerp"]


def listed_models(method):
    recipe = RECIPES[method]
    return MODELS[0 if recipe.in_list else 1:recipe.models + 1]


def recipe_text(method, data):
    recipe = RECIPES[method]
    return _text(method, [os.path.join(data, model) for model in listed_models(method)],
                 os.path.join(data, MODELS[0]) if recipe.base else None)


def linear_recipe_text(directories):
    return _text("linear", directories, None)


def first_layers_recipe_text(method, data, n_layers):
    """Of each model, the first layers and what is in no layer."""
    recipe = RECIPES[method]
    lines = _head(method, os.path.join(data, MODELS[0]) if recipe.base else None) + ["slices:", "  - sources:"]
    for model in MODELS[0 if recipe.base else 1:recipe.models + 1]:
        source = {"model": os.path.join(data, model), "layer_range": [0, n_layers]}
        if model != MODELS[0] and recipe.model_parameters:
            source["parameters"] = recipe.model_parameters
        lines.append(f"      - {json.dumps(source)}")
    return "\n".join(lines + _tail(method)) + "\n"


def input_files(method, data):
    recipe = RECIPES[method]
    models = MODELS[0 if recipe.base else 1:recipe.models + 1]
    return [model_file(data, model) for model in models]


def model_file(data, model):
    return os.path.join(data, model, "model.safetensors")


def _head(method, base):
    return [f"merge_method: {method}", "dtype: bfloat16"] + ([f"base_model: {base}"] if base else [])


def _tail(method):
    parameters = RECIPES[method].parameters
    return [f"parameters: {json.dumps(parameters)}"] if parameters else []


def _text(method, directories, base):
    lines = _head(method, base) + ["models:"]
    for directory in directories:
        lines.append(f"  - model: {directory}")
        if RECIPES[method].model_parameters:
            lines.append(f"    parameters: {json.dumps(RECIPES[method].model_parameters)}")
    return "\n".join(lines + _tail(method)) + "\n"
