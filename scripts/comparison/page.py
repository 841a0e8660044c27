# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison as a Markdown page."""
from comparison.accuracy import SHARE_WANTED, ULPS_ALLOWED
from comparison.measures import ELEMENTWISE_ULPS, REDUCTION_ULPS


def percent(share):
    """Never rounded up to 100 %."""
    if share == 1:
        return "100 %"
    return f"{int(share * 1e6) / 1e4:.4f} %"


def _cells(found):
    if not found.elements:
        return ["–"] * 3
    return [percent(found.equal_bits / found.elements), str(found.max_ulp), str(found.beyond)]


def bits_table(results):
    lines = ["| method | mergekit computes in | cases | small models: equal bits | max ulp | beyond the limit "
             "| 5 M elements: equal bits | max ulp | beyond the limit | without a reason |", "|---" * 10 + "|"]
    for method, result in sorted(results.items()):
        kind = "float32, with rescale float64" if len(result.kinds) > 1 else "".join(result.kinds)
        cells = [method, kind, str(result.corners), *_cells(result.small), *_cells(result.medium),
                 str(result.small.unexplained + result.medium.unexplained)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def listed(results):
    lines = []
    for method, result in sorted(results.items()):
        reasons = {}
        for corner, count, reason in result.listed:
            reasons.setdefault(reason, []).append(f"{corner} ({count})")
        for reason, where in reasons.items():
            lines.append(f"- {method}: {reason}. Elements: {'; '.join(where)}.")
        for corner, text in result.failures:
            lines.append(f"- **{method}, {corner}**: {text}")
    return lines or ["- none"]


def recipes_table(whole):
    lines = ["| recipe | tensors | equal bits | max ulp |", "|---" * 4 + "|"]
    for outcome in whole:
        lines.append(f"| {outcome.name} | {outcome.tensors} | {percent(outcome.equal_bits / outcome.elements)} | "
                     f"{outcome.max_ulp} |")
    return lines


def draws_table(draws):
    lines = ["| method | tool | kept | from the expected share | smaller differences: kept (expected) "
             "| larger ones | mean of what is added / of the differences |", "|---" * 7 + "|"]
    for d in draws:
        small, large = (f"{kept:.4f} ({expected:.4f})" for kept, expected in d.halves)
        lines.append(f"| {d.method} | {d.tool} | {d.kept:.5f} | {d.sigmas:+.2f} σ | {small} | {large} | {d.mean:.4f} |")
    return lines


def accuracy_table(rows):
    lines = ["| method | elements | gpumerge: correctly rounded | max ulp | mergekit in bfloat16: correctly rounded "
             "| max ulp | terms cancel |", "|---" * 7 + "|"]
    for row in rows:
        theirs = (percent(row.theirs[0]), str(row.theirs[1])) if row.theirs else ("its own draws", "–")
        lines.append(f"| {row.method} | {row.elements} | {percent(row.ours[0])} | {row.ours[1]} | {theirs[0]} | "
                     f"{theirs[1]} | {row.cancelled} |")
    return lines


BITS = f"""Both tools merge the same float32 models. mergekit's sorts are made stable (gpumerge promises the lowest
index among equals), gpumerge gets `rescale: l1` where mergekit rescales, and `preset: mergekit` where the method has
it. Methods with sums over a tensor (and every merge with a rescale) run in float64 in mergekit, whose float32 sums
are torch's own, and its result is rounded to float32 once. Limits: {ELEMENTWISE_ULPS} ulp of float32, and
{REDUCTION_ULPS} ulp where mergekit computes in float64; what lies beyond is listed with its reason. DARE and DELLA
are compared at density 1, where nothing is drawn, and by statistics below. "Max ulp" is in units of the result's own
last place, so that it is large where a result is nearly zero."""

RECIPES = """Recipes of the tiny models of tests/models, by both programs (mergekit's `run_merge`, `gpumerge --config`),
float32; slerp, nuslerp and model_stock in float64 in mergekit as above. Every value that gradients, filters, slices and
levels of parameters give is the same where the bits are."""

DRAWS = """The draws of the two tools are different ones, so shares and means are compared: one model, density 0.3,
epsilon 0.2 for DELLA, 4 M elements. An unbiased method adds 1.0 of the differences in the mean; mergekit's l1 rule
makes the magnitudes add up to those before, whatever was drawn."""

ACCURACY = f"""bfloat16 models, bfloat16 result, against the formulas of the papers in float64
(scripts/goldens/paper.py and paper_geometry.py), rounded once. Wanted of gpumerge: at least {percent(SHARE_WANTED)}
correctly rounded, at most {ULPS_ALLOWED} ulp of bfloat16. Beside it mergekit, which computes in the models' type
unless a recipe says `dtype: float32`. The share is of all elements. The largest distance leaves out the elements of
the last column, whose result is below 2^-13 of their largest input because terms cancel: float32 holds few of their
bits, so their last place means little. Parameters are numbers of float32, and not simple decimals: 1.3 times a number
of eight bits is halfway between two such numbers so often that the 25th bit of the parameter would decide one element
in sixty."""


def write(path, date, versions, results, whole, draws, accuracy):
    made = (f"Made by `scripts/compare_with_mergekit` on {date}: {versions}. It is not part of the tests, because\n"
            "it needs mergekit and torch; a test only checks that every method has its rows here.")
    text = ["# gpumerge and mergekit, method by method", "", made, "",
            "## The same bits?", "", BITS, "", *bits_table(results), "",
            "Elements beyond the limit, and why:", "", *listed(results), "",
            "## Whole recipes", "", RECIPES, "", *recipes_table(whole), "",
            "## DARE and DELLA", "", DRAWS, "", *draws_table(draws), "",
            "## Accuracy in bfloat16", "", ACCURACY, "", *accuracy_table(accuracy), ""]
    path.write_text("\n".join(text), encoding="utf-8")
