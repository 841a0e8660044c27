# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in practice: the right code and exit status, a message that helps, and nothing written."""
import json
import os
import resource
import unittest

from support import BINARY, CliTest, MODELS, digests, f32, write_safetensors


class Errors(CliTest):
    def setUp(self):
        super().setUp()
        self.write_model("a", {"x.weight": ("F32", [2, 3], f32(1, 2, 3, 4, 5, 6))})
        self.write_model("b", {"x.weight": ("F32", [2, 3], f32(3, 4, 5, 6, 7, 8))})
        self.recipe = self.write_linear()

    def expect_refusal(self, status, *parts, words=("--config", "recipe.yaml", "--out", "out"), keeps=None):
        """The status and parts of the message; the working directory is as it was."""
        before = self.names()
        result = self.run_program(*words)
        self.expect(result, status, *parts, f"exit:  {status}")
        self.assertEqual(result.stdout, "")
        self.assertEqual(self.names(), before)
        return result

    def test_three_errors_of_a_recipe_at_once(self):
        self.write("recipe.yaml", "merge_metod: ties\nbase_model: a\nmodels:\n  - model: b\n    parameters:\n"
                                  "      wieght: 1\n      density: 1.5\n")
        result = self.expect_refusal(3, "recipe.yaml:1:1", "'merge_metod'", "did you mean 'merge_method'?",
                                     "recipe.yaml:6:7", "'wieght'", "did you mean 'weight'?", "recipe.yaml:7:16",
                                     "found: 1.5", "expected: 0 to 1")
        self.assertEqual(result.stderr.count("error["), 3)

    def test_filter_that_hits_nothing_is_a_warning(self):
        self.write("recipe.yaml", "merge_method: linear\nmodels:\n  - model: a\n    parameters: {weight: 1}\n  - model: b\n"
                                  "    parameters:\n      weight:\n        - filter: mlp.gaet\n          value: 2\n"
                                  "        - value: 1\n")
        result = self.run_program("--config", "recipe.yaml", "--out", "out")
        self.expect(result, 0, "warning[CFG-FILTER]", "mlp.gaet", "recipe.yaml:8")
        self.assertNotIn("exit:", result.stderr)
        report = json.loads((self.folder / "out/gpumerge_report.json").read_text())
        self.assertIn("mlp.gaet", json.dumps(report))

    def test_strict_makes_the_warning_an_error(self):
        self.write("recipe.yaml", "merge_method: linear\nmodels:\n  - model: a\n    parameters: {weight: 1}\n  - model: b\n"
                                  "    parameters:\n      weight:\n        - filter: mlp.gaet\n          value: 2\n"
                                  "        - value: 1\n")
        self.expect_refusal(3, "error[CFG-FILTER]", "mlp.gaet",
                            words=("--config", "recipe.yaml", "--out", "out", "--strict"))

    def test_strict_holds_for_the_recipe_too(self):
        self.write("recipe.yaml", "merge_method: ties\nbase_model: a\nmodels:\n  - model: b\n    parameters: {weight: 1}\n"
                                  "parameters: {int8_mask: true}\n")
        self.expect(self.run_program("plan", "recipe.yaml"), 0)
        self.expect_refusal(3, "error[CFG-NOEFFECT]", "int8_mask", words=("plan", "recipe.yaml", "--strict"))

    def test_truncated_shard(self):
        path = self.folder / "b/model.safetensors"
        os.truncate(path, path.stat().st_size - 1)
        self.expect_refusal(5, "error[ST-TRUNCATED]", str(path))

    def test_not_a_number_in_a_shard(self):
        self.write_model("c", {"x.weight": ("F32", [2, 3], f32(1, 2, float("nan"), 4, 5, 6))})
        self.write_linear(models=("a", "c"))
        self.expect_refusal(7, "error[NUM-NAN-IN]", "x.weight")

    def test_transposed_tensor(self):
        self.write_model("c", {"x.weight": ("F32", [3, 2], f32(1, 2, 3, 4, 5, 6))})
        self.write_linear(models=("a", "c"))
        self.expect_refusal(6, "error[MM-SHAPE]", "x.weight", "[2, 3]", "[3, 2]")

    def test_output_inside_an_input(self):
        self.expect_refusal(9, "error[OUT-IN-INPUT]", words=("recipe.yaml", "a/merged"))
        self.expect_refusal(9, "error[OUT-IN-INPUT]", words=("recipe.yaml", "b", "--overwrite"))
        self.assertEqual(sorted(os.listdir(self.folder / "a")), ["config.json", "model.safetensors"])

    def test_output_where_the_links_of_an_input_lead(self):
        self.expect(self.run_program("recipe.yaml", "prev"), 0)
        (self.folder / "lnk").mkdir()
        (self.folder / "lnk/m.safetensors").symlink_to("../prev/model.safetensors")
        before = digests(self.folder / "prev")
        self.write_linear(models=("lnk/m.safetensors",))
        for out in ("prev", "."):
            self.expect_refusal(9, "error[OUT-IN-INPUT]", words=("recipe.yaml", out, "--overwrite"))
        (self.folder / "lnk/m.safetensors").rename(self.folder / "lnk/model.safetensors")
        (self.folder / "b/tokenizer.json").symlink_to("../prev/README.md")
        for model in ("lnk", "b"):
            self.write_linear(models=(model,))
            self.expect_refusal(9, "error[OUT-IN-INPUT]", words=("recipe.yaml", "prev", "--overwrite", "--follow-symlinks"))
        self.assertEqual(digests(self.folder / "prev"), before)

    def test_output_inside_the_repository_of_a_hub_model(self):
        repository = self.folder / "hub/models--org--name"
        snapshot = self.write_model(f"hub/models--org--name/snapshots/{'a' * 40}", {"x.weight": ("F32", [1], f32(1))})
        (repository / "blobs").mkdir()
        (snapshot / "model.safetensors").rename(repository / "blobs/1")
        (snapshot / "model.safetensors").symlink_to("../../blobs/1")
        self.write_linear(models=(snapshot,))
        for words in ((), ("--follow-symlinks",)):
            self.expect_refusal(9, "error[OUT-IN-INPUT]", words=("recipe.yaml", repository / "blobs/out", *words))

    def test_output_exists(self):
        self.write("out/precious.txt", "mine")
        self.expect_refusal(9, "error[OUT-EXISTS]", "--overwrite")
        self.assertEqual(os.listdir(self.folder / "out"), ["precious.txt"])

    def test_overwrite_deletes_nothing_that_no_merge_wrote(self):
        self.expect(self.run_program("recipe.yaml", "out"), 0)
        (self.folder / "out/README.md").write_text("mine")  # a card is there to be edited
        self.write("out/notes/precious.txt", "mine")
        self.expect_refusal(9, "error[OUT-EXISTS]", "did not write: notes", words=("recipe.yaml", "out", "--overwrite"))
        (self.folder / "out/notes").rename(self.folder / "notes")
        self.expect(self.run_program("recipe.yaml", "out", "--overwrite"), 0)

    def test_model_that_does_not_exist(self):
        self.write_linear(models=("a", "./missing"))
        self.expect_refusal(4, "error[IN-MISSING]", "missing", "recipe.yaml:5")

    def test_links_that_leave_the_directory_only_when_asked_for(self):
        (self.folder / "a/model.safetensors").rename(self.folder / "real.safetensors")
        (self.folder / "a/model.safetensors").symlink_to("../real.safetensors")
        self.expect_refusal(5, "error[IN-SYMLINK]", "--follow-symlinks")
        self.expect(self.run_program("recipe.yaml", "out", "--follow-symlinks"), 0)
        result = self.run_program("verify", "out", "--inputs")
        self.expect(result, 5, "error[IN-SYMLINK]")
        self.assertNotIn("was not found", result.stderr)
        for words in (("verify", "out", "--inputs"), ("verify", "a"), ("inspect", "a")):
            self.expect(self.run_program(*words, "--follow-symlinks"), 0)

    def test_side_files_that_cannot_be_copied(self):
        def put(model, name, kind):
            path = self.folder / model / name
            path.mkdir() if kind == "directory" else os.mkfifo(path) if kind == "FIFO" else path.symlink_to(kind)
            return path

        self.write("settings.json", "{}")
        for kind, status, code in (("../../gone", 4, "IN-INCOMPLETE"), ("../settings.json", 5, "IN-SYMLINK"),
                                   ("FIFO", 5, "IN-NOTREG"), ("directory", 5, "IN-NOTREG")):
            for model, name in (("a", "tokenizer.json"), ("a", "generation_config.json"), ("b", "tokenizer.json")):
                path = put(model, name, kind)
                self.expect_refusal(status, f"error[{code}]", name)
                path.rmdir() if kind == "directory" else path.unlink()
        put("a", "LICENSE", "../../gone")
        put("b", "generation_config.json", "../../gone")
        put("b", "onnx", "directory")
        result = self.run_program("recipe.yaml", "out")
        self.expect(result, 0, "warning[IN-INCOMPLETE]", "LICENSE", "generation_config.json")
        self.assertNotIn("onnx", result.stderr)

    def test_code_is_copied_only_when_asked_for(self):
        config = json.loads((self.folder / "a/config.json").read_text())
        self.write("a/config.json", json.dumps(config | {"auto_map": {"AutoModel": "modeling_x.X"}}))
        self.expect(self.run_program("recipe.yaml", "none", "--copy-code"), 0, "warning[CFG-REMOTECODE]", "not beside it: modeling_x.py")
        self.write("a/modeling_x.py", "raise SystemExit(1)\n")
        self.write("b/modeling_y.py", "")
        self.expect(self.run_program("recipe.yaml", "out"), 0, "warning[CFG-REMOTECODE]", "--copy-code")
        self.assertFalse((self.folder / "out/modeling_x.py").exists())
        self.write("a/config.json", json.dumps(config | {"auto_map": {"AutoModel": "modeling_x.X", "T": [None, "org/m--y.Y"]}}))
        self.expect(self.run_program("recipe.yaml", "part", "--copy-code"), 0, "not beside it: org/m--y.py\n")
        self.write("a/config.json", json.dumps(config | {"auto_map": {"AutoModel": "modeling_x.X"}}))
        result = self.run_program("recipe.yaml", "with", "--copy-code")
        self.expect(result, 0)
        self.assertNotIn("REMOTECODE", result.stderr)
        self.assertEqual((self.folder / "with/modeling_x.py").read_text(), "raise SystemExit(1)\n")
        self.assertFalse((self.folder / "with/modeling_y.py").exists())

    def test_unlisted_tensors_are_left_out_only_when_asked_for(self):
        one = ("F32", [1], f32(1))
        (self.folder / "c").mkdir()
        write_safetensors(self.folder / "c/model-1.safetensors", {"x": one, "stray": one})
        self.write("c/model.safetensors.index.json", json.dumps({"weight_map": {"x": "model-1.safetensors"}}))
        self.write_linear(models=("c",))
        self.expect_refusal(5, "error[IX-UNLISTED]", "stray", "--ignore-unlisted")
        self.expect(self.run_program("recipe.yaml", "out", "--ignore-unlisted"), 0, "warning[IX-UNLISTED]", "stray")
        report = (self.folder / "out/gpumerge_report.json").read_text()
        self.assertEqual([tensor["name"] for tensor in json.loads(report)["tensors"]], ["x"])
        self.assertIn("IX-UNLISTED", report)
        self.assertEqual(json.loads(report)["dropped"], [{"tensor": "stray", "model": 0}])
        self.expect(self.run_program("inspect", "c"), 5, "--ignore-unlisted")
        for words in (("inspect", "c"), ("verify", "c"), ("verify", "out", "--inputs")):
            self.expect(self.run_program(*words, "--ignore-unlisted"), 0)

    def test_working_directory_that_was_deleted(self):
        for words in (("recipe.yaml", "out"), ("plan", str(self.recipe)), ("inspect", "a")):
            (self.folder / "gone").mkdir()
            result = self.run_program("-c", f"cd gone && rmdir ../gone && exec {BINARY} {' '.join(words)}", program="/bin/sh")
            self.assertIn(result.returncode, (3, 4, 5), result.stderr)
            self.assertRegex(result.stderr, r"error\[[A-Z-]+\]: ")
            self.assertNotIn("RES-MEM", result.stderr)

    def test_hub_model_that_is_not_cached(self):
        self.write_linear(models=("a", "org/name"))
        self.expect_refusal(4, "error[HUB-MISS]", "org/name", words=("recipe.yaml", "out", "--cache-dir", "cache"))

    def test_recipe_that_does_not_exist(self):
        self.expect_refusal(3, "error[CFG-NOFILE]", "absent.yaml", words=("--config", "absent.yaml"))

    def test_missing_tensor(self):
        self.write_model("c", {"y.weight": ("F32", [1], f32(1))})
        self.write_linear(models=("a", "c"))
        self.expect_refusal(6, "x.weight")

    def test_memory_that_is_too_small(self):
        self.expect_refusal(10, "error[RES-MEM]", "--memory", words=("recipe.yaml", "out", "--memory", "1K"))

    def test_overflow_of_the_output_type(self):
        self.write_model("c", {"x.weight": ("F32", [2, 3], f32(1, 2, 70000, 4, 5, 6))})
        self.write_linear(models=("c",), extra="dtype: float16\n")
        self.expect_refusal(7, "error[NUM-OVERFLOW]", "x.weight")

    def test_values_that_a_method_has_no_result_for(self):
        self.write_model("c", {"x.weight": ("F32", [2, 3], f32(-1, -2, -3, -4, -5, -6))})
        self.write("recipe.yaml", "merge_method: karcher\nmodels:\n  - model: a\n  - model: c\n")
        self.expect_refusal(7, "error[NUM-SINGULAR]", "x.weight", "karcher", "opposite", "linear")
        self.write_model("d", {"x.weight": ("F32", [2, 3], f32(-1, -2, -3, 7, 7, 7))})  # opposite in the first row
        self.write_model("e", {"x.weight": ("F32", [2, 3], f32(0, 0, 0, 0, 0, 0))})
        self.write("recipe.yaml", "merge_method: model_stock\nbase_model: e\nmodels:\n  - model: a\n  - model: d\n"
                                  "parameters: {filter_wise: true}\n")
        self.expect_refusal(7, "error[NUM-SINGULAR]", "x.weight", "model_stock", "singular: base")

    def test_statistics_file_that_cannot_be_written(self):
        self.expect_refusal(8, "error[OUT-IO]", "no/such/stats.json",
                            words=("recipe.yaml", "out", "--stats", "no/such/stats.json"))

    def test_log_file_that_cannot_be_written(self):
        self.expect_refusal(8, "error[OUT-IO]", "no/such/log",
                            words=("recipe.yaml", "out", "--log", "/proc/no/such/log"))

    def test_errors_as_json(self):
        path = self.folder / "b/model.safetensors"
        os.truncate(path, path.stat().st_size - 1)
        result = self.run_program("recipe.yaml", "out", "--error-format", "json")
        self.assertEqual(result.returncode, 5)
        error = json.loads(result.stderr)
        self.assertEqual((error["severity"], error["code"], error["exit"]), ("error", "ST-TRUNCATED", 5))
        self.assertIn("model.safetensors", error["file"])

    def test_shape_of_a_message(self):
        self.write_model("c", {"x.weight": ("F32", [3, 2], f32(1, 2, 3, 4, 5, 6))})
        self.write_linear(models=("a", "c"))
        lines = self.run_program("recipe.yaml", "out").stderr.splitlines()
        self.assertRegex(lines[0], r"^gpumerge: error\[MM-SHAPE\]: .*x\.weight")
        self.assertEqual(lines[-1], "  exit:  6")
        for line in lines[1:]:
            self.assertRegex(line, r"^  (file:  |found: |expected: |help:  |exit:  )")

    def test_hostile_names_do_not_reach_the_terminal(self):
        name = "x\n\x1b[31m\u202eevil"
        self.write_model("c", {name: ("F32", [1], f32(1))})
        self.write_model("d", {name: ("F32", [1, 1], f32(1))})
        self.write_linear(models=("c", "d"))
        result = self.run_program("plan", "recipe.yaml")
        self.assertEqual(result.returncode, 6)
        for bad in ("\x1b", "\u202e", "\n\x1b"):
            self.assertNotIn(bad, result.stderr)
        self.assertIn("evil", result.stderr)
        self.write_linear(models=("c",))
        for words in (("plan", "recipe.yaml"), ("inspect", "c"), ("recipe.yaml", "out")):
            result = self.run_program(*words)
            self.expect(result, 0)
            for bad in ("\x1b", "\u202e"):
                self.assertNotIn(bad, result.stdout + result.stderr)

    def test_hostile_directories_do_not_reach_the_terminal(self):
        integers = ("I32", [1], b"\1\0\0\0")
        for name in ("d\x1b[31m\u202e", "e\x1b[31m"):
            self.write_model(name, {"x\x1b[32m": ("F32", [1], f32(1)), "n\x1b": integers})
            self.write(f"{name}/code\x1b.py", "")
        self.write("recipe.yaml", 'merge_method: linear\nint_policy: base\nmodels:\n'
                                  '  - {model: "d\\e[31m\\u202e", parameters: {weight: 1}}\n'
                                  '  - {model: "e\\e[31m", parameters: {weight: 1}}\n')
        for words in (("plan", "recipe.yaml", "--copy-code"), ("recipe.yaml", "out", "--verbose", "--copy-code"),
                      ("inspect", "d\x1b[31m\u202e"), ("verify", "out"), ("verify", "out", "--inputs"),
                      ("verify", "d\x1b[31m\u202e")):
            result = self.run_program(*words)
            self.expect(result, 0)
            for bad in ("\x1b", "\u202e"):
                self.assertNotIn(bad, result.stdout + result.stderr, words)

    def test_names_are_cut_before_the_rest_of_a_message(self):
        name = "y" * 60_000
        self.write_model("c", {name: ("F32", [1], f32(1))})
        self.write_model("d", {name: ("F32", [2], f32(1, 2))})
        self.write_linear(models=("c", "d"))
        result = self.expect_refusal(6, "error[MM-SHAPE]", "the models' shapes differ")
        self.assertLess(len(result.stderr), 1500)

    def test_short_references_do_not_change_the_reports_words(self):
        self.write_model("c", {"x.weight": ("F32", [1], f32(1))}, rope_theta=1)
        self.write_model("m", {"x.weight": ("F32", [1], f32(1))}, rope_theta=2)
        for cwd, models in (("c", (".", "../m")), ("m", ("../c", "."))):
            self.write_linear(f"{cwd}/recipe.yaml", models=models)
            self.expect(self.run_program("recipe.yaml", f"../out-{cwd}", cwd=self.folder / cwd), 0, "warning[")
        warnings = [json.loads((self.folder / out / "gpumerge_report.json").read_text())["warnings"]
                    for out in ("out-c", "out-m")]
        self.assertEqual(warnings[0], warnings[1])
        self.assertIn("config.json", json.dumps(warnings))

    def test_too_few_files_may_be_open(self):
        statuses = set()
        for limit in range(3, 24):
            result = self.run_program("recipe.yaml", "out", "--overwrite", "--threads", "1", preexec_fn=lambda: (
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))))
            self.assertIn(result.returncode, (0, 8, 10, 127), f"{limit}: {result.stderr}")
            if result.returncode == 10:
                self.assertIn("error[RES-MEM]", result.stderr)
            statuses.add(result.returncode)
        self.assertLessEqual({0, 10}, statuses)

    def test_pickles_are_refused_with_the_way_to_convert_them(self):
        self.write("c/config.json", "{}")
        self.write("c/pytorch_model.bin", "\x80")
        self.write_linear(models=("c",))
        self.expect_refusal(5, "error[PKL-OFF]", "torch.load(FILE, weights_only=True)", "save_file")

    def test_inspect_of_nothing(self):
        self.expect_refusal(4, "error[IN-MISSING]", words=("inspect", "./missing"))

    def test_quantised_model_from_the_real_ones(self):
        config = json.loads((MODELS / "base/config.json").read_text()) | {"quantization_config": {"quant_method": "gptq"}}
        folder = self.folder / "q"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.safetensors").write_bytes((MODELS / "base/model.safetensors").read_bytes())
        self.write_linear(models=("q", str(MODELS / "german")))
        self.expect_refusal(6, "error[MM-QUANT]")


if __name__ == "__main__":
    unittest.main()
