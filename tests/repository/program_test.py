# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The program as a file: what it needs to start."""
import os
import re
import subprocess
import unittest


class Program(unittest.TestCase):
    def test_needs_no_cuda_library_to_start(self):
        needed = subprocess.run(["ldd", os.environ["GPUMERGE"]], capture_output=True, text=True, check=True).stdout
        self.assertIn("libc.so", needed)
        self.assertEqual(re.findall(r"\blib(?:cuda|cudart|curand|nvrtc|nvidia)\S*", needed), [])


if __name__ == "__main__":
    unittest.main()
