# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The models that both tools merge: a base and three fine-tunes of it, of seeded noise."""
import json
import math
import pathlib

import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np

from goldens.randomness import Noise

NAMES = ("base", "first", "second", "third")
SMALL = {"model.embed_tokens.weight": (33, 65), "model.layers.0.mlp.up_proj.weight": (64, 100),
         "model.layers.0.mlp.experts.weight": (3, 4, 5), "model.layers.0.input_layernorm.weight": (65,),
         "model.norm.weight": (1,)}
MEDIUM = {"model.embed_tokens.weight": (1000, 1000), "model.layers.0.mlp.up_proj.weight": (2000, 2000)}
ACCURACY = {"model.layers.0.mlp.up_proj.weight": (400, 400)}


class Models:
    """{model: {tensor: float32 array}}, and where they lie as directories."""

    def __init__(self, folder, shapes, dtype="F32", label="small", change=1.0):
        """change: how far the fine-tunes are from the base."""
        self.folder, self.shapes, self.dtype, self.arrays = pathlib.Path(folder), shapes, dtype, {}
        self.label, self.change = label, np.float32(change)
        for m, name in enumerate(NAMES):
            self.arrays[name] = {tensor: self._values(tensor, m, shape) for tensor, shape in shapes.items()}
            self._write(name)

    def _values(self, tensor, m, shape):
        n = math.prod(shape)
        values = Noise("base " + tensor).normal(n, 0.5)
        if m > 0:
            # What the fine-tunes share, and what each has of its own: some elements stay as they are.
            change = Noise("shared " + tensor).normal(n, 0.01) + Noise(f"{m} {tensor}").normal(n, 0.02)
            kept = np.where(Noise(f"which {m} {tensor}").below(n, 4) == 0, np.float32(0), change)
            values = values + kept * self.change
        return gm_safetensors.widen(gm_safetensors.narrow(values.astype(np.float32), self.dtype),
                                    self.dtype).reshape(shape)

    def _write(self, name):
        directory = self.folder / name
        directory.mkdir(parents=True)
        gm_safetensors.write(directory / "model.safetensors",
                             {tensor: (self.dtype, value.shape, gm_safetensors.narrow(value.reshape(-1), self.dtype))
                              for tensor, value in self.arrays[name].items()})
        config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 1,
                  "vocab_size": 33, "torch_dtype": {"F32": "float32", "BF16": "bfloat16"}[self.dtype]}
        (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def inputs(self, corner, tensor):
        """In the order in which a method gets them: the base first."""
        names = NAMES[0 if corner.base else 1:corner.n_models + 1]
        return [self.arrays[name][tensor] for name in names]
