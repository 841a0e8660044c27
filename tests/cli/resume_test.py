# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that are stopped or killed, and the same command again."""
import fcntl
import os
import resource
import signal
import struct
import subprocess
import time
import unittest

from support import BINARY, CliTest, digests, f32

N_TENSORS = 8
N_ELEMS = 128 * 1024


def some_bf16(seed):
    """N_ELEMS values between -1 and 1, none of them twice alike nearby."""
    block = b"".join(struct.pack("<f", ((seed * 7919 + i * 104729) % 8191) / 4096 - 1)[2:] for i in range(8192))
    return block * (N_ELEMS // 8192)


class Resume(CliTest):
    """The reference executor sorts slowly enough to be stopped in the middle."""

    def setUp(self):
        super().setUp()
        for number, name in enumerate(("base", "a", "b")):
            self.write_model(name, {f"model.layers.{i}.weight": ("BF16", [128, 1024], some_bf16(number * 100 + i))
                                    for i in range(N_TENSORS)}, num_hidden_layers=N_TENSORS)
        self.recipe = self.write("recipe.yaml", "merge_method: ties\nbase_model: base\n"
                                 "parameters: {density: 0.4, weight: 0.5}\nmodels: [{model: a}, {model: b}]\n"
                                 "shard_size: 1M\n")
        self.words = ["--config", "recipe.yaml", "--device", "reference", "--threads", "1"]
        start = time.monotonic()
        self.expect(self.run_program(*self.words, "--out", "expected"), 0)
        self.seconds = time.monotonic() - start
        self.expected = digests(self.folder / "expected")

    def stop(self, number, share):
        """Sends the signal after that share of an uninterrupted run; returns exit status and standard error."""
        process = subprocess.Popen([BINARY, *self.words, "--out", "out"], cwd=self.folder, text=True,
                                   env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(self.seconds * share)
        process.send_signal(number)
        sent = time.monotonic()
        errors = process.communicate(timeout=60)[1]
        if process.returncode != 0:
            self.assertLess(time.monotonic() - sent, 10, errors)
            self.assertFalse((self.folder / "out").exists())
        return process.returncode, errors

    def stop_in_the_middle(self):
        """Until some tensors are finished, and not all."""
        for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8):
            status, errors = self.stop(signal.SIGTERM, share)
            if status == 143 and "resumable: run the same command again" in errors:
                return
            self.run_program("merge", "--config", "recipe.yaml", "--out", "out", "--restart", "--overwrite")
            subprocess.run(["rm", "-rf", self.folder / "out"], check=True)
        self.fail("no signal came in the middle")

    def test_stopped_by_signals_goes_on(self):
        statuses = []
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            status, errors = self.stop(number, 0.4)
            if status == 0:
                break
            self.assertEqual(status, 128 + number, errors)
            self.assertIn("run the same command again", errors)
            statuses.append(status)
        self.assertTrue(statuses)
        if not (self.folder / "out").exists():
            self.expect(self.run_program(*self.words, "--out", "out"), 0)
        self.assertEqual(digests(self.folder / "out"), self.expected)
        self.assertEqual(self.names(), ["a", "b", "base", "expected", "out", "recipe.yaml"])

    def test_killed_leaves_nothing_half(self):
        for share in (0.2, 0.5, 0.9):
            self.stop(signal.SIGKILL, share)
        if not (self.folder / "out").exists():
            self.expect(self.run_program(*self.words, "--out", "out"), 0)
        self.assertEqual(digests(self.folder / "out"), self.expected)
        self.assertEqual(self.names(), ["a", "b", "base", "expected", "out", "recipe.yaml"])

    def test_says_what_is_resumed(self):
        self.stop_in_the_middle()
        result = self.run_program("--config", "recipe.yaml", "--out", "out", "--resume=trust", "--stats", "stats.json")
        self.expect(result, 0, "going on with an interrupted run: ", f" of {N_TENSORS} tensors (")
        self.assertRegex(result.stdout, rf"{N_TENSORS} tensors, [1-{N_TENSORS}] of them resumed, ")
        self.assertRegex((self.folder / "stats.json").read_text(), r'"tensors_resumed": [1-8],')
        self.assertEqual(digests(self.folder / "out"), self.expected)

    def test_another_merge_is_refused_until_restart(self):
        self.stop_in_the_middle()
        self.recipe.write_text(self.recipe.read_text().replace("0.4", "0.3"))
        self.expect(self.run_program(*self.words, "--out", "out"), 9, "RES-MISMATCH", "`recipe` differs", "--restart")
        self.expect(self.run_program("--config", "recipe.yaml", "--out", "out", "--restart", "--verify", "header"), 0)
        self.assertNotEqual(digests(self.folder / "out"), self.expected)


class Limits(CliTest):
    def test_more_shards_than_descriptors(self):
        for value, name in enumerate("ab"):
            self.write_model(name, {f"model.layers.{i}.w": ("F32", [64], f32(*[value + i] * 64)) for i in range(60)},
                             num_hidden_layers=60)
        self.write("recipe.yaml", "merge_method: linear\nshard_size: 600\nmodels: [{model: a}, {model: b}]\n"
                                  "parameters: {weight: 1}\n")
        result = self.run_program("recipe.yaml", "out", "--device", "cpu", "--threads", "1", preexec_fn=lambda:
                                  resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
        self.expect(result, 0)
        self.assertGreaterEqual(len(list((self.folder / "out").glob("*.safetensors"))), 30)

    def test_a_full_pipe_does_not_keep_a_stopped_run(self):
        for name in "ab":
            self.write_model(name, {"x.w": ("F32", [4], f32(1, 2, 3, 4))})
        self.write("recipe.yaml", "merge_method: linear\nmodels: [{model: a}, {model: b}]\nparameters: {weight: 1}\n")
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, b"x" * 4096)
        process = subprocess.Popen([BINARY, "recipe.yaml", "out"], cwd=self.folder, stderr=writing,
                                   stdout=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        time.sleep(2)  # it has begun, and waits for room in the pipe
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=8), 143)


class Flags(CliTest):
    def test_wrong_use(self):
        for words, part in ((["--resume"], "needs its value after an equals sign"),
                            (["--resume", "trust"], "--resume=check|trust"),
                            (["--resume=maybe"], "--resume"),
                            (["--restart", "--resume=trust"], "exclude each other"),
                            (["--verify=some"], "--verify"),
                            (["--dry-run", "--restart"], "--restart has no meaning with --dry-run")):
            with self.subTest(words):
                self.expect(self.run_program("--config", "recipe.yaml", *words), 2, "USAGE", part)

    def test_help_shows_the_form(self):
        self.assertIn("--resume=check|trust", self.run_program("--help").stdout)


if __name__ == "__main__":
    unittest.main()
