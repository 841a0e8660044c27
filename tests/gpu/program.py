# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the whole program on emulated GPUs share: recipes over the tiny models, merges in every mode."""
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from support import CliTest, ROOT, digests  # noqa: E402

EMULATED = os.environ.get("GPUMERGE_EMULATED", "")
CONFIGS = sorted(ROOT.glob("configs/*.yaml"))
# As in tests/gpu/CMakeLists.txt: the newest stream first and only when waited for; threads in any order; all checks.
MODES = [{"GPUEMU_ASYNC": "lazy"},
         {"GPUEMU_ASYNC": "lazy", "GPUEMU_SHUFFLE": "1"},
         {"GPUEMU_ASYNC": "lazy", "GPUEMU_SHUFFLE": "2"},
         {"GPUEMU_ASYNC": "lazy", "GPUEMU_SHUFFLE": "3"},
         {"GPUEMU_RACECHECK": "1", "GPUEMU_INITCHECK": "1", "GPUEMU_STRICT": "1"}]
# Of device memory: room for everything; too little for any tensor to go whole or for all of them to be kept.
AMPLE, KEPT, STREAMED = "64M", "3M", "1600K"


def bf16(values):
    return b"".join(struct.pack("<f", value)[2:] for value in values)


@unittest.skipUnless(EMULATED, "this build has no emulated GPU")
class GpuProgramTest(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "tests").symlink_to(ROOT / "tests")
        self.made = 0

    def run_emulated(self, *words, env=None):
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), **(env or {})}
        return subprocess.run([EMULATED, *map(str, words)], cwd=self.folder, env=environment, text=True,
                              capture_output=True, timeout=300)

    def merge(self, config, *words, env=None):
        """Digests of all that a merge wrote; what it printed lies in self.stdout and self.stderr."""
        self.made += 1
        result = self.run_emulated("--config", config, "--out", f"out-{self.made}", *words, env=env)
        self.expect(result, 0)
        self.stdout, self.stderr = result.stdout, result.stderr
        return digests(self.folder / f"out-{self.made}")

    def expect_same(self, config, expected, *words, env=None):
        with self.subTest(pathlib.Path(config).name, words=words, env=env):
            made = self.merge(config, *words, env=env)
            self.assertEqual(made, expected)
            self.assertIn("model.safetensors", made)

    def enough(self, config, vram):
        """vram, or the least that the example can do with, where that is more."""
        tried = self.run_emulated("--config", config, "--out", f"enough-{self.made}", "--device", "cuda", "--vram", vram)
        least = re.search(r"error\[DEV-MEMORY\](?s:.)*at least (\d+) bytes", tried.stderr)
        return least[1] if least else vram

    def launches(self):
        """Kernel -> launches, of the last merge with GPUEMU_STATS=1."""
        lines = self.stderr[self.stderr.index("gpuemu statistics"):].splitlines()[2:]
        matches = [re.match(r" *(\d+)(?: +[\d.]+){6}  (.+)", line) for line in lines]
        return {match[2]: int(match[1]) for match in matches if match}

    def write_models(self, count, tensors, seed=1):
        """Models a, b, c... of bf16 tensors: name -> number of elements."""
        draw = random.Random(seed)
        for name in "abcdefgh"[:count]:
            self.write_model(name, {tensor: ("BF16", [elems], bf16([draw.gauss(0, 1) for _ in range(elems)]))
                                    for tensor, elems in tensors.items()})

    def write_recipe(self, name, method, parameters, base="a", models=("b", "c"), dtype="bfloat16", more=""):
        text = f"merge_method: {method}\ndtype: {dtype}\n" + (f"base_model: {base}\n" if base else "") + "models:\n"
        for model in models:
            text += f"  - model: {model}\n" + (f"    parameters: {parameters}\n" if parameters else "")
        return self.write(name, text + more)
