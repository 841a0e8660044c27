#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Loads a merged model in transformers: every weight finds its place, the layers are as many as they should be, and a
forward pass gives finite numbers.

Needs torch and transformers, as build/mergekit-venv of scripts/compare_with_mergekit has them. A stack of two slices of
the tiny models, layers 0 to 2 of one and 1 to 3 of the other, has 6 layers:
    build/release/gpumerge --config tests/oracle/two_slices.yaml --out build/two-slices --overwrite
    build/mergekit-venv/bin/python scripts/check_loads.py build/two-slices --layers 6
"""
import argparse
import os
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model directory")
    parser.add_argument("--layers", type=int, required=True, help="how many layers it must have")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers

    model, loading = transformers.AutoModelForCausalLM.from_pretrained(args.model, output_loading_info=True)
    problems = [f"{kind}: {sorted(map(str, names))}" for kind, names in loading.items() if names]
    layers = len(model.get_decoder().layers)
    for what, found in (("layers in the network", layers), ("num_hidden_layers", model.config.num_hidden_layers)):
        if found != args.layers:
            problems.append(f"{what}: {found}, not {args.layers}")
    with torch.no_grad():
        logits = model(torch.arange(16).reshape(1, 16) % model.config.vocab_size).logits
    if not bool(torch.isfinite(logits).all()):
        problems.append("the forward pass gives numbers that are not finite")
    if problems:
        sys.exit("check_loads.py: " + "\n".join([args.model, *problems]))
    elements = sum(p.numel() for p in model.parameters())
    print(f"{args.model}: {layers} layers, {elements} parameters, loads in transformers {transformers.__version__}; "
          "forward pass finite")


if __name__ == "__main__":
    main()
