# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Speed of whole merges: against the I/O floor, against a copy, against mergekit; and of starting."""
import os
import statistics

from benchmark import recipes
from benchmark.figures import Figure, NotMeasured, Row
from benchmark.models import SCRIPTS
from benchmark.runs import UNSAFE, in_turns, ratios, seconds, timed

SHARES_WANTED = {"ties": 0.45, "linear": 0.65, "task_arithmetic": 0.65, "slerp": 0.60, "dare_ties": 0.35,
                 "passthrough": None}  # its goal is against cp
OTHER_SHARE_WANTED = 0.10
MERGEKIT_TIMES_WANTED = {"ties": 60}
COPY_SHARE_WANTED = 0.90
VERSION_SECONDS_WANTED, PLAN_SECONDS_WANTED = 0.010, 0.030
N_STARTS = 20


def start_up(bench):
    """How long --version and a plan of the tiny models take, process start included."""
    def start(*words):
        return timed([bench.args.program, *words], folder=os.path.dirname(SCRIPTS))

    versions, plans = in_turns(2 if bench.args.quick else N_STARTS, [
        lambda: start("--version"), lambda: start("plan", "--config", "configs/ties.yaml")])
    yield Row("--version", [Figure("time", "ms", seconds(versions), "less", at_most=VERSION_SECONDS_WANTED)])
    yield Row("plan configs/ties.yaml", [Figure("time", "ms", seconds(plans), "less", at_most=PLAN_SECONDS_WANTED)])


def methods(bench):
    """Pairs of floor and merge: without safety (`--sync none --verify header`), which is what the floor does, and with
    the defaults, against a floor that waits for the disk as well. What safety costs: the time that the defaults wait
    for fdatasync and for reading what they wrote, and how much longer they take apart from it, as the disk begins to
    write meanwhile."""
    for method in bench.args.methods:
        inputs, recipe = recipes.input_files(method, bench.args.data), bench.method_recipe(method)
        bench.warm(inputs)
        floors, merges, safe_floors, safe_merges = in_turns(bench.args.repeat, [
            lambda: bench.floor(inputs), lambda: bench.merge(recipe, UNSAFE),
            lambda: bench.floor(inputs, sync=True), lambda: bench.merge(recipe)])
        n_params = bench.model_bytes / 2
        waits = [run.stats["sync_seconds"] + run.stats["verify_seconds"] for run in safe_merges]
        fast_seconds = statistics.median(seconds(merges))
        rest = [(run.seconds - wait) / fast_seconds - 1 for run, wait in zip(safe_merges, waits)]
        yield Row(method, [
            Figure("share of floor", "%", ratios(floors, merges), "more",
                   at_least=SHARES_WANTED.get(method, OTHER_SHARE_WANTED)),
            Figure("defaults", "%", ratios(safe_floors, safe_merges), "more"),
            Figure("merge", "s", seconds(merges)), Figure("floor", "s", seconds(floors)),
            Figure("speed", "Mparam/s", [n_params / run.seconds for run in merges]),
            Figure("CPU", "s", [run.cpu_seconds for run in merges]),
            Figure("merge, defaults", "s", seconds(safe_merges)), Figure("of that waiting", "s", waits),
            Figure("the rest longer by", "%", rest)])


def copy(bench):
    """passthrough of one model, and cp of its file to the same disk; with the defaults, cp and sync of the copy."""
    source = recipes.input_files("passthrough", bench.args.data)[0]
    recipe = bench.method_recipe("passthrough")
    bench.warm([source])

    def cp(then):
        command = f'cp "$1" "$2"{then}'
        return bench.timed_run(["sh", "-c", command, "sh", source, bench.out], bench.model_bytes)

    copies, merges, safe_copies, safe_merges = in_turns(bench.args.repeat, [
        lambda: cp(""), lambda: bench.merge(recipe, UNSAFE),
        lambda: cp(' && sync --data "$2"'), lambda: bench.merge(recipe)])
    yield Row("passthrough", [
        Figure("speed of cp", "%", ratios(copies, merges), "more", at_least=COPY_SHARE_WANTED),
        Figure("defaults, of cp and sync", "%", ratios(safe_copies, safe_merges), "more"),
        Figure("merge", "s", seconds(merges)), Figure("cp", "s", seconds(copies))])


def mergekit(bench):
    """The same recipes on the same files, without safety as mergekit has none. Its start is included, as a user waits
    for it."""
    if not bench.args.mergekit:
        raise NotMeasured("--mergekit PATH says where mergekit-yaml is")
    for _ in range(2):  # the first one reads its libraries from disk
        start = timed([bench.args.mergekit, "--help"])
    for method in [name for name in recipes.MERGEKIT_METHODS if name in bench.args.methods]:
        recipe = bench.method_recipe(method)
        bench.warm(recipes.input_files(method, bench.args.data))
        ours, theirs = in_turns(bench.args.mergekit_repeat, [
            lambda: bench.merge(recipe, UNSAFE), lambda: bench.mergekit(recipe)])
        yield Row(method, [
            Figure("times faster", "x", ratios(theirs, ours), "more", at_least=MERGEKIT_TIMES_WANTED.get(method)),
            Figure("gpumerge", "s", seconds(ours)), Figure("mergekit", "s", seconds(theirs)),
            Figure("its start alone", "s", [start.seconds]),
            Figure("its peak memory", "MB", [run.peak_bytes for run in theirs])])
