#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the golden tests: `make_goldens.py --out DIR` fills an empty or missing DIR; tests/golden is such a folder.

Needs mergekit 0.1.5, which the tests themselves do not:
    python3 -m venv venv && venv/bin/pip install mergekit==0.1.5
    venv/bin/python scripts/make_goldens.py --out DIR
Each method has a folder of cases, each of case.json, inputs.safetensors and expected.safetensors (tensor "y").
In case.json:
    method, params    as in a recipe; left out: the default. weight, density and scale are lists, one value a model
    inputs            tensors of inputs.safetensors in order, one may occur several times
    has_base          the first input is the base; shape is that of all tensors
    model_indices     place of each model in the recipe, the base not counted
    seed, tensor_name what draws depend on
    out_dtype         type of gpumerge's result
    model_selections, model_majority   what `trim_scope: model` found before: [threshold bits, end of ties] a model
    oracle, tolerance kind "bits": y has type out_dtype and every bit is promised. kind "abs": y is F64 (papers and
                      expectations) or F32 (mergekit) and |result - y| <= abs; with abs 0 only a zero's sign may differ
    expected_error    the merge is refused with this code and there is no y; NUM-SINGULAR only when the values are read
The same versions make the same bytes.
"""
import argparse
import importlib.metadata
import json
import os
import sys

import gm_numpy  # noqa: F401
import numpy as np

from goldens import cases_geometry, cases_simple, cases_sparse, cases_task_vectors, mutations, oracles, randomness

MAX_FILE_BYTES, MAX_TOTAL_BYTES = 65536, 5_000_000
MERGEKIT = "0.1.5"


def require_mergekit():
    try:
        version = importlib.metadata.version("mergekit")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if version != MERGEKIT:
        sys.exit(f"make_goldens.py: needs mergekit {MERGEKIT}, found {version} in {sys.executable}.\n"
                 f"  python3 -m venv venv && venv/bin/pip install mergekit=={MERGEKIT}\n"
                 "  venv/bin/python scripts/make_goldens.py --out DIR")


def all_cases():
    yield from cases_simple.all_cases()
    yield from cases_task_vectors.all_cases()
    yield from cases_sparse.all_cases()
    yield from cases_geometry.all_cases()
    yield from oracles.all_cases()


def fill_in(case):
    """Sets expected and tolerance; a case of another oracle must agree with the contract."""
    if case.oracle == "contract":
        case.expected = case.contract_result()
        assert (case.expected is None) == (case.error is not None), case.name
        if case.expected is not None:
            finite = np.isfinite(np.frombuffer(case.expected, "<f4")) if case.out_dtype == "F32" else True
            assert np.all(finite), (case.method, case.name)
    elif case.oracle == "paper":
        case.expected = case.paper_result()
    elif case.oracle == "mergekit":
        case.expected = oracles.run_mergekit(case)
    case.set_tolerance()
    if case.oracle != "contract":
        case.check_against_contract()


def provenance(cases):
    counts = {}
    for case in cases:
        by_oracle = counts.setdefault(case.method, {})
        by_oracle[case.oracle] = by_oracle.get(case.oracle, 0) + 1
    return {"made_by": "scripts/make_goldens.py", "date": "2026-11",
            "versions": {"python": sys.version.split()[0],
                         **{name: importlib.metadata.version(name) for name in ("numpy", "torch", "mergekit")}},
            "machine": "x86-64 with FMA: torch fuses products and sums of mergekit's linear where it can",
            "licence": "Apache-2.0: seeded noise and results of arithmetic on it",
            "cases": counts}


def check_sizes(out):
    total = 0
    for folder, _, files in os.walk(out):
        for name in files:
            size = os.path.getsize(os.path.join(folder, name))
            assert size <= MAX_FILE_BYTES, (folder, name, size)
            total += size
    assert total <= MAX_TOTAL_BYTES, total
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="an empty or missing folder")
    parser.add_argument("--skip-mutations", action="store_true",
                        help="do not show that every constant is noticed (saves two seconds)")
    args = parser.parse_args()
    require_mergekit()
    if os.path.isdir(args.out) and os.listdir(args.out):
        sys.exit(f"make_goldens.py: {args.out} is not empty; goldens are made into a new folder and compared")
    randomness.check()
    oracles.check_types()
    oracles.check_dare_statistics()
    cases = list(all_cases())
    for case in cases:
        fill_in(case)
        case.write(args.out)
    with open(os.path.join(args.out, "PROVENANCE.json"), "w", encoding="utf-8") as file:
        json.dump(provenance(cases), file, indent=1)
        file.write("\n")
    mutations.check_library_independence(cases)
    if not args.skip_mutations:
        print(mutations.report(cases))
    print(f"{len(cases)} cases, {check_sizes(args.out)} bytes in {args.out}")


if __name__ == "__main__":
    main()
