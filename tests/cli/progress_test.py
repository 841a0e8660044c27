# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal and in a log, and stopping by a signal."""
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from support import BINARY, CliTest

N_TENSORS, N_ELEMS = 24, 1 << 19


class Progress(CliTest):
    def setUp(self):
        super().setUp()
        # Slow on purpose: the scalar executor sorts every tensor of three models.
        data = struct.pack(f"<{N_ELEMS}f", *((i * 2654435761 % 4093 - 2046) / 4093 for i in range(N_ELEMS)))
        for name in ("base", "a", "b"):
            rotated = {"base": data, "a": data[4096:] + data[:4096], "b": data[40960:] + data[:40960]}[name]
            self.write_model(name, {f"model.layers.{i}.w": ("F32", [N_ELEMS], rotated) for i in range(N_TENSORS)})
        self.write("recipe.yaml", "merge_method: ties\nbase_model: base\nmodels:\n" + "".join(
            f"  - model: {name}\n    parameters: {{weight: 1, density: 0.3}}\n" for name in "ab"))
        self.words = [BINARY, "recipe.yaml", "out", "--device", "reference", "--sync", "none"]

    def start(self, **options):
        process = subprocess.Popen(self.words, cwd=self.folder, text=True, stdout=subprocess.PIPE, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def start_on_terminal(self, columns=140, **environment):
        mine, its = pty.openpty()
        self.addCleanup(os.close, mine)
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        process = self.start(stderr=its, env={**os.environ, "TERM": "xterm", **environment})
        os.close(its)
        return process, mine

    def read_terminal(self, process, terminal, until=None):
        """What was drawn until the program ended, or until a pattern was."""
        drawn, deadline = b"", time.monotonic() + 100
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    chunk = os.read(terminal, 65536)
                except OSError:  # how Linux says that the other end is closed
                    chunk = b""
                if not chunk:
                    break
                drawn += chunk
                if until and re.search(until, drawn):
                    break
        if until is None:
            process.wait(timeout=100)
        return drawn.decode()

    def start_in_log(self):
        """Started, with its first message read: from here on it is merging."""
        process = self.start(stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.assertIn("merging 3 models", process.stderr.readline())
        return process

    def test_one_line_redrawn_on_a_terminal(self):
        process, terminal = self.start_on_terminal()
        drawn = self.read_terminal(process, terminal)
        self.assertEqual(process.returncode, 0, drawn)
        lines = re.findall(r"\r(\[[# ]{20}\][^\r]*)\x1b\[K", drawn)
        self.assertGreaterEqual(len(lines), 2, drawn)
        for line in lines:
            self.assertLess(len(line), 140)
            self.assertRegex(line, r" +\d+ %  .* left  \d+/24 tensors  [\d.]+ .?B of [\d.]+ MB  read .*compute .*write ")
        self.assertEqual(drawn.count("\n"), 2)  # what is merged and on what; the rest is one line
        self.assertTrue(drawn.endswith("\r\x1b[K"))  # which is gone at the end

    def test_narrow_terminal(self):
        process, terminal = self.start_on_terminal(columns=40)
        drawn = self.read_terminal(process, terminal)
        lines = re.findall(r"\r([^\r\x1b]+)\x1b\[K", drawn)
        self.assertGreaterEqual(len(lines), 2, drawn)
        self.assertLess(max(map(len, lines)), 40)

    def test_dumb_terminal_gets_no_escapes(self):
        process, terminal = self.start_on_terminal(TERM="dumb")
        self.assertNotIn("\x1b", self.read_terminal(process, terminal))

    def test_quiet_on_a_terminal(self):
        self.words.append("--quiet")
        process, terminal = self.start_on_terminal()
        self.assertEqual(self.read_terminal(process, terminal), "")
        self.assertEqual((process.returncode, process.stdout.read()), (0, ""))

    def test_json_errors_on_a_terminal_are_alone(self):
        self.words += ["--error-format", "json"]
        process, terminal = self.start_on_terminal()
        self.assertEqual(self.read_terminal(process, terminal), "")
        self.assertEqual(process.returncode, 0)

    def test_colours_only_where_they_are_wanted(self):
        self.words = [BINARY, "--bogus"]
        process, terminal = self.start_on_terminal()
        self.assertIn("\x1b[1;31merror[USAGE]\x1b[0m", self.read_terminal(process, terminal))
        process, terminal = self.start_on_terminal(NO_COLOR="1")
        self.assertNotIn("\x1b", self.read_terminal(process, terminal))

    def test_plain_lines_in_a_log(self):
        process = self.start_in_log()
        # A log gets a line every five seconds; standing still is the cheapest way to be that slow.
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(5.2)
        os.kill(process.pid, signal.SIGCONT)
        errors = process.stderr.read()
        self.assertEqual(process.wait(timeout=100), 0, errors)
        self.assertRegex(errors, r"(?m)^gpumerge: 0:\d\d  +\d+ %  .*\d+/24 tensors  .*memory [\d.]+ MB$")
        self.assertNotIn("\x1b", errors)
        self.assertNotIn("\r", errors)

    def expect_stopped(self, process, errors, signal_number):
        self.assertEqual(process.returncode, 128 + signal_number, errors)
        self.assertIn("error[CANCELLED]", errors)
        self.assertIn(f"exit:  {128 + signal_number}", errors)
        self.assertFalse((self.folder / "out").exists())
        self.assertEqual([name for name in self.names() if "tmp" in name], [])

    def test_signals_stop_the_merge_and_clean_up(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                process = self.start_in_log()
                process.send_signal(number)
                errors = process.stderr.read()
                process.wait(timeout=100)
                self.expect_stopped(process, errors, number)

    def write_huge(self):
        """A recipe of one tensor, which the scalar executor sorts in one go, for more than 5 seconds."""
        n_elems, n_drawn = 12_000_000, 10_000
        draw = random.Random(1)
        for name in "hij":
            values = struct.pack(f"<{n_drawn}f", *(draw.gauss(0, 1) for _ in range(n_drawn)))
            header = json.dumps({"x": {"dtype": "F32", "shape": [n_elems], "data_offsets": [0, 4 * n_elems]}}).encode()
            self.write(f"{name}/config.json", "{}")
            (self.folder / name / "model.safetensors").write_bytes(
                struct.pack("<Q", len(header)) + header + values * (n_elems // n_drawn))
        self.write("recipe.yaml", "merge_method: breadcrumbs\nbase_model: h\nmodels: [{model: i}, {model: j}]\n"
                                  "parameters: {weight: 1, density: 0.5, gamma: 0.1}\n")

    def test_second_signal_ends_at_once(self):
        self.write_huge()
        process = self.start_in_log()
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
        self.assertEqual(process.wait(timeout=100), 143, errors)
        self.assertNotIn("CANCELLED", errors)  # what the first one ends with, a second later
        self.assertFalse((self.folder / "out").exists())

    def test_a_signal_inside_one_huge_tensor_ends_the_program_in_time(self):
        self.write_huge()
        for number in (signal.SIGINT, signal.SIGHUP):
            with self.subTest(number):
                process = self.start_in_log()
                time.sleep(0.4)
                sent_at = time.monotonic()
                process.send_signal(number)
                errors = process.stderr.read()
                process.wait(timeout=100)
                self.assertLess(time.monotonic() - sent_at, 4)  # 2 seconds, on a machine that does much else
                self.assertEqual(process.returncode, 128 + number, errors)
                self.assertIn("error[CANCELLED]", errors)
                self.assertIn("run the same command again", errors)
                self.assertFalse((self.folder / "out").exists())

    def test_stopped_on_a_terminal(self):
        process, terminal = self.start_on_terminal()
        self.read_terminal(process, terminal, until=rb"tensors")
        process.send_signal(signal.SIGINT)
        drawn = self.read_terminal(process, terminal)
        self.assertEqual(process.returncode, 130)
        self.assertIn("CANCELLED", drawn)

    def test_a_merge_goes_on_when_its_reader_has_gone(self):
        status = subprocess.run(" ".join(self.words) + " | true; exit ${PIPESTATUS[0]}", shell=True, cwd=self.folder,
                                executable="/bin/bash", stderr=subprocess.DEVNULL, timeout=100).returncode
        self.assertEqual(status, 0)
        self.assertTrue((self.folder / "out/config.json").exists())


if __name__ == "__main__":
    unittest.main()
