#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What a TIES plan must add up to, from the models' headers alone; independent of gpumerge, standard library only.

    gpumerge plan --config RECIPE --json > plan.json
    scripts/check_plan.py --plan plan.json BASE MODEL...

Prints the totals; with --plan also compares them with the plan's and exits 1 when one differs. For a recipe with one
dtype, 0 < density < 1 for every model, and every tensor in every model.
"""
import argparse
import json
import math
import sys

import gm_safetensors

# How often a pass reads its tensor when the tensor does not stay in memory.
READS = {"select": 2, "reduce": 1, "map": 1}


def totals(directories, dtype, passes):
    models = [gm_safetensors.read_model_headers(directory) for directory in directories]
    names = set(models[0])
    if any(set(model) != names for model in models):
        raise gm_safetensors.FormatError("the models have different tensors")
    sums = dict.fromkeys(("tensors", "merged", "copied", "parameters", "input_bytes", "output_bytes",
                          "largest_group_bytes", "passes", "select_passes", "reduce_passes", "map_passes",
                          "bytes_read_streamed"), 0)
    for name in names:
        infos = [model[name] for model in models]
        if len({info.shape for info in infos}) > 1:
            raise gm_safetensors.FormatError(f"{name} has different shapes")
        merged = all(info.dtype in gm_safetensors.FLOAT_DTYPES for info in infos)
        bytes_in = sum(info.n_bytes for info in infos)
        n_elems = math.prod(infos[0].shape)
        out_type = (dtype or infos[0].dtype) if merged else infos[0].dtype
        bytes_out = n_elems * gm_safetensors.DTYPE_BYTES[out_type]
        of_tensor = passes if merged else []
        sums["tensors"] += 1
        sums["merged" if merged else "copied"] += 1
        sums["parameters"] += n_elems
        sums["input_bytes"] += bytes_in
        sums["output_bytes"] += bytes_out
        sums["largest_group_bytes"] = max(sums["largest_group_bytes"], bytes_in + bytes_out)
        sums["passes"] += len(of_tensor)
        for kind in of_tensor:
            sums[kind + "_passes"] += 1
        sums["bytes_read_streamed"] += bytes_in * (sum(READS[kind] for kind in of_tensor) or 1)
    return sums


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="directory or .safetensors file; the base first")
    parser.add_argument("--dtype", choices=gm_safetensors.FLOAT_DTYPES, help="output type; default: the base's")
    parser.add_argument("--rescale", action="store_true", help="the recipe rescales by a norm: one more pass")
    parser.add_argument("--plan", help="output of `gpumerge plan --json` to compare with")
    args = parser.parse_args()
    passes = ["select", "reduce", "map"] if args.rescale else ["select", "map"]
    try:
        expected = totals(args.models, args.dtype, passes)
    except (OSError, gm_safetensors.FormatError) as error:
        sys.exit(f"check_plan.py: {error}")
    planned = {}
    if args.plan:
        with open(args.plan, encoding="utf-8") as file:
            planned = json.load(file)["totals"]
    differences = 0
    for key, value in expected.items():
        differs = bool(args.plan) and planned.get(key) != value
        differences += differs
        print(f"{key:22}{value:>18}" + (f"   plan: {planned.get(key)}" if differs else ""))
    if args.plan:
        print("the plan agrees" if differences == 0 else f"{differences} totals differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
