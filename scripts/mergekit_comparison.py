#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Compares gpumerge with mergekit 0.1.5, method by method; scripts/compare_with_mergekit runs it with an interpreter
that has mergekit.

Every method with every parameter that mergekit has is merged by both tools, in float32 (mergekit in float64 where sums
over a tensor decide); DARE and DELLA are compared by statistics; bfloat16 merges of both are compared with the papers'
formulas in float64. Prints a table and writes it as a page. Exits with 1 when a difference has no reason, gpumerge is
less accurate than promised, or a merge failed.
"""
import argparse
import datetime
import importlib.metadata
import pathlib
import platform
import sys
import tempfile

import gm_numpy  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[1]
VERSIONS = {"mergekit": "0.1.5", "torch": "2.13.0"}


def require_versions():
    for package, wanted in VERSIONS.items():
        try:
            found = importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found = "none"
        if found != wanted:
            sys.exit(f"mergekit_comparison.py: needs {package} {wanted}, found {found}; "
                     "run scripts/compare_with_mergekit")


def find_program(given):
    for path in [given] if given else [ROOT / "build" / kind / "gpumerge" for kind in ("release", "dev")]:
        if path.exists():
            return path
    sys.exit("mergekit_comparison.py: no gpumerge; build it (scripts/quickstart) or give --gpumerge")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpumerge", type=pathlib.Path, help="the program (default: build/release, else build/dev)")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "tests" / "oracle" / "MERGEKIT.md")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--only", nargs="*", help="only these methods; writes no page")
    parser.add_argument("--no-medium", action="store_true", help="without the models of 5 M elements; writes no page")
    args = parser.parse_args()
    require_versions()
    from comparison import accuracy, data, page, recipes, run, tools
    from comparison.accuracy import SHARE_WANTED, ULPS_ALLOWED
    gpumerge = tools.Gpumerge(find_program(args.gpumerge))
    with tempfile.TemporaryDirectory() as folder:
        small = [data.Models(pathlib.Path(folder) / "small", data.SMALL),
                 data.Models(pathlib.Path(folder) / "near", data.SMALL, label="near its base", change=2.0**-10)]
        medium = None
        if not args.no_medium:
            medium = data.Models(pathlib.Path(folder) / "medium", data.MEDIUM, label="medium")
        exact = data.Models(pathlib.Path(folder) / "accuracy", data.ACCURACY, "BF16")
        results = run.bit_comparison(gpumerge, small, medium, args.only, print)
        draws = list(run.draw_statistics(gpumerge, medium)) if medium and not args.only else []
        accurate = list(accuracy.measure(gpumerge, exact, args.only))
    whole = [] if args.only else [recipes.compare(gpumerge, recipe) for recipe in recipes.all_recipes()]
    print("\n".join(["", *page.bits_table(results), "", *page.listed(results), "", *page.recipes_table(whole), "",
                     *page.draws_table(draws), "", *page.accuracy_table(accurate)]))
    failures = [f"{method}, {corner}: {text}" for method, result in results.items() for corner, text in result.failures]
    failures += [f"{row.method}: {row.ours[0]:.6f} correctly rounded, max {row.ours[1]} ulp" for row in accurate
                 if row.ours[0] < SHARE_WANTED or row.ours[1] > ULPS_ALLOWED]
    failures += [f"{d.method} ({d.tool}) keeps {d.sigmas:.1f} standard deviations too many" for d in draws
                 if d.tool != "mergekit" and abs(d.sigmas) > 5]
    failures += [f"{outcome.name}: {problem}" for outcome in whole for problem in outcome.problems]
    if not args.only:
        failures += [f"{method} is compared in no corner" for method in gpumerge.methods() if method not in results]
    if not args.only and medium:
        versions = ", ".join([gpumerge.version(), *(f"{name} {version}" for name, version in VERSIONS.items()),
                              f"Python {platform.python_version()}", f"{platform.machine()}"])
        page.write(args.page, args.date, versions, results, whole, draws, accurate)
    for failure in failures:
        print(f"mergekit_comparison.py: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
