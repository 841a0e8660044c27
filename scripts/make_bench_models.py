#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a base and fine-tunes of it for benchmarks: seeded bf16 noise, Llama layout, 0.62 GB each.

    scripts/make_bench_models.py --out DIR --models 4      # DIR/base, DIR/model1, DIR/model2, DIR/model3

The base is normal with standard deviation 0.02, deltas 1e-3, both rounded to bf16 as in real checkpoints, so that many
deltas have equal magnitudes. The bytes depend on --seed and numpy's version only.
"""
import argparse
import multiprocessing
import os
import sys

import gm_llama
import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np

BASE_SD, DELTA_SD = 0.02, 1e-3


def make_model(job):
    directory, like, n_layers, shards, seed, index = job
    base_noise = np.random.Generator(np.random.SFC64([seed, 0]))
    delta_noise = np.random.Generator(np.random.SFC64([seed, index])) if index else None

    def write_noise(file, shard):
        for name, dtype, shape in shard:
            values = base_noise.standard_normal(shape, np.float32) * np.float32(BASE_SD)
            if len(shape) == 1:  # norms lie around 1
                values += np.float32(1)
            if delta_noise:
                # A fine-tune starts from the stored base.
                values = gm_safetensors.widen(gm_safetensors.narrow(values, dtype), dtype).reshape(shape)
                values += delta_noise.standard_normal(shape, np.float32) * np.float32(DELTA_SD)
            file.write(gm_safetensors.narrow(values, dtype))

    gm_llama.write_model(directory, like, n_layers, shards, write_noise)
    return directory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of the new models")
    parser.add_argument("--models", type=int, default=4, help="the base included")
    parser.add_argument("--like", choices=sorted(gm_llama.SIZES), default="bench")
    parser.add_argument("--layers", type=int, help="default: those of the model")
    parser.add_argument("--shard-bytes", type=int, default=5_000_000_000, help="largest file of a model")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    names = ["base", *(f"model{i}" for i in range(1, args.models))]
    directories = [os.path.join(args.out, name) for name in names]
    existing = [directory for directory in directories if os.path.exists(directory)]
    if existing:
        sys.exit(f"make_bench_models.py: {existing[0]} exists")
    n_layers = args.layers or gm_llama.SIZES[args.like][2]
    shards = gm_llama.cut(gm_llama.tensors(args.like, n_layers), args.shard_bytes)
    jobs = [(directory, args.like, n_layers, shards, args.seed, i) for i, directory in enumerate(directories)]
    with multiprocessing.Pool(min(len(os.sched_getaffinity(0)), len(jobs))) as pool:
        for directory in pool.imap(make_model, jobs):
            print(directory, flush=True)


if __name__ == "__main__":
    main()
