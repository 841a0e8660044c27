# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the real gpumerge in a fresh directory, and writes small models for it."""
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GPUMERGE", str(ROOT / "build/dev/gpumerge"))
MODELS = ROOT / "tests/models"


def write_safetensors(path, tensors):
    """tensors: name -> (dtype, shape, bytes), laid out in that order."""
    header, begin = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + len(data)]}
        begin += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(
        struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def f32(*values):
    return struct.pack(f"<{len(values)}f", *values)


def digests(folder):
    """File name -> sha256 of every file below a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}


class CliTest(unittest.TestCase):
    """Each test has its own working directory, self.folder."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gpumerge-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_program(self, *words, cwd=None, env=None, program=BINARY, **options):
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), **(env or {})}
        return subprocess.run([program, *map(str, words)], cwd=cwd or self.folder, env=environment, text=True,
                              capture_output=True, timeout=100, **options)

    def expect(self, result, status, *parts):
        """The exit status, and parts of what stands on standard error."""
        self.assertEqual(result.returncode, status, result.stderr + result.stdout)
        for part in parts:
            self.assertIn(part, result.stderr)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def write_model(self, name, tensors, **config):
        folder = self.folder / name
        folder.mkdir(parents=True)
        write_safetensors(folder / "model.safetensors", tensors)
        (folder / "config.json").write_text(json.dumps({"model_type": "tiny", **config}))
        return folder

    def write_linear(self, name="recipe.yaml", models=("a", "b"), extra=""):
        lines = ["merge_method: linear", "models:"]
        for model in models:
            lines += [f"  - model: {model}", "    parameters: {weight: 1}"]
        return self.write(name, "\n".join(lines) + "\n" + extra)

    def names(self):
        """What stands in the working directory, hidden files included."""
        return sorted(path.name for path in self.folder.iterdir())
