#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Times whole merges of bf16 models (Llama layout) and prints each as a share of the I/O floor.

The floor is a plain loop that, with as many threads, only reads the same input bytes from the page cache and writes as
many bytes as the output has. Floor and merge run in turns, so that what else the machine does hits both; a share is the
median over these pairs. Between runs the output is removed and the disk's queue is written out, outside the timing.

The first columns are of `--sync none --verify header`, which is what the floor does. Then come the defaults, against a
floor that waits for the disk too; and what safety costs: how much longer the defaults take, and how much of that is
left without the time they wait for fdatasync and for the reading of what they wrote, as a share of the fast run.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

import gm_safetensors

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODELS = ["base", "model1", "model2", "model3"]

# base: the recipe has a base_model. models: the others. in_list: slerp names its base among the models as well.
Recipe = namedtuple("Recipe", "base models in_list model_parameters parameters")
RECIPES = {
    "linear": Recipe(False, 3, False, {"weight": 1.0}, {}),
    "slerp": Recipe(True, 1, True, {}, {"t": 0.5}),
    "task_arithmetic": Recipe(True, 3, False, {"weight": 0.4}, {}),
    "ties": Recipe(True, 3, False, {"weight": 1.0, "density": 0.5}, {}),
    "dare_ties": Recipe(True, 3, False, {"weight": 0.4, "density": 0.5}, {}),
}
MERGEKIT_METHODS = ["ties", "dare_ties", "linear", "slerp"]

Run = namedtuple("Run", "seconds cpu_seconds peak_bytes")
UNSAFE = ["--sync", "none", "--verify", "header"]


def recipe_text(method, data):
    recipe = RECIPES[method]
    models = MODELS[0 if recipe.in_list else 1:recipe.models + 1]
    lines = [f"merge_method: {method}", "dtype: bfloat16", "models:"]
    for model in models:
        lines.append(f"  - model: {os.path.join(data, model)}")
        if recipe.model_parameters:
            lines.append(f"    parameters: {json.dumps(recipe.model_parameters)}")
    if recipe.base:
        lines.append(f"base_model: {os.path.join(data, MODELS[0])}")
    if recipe.parameters:
        lines.append(f"parameters: {json.dumps(recipe.parameters)}")
    return "\n".join(lines) + "\n"


def input_files(method, data):
    recipe = RECIPES[method]
    models = MODELS[0 if recipe.base else 1:recipe.models + 1]
    return [os.path.join(data, model, "model.safetensors") for model in models]


def timed(command, environment=None):
    """Runs it to its end; the resource usage is of this child alone."""
    with tempfile.TemporaryFile() as log:
        start = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            log.seek(0)
            said = log.read().decode(errors="replace")
            sys.exit(f"bench: {' '.join(command)}\nended with {child.returncode}:\n{said}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def remove(path):
    """And leave no dirty pages for the next run to wait for."""
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.remove(path)
    os.sync()


class Bench:
    def __init__(self, args):
        self.args = args
        self.threads = args.threads or len(os.sched_getaffinity(0))
        self.out = os.path.join(args.work, "out")
        self.stats = os.path.join(args.work, "stats.json")
        self.output_bytes = os.path.getsize(os.path.join(args.data, MODELS[0], "model.safetensors"))
        tensors, _ = gm_safetensors.read_header(os.path.join(args.data, MODELS[0], "model.safetensors"))
        self.n_params = sum(info.n_bytes for info in tensors.values()) // 2

    def recipe_file(self, method):
        path = os.path.join(self.args.work, f"{method}.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(recipe_text(method, self.args.data))
        return path

    def timed_run(self, command, environment=None):
        """A virtual machine hands free memory back to its host within seconds and gets it again slowly, page by page:
        a file that is written and removed right before leaves as much memory at hand as the run writes."""
        timed(self.floor_command(self.output_bytes, []))
        os.remove(self.out)
        run = timed(command, environment)
        remove(self.out)
        return run

    def floor_command(self, out_bytes, inputs):
        return [self.args.io_floor, "--threads", str(self.threads), "--out", self.out, "--out-bytes", str(out_bytes),
                *inputs]

    def floor(self, method, sync):
        command = self.floor_command(self.output_bytes, input_files(method, self.args.data))
        return self.timed_run(command + (["--sync"] if sync else []))

    def merge(self, method, is_safe):
        command = [self.args.program, "--config", self.recipe_file(method), "--out", self.out, "--quiet",
                   "--stats", self.stats]
        command += [] if is_safe else UNSAFE
        command += ["--threads", str(self.args.threads)] if self.args.threads else []
        command += ["--memory", self.args.memory] if self.args.memory else []
        return self.timed_run(command)

    def mergekit(self, method):
        offline = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        command = [self.args.mergekit, self.recipe_file(method), self.out, "--quiet", "--no-copy-tokenizer",
                   "--no-write-model-card"]
        return self.timed_run(command, offline)

    def waited_seconds(self):
        """Of the last merge: for the disk, and reading what was written."""
        with open(self.stats, encoding="utf-8") as file:
            stats = json.load(file)
        return stats["sync_seconds"] + stats["verify_seconds"]

    def compare_with_floor(self, method):
        """Pairs of floor and merge, in turned order every other time; without safety and with it."""
        result = {"method": method}
        safe_waits = []
        for is_safe, key in ((False, "unsafe"), (True, "safe")):
            floors, merges = [], []
            for repetition in range(self.args.repeat):
                order = [(self.floor, floors), (self.merge, merges)]
                for run, runs in order if repetition % 2 == 0 else reversed(order):
                    runs.append(run(method, is_safe))
                    if is_safe and runs is merges:
                        safe_waits.append(self.waited_seconds())
            shares = [floor.seconds / merge.seconds for floor, merge in zip(floors, merges)]
            seconds = statistics.median(run.seconds for run in merges)
            result[key] = {
                "seconds": seconds, "mparams_per_second": self.n_params / seconds / 1e6,
                "floor_seconds": statistics.median(run.seconds for run in floors),
                "share_of_floor": statistics.median(shares), "shares": shares,
                "cpu_seconds": statistics.median(run.cpu_seconds for run in merges),
                "floor_cpu_seconds": statistics.median(run.cpu_seconds for run in floors),
                "peak_bytes": max(run.peak_bytes for run in merges)}
        result["safety_waited_seconds"] = statistics.median(safe_waits)
        result["safety_beyond_waiting"] = ((result["safe"]["seconds"] - result["safety_waited_seconds"]) /
                                           result["unsafe"]["seconds"] - 1)
        return result

    def compare_with_mergekit(self, method):
        pairs = [(self.merge(method, False), self.mergekit(method)) for _ in range(self.args.mergekit_repeat)]
        return {"method": method, "gpumerge_seconds": statistics.median(ours.seconds for ours, _ in pairs),
                "mergekit_seconds": statistics.median(theirs.seconds for _, theirs in pairs),
                "ratio": statistics.median(theirs.seconds / ours.seconds for ours, theirs in pairs),
                "mergekit_peak_bytes": max(theirs.peak_bytes for _, theirs in pairs)}


def make_models(args):
    if all(os.path.isdir(os.path.join(args.data, model)) for model in MODELS):
        return
    print(f"bench: making models in {args.data}", file=sys.stderr, flush=True)
    unfinished = args.data + ".new"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [os.path.join(REPOSITORY, "scripts", "make_bench_models.py"), "--out", unfinished, "--models",
               str(len(MODELS)), *(["--layers", "2"] if args.quick else [])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.rename(unfinished, args.data)
    os.sync()


def warm_page_cache(data):
    """Reads everything once; more of it than free memory would make every number one of the disk."""
    buffer = bytearray(1 << 20)
    for model in MODELS:
        with open(os.path.join(data, model, "model.safetensors"), "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "load_average": os.getloadavg()[0]}


def line(*columns):
    print("  ".join(f"{text:>{width}}" for text, width in zip(columns, (15, 9, 8, 8, 8, 9, 9, 9, 9, 9, 9))), flush=True)


def print_row(result):
    fast, safe = result["unsafe"], result["safe"]
    line(result["method"], f"{fast['mparams_per_second']:.0f}", f"{fast['seconds']:.2f} s",
         f"{fast['floor_seconds']:.2f} s", f"{100 * fast['share_of_floor']:.0f} %", f"{fast['cpu_seconds']:.2f} s",
         f"{safe['seconds']:.2f} s", f"{100 * safe['share_of_floor']:.0f} %",
         f"{result['safety_waited_seconds']:.2f} s", f"{100 * result['safety_beyond_waiting']:+.0f} %",
         f"{max(fast['peak_bytes'], safe['peak_bytes']) / 1e6:.0f} MB")


def parse_arguments():
    build = os.path.join(REPOSITORY, "build")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.path.join(build, "bench", "gpumerge"))
    parser.add_argument("--io-floor", default=os.path.join(build, "bench", "tests", "bench", "io_floor"))
    parser.add_argument("--data", help="folder of the models; made if missing (default build/bench-data)")
    parser.add_argument("--work", default=os.path.join(build, "bench-work"),
                        help="folder for outputs, each removed after its run")
    parser.add_argument("--methods", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--repeat", type=int, help="pairs of floor and merge (default 5)")
    parser.add_argument("--threads", type=int, help="for both; default: one for each core")
    parser.add_argument("--memory", help="gpumerge's --memory")
    parser.add_argument("--mergekit", metavar="PATH", help="a mergekit-yaml to run on the same files")
    parser.add_argument("--mergekit-repeat", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small models, one pair: does it work?")
    parser.add_argument("--json", metavar="FILE", help="write every number there as well")
    args = parser.parse_args()
    args.repeat = args.repeat or (1 if args.quick else 5)
    args.data = os.path.abspath(args.data or os.path.join(build, "bench-data-quick" if args.quick else "bench-data"))
    args.work = os.path.abspath(args.work)
    return args


def main():
    args = parse_arguments()
    make_models(args)
    os.makedirs(args.work, exist_ok=True)
    remove(os.path.join(args.work, "out"))
    warm_page_cache(args.data)
    bench = Bench(args)
    start_up = statistics.median(timed([args.program, "--version"]).seconds for _ in range(20))
    report = {"machine": machine(), "n_params": bench.n_params, "output_bytes": bench.output_bytes,
              "threads": bench.threads, "start_up_seconds": start_up, "floor": [], "mergekit": []}
    about = report["machine"]
    print(f"{about['cpu']}, {about['cores']} cores, {bench.threads} threads; models of {bench.n_params / 1e6:.0f} "
          f"million parameters ({bench.output_bytes / 1e6:.0f} MB); median of {args.repeat}")
    if about["load_average"] > 0.5:
        print(f"other programs are running (load {about['load_average']:.1f}): seconds are too high, shares less so")
    line("", "Mparam/s", "merge", "floor", "share", "CPU", "defaults", "share", "waiting", "the rest", "peak RSS")
    for method in args.methods:
        report["floor"].append(bench.compare_with_floor(method))
        print_row(report["floor"][-1])
    print(f"start-up (gpumerge --version): {1000 * start_up:.1f} ms")
    if args.mergekit:
        report["mergekit_start_up_seconds"] = timed([args.mergekit, "--help"]).seconds
        print(f"\nmergekit on the same files (its start-up: {report['mergekit_start_up_seconds']:.1f} s)")
        line("", "gpumerge", "mergekit", "ratio", "its RSS")
        for method in [name for name in MERGEKIT_METHODS if name in args.methods]:
            pair = bench.compare_with_mergekit(method)
            report["mergekit"].append(pair)
            line(method, f"{pair['gpumerge_seconds']:.2f} s", f"{pair['mergekit_seconds']:.1f} s",
                 f"{pair['ratio']:.0f} x", f"{pair['mergekit_peak_bytes'] / 1e9:.1f} GB")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
