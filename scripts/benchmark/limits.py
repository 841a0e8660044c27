# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Merges with little memory, and merges of what is not in the page cache."""
import time

from benchmark import page_cache, recipes
from benchmark.figures import Figure, NotMeasured, Row
from benchmark.runs import UNSAFE, in_turns, ratios, seconds

BUDGET_BYTES = {"32M": 32e6, "128M": 128e6, "256M": 256e6, "1G": 1e9, "4G": 4e9}
QUICK_BUDGETS = ["32M", "256M"]
SMALL_BUDGET = "256M"
METHODS = ["ties", "linear"]
SPEED_WANTED = 0.90
SAMPLE_SECONDS = 0.002


class PeakMemory:
    """Of a process, by looking all the time. The kernel's own peak in getrusage is no use, nor is what the program says
    by it: it begins with the peak of the process that started this one, and includes the program's file, which is page
    cache. What lies between two samples is missed; so beside it stands resident_bytes, the kernel's peak since the
    program was loaded, which includes file pages and misses only what comes after the last sample."""
    def __init__(self):
        self.anonymous_bytes = self.resident_bytes = 0

    def watch(self, pid):
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                entries = dict(line.split(":", 1) for line in file)
        except ProcessLookupError:
            return
        if "RssAnon" in entries:  # not once it has ended
            kib = {name: int(entries[name].split()[0]) for name in ("RssAnon", "RssShmem", "VmHWM")}
            self.anonymous_bytes = max(self.anonymous_bytes, (kib["RssAnon"] + kib["RssShmem"]) * 1024)
            self.resident_bytes = max(self.resident_bytes, kib["VmHWM"] * 1024)
        time.sleep(SAMPLE_SECONDS)


def memory(bench):
    """The largest memory of the process without page cache, as a share of --memory: RssAnon and RssShmem, looked at
    every 2 ms, as the peak that getrusage has includes the program's file and the process that started it. Beside it
    VmHWM, the kernel's peak with pages of files, which misses nothing in between. Every run has to keep the budget."""
    budgets = QUICK_BUDGETS if bench.args.quick else BUDGET_BYTES
    for method in METHODS:
        recipe = bench.method_recipe(method)
        bench.warm(recipes.input_files(method, bench.args.data))

        def watched(budget):
            peak = PeakMemory()
            return peak, bench.merge(recipe, [*UNSAFE, "--memory", budget], watch=peak.watch)

        for budget, results in zip(budgets, in_turns(bench.args.repeat, [lambda b=b: watched(b) for b in budgets])):
            peaks, runs = zip(*results)
            yield Row(f"{method}, --memory {budget}", [
                Figure("peak", "%", [peak.anonymous_bytes / BUDGET_BYTES[budget] for peak in peaks], "less",
                       at_most=1.0, worst_counts=True),
                Figure("peak bytes", "MB", [peak.anonymous_bytes for peak in peaks]),
                Figure("with pages of files", "MB", [peak.resident_bytes for peak in peaks]),
                Figure("merge", "s", seconds(runs))])


def small_memory(bench):
    """--memory 256M against no --memory."""
    for method in METHODS:
        recipe = bench.method_recipe(method)
        bench.warm(recipes.input_files(method, bench.args.data))
        small, free = in_turns(bench.args.repeat, [
            lambda: bench.merge(recipe, [*UNSAFE, "--memory", SMALL_BUDGET]), lambda: bench.merge(recipe, UNSAFE)])
        yield Row(method, [
            Figure("speed", "%", ratios(free, small), "more", at_least=SPEED_WANTED),
            Figure(f"--memory {SMALL_BUDGET}", "s", seconds(small)), Figure("no --memory", "s", seconds(free)),
            Figure("what it allows", "MB", [run.stats["memory_budget_bytes"] for run in free])])


def cold(bench):
    """Inputs that are not in the page cache. The goal is against the I/O floor, which reads the same files from front
    to back and writes as much, with as many threads. Beside it: against reading alone, file after file, no output."""
    for method in METHODS:
        recipe, inputs = bench.method_recipe(method), recipes.input_files(method, bench.args.data)

        def dropped(action):
            if not page_cache.drop(inputs) and not (page_cache.drop_everything() and page_cache.drop(inputs)):
                raise NotMeasured("the inputs cannot be dropped from the page cache here")
            return action()

        bench.warm([])
        # A virtual disk may be cached by its host, which nobody here can drop: from the second reading on, that is.
        dropped(lambda: page_cache.read_all(inputs))
        reads, floors, merges = in_turns(bench.args.repeat, [
            lambda: dropped(lambda: page_cache.read_all(inputs)), lambda: dropped(lambda: bench.floor(inputs)),
            lambda: dropped(lambda: bench.merge(recipe, UNSAFE))])
        alone = [read_seconds / merge.seconds for read_seconds, merge in zip(reads, merges)]
        yield Row(method, [
            Figure("speed", "%", ratios(floors, merges), "more", at_least=SPEED_WANTED),
            Figure("of reading alone", "%", alone, "more"), Figure("merge", "s", seconds(merges)),
            Figure("floor", "s", seconds(floors)), Figure("reading", "s", reads)])
