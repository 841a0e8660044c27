#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Shows that the golden tests notice every constant and rule in the merge methods' code.

usage: check_goldens_bite.py [--work DIR] [--only TEXT] [--jobs N] [--list]
Copies the tree, changes one thing after the other in the copy (the list is scripts/goldens/code_changes.py), builds
golden_test and runs it: it must fail each time. Prints one line a change; exits with 1 when a change goes unnoticed.
It takes some minutes and is not part of scripts/test. --work keeps the copy and its build for the next time.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from goldens.code_changes import CHANGES

ROOT = pathlib.Path(__file__).resolve().parents[1]
COPIED = ("CMakeLists.txt", "CMakePresets.json", "cmake", "include", "kernels", "src", "configs", "tests", "scripts")


def occurrences(old, text):
    """Of the words of `old`, whatever white space is between them and around brackets."""
    tokens = re.findall(r"\w+|[^\w\s]", old)
    return re.finditer(r"\s*".join(map(re.escape, tokens)), text)


class Copy:
    """A copy of the tree that is changed and built."""

    def __init__(self, work, jobs):
        self.tree, self.build, self.jobs = work / "tree", work / "build", jobs
        shutil.rmtree(self.tree, ignore_errors=True)
        for name in COPIED:
            source, target = ROOT / name, self.tree / name
            if source.is_dir():
                # With new times: what was built last time may hold a change.
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copy)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        # Many short builds: one instruction set, nothing optimised, and no warning stops a change.
        self.replace("cmake/methods.cmake", ";-O3", ";-O0")
        self.replace("cmake/targets.cmake", "-Wshadow -Werror", "-Wshadow")
        launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        self.run("cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DGM_CPU_ISAS=baseline",
                 "-DCMAKE_CXX_FLAGS=-O0 -w", *launcher)

    @staticmethod
    def run(*words):
        result = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
        if result.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}\n{result.stdout[-4000:]}{result.stderr[-4000:]}")

    def replace(self, name, old, new):
        path = self.tree / name
        text = path.read_text()
        found = list(occurrences(old, text))
        if len(found) != 1:
            sys.exit(f"{name} holds {old!r} {len(found)} times, not once: scripts/goldens/code_changes.py is outdated")
        path.write_text(text[:found[0].start()] + new + text[found[0].end():])

    def restore(self, name):
        shutil.copy(ROOT / name, self.tree / name)

    def failed_cases(self):
        """Builds and runs; the golden cases that fail, or None when the program ends without a report."""
        self.run("cmake", "--build", self.build, "--target", "golden_test", "-j", self.jobs)
        report = self.build / "golden.json"
        report.unlink(missing_ok=True)
        subprocess.run([self.build / "tests/golden_test", f"--gtest_output=json:{report}",
                        "--gtest_filter=Case/*"], capture_output=True, check=False)
        if not report.exists():
            return None
        suites = json.loads(report.read_text())["testsuites"]
        return [test["name"].split("/")[-1] for suite in suites for test in suite["testsuite"] if "failures" in test]


def describe(change):
    def shorten(text):
        text = " ".join(text.split())
        return text if len(text) <= 60 else text[:57] + "..."

    return f"{change.file}: {change.about or shorten(change.old) + '  ->  ' + shorten(change.new)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, help="where the copy lies (default: a temporary folder)")
    parser.add_argument("--only", default="", help="only the changes whose line contains this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the changes and do nothing")
    args = parser.parse_args()
    changes = [change for change in CHANGES if args.only in describe(change)]
    if args.list:
        print("\n".join(map(describe, changes)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        copy = Copy((args.work or pathlib.Path(temporary)).resolve(), args.jobs)
        failed = copy.failed_cases()
        if failed is None or failed:
            sys.exit(f"the golden tests fail without any change: {failed}")
        survivors = []
        for change in changes:
            copy.replace(change.file, change.old, change.new)
            failed = copy.failed_cases()
            copy.restore(change.file)
            noticed = failed is None or bool(failed)
            by = "a crash" if failed is None else f"{len(failed):3d} cases, e.g. {failed[0]}" if failed else "NOTHING"
            print(f"{describe(change)}   noticed by {by}", flush=True)
            if not noticed:
                survivors.append(change)
    print(f"{len(changes)} changes, {len(changes) - len(survivors)} noticed, {len(survivors)} survived")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
