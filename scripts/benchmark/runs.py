# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the programs and takes the time."""
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import namedtuple

from benchmark import page_cache, recipes
from benchmark.figures import NotMeasured

UNSAFE = ["--sync", "none", "--verify", "header"]

# stats: what a merge measured itself
Run = namedtuple("Run", "seconds cpu_seconds peak_bytes stats", defaults=(None,))


class Failed(Exception):
    """A program ended with an error."""


def timed(command, environment=None, folder=None, watch=None):
    """Runs it to its end. watch(pid) is called over and over until then."""
    with tempfile.TemporaryFile() as log:
        start = time.monotonic()
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                     cwd=folder)
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from error
        while watch and os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            watch(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            log.seek(0)
            said = log.read().decode(errors="replace")[-2000:].strip()
            raise Failed(f"`{' '.join(command)}` ended with {child.returncode}: {said}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def remove(path):
    """And leave no dirty pages for the next run to wait for."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)
    os.sync()


def in_turns(rounds, actions):
    """Each once a round, in turned order every other time, so that what else the machine does hits all of them.
    Returns the results of each action."""
    results = [[] for _ in actions]
    for turn in range(rounds):
        order = range(len(actions)) if turn % 2 == 0 else reversed(range(len(actions)))
        for i in order:
            results[i].append(actions[i]())
    return results


def seconds(runs):
    return [run.seconds for run in runs]


def ratios(above, below):
    """Of the seconds of two runs of the same round."""
    return [a.seconds / b.seconds for a, b in zip(above, below)]


class Bench:
    def __init__(self, args):
        self.args = args
        self.threads = args.threads or len(os.sched_getaffinity(0))
        self.out = os.path.join(args.work, "out")
        self.warm_files = []
        self.model_bytes = os.path.getsize(recipes.model_file(args.data, recipes.MODELS[0]))

    def warm(self, paths):
        """From now on these are in the page cache when a run begins; else its time would be the disk's. They are read
        before each run, as some systems (DAMON's reclaim) keep putting pages of files out of it."""
        self.warm_files = list(paths)
        for _ in range(3):
            page_cache.read_all(paths)
            resident = min((page_cache.resident_share(path) for path in paths), default=1)
            if resident > 0.95:
                return
        raise NotMeasured(f"the page cache keeps only {100 * resident:.0f} % of an input")

    def recipe_file(self, name, text):
        path = os.path.join(self.args.work, f"{name}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def method_recipe(self, method):
        return self.recipe_file(method, recipes.recipe_text(method, self.args.data))

    def timed_run(self, command, out_bytes, **keys):
        """A virtual machine hands free memory back to its host within seconds and gets it again slowly, page by page:
        a file that is written and removed right before leaves as much memory at hand as the run writes."""
        page_cache.read_all(self.warm_files)
        timed(self.floor_command([], out_bytes))
        os.remove(self.out)
        run = timed(command, **keys)
        remove(self.out)
        return run

    def floor_command(self, inputs, out_bytes):
        return [self.args.io_floor, "--threads", str(self.threads), "--out", self.out, "--out-bytes", str(out_bytes),
                *inputs]

    def floor(self, inputs, out_bytes=None, sync=False):
        out_bytes = out_bytes or self.model_bytes
        return self.timed_run(self.floor_command(inputs, out_bytes) + ["--sync"] * sync, out_bytes)

    def merge(self, recipe_path, flags=(), out_bytes=None, watch=None):
        """Flags given here win over the benchmark's own."""
        stats = os.path.join(self.args.work, "stats.json")
        command = [self.args.program, "--config", recipe_path, "--out", self.out, "--quiet", "--stats", stats,
                   "--device", "cpu", *flags]
        if "--threads" not in flags:
            command += ["--threads", str(self.threads)]
        if self.args.memory and "--memory" not in flags:
            command += ["--memory", self.args.memory]
        run = self.timed_run(command, out_bytes or self.model_bytes, watch=watch)
        with open(stats, encoding="utf-8") as file:
            return run._replace(stats=json.load(file))

    def mergekit(self, recipe_path):
        offline = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        command = [self.args.mergekit, recipe_path, self.out, "--quiet", "--no-copy-tokenizer", "--no-write-model-card"]
        return self.timed_run(command, self.model_bytes, environment=offline)
