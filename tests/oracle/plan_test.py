# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""`gpumerge plan` counts as scripts/check_plan.py does, from the same headers."""
import pathlib
import tempfile
import unittest

from oracle_support import MODELS, gpumerge, run_script, write_recipe


class Plan(unittest.TestCase):
    def compare(self, folder, directories, **more):
        """Returns what check_plan.py prints for base, models... and a TIES recipe of them."""
        base, *models = map(str, directories)
        recipe = {"merge_method": "ties", "base_model": base, "dtype": "bfloat16", **more,
                  "models": [{"model": model, "parameters": {"weight": 1, "density": 0.5}} for model in models]}
        plan = pathlib.Path(folder) / "plan.json"
        plan.write_text(gpumerge("plan", "--config", write_recipe(pathlib.Path(folder) / "recipe.json", recipe),
                                 "--out", pathlib.Path(folder) / "merged", "--json"), encoding="utf-8")
        rescale = ["--rescale"] if more.get("parameters", {}).get("rescale") else []
        return run_script("check_plan.py", "--dtype", "BF16", *rescale, "--plan", plan, base, *models)

    def test_tiny_models(self):
        names = [MODELS / name for name in ("base", "german", "python", "kjv")]
        with tempfile.TemporaryDirectory() as folder:
            result = self.compare(folder, names)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertRegex(result.stdout, r"tensors +38\n.*\n.*\nparameters +430944\n")
            rescaled = self.compare(folder, names, parameters={"rescale": "l1"})
            self.assertEqual(rescaled.returncode, 0, rescaled.stdout + rescaled.stderr)
            self.assertRegex(rescaled.stdout, r"reduce_passes +38\n")

    def test_a_difference_is_found(self):
        names = [MODELS / name for name in ("base", "german", "python")]
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.compare(folder, names).returncode, 0)
            result = run_script("check_plan.py", "--dtype", "F32", "--plan", f"{folder}/plan.json", *names)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stdout, r"output_bytes +1723776 +plan: 861888")

    def test_three_70b_models_as_headers(self):
        with tempfile.TemporaryDirectory() as folder:
            made = run_script("make_sparse_model.py", "--like", "llama-70b", "--out", folder, "base", "a", "b", "c")
            self.assertEqual(made.returncode, 0, made.stderr)
            result = self.compare(folder, [f"{folder}/{name}" for name in ("base", "a", "b", "c")])
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertRegex(result.stdout, r"parameters +70553706496\n")


if __name__ == "__main__":
    unittest.main()
