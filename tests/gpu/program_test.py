# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Whole merges on emulated GPUs: the CPU's bytes for every recipe, mode, budget and number of devices."""
import re
import unittest

from program import AMPLE, CONFIGS, KEPT, MODES, STREAMED, GpuProgramTest, bf16

VRAM = (AMPLE, KEPT, STREAMED)


class GpuProgram(GpuProgramTest):
    def test_every_example_has_the_bytes_of_cpu_and_reference(self):
        self.assertGreaterEqual(len(CONFIGS), 7)
        for number, config in enumerate(CONFIGS):
            expected = self.merge(config, "--device", "cpu")
            self.assertEqual(expected, self.merge(config, "--device", "reference"))
            self.expect_same(config, expected, "--device", "cuda")
            self.assertIn("device cuda:0 (", self.stderr)
            self.expect_same(config, expected, "--device", "cuda", "--vram",
                             self.enough(config, (KEPT, STREAMED)[number % 2]))

    # The tests of kernels and batches have every method in every mode as well, so each mode takes some examples.
    def examples_in(self, mode, first=0, step=2):
        for number, config in enumerate(CONFIGS[first::step]):
            expected = self.merge(config, "--device", "cpu")
            vram = self.enough(config, VRAM[(number + MODES.index(mode)) % len(VRAM)])
            self.expect_same(config, expected, "--device", "cuda", "--vram", vram, env=mode)

    def test_examples_lazily(self):
        self.examples_in(MODES[0])

    def test_examples_shuffled_1(self):
        self.examples_in(MODES[1], first=0, step=4)

    def test_examples_shuffled_2(self):
        self.examples_in(MODES[2], first=1, step=4)

    def test_examples_shuffled_3(self):
        self.examples_in(MODES[3], first=2, step=4)

    def test_examples_checked(self):
        self.examples_in(MODES[4], first=3, step=4)

    def test_rescaling_and_output_types(self):
        number = 0
        for method in ("ties", "dare_linear", "dare_ties"):
            for rescale in ("false", "true", "l1", "l2", "linf", "inv_density"):
                number += 1
                recipe = self.write_recipe(
                    f"{method}-{rescale}.yaml", method, "{weight: 0.7, density: 0.3}", base="tests/models/base",
                    models=("tests/models/german", "tests/models/kjv"),
                    dtype=("bfloat16", "float16", "float32")[number % 3], more=f"parameters: {{rescale: {rescale}}}\n")
                expected = self.merge(recipe, "--device", "cpu")
                for vram in VRAM:
                    self.expect_same(recipe, expected, "--device", "cuda", "--vram", vram,
                                     env=MODES[number % len(MODES)])

    # What is selected among NaN and infinity is as defined as among numbers.
    def test_values_that_are_not_finite(self):
        self.write_models(3, {"x.weight": 9001})
        shard = self.folder / "b/model.safetensors"
        data = bytearray(shard.read_bytes())
        for place, value in enumerate((float("nan"), float("inf"), -float("inf"), -float("nan"))):
            for elem in range(place * 7, 9001, 4096 - place):
                data[len(data) - 2 * (elem + 1):len(data) - 2 * elem] = bf16([value])
        shard.write_bytes(data)
        for method, parameters in (("ties", "{weight: 1, density: 0.4}"), ("della", "{weight: 1, density: 0.4}"),
                                   ("breadcrumbs_ties", "{weight: 1, density: 0.8, gamma: 0.1}"),
                                   ("dare_linear", "{weight: 1, density: 0.5}"), ("model_stock", ""), ("sce", "")):
            recipe = self.write_recipe(f"{method}.yaml", method, parameters, more="nonfinite: allow\n")
            expected = self.merge(recipe, "--device", "cpu")
            self.assertEqual(expected, self.merge(recipe, "--device", "reference"))
            for vram in (AMPLE, STREAMED):
                self.expect_same(recipe, expected, "--device", "cuda", "--vram", self.enough(recipe, vram))

    # A tensor of many parts beside tiny ones: kept while it fits, else streamed. The kernels say which it was.
    def test_budgets_force_every_way(self):
        self.write_models(3, {"large": 200_003, "small": 77, "middle": 9001, "last": 4096})
        recipe = self.write_recipe("r.yaml", "ties", "{weight: 1, density: 0.4}", more="parameters: {rescale: l2}\n")
        expected = self.merge(recipe, "--device", "cpu")
        parts = {}
        for vram in ("64M", "16M", "8M", "4M", "3M", "2500K"):
            self.expect_same(recipe, expected, "--device", "cuda", "--vram", vram, env={"GPUEMU_STATS": "1"})
            launches = self.launches()
            parts[vram] = sum(n for kernel, n in launches.items() if "CountKernel" in kernel)
            self.assertTrue(any("MapKernel" in kernel for kernel in launches))
        self.assertEqual(parts["64M"], 0)  # all whole
        self.assertGreater(parts["8M"], 0)
        self.assertGreater(parts["2500K"], parts["8M"])
        for mode in MODES:
            for vram in ("8M", "2500K"):
                self.expect_same(recipe, expected, "--device", "cuda", "--vram", vram, env=mode)

    def test_the_least_memory_it_names_suffices(self):
        for config in CONFIGS:
            with self.subTest(config.name):
                expected = self.merge(config, "--device", "cpu")
                refused = self.run_emulated("--config", config, "--out", config.stem, "--device", "cuda", "--vram", "540K")
                if refused.returncode == 0:
                    continue  # no statistics: it takes next to nothing
                self.expect(refused, 10, "error[DEV-MEMORY]", "--vram")
                self.assertFalse((self.folder / config.stem).exists())
                least = int(re.search(r"at least (\d+) bytes", refused.stderr)[1])
                self.expect_same(config, expected, "--device", "cuda", "--vram", str(least))
                too_little = self.run_emulated("--config", config, "--out", config.stem, "--device", "cuda", "--vram",
                                               str(least - 4096))
                self.expect(too_little, 10, "error[DEV-MEMORY]")

    def test_host_memory_and_pinned_memory_change_nothing(self):
        for config in CONFIGS[-2:]:
            expected = self.merge(config, "--device", "cpu")
            refused = self.run_emulated("--config", config, "--out", "refused", "--device", "cuda", "--memory", "16M")
            self.expect(refused, 10, "error[RES-MEM]")
            self.assertFalse((self.folder / "refused").exists())
            least = re.search(r"at least (\d+) bytes", refused.stderr)[1]
            for words in (("--memory", least), ("--memory", "64M"), ("--pinned", "1M"), ("--pinned", "4M"),
                          ("--pinned", "1M", "--vram", STREAMED), ("--memory", "32M", "--vram", KEPT),
                          ("--threads", "1"), ("--sync", "none")):
                self.expect_same(config, expected, "--device", "cuda", *words)

    def test_several_devices_and_hybrid(self):
        for number, config in enumerate(CONFIGS):
            expected = self.merge(config, "--device", "cpu")
            devices = 1 + number % 3
            env = {"GPUEMU_DEVICES": str(devices), "GPUEMU_ASYNC": "lazy"}
            if number % 2 == 0:
                self.expect_same(config, expected, "--device", "cuda", env=env)
                self.assertIn(f"cuda:{devices - 1}", self.stderr)
            else:
                self.expect_same(config, expected, "--device", "hybrid", "--vram", self.enough(config, KEPT), env=env)
                self.assertIn("cpu (", self.stderr)
        env = {"GPUEMU_DEVICES": "3", "GPUEMU_SHUFFLE": "1"}
        self.expect_same(config, expected, "--device", "cuda:2", env=env)
        self.assertNotIn("cuda:0", self.stderr)
        self.expect_same(config, expected, "--device", "cuda:0,2", "--vram", STREAMED, env=env)
        self.assertNotIn("cuda:1", self.stderr)
        self.expect(self.run_emulated("--config", config, "--out", "none", "--device", "cuda:3", env=env), 10, "error[DEV-")

    def test_auto_takes_the_gpu_and_without_one_the_cpu(self):
        expected = self.merge(CONFIGS[0], "--device", "cpu")
        self.expect_same(CONFIGS[0], expected)
        self.assertRegex(self.stderr, r"gpumerge: device cuda:0 ")
        self.expect_same(CONFIGS[0], expected, env={"GPUEMU_DEVICES": "0"})
        self.assertRegex(self.stderr, r"gpumerge: device cpu .*no GPU")
        for device in ("cuda", "cuda:0", "hybrid"):
            result = self.run_emulated("--config", CONFIGS[0], "--out", "none", "--device", device,
                                       env={"GPUEMU_DEVICES": "0"})
            self.expect(result, 10, "error[DEV-NONE]")
            self.assertFalse((self.folder / "none").exists())

    def test_selfcheck_of_everything(self):
        for number, config in enumerate(CONFIGS):
            words = ("--device", "hybrid", "--vram", self.enough(config, STREAMED)) if number % 2 else ("--device", "cuda")
            with self.subTest(config.name, words=words):
                self.merge(config, *words, "--selfcheck", "100", env={"GPUEMU_ASYNC": "lazy"})
                self.assertRegex(self.stdout, r"selfcheck: [1-9]\d* tensors? checked .*equal")

    # Processors differ in the bits of NaN; what is wrong is the model, not the GPU.
    def test_nan_is_the_models_fault_also_when_checked(self):
        self.write_models(3, {"t": 5000})
        path = self.folder / "b/model.safetensors"
        data = bytearray(path.read_bytes())
        data[-2000:-1998] = b"\xc1\x7f"
        path.write_bytes(data)
        recipe = self.write_recipe("r.yaml", "ties", "{weight: 1, density: 0.4}", dtype="float32")
        for words in ((), ("--selfcheck", "100"), ("--selfcheck", "100", "--vram", STREAMED)):
            texts = []
            for device in (("--device", "cpu", *words[:2]), ("--device", "cuda", *words)):
                result = self.run_emulated("--config", recipe, "--out", "none", *device)
                self.expect(result, 7, "error[NUM-NAN-IN]", "element 4000 ")
                texts.append(re.search(r"error(?s:.)*", result.stderr)[0])
                self.assertFalse((self.folder / "none").exists())
            self.assertEqual(texts[0], texts[1])

    def test_300_norms_take_ten_launches(self):
        self.write_models(3, {f"layers.{i}.norm.weight": 64 for i in range(300)})
        for method in ("ties", "dare_ties", "linear"):
            parameters = "{weight: 1}" if method == "linear" else "{weight: 1, density: 0.5}"
            recipe = self.write_recipe(f"{method}.yaml", method, parameters, base="" if method == "linear" else "a")
            expected = self.merge(recipe, "--device", "cpu")
            self.expect_same(recipe, expected, "--device", "cuda", env={"GPUEMU_STATS": "1"})
            self.assertLessEqual(sum(self.launches().values()), 10, self.launches())


if __name__ == "__main__":
    unittest.main()
