# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Whole merges on an emulated GPU that fails: every call of the CUDA runtime once, and every size of memory. Each ends
in an error of the device with nothing published, or in the right bytes; the next merge works."""
import re
import unittest

from program import KEPT, STREAMED, GpuProgramTest
from support import digests

# What the program calls of the runtime, by what a failure may do: nothing (what is only asked for a display, and the
# end of the work), end the merge, or cost memory that a smaller request does without.
HARMLESS = ("cudaDeviceGetPCIBusId", "cudaRuntimeGetVersion", "cudaDriverGetVersion", "cudaEventDestroy",
            "cudaStreamDestroy", "cudaFree", "cudaFreeHost")
FATAL = ("cudaGetDeviceCount", "cudaGetDeviceProperties", "cudaStreamCreateWithFlags", "cudaEventCreateWithFlags",
         "cudaEventCreate", "cudaMemsetAsync", "cudaMemcpyAsync", "cudaEventRecord", "cudaStreamWaitEvent",
         "cudaLaunchKernel", "cudaEventSynchronize", "cudaEventElapsedTime")
# The last calls of these are made when the work is done, or a smaller request follows.
EITHER = ("cudaMalloc", "cudaHostAlloc", "cudaSetDevice", "cudaMemGetInfo", "cudaStreamSynchronize")
MODES = ((KEPT, {}), (STREAMED, {"GPUEMU_ASYNC": "lazy"}))


class GpuFailures(GpuProgramTest):
    def setUp(self):
        super().setUp()
        # A batch, and a tensor in parts: kept or, with less memory, streamed.
        self.write_models(3, {"large": 60_003, "small": 77, "middle": 1001})
        self.recipe = self.write_recipe("r.yaml", "ties", "{weight: 1, density: 0.4}",
                                        more="parameters: {rescale: l2}\n")
        self.expected = self.merge(self.recipe, "--device", "cpu")
        self.words = ("--device", "cuda", "--vram", KEPT)

    def outcome(self, words, env):
        """Exit status and standard error of a merge into a fresh directory, which must be whole or absent."""
        self.made += 1
        out = self.folder / f"out-{self.made}"
        result = self.run_emulated("--config", self.recipe, "--out", out.name, *words, env=env)
        if result.returncode == 0:
            self.assertEqual(digests(out), self.expected, result.stderr)
        else:
            self.assertEqual(result.returncode, 10, result.stderr)
            self.assertRegex(result.stderr, r"error\[(DEV-[A-Z]+|RES-MEM)\]")
            self.assertIn("\n  help:  ", result.stderr)
            self.assertFalse(out.exists(), "published though it failed")
        return result.returncode, result.stderr

    def fail_every_call(self, function, vram, mode, step=1):
        """Exit statuses of merges with one failing call: the first, or each step-th."""
        statuses = []
        while True:
            n = step * len(statuses) + 1
            with self.subTest(function, n=n, vram=vram, mode=mode):
                status, stderr = self.outcome(("--device", "cuda", "--vram", vram), {"GPUEMU_FAIL": f"{function}:{n}", **mode})
                if "injected failure" not in stderr:
                    self.assertEqual(status, 0)
                    return statuses
                statuses.append(status)
                continue
            self.fail(f"call {n} of {function}: see above")

    def test_every_call_that_must_end_the_merge(self):
        for (vram, mode), step, at_least in zip(MODES, (1, 4), (80, 25)):
            total = 0
            for function in FATAL:
                statuses = self.fail_every_call(function, vram, mode, step)
                total += len(statuses)
                self.assertEqual(set(statuses), {10} if statuses else set(), f"{function}: {statuses}")
            self.assertGreater(total, at_least)
        self.assertEqual(self.merge(self.recipe, *self.words), self.expected)

    def test_every_call_that_may_be_made_up_for(self):
        for vram, mode in MODES:
            for function in EITHER:
                statuses = self.fail_every_call(function, vram, mode)
                if function not in ("cudaStreamSynchronize",):
                    self.assertGreater(len(statuses), 0, function)
            for function in HARMLESS:
                statuses = self.fail_every_call(function, vram, mode)
                self.assertEqual(set(statuses) - {0}, set(), f"{function}: {statuses}")

    # What was done before the failure is not done again, or is; the bytes are the same.
    def test_a_failed_merge_can_be_repeated(self):
        for number, function in enumerate(("cudaMemcpyAsync:5", "cudaLaunchKernel:9", "cudaEventSynchronize:4")):
            words = ("--config", self.recipe, "--out", f"again-{number}", *self.words)
            self.expect(self.run_emulated(*words, env={"GPUEMU_FAIL": function}), 10, "error[DEV-FAILED]")
            self.expect(self.run_emulated(*words), 0)
            self.assertEqual(digests(self.folder / f"again-{number}"), self.expected)

    # Without a wish for a GPU, one that cannot be used is gone around, and that is said.
    def test_auto_goes_around_what_fails(self):
        status, stderr = self.outcome((), {"GPUEMU_DEVICES": "2", "GPUEMU_FAIL": "cudaGetDeviceProperties:1"})
        self.assertEqual(status, 0)
        self.assertRegex(stderr, r"gpumerge: device cuda:1 .*not GPU 0: ")
        for size in ("64K", "1M"):
            status, stderr = self.outcome((), {"GPUEMU_MEMORY": size})
            self.assertEqual(status, 0)
            self.assertRegex(stderr, r"gpumerge: device cpu .*: no GPU: .*too little")

    # Beside the GPU the CPU works; a GPU that fails still ends the merge.
    def test_failures_in_a_hybrid_merge(self):
        for function in ("cudaMemcpyAsync:3", "cudaLaunchKernel:2", "cudaHostAlloc:1", "cudaEventSynchronize:1",
                         "cudaMalloc:2"):
            for vram, mode in MODES:
                with self.subTest(function, vram=vram, mode=mode):
                    self.outcome(("--device", "hybrid", "--vram", vram),
                                 {"GPUEMU_FAIL": function, "GPUEMU_DEVICES": "2", **mode})

    # Memory runs out at any size, or it suffices; once it does, more of it does too. The bytes are always the CPU's.
    def test_device_memory_from_tiny_to_ample(self):
        worked = []
        for size in ("64K", "256K", "600K", "1M", "1500K", "2M", "3M", "4M", "8M", "16M", "64M", "512M"):
            with self.subTest(size):
                status, stderr = self.outcome(("--device", "cuda"), {"GPUEMU_MEMORY": size})
                if status != 0:
                    self.assertIn("error[DEV-MEMORY]", stderr)
                worked.append(status == 0)
        self.assertEqual(worked, sorted(worked))
        self.assertFalse(worked[0])
        self.assertTrue(worked[-1])

    # Less than --vram says is there: another program took it meanwhile. Half of it, with a warning, or an error.
    def test_more_vram_asked_for_than_there_is(self):
        for size in ("2M", "4M", "8M"):
            with self.subTest(size):
                status, stderr = self.outcome(("--device", "cuda", "--vram", "1G"), {"GPUEMU_MEMORY": size})
                if status != 0:
                    self.assertIn("error[DEV-MEMORY]", stderr)

    def test_out_of_memory_halves_and_goes_on(self):
        status, stderr = self.outcome(self.words, {"GPUEMU_FAIL": "cudaMalloc:1"})
        self.assertEqual(status, 0, stderr)
        self.assertRegex(stderr, r"(?i)warning.*memory")


if __name__ == "__main__":
    unittest.main()
