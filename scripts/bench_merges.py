#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Times whole merges of bf16 models (Llama layout) and prints each as a share of the I/O floor, and what else there are
goals for, with the goals beside.

The floor is a plain loop that, with as many threads, only reads the same input bytes from the page cache and writes as
many bytes as the output has. Whatever is compared runs in turns, so that what else the machine does hits both; a result
is the median over these pairs, beside it the lowest and the highest. Between runs the output is removed and the
disk's queue is written out, outside the timing. Shares are of `--sync none --verify header`, which is what the floor
does; then come the defaults, against a floor that waits for the disk too.

Parts:
"""
import argparse
import inspect
import json
import os
import sys
from collections import namedtuple

from benchmark import compare, figures, growth, limits, machine, models, page, recipes, runs, speed

REPOSITORY = os.path.dirname(models.SCRIPTS)

Part = namedtuple("Part", "title measure")
PARTS = {
    "startup": Part("Start-up", speed.start_up),
    "methods": Part("Methods against the I/O floor", speed.methods),
    "cp": Part("Copying against cp", speed.copy),
    "growth": Part("Growth with the models' size", growth.sizes),
    "models": Part("Growth with the number of models", growth.counts),
    "memory": Part("Memory budgets", limits.memory),
    "small-memory": Part("Speed with little memory", limits.small_memory),
    "threads": Part("Threads", growth.threads),
    "cold": Part("Cold page cache", limits.cold),
    "mergekit": Part("Against mergekit", speed.mergekit),
}
QUICK_LAYERS = 1


def note(part):
    return " ".join(inspect.getdoc(part.measure).split())


def parse_arguments():
    build = os.path.join(REPOSITORY, "build")
    listed = "\n".join(f"  {name:<13} {part.title}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(description=__doc__ + listed, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every part, every method; --results is then "
                        "tests/bench/RESULTS.md unless --quick is given")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="default: startup, methods; mergekit if it is given")
    parser.add_argument("--methods", nargs="+", choices=recipes.RECIPES,
                        help=f"default: {', '.join(recipes.MAIN_METHODS)}; --all: every method")
    parser.add_argument("--program", default=os.path.join(build, "bench", "gpumerge"))
    parser.add_argument("--io-floor", default=os.path.join(build, "bench", "tests", "bench", "io_floor"))
    parser.add_argument("--data", help="folder of the models; made if missing (default build/bench-data)")
    parser.add_argument("--growth-data", help="folder of the larger models of `growth`, 8 GB, made if missing; beside "
                        "it, FOLDER-copies for `models` (default build/bench-data-growth)")
    parser.add_argument("--work", default=os.path.join(build, "bench-work"),
                        help="folder for outputs, each removed after its run")
    parser.add_argument("--repeat", type=int, help="runs of each (default 5)")
    parser.add_argument("--threads", type=int, help="for both; default: one for each core")
    parser.add_argument("--memory", help="gpumerge's --memory")
    parser.add_argument("--mergekit", metavar="PATH", help="a mergekit-yaml to run on the same files")
    parser.add_argument("--mergekit-repeat", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small models, one run of each: does it work?")
    parser.add_argument("--json", metavar="FILE", help="write every number there")
    parser.add_argument("--results", metavar="FILE", help="write the tables there as Markdown")
    parser.add_argument("--compare", nargs="+", metavar=("OLD.json", "NEW.json"),
                        help="what became worse or better than in an earlier --json FILE, beyond noise: the ranges do "
                        "not overlap and the medians differ by more than "
                        f"{100 * compare.MIN_CHANGE:.0f} %%. Exit status 1 where something became worse. With two "
                        "files nothing is run")
    args = parser.parse_args()
    if args.compare and len(args.compare) > 2:
        parser.error("--compare takes one file or two")
    complete_arguments(args, build)
    return args


def complete_arguments(args, build):
    args.parts = args.parts or (list(PARTS) if args.all else
                                ["startup", "methods"] + ["mergekit"] * bool(args.mergekit))
    args.methods = args.methods or (list(recipes.RECIPES) if args.all else recipes.MAIN_METHODS)
    args.repeat = args.repeat or (1 if args.quick else 5)
    suffix = "-quick" if args.quick else ""
    args.data = os.path.abspath(args.data or os.path.join(build, f"bench-data{suffix}"))
    args.growth_data = os.path.abspath(args.growth_data or os.path.join(build, f"bench-data-growth{suffix}"))
    args.program, args.io_floor, args.work = map(os.path.abspath, (args.program, args.io_floor, args.work))
    if args.all and not args.quick:
        args.results = args.results or os.path.join(REPOSITORY, "tests", "bench", "RESULTS.md")


def say(lines):
    print("\n".join(lines), flush=True)


def measure(bench, name):
    """Prints each row as soon as it is there."""
    part = PARTS[name]
    section = figures.Section(name, part.title, note(part))
    say([f"## {part.title}", "", section.note, ""])
    try:
        for row in part.measure(bench):
            say(page.row_lines(row, with_heading=not section.rows))
            section.rows.append(row)
    except (figures.NotMeasured, runs.Failed) as reason:
        section.not_measured, section.failed = str(reason), isinstance(reason, runs.Failed)
        say(page.reason_lines(section))
    finally:
        runs.remove(bench.out)
    say([""])
    return section


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(args, old):
    """The report, and whether no program failed. old: the report to compare with, or None."""
    models.make_models(args.data, *(["bench-layers", QUICK_LAYERS] if args.quick else ["bench"]))
    os.makedirs(args.work, exist_ok=True)
    bench = runs.Bench(args)
    runs.remove(bench.out)
    settings = {"threads": bench.threads, "memory": args.memory, "quick": args.quick, "repeat": args.repeat,
                "model_bytes": bench.model_bytes, "n_params": bench.model_bytes // 2}
    about = machine.about(args.program, args.work, settings)
    if old:
        compare.check_settings(old["about"], about)
    say(["# Benchmark", "", *page.about_lines(about)])
    if about["load_average"] > 0.5:
        say(["Other programs are running: seconds are too high, ratios less so.", ""])
    sections = [measure(bench, name) for name in PARTS if name in args.parts]
    say(page.summary_lines(sections))
    report = {"about": about, "sections": [figures.to_json(section) for section in sections]}
    if args.json:
        write(args.json, json.dumps(report, indent=1) + "\n")
    if args.results:
        write(args.results, page.page(about, sections))
    return report, not any(section.failed for section in sections)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def compared(old, new):
    """Prints what changed; whether nothing became worse."""
    compare.check_settings(old["about"], new["about"])
    comparison = compare.compare(*([figures.section_from_json(section) for section in report["sections"]]
                                   for report in (old, new)))
    say(compare.comparison_lines(comparison, old["about"], new["about"]))
    return not any(change.is_worse for change in comparison.changes)


def main():
    args = parse_arguments()
    old = load(args.compare[0]) if args.compare else None
    try:
        if old and len(args.compare) == 2:
            return 0 if compared(old, load(args.compare[1])) else 1
        report, all_ran = run(args, old)
        is_no_worse = compared(old, report) if old else True
        return 0 if all_ran and is_no_worse else 1
    except compare.Incomparable as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    sys.exit(main())
