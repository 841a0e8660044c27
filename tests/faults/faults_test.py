# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The short version of scripts/soak: the real program killed or failing at system calls, by strace."""
import os
import pathlib
import shutil
import tempfile
import unittest

import real_faults

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("GPUMERGE", str(ROOT / "build/dev/gpumerge"))


class FaultsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gpumerge-faults-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def need_strace(self):
        if not real_faults.strace_works():
            self.skipTest("needs strace, and the right to use it: scripts/setup installs it")

    def bench(self, overwrites=False):
        return real_faults.Bench(PROGRAM, self.folder / "bench", overwrites)

    def test_killed_at_every_write_like_call(self):
        self.need_strace()
        bench = self.bench()
        bench.kill_everywhere(real_faults.CHANGES)
        self.assertGreater(bench.figures["kills"], 30)

    def test_killed_while_an_old_output_is_replaced(self):
        self.need_strace()
        bench = self.bench(overwrites=True)
        bench.kill_everywhere(real_faults.CHANGES, every=3)
        self.assertGreater(bench.figures["kills"], 10)

    def test_calls_that_fail(self):
        self.need_strace()
        bench = self.bench()
        bench.fail_everywhere(every=8)
        self.assertGreater(bench.figures["faults reported"], 20)

    def test_unreadable_inputs(self):
        self.need_strace()
        bench = self.bench()
        real_faults.unreadable_inputs(bench)
        self.assertGreaterEqual(bench.figures["unreadable files"], 8)

    def test_forbidden_inputs(self):
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("only root can become a user who may not read")
        self.folder.chmod(0o755)
        real_faults.forbidden_inputs(self.bench())

    def test_the_holder_of_the_lock_is_killed(self):
        self.need_strace()
        real_faults.killed_holder(self.bench())

    def test_two_writers_at_once(self):
        real_faults.two_writers(self.bench(), 10)

    def test_limited_file_sizes(self):
        bench = self.bench()
        real_faults.limited_files(bench, (0, 100, 700, 1600, 5000))
        self.assertGreater(bench.figures["file size limits hit"], 2)


if __name__ == "__main__":
    unittest.main()
