# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The whole benchmark on small models, every part and every method once. What it measures is not looked at."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("GPUMERGE", ROOT / "build/dev/gpumerge"))
PARTS = ["startup", "methods", "cp", "growth", "models", "memory", "small-memory", "threads", "cold", "mergekit"]


class BenchQuick(unittest.TestCase):
    def test_all_of_it(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            result = subprocess.run(
                [ROOT / "scripts/bench_merges.py", "--all", "--quick", "--program", BINARY,
                 "--io-floor", BINARY.parent / "tests/bench/io_floor", "--data", folder / "data",
                 "--growth-data", folder / "growth", "--work", folder / "work", "--json", folder / "all.json",
                 "--results", folder / "all.md"], capture_output=True, text=True, timeout=800)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            report = json.loads((folder / "all.json").read_text())
            page = (folder / "all.md").read_text()
            left = sorted(path.name for path in folder.iterdir())
            outputs = [path.name for path in (folder / "work").iterdir() if path.is_dir()]
        sections = {section["part"]: section for section in report["sections"]}
        self.assertEqual(list(sections), PARTS)
        self.assertIn("--mergekit PATH", sections["mergekit"]["not_measured"])
        methods = subprocess.run([BINARY, "methods"], check=True, capture_output=True, text=True, timeout=60).stdout
        self.assertEqual(sorted(row["work"] for row in sections["methods"]["rows"]),
                         sorted(re.findall(r"(?m)^(\w+) ", methods)))
        for part in PARTS[:-1]:
            with self.subTest(part):
                reason = sections[part]["not_measured"]
                # Such facts about the machine are all that may stop a part.
                self.assertRegex(reason, "^$|one core|page cache|GB of disk")
                self.assertTrue(sections[part]["rows"] or reason)
                self.assertIn(f"## {sections[part]['title']}\n", page)
        self.assertEqual(left, ["all.json", "all.md", "data", "growth", "growth-copies", "work"])
        self.assertEqual(outputs, [])


if __name__ == "__main__":
    unittest.main()
