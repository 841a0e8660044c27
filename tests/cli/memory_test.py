# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that ends: the budget holds under limits of the system, and any allocation may fail."""
import json
import os
import pathlib
import resource
import struct
import subprocess
import unittest

from support import BINARY, CliTest, digests, f32

FAILING = pathlib.Path(BINARY).parent / "tests/cli/libfailing_libc.so"
CGROUP = pathlib.Path("/sys/fs/cgroup")
MIB = 1 << 20


class Memory(CliTest):
    def write_big(self, name, n_elems):
        """A model whose one tensor is a hole in its file."""
        folder = self.folder / name
        folder.mkdir()
        header = json.dumps({"x.weight": {"dtype": "F32", "shape": [n_elems], "data_offsets": [0, 4 * n_elems]}}).encode()
        with open(folder / "model.safetensors", "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + 4 * n_elems)

    def run_limited(self, words, prepare, **env):
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), **env}
        return subprocess.run([BINARY, *words], cwd=self.folder, env=environment, text=True, capture_output=True,
                              timeout=100, preexec_fn=prepare)

    def expect_nothing_published(self):
        self.assertFalse((self.folder / "out").exists())

    def test_the_budget_holds_under_a_limit_of_address_space(self):
        for name in ("a", "b"):
            self.write_big(name, 16 * MIB)
        self.write_linear()
        limit = 420 * MIB
        words = ["recipe.yaml", "out", "--memory", "48M", "--sync", "none", "--stats", "stats.json"]
        result = self.run_limited(words, lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        self.expect(result, 0)
        self.assertLess(json.loads((self.folder / "stats.json").read_text())["peak_memory_bytes"], 64e6)

    def test_the_peak_is_not_that_of_the_program_that_started_it(self):
        self.write_model("a", {"x": ("F32", [2], f32(1, 2))})
        self.write_model("b", {"x": ("F32", [2], f32(3, 4))})
        self.write_linear()
        large = b"x" * (256 * MIB)
        self.expect(self.run_program("recipe.yaml", "out", "--device", "cpu", "--stats", "stats.json"), 0)
        self.assertLess(json.loads((self.folder / "stats.json").read_text())["peak_memory_bytes"], len(large) / 2)

    def test_the_least_memory_that_a_plan_names_works(self):
        recipes = {"ties": "parameters: {weight: 1, density: 0.5, rescale: l1}\n", "linear": "parameters: {weight: 1}\n",
                   "della": "parameters: {weight: 1, density: 0.5}\n"}
        for number, name in enumerate(("base", "a", "b")):
            values = struct.pack("<1000f", *((number * 7919 + i * 104729) % 8191 / 4096 for i in range(1000)))
            self.write_model(name, {"large": ("F32", [1000, 1000], values * 1000), "small": ("F32", [3], f32(1, 2, number))})
        for method, parameters in recipes.items():
            self.write("recipe.yaml", f"merge_method: {method}\n" + ("base_model: base\n" if method != "linear" else "") +
                       parameters + "models: [{model: a}, {model: b}]\n")
            whole = None
            for threads in ("1", "4"):
                words = ("recipe.yaml", "--device", "cpu", "--threads", threads)
                plan = self.run_program("plan", *words, "--out", "none", "--json")
                self.expect(plan, 0)
                least = json.loads(plan.stdout)["run"]["memory_needed_bytes"]
                self.expect(self.run_program("merge", *words, "--out", "out", "--overwrite", "--memory", str(least)), 0)
                written = digests(self.folder / "out")["model.safetensors"]
                self.assertEqual(written, whole or written)
                whole = written
                # What is named is rounded up, by less than 4 MiB.
                result = self.run_program("merge", *words, "--out", "none", "--memory", str(least - 5 * MIB))
                self.expect(result, 10, "error[RES-MEM]: the memory budget is too small", "expected: at least")
                self.assertFalse((self.folder / "none").exists())

    def test_the_default_budget_knows_the_limit_of_address_space(self):
        for name in ("a", "b"):
            self.write_big(name, 96 * MIB)
        self.write_linear()
        limit = 420 * MIB
        result = self.run_limited(["recipe.yaml", "out", "--sync", "none", "--threads", "2"],
                                  lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        self.expect(result, 0)

    def test_address_space_that_is_too_small(self):
        self.write_big("a", MIB)
        self.write_linear(models=("a",))
        statuses = set()
        for limit in range(24, 220, 14):
            def set_limit(mib=limit):
                resource.setrlimit(resource.RLIMIT_AS, (mib * MIB, mib * MIB))
            if self.run_limited(["--version"], set_limit).returncode != 0:
                continue  # the program and its libraries do not fit
            result = self.run_limited(["recipe.yaml", "out", "--memory", "48M", "--threads", "2"], set_limit)
            self.assertIn(result.returncode, (0, 10), f"{limit} MiB: {result.stderr}")
            statuses.add(result.returncode)
            if result.returncode == 10:
                self.assertIn("error[RES-MEM]", result.stderr)
            if result.returncode != 0:
                self.expect_nothing_published()
                continue
            break
        self.assertIn(10, statuses)

    def test_the_budget_holds_with_large_tokenizers(self):
        for name in ("a", "b"):
            self.write_model(name, {"x.weight": ("F32", [1], f32(1))})
            with open(self.folder / name / "tokenizer.json", "w") as file:
                file.write('{"added_tokens": [], "model": {"vocab": {"y": 0')
                for i in range(200_000):
                    file.write(f', "{"x" * 80}{i}": {i + 1}')
                file.write("}}}")
        self.write_linear()
        # By a shell, because a process counts what the one that started it held until then.
        words = f"{BINARY} recipe.yaml out --memory 32M --stats stats.json; exit $?"
        self.expect(self.run_program("-c", words, program="/bin/sh"), 0)
        self.assertLess(json.loads((self.folder / "stats.json").read_text())["peak_memory_bytes"], 32e6)

    def test_a_config_of_many_values_is_refused(self):
        self.write_model("a", {"x.weight": ("F32", [1], f32(1))})
        with open(self.folder / "a/config.json", "w") as file:
            file.write('{"x": [')
            for _ in range(1500):
                file.write("0," * 1000)
            file.write("0]}")
        self.write_linear(models=("a",))
        limit = 130 * MIB
        result = self.run_limited(["plan", "recipe.yaml"], lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
        self.expect(result, 10, "error[ST-LIMIT]", "config.json")

    def test_threads_that_cannot_start_while_inputs_are_verified(self):
        models = [f"m{i}" for i in range(16)]
        for name in models:
            self.write_big(name, MIB)
        (self.folder / "SUMS").write_text(subprocess.run(["sha256sum", *(f"{name}/model.safetensors" for name in models)],
                                                         cwd=self.folder, capture_output=True, text=True).stdout)
        self.write_linear(models=models)
        statuses = set()
        for limit in range(60, 320, 10):
            result = self.run_limited(["recipe.yaml", "out", "--manifest", "SUMS", "--memory", "48M", "--threads", "8"],
                                      lambda: resource.setrlimit(resource.RLIMIT_AS, (limit * MIB, limit * MIB)))
            self.assertIn(result.returncode, (0, 10, 127), f"{limit} MiB: {result.stderr}")
            statuses.add(result.returncode)
            if result.returncode == 0:
                break
            self.expect_nothing_published()
        self.assertIn(10, statuses)

    def make_group(self, limit_bytes):
        """The cgroup.procs of a new control group with that much memory; skips where there can be none."""
        for parent, file in ((CGROUP / "memory", "memory.limit_in_bytes"), (CGROUP, "memory.max")):
            if not (parent / "cgroup.procs").exists():
                continue
            group = parent / f"gpumerge-test-{os.getpid()}"
            try:
                group.mkdir()
                self.addCleanup(group.rmdir)
                (group / file).write_text(str(limit_bytes))
                return group / "cgroup.procs"
            except OSError:
                continue
        self.skipTest("no memory control group can be made here")

    def test_the_budget_holds_in_a_small_control_group(self):
        for name in ("a", "b"):
            self.write_big(name, 24 * MIB)
        self.write_linear()
        procs = self.make_group(96 * MIB)
        for words in (["--memory", "48M"], []):  # the default knows of the group
            result = self.run_limited(["recipe.yaml", "out", "--overwrite", "--stats", "stats.json", *words],
                                      lambda: procs.write_text(str(os.getpid())))
            self.expect(result, 0)
            self.assertLessEqual(json.loads((self.folder / "stats.json").read_text())["memory_budget_bytes"], 96 * MIB)

    def test_any_allocation_may_fail(self):
        if not FAILING.exists():
            self.skipTest(f"{FAILING} was not built")
        for name, value in (("a", 1), ("b", 2)):
            self.write_model(name, {"model.embed.weight": ("F32", [2, 2], f32(1, 2, 3, value)),
                                    "model.layers.0.w": ("F32", [3], f32(value, 2, 3))}, num_hidden_layers=1)
        self.write("recipe.yaml", "merge_method: ties\nbase_model: a\nmodels: [{model: b, parameters: {weight: 1, density: "
                                  "0.5}}]\n")
        words = ["recipe.yaml", "out", "--device", "cpu", "--threads", "2"]
        preload = {"LD_PRELOAD": str(FAILING)}
        self.expect(self.run_limited(words, None, **preload, GM_COUNT_ALLOCATIONS="count"), 0)
        expected = digests(self.folder / "out")
        subprocess.run(["rm", "-r", self.folder / "out"], check=True)
        count = int((self.folder / "count").read_text())
        self.assertGreater(count, 500)
        failed = 0
        before = self.names()
        for n in [*range(1, 40), *range(40, count, max(1, count // 160)), *range(count - 10, count + 1)]:
            result = self.run_limited(words, None, **preload, GM_FAIL_ALLOCATION=str(n))
            with self.subTest(n):
                self.assertIn(result.returncode, (0, 10), result.stderr)
                if result.returncode == 10:
                    failed += 1
                    self.assertIn("RES-MEM", result.stderr)
                    self.expect_nothing_published()
                    self.expect(self.run_limited(words, None), 0)
                self.assertEqual(digests(self.folder / "out"), expected)
            subprocess.run(f"rm -rf {self.folder}/out {self.folder}/.out*", shell=True, check=True)
            self.assertEqual(self.names(), before)
        # What goes on without memory, such as a sort that asks for a buffer, is rare.
        self.assertGreater(failed, 150)


if __name__ == "__main__":
    unittest.main()
