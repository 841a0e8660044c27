# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Which devices there are and which one is taken; what a merge would cost on a machine that is not here."""
import json
import subprocess
import unittest

from support import CliTest, ROOT, digests

# Hides GPUs from the CUDA runtime, so that these tests mean the same on a machine that has some.
NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}


class Devices(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "tests").symlink_to(ROOT / "tests")
        self.ties = ROOT / "configs/ties.yaml"

    def machine(self, **options):
        result = self.run_program("devices", "--json", **options)
        self.expect(result, 0)
        return json.loads(result.stdout)

    def test_devices_of_any_machine(self):
        result = self.run_program("devices")
        self.expect(result, 0)
        self.assertEqual(result.stderr, "")
        self.assertRegex(result.stdout, r"(?s)^GPUs\n.*\nCPU\n  .+ threads? \(instruction sets that work here, for --isa: .+\)\n\n"
                                        r"--device auto, the default, takes\n  \S.*\n  because: \S.*\n$")

    def test_without_a_gpu_it_says_why_and_auto_takes_the_cpu(self):
        result = self.run_program("devices", "--measure", env=NO_GPU)
        self.expect(result, 0)
        self.assertRegex(result.stdout, r"^GPUs\n  none\n  \[DEV-[A-Z]+\] ")
        self.assertRegex(result.stdout, r"auto, the default, takes\n  cpu \(.*\n  because: no GPU: ")

    def test_devices_as_json(self):
        machine = self.machine(env=NO_GPU)
        self.assertEqual(machine["gpus"], [])
        self.assertRegex(machine["problem"]["code"], "^DEV-")
        self.assertTrue(machine["problem"]["message"])
        self.assertIn(machine["built_with_cuda"], (True, False))
        self.assertGreaterEqual(len(machine["cpu"]["instruction_sets"]), 1)
        self.assertIn(machine["cpu"]["instruction_sets"][-1], machine["cpu"]["chosen"])
        self.assertEqual(machine["auto"]["device"], f"cpu ({machine['cpu']['chosen']})")
        self.assertIsNone(machine["auto"]["problem"])

    def test_devices_takes_no_words(self):
        self.expect(self.run_program("devices", "cuda"), 2, '"cuda" is one argument too many',
                    "usage: gpumerge devices [flags]")
        self.expect(self.run_program("devices", "--vram", "8G"), 2, "`gpumerge devices` does not take --vram")

    def test_a_merge_says_what_it_runs_on_and_why(self):
        auto = self.machine(env=NO_GPU)["auto"]
        result = self.run_program("--config", self.ties, "--out", "out", env=NO_GPU)
        self.expect(result, 0)
        self.assertEqual(result.stderr.splitlines()[1], f"gpumerge: device {auto['device']}: {auto['why']}")
        result = self.run_program("--config", self.ties, "--out", "again", "--device", "reference")
        self.assertRegex(result.stderr.splitlines()[1], r"^gpumerge: device reference.*: --device reference$")

    def test_a_gpu_that_is_not_there_is_an_error(self):
        before = self.names()
        for device in ("cuda", "cuda:0", "cuda:0,2", "hybrid"):
            for words in (("--config", self.ties, "--out", "out"), ("plan", "--config", self.ties)):
                with self.subTest(device, words=words):
                    result = self.run_program(*words, "--device", device, env=NO_GPU)
                    self.expect(result, 10, "error[DEV-", "  help:  ", "exit:  10")
                    self.assertEqual(result.stdout, "")
        self.assertEqual(self.names(), before)

    def test_a_gpu_that_is_not_there_as_json(self):
        result = self.run_program("--config", self.ties, "--device", "cuda", "--error-format", "json", env=NO_GPU)
        error = json.loads(result.stderr)
        self.assertRegex(error["code"], "^DEV-")
        self.assertEqual((result.returncode, error["exit"], error["severity"]), (10, 10, "error"))

    def test_limits_for_gpus_do_no_harm_without_one(self):
        self.expect(self.run_program("--config", self.ties, "--out", "a", env=NO_GPU), 0)
        self.expect(self.run_program("--config", self.ties, "--out", "b", "--vram", "8G", "--pinned", "64M", env=NO_GPU), 0)
        self.assertEqual(digests(self.folder / "a"), digests(self.folder / "b"))

    def test_instruction_sets_can_be_chosen(self):
        usable = self.machine()["cpu"]["instruction_sets"]
        merged = []
        for isa in usable:
            words = ("--config", self.ties, "--device", "cpu", "--threads", "2", "--isa", isa)
            self.expect(self.run_program(*words, "--out", isa), 0, f"device cpu ({isa}, 2 threads)")
            self.assertIn(f"device   cpu ({isa}, 2 threads)", self.run_program("plan", *words).stdout)
            merged.append(digests(self.folder / isa))
        self.assertEqual(merged, [merged[0]] * len(usable))

    def test_selfcheck_says_what_was_compared(self):
        result = self.run_program("--config", self.ties, "--out", "out", "--device", "cpu", "--selfcheck", "100%",
                                  "--stats", "stats.json")
        self.expect(result, 0)
        self.assertIn("\n  selfcheck: 38 tensors checked against the reference executor: equal\n", result.stdout)
        self.assertEqual(json.loads((self.folder / "stats.json").read_text())["selfcheck_tensors"], 38)
        self.expect(self.run_program("--config", self.ties, "--out", "unchecked"), 0)
        self.assertEqual(digests(self.folder / "out"), digests(self.folder / "unchecked"))


class Rates(CliTest):
    """A base and two fine-tunes of 70 billion parameters: headers alone, of files that are holes."""
    BYTES = 141_107_412_992  # of one of them
    EMBEDDING = 128_256 * 8192 * 2

    def setUp(self):
        super().setUp()
        subprocess.run([ROOT / "scripts/make_sparse_model.py", "--like", "llama-70b", "--out", self.folder, "base", "a", "b"],
                       check=True, stdout=subprocess.DEVNULL, timeout=100)
        self.write("recipe.yaml", "merge_method: ties\nbase_model: ./base\ndtype: bfloat16\nmodels:\n" + "".join(
            f"  - model: ./{name}\n    parameters: {{weight: 1, density: 0.5}}\n" for name in "ab"))

    def cost(self, *words):
        result = self.run_program("plan", "recipe.yaml", "--json", *words, env=NO_GPU)
        self.expect(result, 0)
        cost = json.loads(result.stdout)["cost"]
        return cost, {stage["stage"]: stage for stage in cost["stages"]}

    def test_rates_on_a_rented_node(self):
        cost, stages = self.cost("--vram", "80G", "--rates", "disk=7G,link=50G,out=3G")
        self.assertEqual(list(stages), ["disk", "link", "out"])
        self.assertEqual([stage["bytes"] for stage in stages.values()], [3 * self.BYTES, 3 * self.BYTES, self.BYTES])
        self.assertEqual([stage["bytes_per_second"] for stage in stages.values()], [7e9, 50e9, 3e9])
        self.assertAlmostEqual(stages["link"]["seconds"], 3 * self.BYTES / 50e9)
        self.assertAlmostEqual(cost["seconds"], 3 * self.BYTES / 7e9)
        self.assertEqual((cost["binds"], cost["assumption"]), ("disk", "as on a GPU that may use 80.00 GB"))

    def test_rates_with_a_gpu_too_small_for_the_embeddings(self):
        # Of embedding and head three models are 6.3 GB: what does not fit is sent for each of three readings.
        _, stages = self.cost("--vram", "6G", "--rates", "disk=7G,link=50G,compute=1T,out=3G")
        sent = 3 * self.BYTES + 2 * 2 * 3 * self.EMBEDDING
        self.assertEqual([stages[name]["bytes"] for name in ("disk", "link", "compute", "out")],
                         [sent, sent, sent, self.BYTES])

    def test_rates_without_a_link_cost_the_run_as_planned(self):
        result = self.run_program("plan", "recipe.yaml", "--json", "--device", "cpu", "--memory", "64M", "--rates", "disk=1GB/s")
        self.expect(result, 0)
        plan = json.loads(result.stdout)
        self.assertGreater(plan["run"]["bytes_read_again"], 0)
        self.assertEqual(plan["cost"]["stages"][0]["bytes"], plan["run"]["bytes_read"])
        self.assertIsNone(plan["cost"]["assumption"])

    def test_rates_in_the_text(self):
        result = self.run_program("plan", "recipe.yaml", "--vram", "80G", "--rates", "out=3G,link=50G,disk=45G", env=NO_GPU)
        self.expect(result, 0)
        self.assertIn("\ntime     47.0 s: out binds, the stages overlap\n"
                      "         disk     423.32 GB at  45.00 GB/s      9.4 s\n"
                      "         link     423.32 GB at  50.00 GB/s      8.5 s\n"
                      "         out      141.11 GB at   3.00 GB/s     47.0 s\n"
                      "         as on a GPU that may use 80.00 GB\n", result.stdout)
        self.assertNotIn("\ntime ", self.run_program("plan", "recipe.yaml").stdout)


if __name__ == "__main__":
    unittest.main()
