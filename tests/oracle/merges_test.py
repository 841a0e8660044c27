# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Whole merges of the tiny real models, recomputed in numpy: every tensor equal in every bit."""
import pathlib
import tempfile
import unittest

from oracle_support import MODELS, gpumerge, run_script, write_recipe

BASE, GERMAN, PYTHON, KJV = (str(MODELS / name) for name in ("base", "german", "python", "kjv"))


class Merges(unittest.TestCase):
    def check(self, method, per_model, shared=None, base=BASE, models=(GERMAN, PYTHON, KJV), **more):
        """per_model: {name: [a value for each model]}"""
        recipe = {"merge_method": method, "dtype": "bfloat16", "parameters": shared or {}, **more,
                  "models": [{"model": model, "parameters": {key: values[i] for key, values in per_model.items()}}
                             for i, model in enumerate(models)]}
        if base:
            recipe["base_model"] = base
        with tempfile.TemporaryDirectory() as folder:
            path = write_recipe(pathlib.Path(folder) / "recipe.json", recipe)
            out = pathlib.Path(folder) / "merged"
            gpumerge("--config", path, "--out", out)
            result = run_script("check_merge.py", path, out)
            self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
            self.assertIn("38 of 38 tensors equal in every bit", result.stdout)
            # The check itself must be able to fail: another model or seed, another merge.
            recipe["seed"] = 1 + recipe.get("seed", 0)
            recipe["models"][0]["model"] = GERMAN if recipe["models"][0]["model"] == KJV else KJV
            self.assertEqual(run_script("check_merge.py", write_recipe(path, recipe), out).returncode, 1)

    def test_linear(self):
        self.check("linear", {"weight": [0.1, 0.5, 0.3]}, base=None)

    def test_linear_with_base_as_input(self):
        self.check("linear", {"weight": [0.5, 0.3, 0.9, 0.2]}, {"normalize": False}, models=(BASE, GERMAN, PYTHON, KJV))

    def test_slerp(self):
        self.check("slerp", {}, {"t": 0.3}, base=PYTHON, models=(GERMAN,))

    def test_task_arithmetic(self):
        self.check("task_arithmetic", {"weight": [0.6, -0.7, 0.8]}, {"lambda": 0.7})

    def test_ties(self):
        self.check("ties", {"weight": [1, 1, 1], "density": [0.5, 0.5, 0.5]})

    def test_ties_rescaled_to_float32(self):
        self.check("ties", {"weight": [0.6, 0.7, 0.8], "density": [0.2, 0.37, 0.7]},
                   {"lambda": 0.7, "rescale": True, "normalize": False}, dtype="float32")

    def test_dare_linear(self):
        self.check("dare_linear", {"weight": [0.6, 0.7, 0.8], "density": [0.2, 0.37, 0.7]}, seed=12345678901234)

    def test_dare_ties_rescaled_by_norm(self):
        self.check("dare_ties", {"weight": [0.6, 0.7, 0.8], "density": [0.2, 0.37, 0.7]},
                   {"rescale": "l1", "normalize": True}, dtype="float16")

    def test_nuslerp_of_rows(self):
        self.check("nuslerp", {"weight": [0.6, 0.3]}, {"nuslerp_flatten": False}, models=(GERMAN, KJV))

    def test_karcher(self):
        self.check("karcher", {}, {"max_iter": 5}, base=None)

    def test_model_stock_of_rows(self):
        self.check("model_stock", {}, {"filter_wise": True, "singular": "base"})

    def test_della(self):
        self.check("della", {"weight": [0.6, 0.7, 0.8], "density": [0.5, 0.37, 0.7], "epsilon": [0.2, 0.1, 0.25]})

    def test_breadcrumbs(self):
        self.check("breadcrumbs", {"weight": [0.6, 0.7, 0.8], "density": [0.5, 0.37, 0.7], "gamma": [0.2, 0.1, 0.0]})

    def test_sce(self):
        self.check("sce", {}, {"select_topk": 0.3})

    def test_arcee_fusion(self):
        self.check("arcee_fusion", {}, {}, models=(GERMAN,))

    def test_passthrough(self):
        self.check("passthrough", {"scale": [0.7]}, base=None, models=(KJV,))


if __name__ == "__main__":
    unittest.main()
