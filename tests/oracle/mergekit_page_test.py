# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""MERGEKIT.md, the record of the comparison with real mergekit, speaks of every method and says what was promised."""
import pathlib
import re
import unittest

from oracle_support import ROOT, gpumerge

PAGE = pathlib.Path(ROOT / "tests" / "oracle" / "MERGEKIT.md")
DRAWING = {"dare_linear", "dare_ties", "della", "della_linear"}


def tables():
    """{heading: [cells of a row]}, without the head rows."""
    found, heading = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| ") and not line.startswith("| method |"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def share(cell):
    return float(cell.removesuffix(" %")) / 100


class MergekitPage(unittest.TestCase):
    def methods(self):
        return {line.split()[0] for line in gpumerge("methods").splitlines() if re.match("[a-z]", line)}

    def test_every_method_was_compared_with_mergekit(self):
        rows = tables()
        self.assertEqual({row[0] for row in rows["The same bits?"]}, self.methods())
        self.assertEqual({row[0] for row in rows["Accuracy in bfloat16"]}, self.methods())
        self.assertEqual({row[0] for row in rows["DARE and DELLA"]}, DRAWING)

    def test_differences_from_mergekit_have_reasons(self):
        for row in tables()["The same bits?"]:
            self.assertEqual(row[-1], "0", row[0])

    def test_accuracy_against_the_papers_is_as_promised(self):
        for method, elements, ours, max_ulp, *_ in tables()["Accuracy in bfloat16"]:
            self.assertGreaterEqual(int(elements), 100_000, method)
            self.assertGreaterEqual(share(ours), 0.9999, method)
            self.assertLessEqual(int(max_ulp), 1, method)

    def test_mergekit_versions_and_date_are_named(self):
        text = PAGE.read_text(encoding="utf-8")
        self.assertRegex(text, r"on 20\d\d-\d\d-\d\d: .*mergekit 0\.1\.5, torch 2\.13\.0")


if __name__ == "__main__":
    unittest.main()
