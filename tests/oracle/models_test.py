# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts' own reader, rounding and forward pass."""
import hashlib
import json
import pathlib
import re
import struct
import tempfile
import unittest

from oracle_support import MODELS, run_script

import gm_safetensors
import numpy as np


class Models(unittest.TestCase):
    def test_files_are_those_of_the_provenance_page(self):
        page = (MODELS / "PROVENANCE.md").read_text(encoding="utf-8")
        sums = re.findall(r"^([0-9a-f]{64})  (\S+)$", page, re.M)
        self.assertEqual(len(sums), 8)
        for digest, name in sums:
            self.assertEqual(hashlib.sha256((MODELS / name).read_bytes()).hexdigest(), digest, name)

    def test_bits_per_byte(self):
        """The first 47 windows of the German text; the figures are PyTorch's and transformers'."""
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder) / "german.txt"
            text.write_bytes((MODELS / "eval" / "german.txt").read_bytes()[:6144])
            result = run_script("eval_models.py", "--json", "--text", f"german={text}", MODELS / "base",
                                MODELS / "german")
        self.assertEqual(result.returncode, 0, result.stderr)
        base, german = json.loads(result.stdout).values()
        self.assertAlmostEqual(base["german"], 1.631357, places=4)
        self.assertAlmostEqual(german["german"], 1.471271, places=4)

    def test_expectation_of_a_better_merge(self):
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder) / "german.txt"
            text.write_bytes((MODELS / "eval" / "german.txt").read_bytes()[:1290])
            arguments = ["--expect", "merge-better", "--text", f"german={text}"]
            better = run_script("eval_models.py", *arguments, MODELS / "base", MODELS / "german")
            worse = run_script("eval_models.py", *arguments, MODELS / "german", MODELS / "base")
        self.assertEqual((better.returncode, worse.returncode), (0, 1), better.stderr)
        self.assertIn("on german the merge has", worse.stderr)

    def test_rounding_to_nearest_even(self):
        cases = {"BF16": [(1 + 2.0**-8, 0x3F80), (1 + 3 * 2.0**-8, 0x3F82), (-0.0, 0x8000), (2.0**-133, 0x0001)],
                 "F16": [(1 + 2.0**-11, 0x3C00), (2.0**-25, 0x0000), (3 * 2.0**-25, 0x0002)],
                 "F8_E4M3": [(1 + 1 / 16, 0x38), (1 + 3 / 16, 0x3A), (448.0, 0x7E), (-(2.0**-10), 0x80)],
                 "F8_E5M2": [(1 + 1 / 8, 0x3C), (57344.0, 0x7B), (2.0**-16, 0x01)]}
        for dtype, pairs in cases.items():
            data = gm_safetensors.narrow(np.array([value for value, _ in pairs], np.float32), dtype)
            codes = np.frombuffer(data, "<u2" if len(data) == 2 * len(pairs) else np.uint8)
            self.assertEqual([int(code) for code in codes], [code for _, code in pairs], dtype)

    def test_damaged_files_are_refused(self):
        good = gm_safetensors.make_header([("x", "F32", (2,))]) + bytes(8)
        entry = b'"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
        twice = b"{" + entry + b"," + entry + b"}"
        hole = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'
        size = b'{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}'
        damaged = [b"", good[:7], good[:-1], good + b"\0", struct.pack("<Q", 1 << 40) + good[8:],
                   *(struct.pack("<Q", len(header)) + header + bytes(8)
                     for header in (twice, hole, size, b"{}x", b"[1]", b'{"x":1}'))]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x.safetensors"
            path.write_bytes(good)
            self.assertEqual(list(gm_safetensors.read_header(path)[0]), ["x"])
            for number, data in enumerate(damaged):
                path.write_bytes(data)
                with self.subTest(number), self.assertRaises(gm_safetensors.FormatError):
                    gm_safetensors.read_header(path)


if __name__ == "__main__":
    unittest.main()
