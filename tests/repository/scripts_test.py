# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts that judge everything else must not be wrong themselves."""
import pathlib
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"

PASSED = '<testcase name="a" status="run"/>'
FAILED = '<testcase name="b" status="fail"><failure message="x"/></testcase>'
SKIPPED = '<testcase name="c" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>'
DISABLED = '<testcase name="d" status="disabled"/>'


class Scripts(unittest.TestCase):
    def count(self, *files):
        """What count_tests.py makes of these results; None: the file is missing."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, cases in enumerate(files):
                path = pathlib.Path(folder) / f"{number}.xml"
                if cases is not None:
                    path.write_text(f'<?xml version="1.0"?><testsuite name="x">{cases}</testsuite>')
                paths.append(str(path))
            result = subprocess.run([SCRIPTS / "count_tests.py", *paths], capture_output=True, text=True, timeout=60)
        return result.returncode, result.stdout.splitlines()[-1]

    def test_counts_of_one_file(self):
        self.assertEqual(self.count(PASSED + SKIPPED + DISABLED), (0, "1 passed, 0 failed, 2 skipped"))

    def test_counts_of_several_files(self):
        self.assertEqual(self.count(PASSED + PASSED, PASSED + FAILED), (1, "3 passed, 1 failed, 0 skipped"))

    def test_nothing_ran(self):
        self.assertEqual(self.count(""), (1, "0 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.count(SKIPPED), (1, "0 passed, 0 failed, 1 skipped"))

    def test_missing_results_are_a_failure(self):
        self.assertEqual(self.count(PASSED, None), (1, "1 passed, 1 failed, 0 skipped"))

    def test_shell_scripts_parse(self):
        for name in ("setup", "quickstart", "test", "format", "bench", "gpu_validate", "../.ci/run"):
            with self.subTest(name):
                subprocess.run(["bash", "-n", SCRIPTS / name], check=True, timeout=60)

    def test_unknown_argument_is_refused(self):
        result = subprocess.run([SCRIPTS / "test", "--bogus"], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown argument --bogus", result.stderr)


if __name__ == "__main__":
    unittest.main()
