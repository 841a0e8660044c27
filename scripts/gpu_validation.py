#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of scripts/gpu_validate, on programs that are built: tests, whole outputs against the CPU's,
compute-sanitizer, measurements. The page that it adds to tests/gpu/RESULTS.md says what was run and what could not be.
"""
import argparse
import datetime
import hashlib
import itertools
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from benchmark.machine import machine
from benchmark.recipes import MAIN_METHODS, MODELS, recipe_text

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tests/gpu/RESULTS.md"
DTYPES = ("bfloat16", "float16", "float32")
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
SANITIZER_FOUND_SOMETHING = 86
WARM_RUNS = 5


def say(text):
    print(f"gpu_validate: {text}", file=sys.stderr, flush=True)


def output_of(command):
    """What a command prints; "" where there is no such command or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def sha256_of(directory):
    """Of every weight file, in order of name."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.safetensors")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Validation:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.program = args.build / "gpumerge"
        self.page, self.failures = [], 0

    def report(self, name, problems, text):
        """One line of the page's summary; any problem makes the whole run fail."""
        self.failures += bool(problems)
        self.page.append(f"- **{name}: {'FAILED' if problems else 'passed'}.** {text}")
        self.page.extend(f"  - {problem}" for problem in problems[:20])
        say(self.page[-1 - min(len(problems), 20)])

    def merge(self, recipe, out, *flags, before=()):
        shutil.rmtree(out, ignore_errors=True)
        command = [*before, self.program, "--config", recipe, "--out", out, "--quiet", *flags]
        return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)

    def run_tests(self):
        results = self.work / "ctest.xml"
        subprocess.run(["ctest", "--test-dir", self.args.build, "--label-regex", "^gpu$", "--output-junit", results,
                        "--output-on-failure", "--no-tests=error"], check=False, stdout=sys.stderr)
        counted = subprocess.run([ROOT / "scripts/count_tests.py", results], capture_output=True, text=True,
                                 check=False)
        lines = counted.stdout.splitlines()
        problems = [] if counted.returncode == 0 else lines[:-1] or ["no test ran"]
        self.report("GPU tests on the device", problems, f"{lines[-1]}.")

    def vram_budgets(self, recipe):
        """None for the default, then the smallest that works and one in between: tensors whole, kept, streamed."""
        command = [self.program, "plan", "--config", recipe, "--device", "cuda", "--json"]
        estimate = json.loads(output_of(command) or "{}")
        needed = estimate.get("run", {}).get("device_memory_needed_bytes")
        budgets = [None] + ([needed * factor for factor in (1, 2, 4)] if needed else [])
        return budgets[:2] if self.args.quick else budgets

    def compare_outputs(self):
        compared, problems = 0, []
        recipes = sorted((ROOT / "configs").glob("*.yaml"))
        for recipe, dtype in itertools.product(recipes, DTYPES[:1] if self.args.quick else DTYPES):
            cpu = self.merge(recipe, self.work / "cpu", "--device", "cpu", "--dtype", dtype)
            if cpu.returncode != 0:
                problems.append(f"{recipe.stem} {dtype} on the CPU: {cpu.stderr.strip()[:300]}")
                continue
            expected = sha256_of(self.work / "cpu")
            for vram in self.vram_budgets(recipe):
                flags = ["--device", "cuda", "--dtype", dtype] + (["--vram", vram] if vram else [])
                gpu = self.merge(recipe, self.work / "gpu", *flags)
                compared += 1
                if gpu.returncode != 0:
                    problems.append(f"{recipe.stem} {dtype} --vram {vram}: {gpu.stderr.strip()[:300]}")
                elif sha256_of(self.work / "gpu") != expected:
                    problems.append(f"{recipe.stem} {dtype} --vram {vram}: not the CPU's bytes")
        self.report("Whole outputs", problems,
                    f"{compared} merges of the models in tests/models on the GPU, every recipe of configs/ by output "
                    "type and VRAM budget, compared with the CPU's sha256.")

    def sanitize(self):
        sanitizer = shutil.which("compute-sanitizer", path=os.environ["PATH"] + ":/usr/local/cuda/bin")
        if not sanitizer:
            self.page.append("- **compute-sanitizer: not run.** It is not on this machine.")
            return
        problems, runs = [], 0
        recipes = [ROOT / "configs/ties.yaml"]
        if not self.args.quick:
            recipes = sorted((ROOT / "configs").glob("*.yaml"))
        for tool, recipe in itertools.product(SANITIZERS, recipes):
            before = [sanitizer, "--tool", tool, "--error-exitcode", SANITIZER_FOUND_SOMETHING]
            run = self.merge(recipe, self.work / "gpu", "--device", "cuda", before=before)
            runs += 1
            if run.returncode != 0:
                said = (run.stdout + run.stderr).strip()[-400:]
                problems.append(f"{tool} {recipe.stem}: exit {run.returncode}: {said}")
        self.report("compute-sanitizer", problems, f"{runs} merges under {', '.join(SANITIZERS)}.")

    def measure_link(self):
        devices = json.loads(output_of([self.program, "devices", "--measure", "--json"]) or "{}")
        link = (devices.get("gpus") or [{}])[0].get("link", {})
        self.report("Link", [] if "to_device_bytes_per_second" in link else [f"not measured: {link}"],
                    f"{link.get('to_device_bytes_per_second', 0) / 1e9:.1f} GB/s from pinned memory to the device, "
                    f"{link.get('to_host_bytes_per_second', 0) / 1e9:.1f} GB/s back.")
        return link.get("to_device_bytes_per_second", 0)

    def measure_kernels(self):
        lines = output_of([next(self.args.build.glob("**/bench_gpu")), str(self.args.kernel_melems)]).splitlines()
        rows = [json.loads(line) for line in lines]
        if not rows:
            self.report("Kernels", ["bench_gpu failed"], "")
            return
        copy = rows[0]["bytes_per_second"]
        self.page += ["", f"Kernels on one tensor of {self.args.kernel_melems}e6 bf16 elements in device memory; "
                      f"copies within that memory reach {copy / 1e9:.0f} GB/s (read + write).", "",
                      "| method | time | what its passes read and write | share of a copy's rate |",
                      "|---|---|---|---|"]
        self.page += [f"| {row['name']} | {1e3 * row['seconds']:.2f} ms | {row['bytes'] / 1e9:.2f} GB, "
                      f"{row['bytes_per_second'] / 1e9:.0f} GB/s | {100 * row['bytes_per_second'] / copy:.0f} % |"
                      for row in rows[1:]]

    def timed_merge(self, recipe):
        stats = self.work / "stats.json"
        begin = time.monotonic()
        run = self.merge(recipe, self.args.data / "out", "--device", "cuda", "--sync", "none", "--stats", stats)
        seconds = time.monotonic() - begin
        if run.returncode != 0:
            return None, run.stderr.strip()[:300]
        return {**json.loads(stats.read_text()), "process_seconds": seconds}, None

    def drop_from_page_cache(self):
        os.sync()
        for path in self.args.data.glob("*/*.safetensors"):
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)

    def measure_merges(self, link):
        self.make_models()
        self.page += ["", f"Whole merges of {len(MODELS)} bf16 models (Llama layout) in {self.args.data}, "
                      f"--sync none; warm: inputs in the page cache, median of {WARM_RUNS} runs; cold: dropped from "
                      "it. Rates are input bytes over the run's elapsed time, process start not counted.", "",
                      "| method | inputs | warm | rate | share of the link | kernels' share of the time | cold | "
                      "whole process |", "|---|---|---|---|---|---|---|---|"]
        problems = []
        for method in MAIN_METHODS:
            recipe = self.work / f"{method}.yaml"
            recipe.write_text(recipe_text(method, str(self.args.data)))
            self.drop_from_page_cache()
            runs = [self.timed_merge(recipe) for _ in range(2 + WARM_RUNS)]  # cold, one to warm up, warm
            errors = [error for _, error in runs if error]
            if errors:
                problems.append(f"{method}: {errors[0]}")
                continue
            self.page.append(self.merge_row(method, runs[0][0], [run for run, _ in runs[2:]], link))
        shutil.rmtree(self.args.data / "out", ignore_errors=True)
        self.page.append("")
        self.report("Benchmark merges", problems, f"{len(MAIN_METHODS)} methods.")

    @staticmethod
    def merge_row(method, cold, warm, link):
        run = sorted(warm, key=lambda stats: stats["elapsed_seconds"])[len(warm) // 2]
        rate = run["bytes_read"] / run["elapsed_seconds"]
        share = f"{100 * rate / link:.0f} %" if link else "?"
        kernels = f"{100 * run['compute_busy_seconds'] / run['elapsed_seconds']:.0f} %"
        process = statistics.median(stats["process_seconds"] for stats in warm)
        return (f"| {method} | {run['bytes_read'] / 1e9:.2f} GB | {run['elapsed_seconds']:.2f} s | "
                f"{rate / 1e9:.1f} GB/s | {share} | {kernels} | "
                f"{cold['elapsed_seconds']:.2f} s | {process:.2f} s |")

    def make_models(self):
        if all((self.args.data / model).is_dir() for model in MODELS):
            return
        say(f"making models in {self.args.data}")
        command = [ROOT / "scripts/make_bench_models.py", "--out", self.args.data, "--models",
                   str(len(MODELS)), "--layers", str(self.args.layers)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def heading(self):
        gpu = output_of(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
        cards = "; ".join(gpu.splitlines()) or "unknown card"
        toolkit = output_of(["nvcc", "--version"]).split("release ")[-1].split(",")[0] or "unknown"
        commit = output_of(["git", "rev-parse", "HEAD"]) or "unknown commit"
        if output_of(["git", "status", "--porcelain"]):
            commit += " with changes"
        host = machine()
        now = datetime.datetime.now(datetime.timezone.utc)
        return ["", f"## {now:%Y-%m-%d %H:%M} UTC: {cards.split(',')[0]}{' (--quick)' if self.args.quick else ''}", "",
                f"GPUs (name, driver, memory): {cards}. CUDA toolkit {toolkit}. Host: {host['cpu']}, {host['cores']} "
                f"cores. Commit {commit}.", ""]

    def run(self):
        heading = self.heading()
        self.run_tests()
        self.compare_outputs()
        self.sanitize()
        link = self.measure_link()
        self.measure_kernels()
        self.measure_merges(link)
        text = "\n".join(heading + self.page) + "\n"
        with open(self.args.results, "a", encoding="utf-8") as file:
            file.write(text)
        print(text)
        say(f"written to {self.args.results}")
        return 1 if self.failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/gpu", help="where the programs are")
    parser.add_argument("--quick", action="store_true", help="fewer types and budgets, small models")
    parser.add_argument("--data", type=pathlib.Path,
                        help="where benchmark models are, or are made and kept; a fast file system, as reading and "
                        "writing are part of a merge (default: made in /dev/shm and removed)")
    parser.add_argument("--layers", type=int, help="of the benchmark models, 26 MB each (default 150; --quick 8)")
    parser.add_argument("--kernel-melems", type=int,
                        help="millions of elements for the kernels alone (default 256; --quick 16)")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="the file that gets the page")
    args = parser.parse_args()
    args.build = args.build.resolve()
    args.layers = args.layers or (8 if args.quick else 150)
    args.kernel_melems = args.kernel_melems or (16 if args.quick else 256)
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory(dir=memory) as data:
        args.data = args.data or pathlib.Path(data) / "models"
        return Validation(args, pathlib.Path(work)).run()


if __name__ == "__main__":
    sys.exit(main())
