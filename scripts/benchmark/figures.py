# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark finds: figures, in rows, in sections; their goals and their spread."""
import statistics
from dataclasses import asdict, dataclass, field

UNITS = {  # factor and digits for print
    "%": (100, 1), "x": (1, 0), "times": (1, 2), "s": (1, 2), "ms": (1e3, 1), "MB": (1e-6, 1), "Mparam/s": (1e-6, 0)}


class NotMeasured(Exception):
    """Why a part has no figures on this machine."""


@dataclass
class Figure:
    """One value for each run or pair of runs; ratios of two runs of the same pair, wherever there are two."""
    title: str
    unit: str
    values: list
    better: str = ""            # "more" or "less"; "": only for information, never compared with other results
    at_least: float | None = None
    at_most: float | None = None
    worst_counts: bool = False  # a promise for every run, not for the median

    def median(self):
        return statistics.median(self.values)

    def spread(self):
        """All values: of five runs, lowest and highest enclose the true median with a probability of 94 %."""
        return min(self.values), max(self.values)

    def judged(self):
        if not self.worst_counts:
            return self.median()
        return max(self.values) if self.better == "less" else min(self.values)

    def verdict(self):
        if self.at_least is None and self.at_most is None:
            return ""
        enough = self.at_least is None or self.judged() >= self.at_least
        return "met" if enough and (self.at_most is None or self.judged() <= self.at_most) else "short"


@dataclass
class Row:
    """The first figure is the one with the goal."""
    work: str
    figures: list


@dataclass
class Section:
    part: str
    title: str
    note: str
    rows: list = field(default_factory=list)
    not_measured: str = ""  # the reason
    failed: bool = False    # a program ended with an error: not_measured says which


def to_json(section):
    return asdict(section)


def section_from_json(value):
    rows = [Row(row["work"], [Figure(**figure) for figure in row["figures"]]) for row in value["rows"]]
    return Section(**{**value, "rows": rows})


def number(value, unit):
    factor, digits = UNITS[unit]
    return f"{value * factor:.{digits}f}"


def text(value, unit):
    return f"{number(value, unit)} {unit}"
