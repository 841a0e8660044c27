# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Merges that work: where the output lies, what is printed, and that the same recipe gives the same bytes."""
import json
import os
import re
import time
import unittest

from support import CliTest, ROOT, digests, f32

CONFIGS = sorted(ROOT.glob("configs/*.yaml"))


class Merge(CliTest):
    def setUp(self):
        super().setUp()
        # The recipes in configs/ name their models relative to the working directory.
        (self.folder / "tests").symlink_to(ROOT / "tests")
        self.ties = ROOT / "configs/ties.yaml"

    def merge(self, *words, **options):
        result = self.run_program(*words, **options)
        self.expect(result, 0)
        return result

    def test_every_example_plans_and_merges_alike_on_both_executors(self):
        self.assertGreaterEqual(len(CONFIGS), 7)
        for config in CONFIGS:
            with self.subTest(config.name):
                plan = json.loads(self.merge("plan", "--config", config, "--json").stdout)
                self.assertTrue(plan)
                self.merge("--config", config, "--out", config.stem + "-a", "--strict")
                self.merge("--config", config, "--out", config.stem + "-b", "--device", "reference")
                made = digests(self.folder / (config.stem + "-a"))
                self.assertEqual(made, digests(self.folder / (config.stem + "-b")))
                for name in ("model.safetensors", "config.json", "tokenizer.json", "README.md", "gpumerge_report.json"):
                    self.assertIn(name, made)

    def test_same_bytes_whatever_the_threads_and_memory(self):
        self.merge("--config", self.ties, "--out", "default")
        expected = digests(self.folder / "default")
        for number, words in enumerate((["--threads", "1"], ["--threads", "7"], ["--memory", "24M"],
                                        ["--sync", "none"], ["--quiet"], ["--verbose"])):
            self.merge("--config", self.ties, "--out", f"other-{number}", *words)
            self.assertEqual(digests(self.folder / f"other-{number}"), expected, words)

    def test_default_output_is_named_after_the_recipe(self):
        result = self.merge("--config", self.ties)
        self.assertIn("ties-merged", result.stderr.splitlines()[0])
        self.assertTrue((self.folder / "ties-merged/config.json").exists())

    def test_output_of_the_recipe_and_of_the_command_line(self):
        self.write("recipe.yaml", self.ties.read_text() + "\noutput: from-recipe\n")
        self.merge("--config", "recipe.yaml")
        self.assertTrue((self.folder / "from-recipe/config.json").exists())
        self.merge("--config", "recipe.yaml", "--out", "from-flag")
        self.assertTrue((self.folder / "from-flag/config.json").exists())

    def test_as_mergekit_yaml_is_called(self):
        self.merge(self.ties, "out")
        self.merge("merge", self.ties, "--out", "again")
        self.assertEqual(digests(self.folder / "out"), digests(self.folder / "again"))

    def test_recipe_and_output_named_like_verbs(self):
        self.write("plan", self.ties.read_text())
        self.merge("--config", "plan", "--out", "methods")
        self.assertTrue((self.folder / "methods/config.json").exists())

    def test_overwrite_replaces_the_whole_directory(self):
        self.write("out/stale.safetensors", "old")
        self.write("out/gpumerge_report.json", "{}")
        self.merge("--config", self.ties, "--out", "out", "--overwrite")
        self.assertFalse((self.folder / "out/stale.safetensors").exists())
        self.merge("--config", self.ties, "--out", "out", "--overwrite")
        self.assertEqual(self.names(), ["out", "tests"])

    def test_plan_and_dry_run_write_nothing(self):
        before = self.names()
        plan = self.merge("plan", "--config", self.ties)
        dry = self.merge("--config", self.ties, "--dry-run")
        # The memory needed is measured on the running process, so it may differ by a page.
        self.assertEqual(*(re.sub(r"(?m)^memory .*", "memory", result.stdout) for result in (plan, dry)))
        self.assertEqual(plan.stderr, "")
        self.assertEqual(json.loads(self.merge("-n", self.ties, "--json").stdout).keys(),
                         json.loads(self.merge("plan", self.ties, "--json").stdout).keys())
        self.assertEqual(self.names(), before)
        for part in ("ties", "model.layers.0.mlp.down_proj.weight", "density 0.5", "BF16"):
            self.assertIn(part, plan.stdout)

    def test_plan_is_quick(self):
        started = time.monotonic()
        self.merge("plan", "--config", self.ties)
        # Far above what it takes (some ten milliseconds), far below what reading data or starting Python would.
        self.assertLess(time.monotonic() - started, 20)

    def test_seed_of_the_command_line(self):
        dare = ROOT / "configs/dare_linear.yaml"
        self.merge("--config", dare, "--out", "as-written")
        self.merge("--config", dare, "--out", "same", "--seed", "42")
        self.merge("--config", dare, "--out", "other", "--seed", "43")
        weights = {name: digests(self.folder / name)["model.safetensors"] for name in ("as-written", "same", "other")}
        self.assertEqual(weights["as-written"], weights["same"])
        self.assertNotEqual(weights["as-written"], weights["other"])
        report = json.loads((self.folder / "other/gpumerge_report.json").read_text())
        self.assertEqual(report["seed"], 43)

    def test_flags_and_keys_give_the_same_bytes(self):
        self.merge("--config", self.ties, "--out", "a", "--out-dtype", "float16", "--shard-size", "300K", "--seed", "5")
        self.write("ties.yaml", self.ties.read_text() + "\nout_dtype: float16\nshard_size: 300K\nseed: 5\n")
        self.merge("--config", "ties.yaml", "--out", "b")
        made = digests(self.folder / "a")
        self.assertEqual(made, digests(self.folder / "b"))
        self.assertIn("model.safetensors.index.json", made)
        self.assertIn('"float16"', (self.folder / "a/config.json").read_text())

    def test_the_recipe_as_run_reproduces_the_output(self):
        self.merge("--config", self.ties, "--out", "a", "--out-dtype", "float32")
        copy = self.folder / "a/gpumerge_config.yaml"
        self.merge("--config", copy, "--out", "b")
        self.assertEqual(digests(self.folder / "a"), digests(self.folder / "b"))

    def test_kept_stages_are_merges_and_the_output_is_the_same(self):
        recipe = ROOT / "configs/multi_stage.yaml"
        self.merge("--config", recipe, "--out", "fused")
        self.merge("--config", recipe, "--out", "last", "--keep-stages", "stages")
        same = ("model.safetensors", "config.json", "tokenizer.json")
        fused, last = digests(self.folder / "fused"), digests(self.folder / "last")
        self.assertEqual([fused[name] for name in same], [last[name] for name in same])
        for stage in ("languages", "everything"):
            self.assertIn("gpumerge_report.json", digests(self.folder / "stages" / stage))
            # A stage's own recipe, as it was run, gives the stage again.
            self.merge("--config", f"stages/{stage}/gpumerge_config.yaml", "--out", stage)
            self.assertEqual(digests(self.folder / stage), digests(self.folder / "stages" / stage))
        refused = self.run_program("--config", recipe, "--out", "again", "--keep-stages", "stages")
        self.expect(refused, 9)
        self.assertFalse((self.folder / "again").exists())

    def test_seed_of_the_command_line_is_that_of_every_document(self):
        recipe = ROOT / "configs/stochastic.yaml"
        self.merge("--config", recipe, "--out", "same", "--seed", "42")
        self.merge("--config", recipe, "--out", "as-written")
        self.merge("--config", recipe, "--out", "other", "--seed", "43")
        weights = {name: digests(self.folder / name)["model.safetensors"] for name in ("as-written", "same", "other")}
        self.assertEqual(weights["as-written"], weights["same"])
        self.assertNotEqual(weights["as-written"], weights["other"])

    def test_summary_goes_to_standard_output(self):
        result = self.merge("--config", self.ties, "--out", "out")
        for part in ("merged 4 models", "with ties", "38 tensors", "861.89 kB", "GB/s", "memory", "seed 0", "0 warnings"):
            self.assertIn(part, result.stdout)
        self.assertIn(str(self.folder / "out"), result.stdout)
        self.assertIn("merging 4 models", result.stderr)

    def test_slerp_says_how_often_it_was_lerp(self):
        result = self.merge("--config", ROOT / "configs/slerp.yaml")
        self.assertRegex(result.stdout, r"slerp: \d+ of 38 tensors were nearly parallel and interpolated linearly")

    def test_quiet_is_silent(self):
        result = self.merge("--config", self.ties, "--quiet")
        self.assertEqual((result.stdout, result.stderr), ("", ""))

    def test_verbose_says_where_models_were_found(self):
        result = self.merge("--config", self.ties, "--verbose")
        self.assertIn(f"model tests/models/german: ", result.stderr)
        self.assertIn("memory budget", result.stderr)

    def test_statistics_file(self):
        self.merge("--config", self.ties, "--out", "out", "--stats", "stats.json", "--memory", "64M")
        stats = json.loads((self.folder / "stats.json").read_text())
        self.assertEqual((stats["tensors"], stats["bytes_written"]), (38, 861888))
        self.assertEqual(stats["memory_budget_bytes"], 64_000_000)
        self.assertEqual(stats["output_dir"], str(self.folder / "out"))
        self.assertGreater(stats["peak_memory_bytes"], 0)
        self.assertLessEqual(stats["peak_memory_bytes"], 64_000_000)
        self.assertGreater(stats["elapsed_seconds"], 0)

    def test_what_cannot_be_said_of_a_complete_output(self):
        self.write_model("a", {"x": ("F32", [1], f32(1))})
        self.write_linear(models=("a",))
        result = self.run_program("recipe.yaml", "out", "--stats", "/dev/full")
        self.expect(result, 8, "error[OUT-IO]: the output is complete, but the statistics file /dev/full cannot be written")
        self.expect(self.run_program("verify", "out"), 0)

    def test_log_file(self):
        self.merge("--config", self.ties, "--out", "out", "--log", "run.log", "--quiet")
        text = (self.folder / "run.log").read_text()
        self.assertRegex(text, r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} merging 4 models")
        self.assertIn("memory budget", text)

    def test_output_holds_nothing_about_this_run(self):
        self.merge("--config", self.ties, "--out", "out")
        for path in (self.folder / "out").iterdir():
            self.assertNotIn(str(self.folder).encode(), path.read_bytes(), path.name)

    def test_umask_is_respected(self):
        before = os.umask(0o027)
        try:
            self.merge("--config", self.ties, "--out", "out")
        finally:
            os.umask(before)
        self.assertEqual(oct((self.folder / "out").stat().st_mode & 0o777), "0o750")
        for path in (self.folder / "out").iterdir():
            self.assertEqual(oct(path.stat().st_mode & 0o777), "0o640", path.name)

    def test_foreign_locale_changes_nothing(self):
        self.merge("--config", self.ties, "--out", "a")
        self.merge("--config", self.ties, "--out", "b", env={"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"})
        self.assertEqual(digests(self.folder / "a"), digests(self.folder / "b"))

    def test_hub_cache(self):
        snapshot = self.folder / "cache/models--org--base/snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        refs = self.folder / "cache/models--org--base/refs"
        refs.mkdir()
        (refs / "main").write_text("0" * 40)
        for path in (ROOT / "tests/models/base").iterdir():
            (snapshot / path.name).write_bytes(path.read_bytes())
        self.write("recipe.yaml", self.ties.read_text().replace("tests/models/base", "org/base"))
        self.merge("recipe.yaml", "by-flag", "--cache-dir", "cache")
        self.merge("recipe.yaml", "by-environment", env={"HF_HUB_CACHE": str(self.folder / "cache")})
        self.assertEqual(digests(self.folder / "by-flag"), digests(self.folder / "by-environment"))
        self.merge("--config", self.ties, "--out", "local")
        self.assertEqual(digests(self.folder / "by-flag")["model.safetensors"],
                         digests(self.folder / "local")["model.safetensors"])
        inspected = self.merge("inspect", "org/base", "--cache-dir", "cache", "--json")
        self.assertEqual(json.loads(inspected.stdout)["parameters"], 430944)

    def test_inspect_directory_file_and_json(self):
        for model in ("tests/models/base", "tests/models/base/model.safetensors"):
            self.assertIn("model.norm.weight", self.merge("inspect", model).stdout)


if __name__ == "__main__":
    unittest.main()
