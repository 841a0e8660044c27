#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Bits per byte of small byte-level Llama models on held-out text: a forward pass in plain numpy.

    scripts/eval_models.py --text german=tests/models/eval/german.txt MODEL_DIR...

Each text is cut into windows of 129 bytes without overlap, each predicting 128 bytes. Rows are models, columns texts
and their mean; lower is better, * marks the best of a column. `--expect merge-better` fails (exit 1) unless the last
model beats the first one on every text, and every other model on the mean.
"""
import argparse
import json
import math
import multiprocessing
import os
import sys

# One BLAS thread a process: the work is split over processes, which also covers what is not matrix products.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import gm_numpy  # noqa: E402,F401
import gm_safetensors  # noqa: E402
import numpy as np  # noqa: E402

WINDOW = 129
WINDOWS_PER_BATCH = 32  # keeps a batch's attention matrices in the cache


class Model:
    """A Llama-layout model in float32: RMSNorm, rotary positions, grouped key-value heads, SwiGLU."""

    def __init__(self, directory):
        config = gm_safetensors.load_json(os.path.join(directory, "config.json"))
        wrong = [key for key, value in (("model_type", "llama"), ("hidden_act", "silu"), ("attention_bias", False),
                                        ("mlp_bias", False)) if config.get(key, value) != value]
        rope = config.get("rope_parameters", {"rope_theta": config.get("rope_theta", 10000.0)})
        if rope.get("rope_type", "default") != "default" or config.get("rope_scaling"):
            wrong.append("rope_parameters")
        if wrong:
            raise gm_safetensors.FormatError(f"{directory}: config.json asks for what this script lacks: {wrong}")
        self.n_layers, self.n_heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.n_kv_heads = config.get("num_key_value_heads", self.n_heads)
        self.head_dim = config.get("head_dim") or config["hidden_size"] // self.n_heads
        self.eps = np.float32(config["rms_norm_eps"])
        self.theta = rope["rope_theta"]
        tensors = gm_safetensors.read_model_headers(directory)
        self._check_names(directory, set(tensors), config["tie_word_embeddings"])
        stored = {name: gm_safetensors.read_float32(info) for name, info in tensors.items()}
        self.embedding = stored["model.embed_tokens.weight"]
        stored.setdefault("lm_head.weight", self.embedding)
        # [in, out]: without a transposition even the plain reference BLAS is fast.
        self.weights = {name: np.ascontiguousarray(value.T) for name, value in stored.items()}

    def _check_names(self, directory, found, tied):
        layer = ["input_layernorm", "post_attention_layernorm", *(f"self_attn.{p}_proj" for p in "qkvo"),
                 *(f"mlp.{p}_proj" for p in ("gate", "up", "down"))]
        expected = {"model.embed_tokens.weight", "model.norm.weight"} | (set() if tied else {"lm_head.weight"})
        expected |= {f"model.layers.{i}.{name}.weight" for i in range(self.n_layers) for name in layer}
        if found != expected:
            raise gm_safetensors.FormatError(
                f"{directory}: missing {sorted(expected - found)[:3]}, unexpected {sorted(found - expected)[:3]}")

    def _norm(self, x, name):
        mean_square = np.einsum("nd,nd->n", x, x)[:, None] / np.float32(x.shape[1])
        return x / np.sqrt(mean_square + self.eps) * self.weights[name]

    def _heads(self, x, name, n_windows, n_heads):
        projected = x @ self.weights[name]
        return projected.reshape(n_windows, -1, n_heads, self.head_dim).transpose(0, 2, 1, 3)

    def _rotate(self, x):
        """Rotary positions: the pairs are elements i and i + head_dim / 2."""
        length, half = x.shape[2], self.head_dim // 2
        angles = np.outer(np.arange(length), self.theta ** (-np.arange(half) / half))
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        first, second = x[..., :half], x[..., half:]
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    def _attention(self, x, prefix, n_windows):
        q = self._rotate(self._heads(x, prefix + "q_proj.weight", n_windows, self.n_heads))
        k = self._rotate(self._heads(x, prefix + "k_proj.weight", n_windows, self.n_kv_heads))
        v = self._heads(x, prefix + "v_proj.weight", n_windows, self.n_kv_heads)
        length, group = q.shape[2], self.n_heads // self.n_kv_heads
        # The query heads of one key-value head, one below the other: one larger product instead of several.
        q = (q * np.float32(self.head_dim**-0.5)).reshape(n_windows, self.n_kv_heads, group * length, self.head_dim)
        scores = q @ np.ascontiguousarray(k.transpose(0, 1, 3, 2))
        scores = scores.reshape(n_windows, self.n_kv_heads, group, length, length)
        scores += np.triu(np.full((length, length), -np.inf, np.float32), 1)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = scores.reshape(n_windows, self.n_kv_heads, group * length, length) @ v
        mixed = mixed.reshape(n_windows, self.n_heads, length, self.head_dim).transpose(0, 2, 1, 3)
        return mixed.reshape(n_windows * length, -1) @ self.weights[prefix + "o_proj.weight"]

    def _mlp(self, x, prefix):
        gate, up = x @ self.weights[prefix + "gate_proj.weight"], x @ self.weights[prefix + "up_proj.weight"]
        with np.errstate(over="ignore"):  # exp(-gate) may be inf: gate / inf is the right 0
            up *= gate / (1 + np.exp(-gate))
        return up @ self.weights[prefix + "down_proj.weight"]

    def bits(self, windows):
        """Bits that the model needs for bytes 1..128 of each window, summed."""
        inputs, targets = windows[:, :-1], windows[:, 1:].reshape(-1)
        x = self.embedding[inputs.reshape(-1)]
        for i in range(self.n_layers):
            prefix = f"model.layers.{i}."
            normed = self._norm(x, prefix + "input_layernorm.weight")
            x = x + self._attention(normed, prefix + "self_attn.", len(windows))
            x = x + self._mlp(self._norm(x, prefix + "post_attention_layernorm.weight"), prefix + "mlp.")
        logits = self._norm(x, "model.norm.weight") @ self.weights["lm_head.weight"]
        logits -= logits.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(logits).sum(axis=-1, dtype=np.float64))
        return float(np.sum(log_sum - logits[np.arange(len(targets)), targets])) / math.log(2)


def bits_per_byte(job):
    directory, text = job
    model = Model(directory)
    data = np.fromfile(text, np.uint8)
    n_windows = len(data) // WINDOW
    if n_windows == 0:
        raise gm_safetensors.FormatError(f"{text}: shorter than {WINDOW} bytes")
    windows = data[:n_windows * WINDOW].reshape(n_windows, WINDOW)
    total = sum(model.bits(windows[i:i + WINDOWS_PER_BATCH]) for i in range(0, n_windows, WINDOWS_PER_BATCH))
    return total / (n_windows * (WINDOW - 1))


def evaluate(models, texts):
    """{model: [bits per byte of each text..., mean]}"""
    jobs = [(directory, path) for directory in models for path in texts.values()]
    workers = min(len(os.sched_getaffinity(0)), len(jobs))
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        values = pool.map(bits_per_byte, jobs, chunksize=1)
    rows = [values[i * len(texts):(i + 1) * len(texts)] for i in range(len(models))]
    return {directory: row + [sum(row) / len(row)] for directory, row in zip(models, rows)}


def table(results, columns):
    labels = [os.path.basename(os.path.normpath(directory)) for directory in results]
    labels = labels if len(set(labels)) == len(labels) else list(results)
    best = [min(row[c] for row in results.values()) for c in range(len(columns))]
    width = max(map(len, labels + ["model"]))
    lines = ["bits per byte (lower is better, * = best)",
             "model".ljust(width) + "".join(f"{column:>12}" for column in columns)]
    for label, row in zip(labels, results.values()):
        cells = (f"{value:11.4f}" + ("*" if value == best[c] else " ") for c, value in enumerate(row))
        lines.append(label.ljust(width) + "".join(cells).rstrip())
    return "\n".join(lines)


def broken_expectations(results, columns):
    """What `--expect merge-better` finds wrong."""
    names = list(results)
    merge, base = results[names[-1]], results[names[0]]
    broken = [f"on {column} the merge has {merge[c]:.4f}, the base {base[c]:.4f}"
              for c, column in enumerate(columns[:-1]) if not merge[c] < base[c]]
    return broken + [f"on the mean the merge has {merge[-1]:.4f}, {name} {results[name][-1]:.4f}"
                     for name in names[:-1] if not merge[-1] < results[name][-1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL_DIR")
    parser.add_argument("--text", action="append", required=True, metavar="NAME=FILE", help="may be given again")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--expect", choices=["merge-better"], help="exit 1 unless the last model is the best")
    args = parser.parse_args()
    texts = dict(text.partition("=")[::2] for text in args.text)
    columns = [*texts, "mean"]
    try:
        results = evaluate(args.models, texts)
    except (OSError, KeyError, gm_safetensors.FormatError) as error:
        sys.exit(f"eval_models.py: {error}")
    if args.json:
        print(json.dumps({name: dict(zip(columns, row)) for name, row in results.items()}, indent=1))
    else:
        print(table(results, columns))
    broken = broken_expectations(results, columns) if args.expect else []
    for line in broken:
        print(f"eval_models.py: not as expected: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
