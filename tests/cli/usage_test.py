# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Command lines, right and wrong: nothing here gets as far as a model."""
import json
import re
import subprocess
import unittest

from support import BINARY, CliTest


class Usage(CliTest):
    def expect_usage(self, words, *parts):
        result = self.run_program(*words.split())
        self.expect(result, 2, "error[USAGE]", "exit:  2", *parts)
        self.assertEqual(result.stdout, "")

    def test_nothing_at_all_shows_the_way(self):
        result = self.run_program()
        self.expect(result, 2, "gpumerge --config recipe.yaml", "gpumerge --help")

    def test_help_teaches(self):
        result = self.run_program("--help")
        self.expect(result, 0)
        self.assertEqual(result.stderr, "")
        for part in ("merge_method: ties", "gpumerge plan --config", "--memory SIZE", "--vram SIZE", "--selfcheck P",
                     "gpumerge devices", "Exit status", "Examples"):
            self.assertIn(part, result.stdout)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 110)

    def test_help_of_a_verb(self):
        for words in (["plan", "--help"], ["help", "plan"], ["plan", "-h"]):
            result = self.run_program(*words)
            self.expect(result, 0)
            self.assertIn("Usage: gpumerge plan --config RECIPE", result.stdout)
            self.assertNotIn("--stats", result.stdout)

    def test_version(self):
        for word in ("--version", "version"):
            result = self.run_program(word)
            self.expect(result, 0)
            self.assertRegex(result.stdout, r"^gpumerge \d+\.\d+\.\d+\n$")

    def test_misspelt_flag(self):
        self.expect_usage("--config x.yaml --overwrit", "unknown flag --overwrit", "did you mean --overwrite?")

    def test_shortened_flag(self):
        self.expect_usage("--config x.yaml --mem 4G", "unknown flag --mem", "did you mean --memory?")

    def test_flag_of_another_verb(self):
        self.expect_usage("methods --overwrite", "`gpumerge methods` does not take --overwrite")

    def test_misspelt_verb(self):
        self.expect_usage("metods", '"metods" is neither a verb nor an existing recipe', "did you mean `gpumerge methods`?")

    def test_misspelt_verb_before_config(self):
        self.expect_usage("pln --config x.yaml", "did you mean `gpumerge plan`?")

    def test_unknown_word_lists_the_verbs(self):
        self.expect_usage("frobnicate", "verbs: merge, plan, inspect, verify, devices, methods, errors")

    def test_verb_after_a_flag(self):
        self.expect_usage("--strict plan --config x.yaml", '"plan" is a verb and comes first')

    def test_verb_name_as_output(self):
        self.expect_usage("x.yaml plan", "--out plan")

    def test_too_many_words(self):
        self.expect_usage("x.yaml out more", '"more" is one argument too many')
        self.expect_usage("x.yaml more --out out", '"more" is one argument too many')

    def test_no_recipe(self):
        self.expect_usage("--strict", "no recipe is given")
        self.expect_usage("plan", "no recipe is given")

    def test_missing_value(self):
        self.expect_usage("--config x.yaml --out", "--out needs a value: DIR")
        self.expect_usage("--config x.yaml --out --overwrite", "--out needs a value: DIR")

    def test_value_for_a_switch(self):
        self.expect_usage("--config x.yaml --strict=false", "--strict takes no value")

    def test_flag_given_twice(self):
        self.expect_usage("--config x.yaml --config y.yaml", "--config is given 2 times")

    def test_bad_values_all_at_once(self):
        self.expect_usage("--config x.yaml --memory 3Q --threads 0 --seed -1 --dtype bf16 --device cpus --sync fully",
                          '--memory: "3Q" is not a size', '--threads: "0" is not a whole number from 1 to 1024',
                          '--seed: "-1"', "did you mean bfloat16?", "did you mean cpu?", "did you mean full?")

    def test_shard_size_of_a_few_bytes(self):
        self.expect_usage("--config x.yaml --shard-size 5B", "a billion is 5G")

    def test_quiet_and_verbose(self):
        self.expect_usage("--config x.yaml -q -v", "exclude each other")

    def test_json_without_dry_run(self):
        self.expect_usage("--config x.yaml --json", "--json goes with --dry-run")

    def test_dry_run_with_what_only_a_run_heeds(self):
        self.expect_usage("--config x.yaml --dry-run --stats s.json --sync none", "--stats has no meaning with --dry-run",
                          "--sync has no meaning with --dry-run")
        self.expect_usage("plan x.yaml --stats s.json", "`gpumerge plan` does not take --stats")

    def test_device_that_does_not_exist(self):
        for device, part in (("gpu", "did you mean cuda?"), ("hybird", "did you mean hybrid?"),
                             ("cpus", "did you mean cpu?"), ("tpu9", "devices: auto, cpu, cuda, cuda:0, cuda:0,2, hybrid"),
                             ("CUDA", "did you mean cuda?"), ("", "empty value")):
            with self.subTest(device):
                result = self.run_program("--config", "x.yaml", "--device", device)
                self.expect(result, 2, "error[USAGE]: --device", part)

    def test_lists_of_gpus_that_are_wrong(self):
        for device in ("cuda:", "cuda:x", "cuda:0,", "cuda:0,,1", "cuda:0,0", "cuda:-1", "cuda:1.5", "cuda:4294967296",
                       "cuda:0:1", "cuda: 0"):
            with self.subTest(device):
                result = self.run_program("--config", "x.yaml", "--device", device)
                self.expect(result, 2, f'--device: "{device}" is not a list of different GPUs', "`gpumerge devices`")
        self.expect_usage("x.yaml --device cpu:0", "--device: cpu takes no numbers", "only cuda does")
        self.expect_usage("x.yaml --device hybrid:1", "--device: hybrid takes no numbers")

    def test_limits_of_gpus_where_there_are_none(self):
        self.expect_usage("x.yaml --device cpu --vram 8G --pinned 1G", "--vram has no meaning with --device cpu",
                          "--pinned has no meaning with --device cpu")
        self.expect_usage("plan x.yaml --device reference --vram 8G", "--vram has no meaning with --device reference")
        self.expect_usage("x.yaml --vram 8Q --pinned 0", '--vram: "8Q" is not a size', "--pinned: 0 is 0 bytes")

    def test_instruction_sets_that_are_wrong(self):
        self.expect_usage("x.yaml --isa avx512", '--isa: "avx512" is not one of ')
        self.expect_usage("x.yaml --device cuda:0 --isa baseline", "--isa has no meaning with --device cuda:0")
        self.expect_usage("plan x.yaml --device reference --isa baseline", "--isa has no meaning with --device reference")

    def test_shares_to_check_that_are_wrong(self):
        for share in ("101", "-1", "abc", "5%%", "%", "nan", "1e1", "5 "):
            with self.subTest(share):
                result = self.run_program("--config", "x.yaml", "--selfcheck", share)
                self.expect(result, 2, f'--selfcheck: "{share}" is not a number from 0 to 100', "5 or 5%")
        self.expect_usage("plan x.yaml --selfcheck 5", "`gpumerge plan` does not take --selfcheck")
        self.expect_usage("x.yaml --dry-run --selfcheck 5", "--selfcheck has no meaning with --dry-run")

    def test_rates_that_are_wrong_all_at_once(self):
        self.expect_usage("plan x.yaml --rates disk=0,lnik=5G,out=-3G,foo=1G,disk=,compute,link=2G,link=3G,out=3",
                          "disk is 0 bytes a second; the least is 1000", "did you mean link?", 'out is "-3G", which is not a rate',
                          "stages: disk (reading), link (to the GPUs), compute, out (writing)", 'disk is "", which',
                          'compute is "", which', "link is given twice", "out is 3 bytes a second")
        self.expect_usage("plan x.yaml --rates disk=1G,", '"" is not a stage')
        self.expect_usage("x.yaml --rates disk=1G", "`gpumerge merge` does not take --rates")

    def test_mergekit_flags_are_explained(self):
        advice = {
            "--cuda": "use --device cuda", "--lazy-unpickle": "safetensors", "--low-cpu-memory": "--memory SIZE",
            "--read-to-gpu": "--vram SIZE", "--gpu-rich": "use --device cuda", "--multi-gpu": "use --device cuda",
            "--cuda-device 1": "use --device cuda:N", "--no-cuda": "--device cpu",
            "--trust-remote-code": "never run", "--allow-crimes": "no list of architectures",
            "--copy-tokenizer": "tokenizer_source", "--no-copy-tokenizer": "tokenizer_source",
            "--clone-tensors": "written twice", "--out-shard-size 5B": "5G is what mergekit writes 5B",
            "--random-seed 3": "--seed N", "--write-threads 2": "always overlap", "--async-write": "always overlap",
            "--lora-merge-cache /tmp": "LoRA", "--transformers-cache /tmp": "--cache-dir DIR",
            "--unsafe-truncate-embeddings": "never truncated", "-j 8": "--threads N", "-j8": "--threads N",
            "--num-threads 8": "--threads N", "--no-safe-serialization": "always safetensors",
            "--no-write-model-card": "always written",
        }
        for flag, part in advice.items():
            with self.subTest(flag):
                self.expect_usage(f"x.yaml out {flag}", "is a mergekit flag that gpumerge does not take", part)

    def test_several_mergekit_flags_at_once(self):
        result = self.run_program("x.yaml", "out", "--cuda", "--lazy-unpickle", "--low-cpu-memory")
        self.expect(result, 2)
        self.assertEqual(result.stderr.count("error[USAGE]"), 3)
        self.assertEqual(result.stderr.count("exit:"), 1)

    def test_json_errors(self):
        for words in (["--error-format=json", "--bogus"], ["--bogus", "--error-format", "json"]):
            result = self.run_program("--config", "x.yaml", *words)
            self.assertEqual(result.returncode, 2)
            self.assertEqual(json.loads(result.stderr), {
                "severity": "error", "code": "USAGE", "message": "unknown flag --bogus",
                "help": "`gpumerge --help` lists the flags", "exit": 2})

    def test_escapes_what_was_typed(self):
        result = self.run_program("--config", "x.yaml", "--bad\x1b[31m\nname")
        self.expect(result, 2)
        self.assertNotIn("\x1b", result.stderr)
        self.assertNotIn("\nname", result.stderr)

    def test_no_colours_in_a_log(self):
        self.assertNotIn("\x1b", self.run_program("--bogus", env={"TERM": "xterm"}).stderr)

    def test_errors_table(self):
        result = self.run_program("errors")
        self.expect(result, 0)
        for code in ("CFG-UNKNOWN", "ST-TRUNCATED", "MM-SHAPE", "NUM-NAN-IN", "OUT-IN-INPUT"):
            self.assertIn(code, result.stdout)

    def test_one_error(self):
        result = self.run_program("errors", "mm-shape")
        self.expect(result, 0)
        self.assertEqual(result.stdout, "MM-SHAPE: a tensor's shape differs between the models\n"
                                        "exit status 6: the inputs are valid but do not fit together\n")
        self.expect(self.run_program("errors", "MM-SHAP"), 2, "did you mean MM-SHAPE?")
        self.assertIn("OUT-EXISTS", self.run_program("errors", "9").stdout)

    def test_methods(self):
        result = self.run_program("methods")
        self.expect(result, 0)
        for name in ("linear", "slerp", "task_arithmetic", "ties", "dare_linear", "dare_ties", "passthrough"):
            self.assertRegex(result.stdout, rf"(?m)^{name} ")

    def test_one_method(self):
        result = self.run_program("methods", "ties")
        self.expect(result, 0)
        for part in ("weight", "density", "normalize", "lambda", "default 1", "required", "configs/ties.yaml"):
            self.assertIn(part, result.stdout)
        self.expect(self.run_program("methods", "dare-tie"), 2, "did you mean dare_ties?")

    def test_reader_that_goes_away(self):
        result = subprocess.run(f"{BINARY} errors | head -c 10", shell=True, capture_output=True, text=True, timeout=60)
        self.assertEqual((len(result.stdout), result.stderr), (10, ""))

    def test_full_standard_output(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([BINARY, "errors"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 8)
        self.assertIn("error[OUT-IO]: standard output cannot be written", result.stderr)

    def test_closed_streams(self):
        for redirection in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            status = subprocess.run(f"{BINARY} methods ties {redirection}", shell=True, timeout=60,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
            self.assertEqual(status, 0, redirection)

    def test_exit_statuses_named_in_the_help_are_in_the_table(self):
        help_text = self.run_program("--help").stdout
        table = self.run_program("errors").stdout
        promised = help_text[help_text.index("Exit status"):]
        statuses = set(re.findall(r"\b(\d+) [a-zN]", promised)) - {"0"}
        self.assertGreaterEqual(len(statuses), 8)
        for status in statuses:
            self.assertRegex(table, rf"(?m)^ *{status}  ")


if __name__ == "__main__":
    unittest.main()
