# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Sections as Markdown tables, with the goals beside the results; the same lines are printed and written to a file."""
from benchmark.figures import UNITS, number, text

WORK_WIDTH, CELL_WIDTH, SPREAD_WIDTH = 34, 12, 24


def _spread(figure):
    low, high = (number(value, figure.unit) for value in figure.spread())
    return f"{low} - {high}"


def _goal(figure):
    sides = [(">=", figure.at_least), ("<=", figure.at_most)]
    factor = UNITS[figure.unit][0]
    return ", ".join(f"{sign} {value * factor:g} {figure.unit}" for sign, value in sides if value is not None)


def _cells(row):
    """[(heading, cell)]"""
    first, *others = row.figures
    cells = [("work", row.work), ("goal", _goal(first)), (first.title, text(first.median(), first.unit)),
             ("lowest - highest", _spread(first)), ("verdict", first.verdict())]
    for figure in others:
        spread = f" ({_spread(figure)})" if figure.better and len(figure.values) > 1 else ""
        cells.append((figure.title, text(figure.median(), figure.unit) + spread))
    return cells


def _line(row, texts):
    """Rows are printed before the next are known, so widths come from headings and from what cells usually need."""
    widths = [max(len(heading), CELL_WIDTH) for heading, _ in _cells(row)]
    widths[0] = WORK_WIDTH
    for i, figure in enumerate(row.figures[1:], 5):
        if figure.better:
            widths[i] = SPREAD_WIDTH
    return "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(texts, widths)) + " |"


def row_lines(row, with_heading):
    headings = [heading for heading, _ in _cells(row)]
    heading_lines = [_line(row, headings), "|" + "---|" * len(headings)]
    return heading_lines * with_heading + [_line(row, [cell for _, cell in _cells(row)])]


def reason_lines(section):
    """Why it has no rows, or not all."""
    return [""] * bool(section.rows) + [f"**{'Failed' if section.failed else 'Not measured'}:** {section.not_measured}"]


def section_lines(section):
    lines = [f"## {section.title}", "", section.note, ""]
    for i, row in enumerate(section.rows):
        lines += row_lines(row, with_heading=i == 0)
    return lines + (reason_lines(section) if section.not_measured else []) + [""]


def summary_lines(sections):
    judged = [(section, row, figure) for section in sections for row in section.rows for figure in row.figures
              if figure.verdict()]
    short = [f"- short: {section.title}, {row.work}: {text(figure.judged(), figure.unit)}, goal {_goal(figure)}"
             for section, row, figure in judged if figure.verdict() == "short"]
    missing = [f"- {'failed' if section.failed else 'not measured'}: {section.title}" for section in sections
               if section.not_measured]
    listed = short + missing
    return [f"{len(judged) - len(short)} of {len(judged)} goals met.", "", *listed] + [""] * bool(listed)


def about_lines(about):
    settings = about["settings"]
    facts = {**about["machine"], "commit": about["commit"], "date": about["date"], "threads": settings["threads"],
             "models": f"{settings['n_params'] / 1e6:.0f} million parameters, bf16, "
                       f"{settings['model_bytes'] / 1e6:.0f} MB each",
             "runs": f"{settings['repeat']} of each, in turns", "load average before": f"{about['load_average']:.1f}"}
    if settings["quick"]:
        facts["**--quick**"] = "small models: the goals are not for these"
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), ""]


def page(about, sections):
    return "\n".join([
        "# Benchmark results", "",
        "What `scripts/bench --all` found; every run writes this page anew. A result is the median over runs or pairs "
        "of runs, beside it the lowest and the highest. `scripts/bench --help` says how it is measured.", "",
        *about_lines(about), *summary_lines(sections),
        *(line for section in sections for line in section_lines(section))])
