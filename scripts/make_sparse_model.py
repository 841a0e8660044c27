#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Makes models that consist of headers only: files of full size whose data is a hole, without disk space.

    scripts/make_sparse_model.py --like llama-70b --out DIR base a b c

makes DIR/base, DIR/a, ... for `gpumerge plan`, which reads headers alone. --seed varies how each is cut into shards.
"""
import argparse
import os
import random
import sys

import gm_llama


def write_hole(file, shard):
    file.truncate(file.tell() + sum(gm_llama.n_bytes(tensor) for tensor in shard))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", choices=sorted(gm_llama.SIZES), default="llama-70b")
    parser.add_argument("--layers", type=int, help="default: those of the model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, help="folder of the new models")
    parser.add_argument("names", nargs="+", metavar="NAME", help="a missing folder in it")
    args = parser.parse_args()
    n_layers = args.layers or gm_llama.SIZES[args.like][2]
    rng = random.Random(args.seed)
    tensors = gm_llama.tensors(args.like, n_layers)
    for name in args.names:
        directory = os.path.join(args.out, name)
        if os.path.exists(directory):
            sys.exit(f"make_sparse_model.py: {directory} exists")
        shards = gm_llama.cut(tensors, rng.randint(4_300_000_000, 5_000_000_000))
        gm_llama.write_model(directory, args.like, n_layers, shards, write_hole)
        size = sum(gm_llama.n_bytes(tensor) for tensor in tensors)
        print(f"{directory}: {len(tensors)} tensors, {size} bytes in {len(shards)} files")


if __name__ == "__main__":
    main()
