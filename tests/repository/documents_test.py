# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The documents say what the program says, and point at files that exist."""
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GPUMERGE", str(ROOT / "build/dev/gpumerge"))
DOCUMENTS = sorted(path for pattern in ("*.md", "*/README.md", ".github/*.md") for path in ROOT.glob(pattern)
                   if "-merged" not in path.parts[-2])


def output_of(*words):
    return subprocess.run([BINARY, *words], check=True, capture_output=True, text=True, timeout=60).stdout


class Documents(unittest.TestCase):
    def expect_table(self, verb):
        readme = (ROOT / "README.md").read_text()
        match = re.search(rf"<!-- begin: gpumerge {verb} --markdown -->\n(.*?)<!-- end -->", readme, re.DOTALL)
        self.assertIsNotNone(match, f"README.md lacks the {verb} table")
        self.assertEqual(match.group(1).strip(), output_of(verb, "--markdown").strip(),
                         f"README.md: paste what `gpumerge {verb} --markdown` prints between the markers")

    def test_method_table_is_up_to_date(self):
        self.expect_table("methods")

    def test_error_table_is_up_to_date(self):
        self.expect_table("errors")

    def test_links_lead_somewhere(self):
        self.assertGreaterEqual(len(DOCUMENTS), 6)
        for document in DOCUMENTS:
            prose = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)#]+)\)", prose):
                if not re.match(r"https?:", target):
                    self.assertTrue((document.parent / target).exists(), f"{document}: {target} does not exist")

    def test_every_method_has_an_example(self):
        names = re.findall(r"(?m)^(\w+) ", output_of("methods"))
        self.assertGreaterEqual(len(names), 7)
        for name in names:
            self.assertTrue((ROOT / f"configs/{name}.yaml").exists(), f"configs/{name}.yaml is missing")

    def test_folders_of_the_map_exist(self):
        readme = (ROOT / "README.md").read_text()
        folders = re.findall(r"(?m)^\| `([\w./]+/)` \|", readme)
        self.assertGreaterEqual(len(folders), 10)
        for folder in folders:
            self.assertTrue((ROOT / folder).is_dir(), f"README.md: {folder} does not exist")


if __name__ == "__main__":
    unittest.main()
