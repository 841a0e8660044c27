#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Adds up ctest's JUnit files and prints `N passed, N failed, N skipped` as the last line.

Fails when a test failed and when no test ran at all: a run without tests proves nothing.
"""
import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    passed, failed, skipped = 0, [], []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            failed.append(case.get("name"))
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped.append(case.get("name"))
        else:
            passed += 1
    return passed, failed, skipped


def main(paths):
    passed, failed, skipped = 0, [], []
    for path in paths:
        try:
            more_passed, more_failed, more_skipped = count(path)
        except (OSError, ElementTree.ParseError) as error:
            print(f"count_tests: {path}: no test results ({error})", file=sys.stderr)
            more_passed, more_failed, more_skipped = 0, [path], []
        passed, failed, skipped = passed + more_passed, failed + more_failed, skipped + more_skipped
    for name in failed:
        print(f"failed: {name}")
    for name in skipped:
        print(f"skipped: {name}")
    if passed + len(failed) == 0:
        print("count_tests: no test ran, which counts as a failure", file=sys.stderr)
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped", flush=True)
    return 0 if passed > 0 and not failed else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: count_tests.py RESULTS.xml...")
    sys.exit(main(sys.argv[1:]))
