# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What became worse or better between two results, beyond noise."""
from collections import Counter, namedtuple

from benchmark.figures import text

# The ranges of five equal runs and five more lie apart in 1 of 126 cases, those of three and three in 1 of 10.
MIN_RUNS = 5
MIN_CHANGE = 0.05

Change = namedtuple("Change", "name before after is_worse")
Comparison = namedtuple("Comparison", "changes n_compared not_compared")  # not_compared: {reason: how many}


class Incomparable(Exception):
    """Two results of different settings."""


def _figures(sections):
    return {f"{section.title}, {row.work}, {figure.title}": figure
            for section in sections for row in section.rows for figure in row.figures if figure.better}


def is_beyond_noise(before, after):
    """The ranges of both do not overlap, and the medians differ by more than MIN_CHANGE."""
    (low_before, high_before), (low_after, high_after) = before.spread(), after.spread()
    overlap = low_before <= high_after and low_after <= high_before
    return not overlap and abs(after.median() - before.median()) > MIN_CHANGE * abs(before.median())


def compare(old_sections, new_sections):
    old, new = _figures(old_sections), _figures(new_sections)
    changes, not_compared, n_compared = [], Counter(), 0
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in old or name not in new:
            not_compared[f"only in the {'old' if name in old else 'new'} results"] += 1
        elif min(len(old[name].values), len(new[name].values)) < MIN_RUNS:
            not_compared[f"of fewer than {MIN_RUNS} runs"] += 1
        else:
            n_compared += 1
            before, after = old[name], new[name]
            if is_beyond_noise(before, after):
                is_worse = (after.median() < before.median()) == (after.better == "more")
                changes.append(Change(name, before, after, is_worse))
    return Comparison(changes, n_compared, not_compared)


def check_settings(old, new):
    """Threads, models and budget must be the same; machines may differ, at the reader's risk."""
    ignored = {"repeat"}
    before, after = (about["settings"] for about in (old, new))
    different = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    different = [f"{key}: {before.get(key)}, {after.get(key)}" for key in different if key not in ignored]
    if different:
        raise Incomparable("the results are of different settings (" + "; ".join(different) + ")")


def comparison_lines(comparison, old_about, new_about):
    lines = [f"{old_about['commit']} ({old_about['date']}) -> {new_about['commit']} ({new_about['date']})"]
    if old_about["machine"] != new_about["machine"]:
        lines.append("warning: these are different machines; even ratios may differ for that")
    for change in sorted(comparison.changes, key=lambda change: not change.is_worse):
        spreads = [f"{text(figure.median(), figure.unit)} ({' - '.join(text(v, figure.unit) for v in figure.spread())})"
                   for figure in (change.before, change.after)]
        lines.append(f"{'worse' if change.is_worse else 'better'}: {change.name}: {' -> '.join(spreads)}")
    lines += [f"not compared: {count} {reason}" for reason, count in comparison.not_compared.items()]
    n_worse = sum(change.is_worse for change in comparison.changes)
    lines.append(f"{comparison.n_compared} figures compared, {n_worse} worse, {len(comparison.changes) - n_worse} "
                 "better beyond noise")
    return lines
