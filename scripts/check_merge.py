#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Recomputes a merge in numpy, one rounding a step, and compares it with gpumerge's output bit for bit.

    gpumerge --config recipe.json --out OUT && scripts/check_merge.py recipe.json OUT

The recipe may be JSON (which YAML readers take too) or, where python3-yaml is installed, YAML. Only `models:` recipes
of local directories with plain numbers as parameters; no slices, gradients or filters. Meant for small models: it is
slow.
"""
import argparse
import json
import os
import sys

import gm_numpy  # noqa: F401
import gm_safetensors
from goldens import contract

NO_BASE = ("linear", "passthrough", "karcher")
BASE_WHEN_GIVEN = ("nuslerp", "multislerp")
PER_MODEL = ("weight", "density", "scale", "gamma")
TYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64"}


def load_recipe(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return json.loads(text)
    except ValueError:
        try:
            import yaml
        except ImportError:
            sys.exit(f"check_merge.py: {path} is not JSON; for YAML: sudo apt-get install python3-yaml")
        return yaml.safe_load(text)


def has_base(recipe):
    method = recipe["merge_method"]
    return bool(recipe.get("base_model")) if method in BASE_WHEN_GIVEN else method not in NO_BASE


def inputs_and_parameters(recipe):
    """Directories in the order of the inputs, and the parameters, one value a model or shared."""
    method, shared = recipe["merge_method"], recipe.get("parameters", {})
    base, entries = recipe.get("base_model"), list(recipe["models"])
    per_model = PER_MODEL if method not in ("della", "della_linear") else (*PER_MODEL, "epsilon")
    if not has_base(recipe):
        if base and base not in [entry["model"] for entry in entries]:
            entries.append({"model": base})
        directories = [entry["model"] for entry in entries]
    else:
        entries = [entry for entry in entries if entry["model"] != base]
        directories = [base] + [entry["model"] for entry in entries]
    parameters = {key: value for key, value in shared.items() if key not in per_model}
    for key in per_model:
        values = [entry.get("parameters", {}).get(key, shared.get(key, contract.DEFAULTS[method].get(key)))
                  for entry in entries]
        if any(value is not None for value in values):
            parameters[key] = values
    unsupported = [key for key in parameters if isinstance(parameters[key], list) and key not in per_model]
    unsupported += [key for key in ("preset", "trim_scope") if key in parameters]
    if unsupported or "slices" in recipe or not all(isinstance(d, str) for d in directories):
        sys.exit(f"check_merge.py: this recipe has what the script does not follow {unsupported}")
    return directories, parameters


def wrong_tensors(recipe, output):
    """Names of the output's tensors whose bits differ, and the number of all tensors."""
    directories, parameters = inputs_and_parameters(recipe)
    models = [gm_safetensors.read_model_headers(directory) for directory in directories]
    merged = gm_safetensors.read_model_headers(output)
    wrong = sorted(set(merged) ^ set(models[0]))
    dtype = recipe.get("out_dtype", recipe.get("dtype"))
    n_models = len(models) - has_base(recipe)
    for name, info in merged.items():
        if name in wrong:
            continue
        if info.dtype not in gm_safetensors.FLOAT_DTYPES:
            if gm_safetensors.read_bytes(info) != gm_safetensors.read_bytes(models[0][name]):
                wrong.append(name)
            continue
        expected = contract.merge(recipe["merge_method"],
                                  [gm_safetensors.read_float32(model[name]).reshape(-1) for model in models],
                                  parameters, recipe.get("seed", 0), name, list(range(n_models)), info.shape,
                                  has_base(recipe))
        expected_type = TYPES[dtype] if dtype else models[0][name].dtype
        expected = gm_safetensors.narrow(expected, expected_type)
        if info.dtype != expected_type or gm_safetensors.read_bytes(info) != expected:
            wrong.append(name)
    return wrong, len(merged)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("output", help="the merged model")
    args = parser.parse_args()
    try:
        wrong, count = wrong_tensors(load_recipe(args.recipe), args.output)
    except (OSError, KeyError, gm_safetensors.FormatError) as error:
        sys.exit(f"check_merge.py: {type(error).__name__}: {error}")
    for name in wrong:
        print(f"differs: {name}")
    print(f"{count - len(wrong)} of {count} tensors equal in every bit: {os.path.normpath(args.output)}")
    return 1 if wrong or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
