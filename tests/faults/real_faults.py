# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Faults under the real program: strace kills it at a system call or lets a call fail. Shared by faults_test.py (a
short version) and scripts/soak (all of it). Whatever happens there is the old output, the whole new one or an error, and
running the same command again gives the bytes of an uninterrupted run."""
import collections
import fcntl
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess

# What changes a disk, and what makes it durable; and what does so now and then.
CHANGES = ("pwrite64", "fallocate", "ftruncate", "fdatasync", "fsync", "mkdir", "rename", "renameat2", "unlink", "rmdir",
           "flock")
WRITE_LIKE = CHANGES + ("openat", "close")
ERRORS = {
    "ENOSPC": ("openat", "pwrite64", "fallocate", "ftruncate", "fdatasync", "fsync", "mkdir", "rename", "renameat2"),
    "EIO": ("pwrite64", "pread64", "fallocate", "ftruncate", "fdatasync", "fsync", "mkdir", "rename", "renameat2",
            "unlink", "close"),
    "EDQUOT": ("openat", "pwrite64", "fallocate", "mkdir", "rename", "renameat2", "close"),
    "EINTR": ("pwrite64", "pread64", "fallocate"),
}


def strace_works():
    """Not where a container forbids ptrace, nor with a program built with the leak sanitizer."""
    return shutil.which("strace") is not None and subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0


class Broken(AssertionError):
    """A promise that was not kept."""


def digests(folder):
    folder = pathlib.Path(folder)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def write_model(folder, seed):
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    header, data = {}, b""
    for name, shape in (("model.embed_tokens.weight", [9, 16]), ("model.layers.0.mlp.up_proj.weight", [16, 16]),
                        ("model.norm.weight", [16])):
        n_elems = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = struct.pack(f"<{n_elems}f", *(rng.uniform(-1, 1) for _ in range(n_elems)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": 1, "vocab_size": 9}))
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')


class Bench:
    """A merge of two tiny models into two shards, in a folder of its own."""

    def __init__(self, program, folder, overwrites=False):
        self.program, self.folder, self.overwrites = str(program), pathlib.Path(folder), overwrites
        self.out = self.folder / "place/out"
        self.figures = collections.Counter()
        for seed, name in enumerate(("a", "b")):
            write_model(self.folder / name, seed)
        self.recipe = self.folder / "recipe.yaml"
        self.recipe.write_text("merge_method: linear\nshard_size: 1500\ntokenizer_source: a\nmodels:\n"
                               "  - {model: a, parameters: {weight: 0.5}}\n  - {model: b, parameters: {weight: 0.25}}\n")
        self.out.parent.mkdir()
        self.old = {}
        self.reset(with_old=False)
        self.check(self.run().returncode == 0, "a merge without faults works")
        self.expected = digests(self.out)
        self.check(len([name for name in self.expected if name.endswith(".safetensors")]) == 2, "there are two shards")

    def check(self, holds, what, result=None):
        if not holds:
            raise Broken(what + (f": {result.stderr}" if result is not None else ""))

    def command(self):
        words = [self.program, "merge", "-q", "--threads", "1", "--device", "cpu", "--config", str(self.recipe), "--out",
                 str(self.out)]
        return words + (["--overwrite"] if self.overwrites else [])

    def run(self, before=(), after=(), **options):
        return subprocess.run([*before, *self.command(), *after], cwd=self.folder, text=True, capture_output=True,
                              timeout=100, check=False, **options)

    def reset(self, with_old=True):
        shutil.rmtree(self.out.parent)
        self.out.parent.mkdir()
        if not self.overwrites or not with_old:
            return
        self.out.mkdir()
        for name in ("config.json", "gpumerge_report.json", "old.safetensors"):
            (self.out / name).write_text("{}")
        self.old = digests(self.out)

    def look(self, what, result):
        """Nobody ever sees half an output."""
        found = digests(self.out) if self.out.exists() else {}
        self.check(found in (self.old, self.expected), f"{what}: half an output, {sorted(found)}", result)
        return found == self.expected

    def again(self, what):
        """The same command once more, without faults."""
        is_whole = self.out.exists() and digests(self.out) == self.expected
        result = self.run()
        is_refused = result.returncode == 9 and is_whole and not self.overwrites
        self.check(result.returncode == 0 or is_refused, f"{what}, and running again: exit {result.returncode}", result)
        self.check(digests(self.out) == self.expected, f"{what}, and running again gives other bytes", result)
        names = sorted(path.name for path in self.out.parent.iterdir())
        self.check(is_refused or names == ["out"], f"{what}, and running again leaves {names}")
        self.figures["resumes compared"] += 1

    def count_calls(self):
        """name of a system call -> the most that one thread makes of it: strace counts for each thread."""
        self.reset()
        log = self.folder / "calls.txt"
        calls = WRITE_LIKE + ("pread64",)
        result = self.run(before=["strace", "-f", "-qq", "-o", str(log), "-e", "trace=" + ",".join(calls)])
        self.check(result.returncode == 0, "strace works", result)
        counts = collections.Counter()
        for line in log.read_text().splitlines():
            thread, _, rest = line.partition(" ")
            counts[thread, rest.strip().partition("(")[0]] += 1
        most = collections.Counter()
        for (_, call), count in counts.items():
            if call in calls:
                most[call] = max(most[call], count)
        return most

    def inject(self, call, what, when):
        self.reset()
        return self.run(before=["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                f"inject={call}:{what}:when={when}"])

    def kill(self, call, when):
        what = f"killed at {call} number {when}"
        result = self.inject(call, "signal=SIGKILL", when)
        self.figures["kills"] += result.returncode != 0
        self.look(what, result)
        self.again(what)

    def fail(self, call, error, when):
        what = f"{call} number {when} gets {error}"
        result = self.inject(call, f"error={error}", when)
        self.figures["injected faults"] += 1
        is_new = self.look(what, result)
        # A call that concerns no file of the run, such as a library's own, may go unnoticed.
        if result.returncode == 0:
            self.check(is_new, f"{what}: reported as done", result)
            return
        self.figures["faults reported"] += 1
        self.check(error != "EINTR" or result.returncode == 127, f"{what} is an error", result)
        # 127: before the program began, by the dynamic linker. 10: without /proc nobody knows how much memory there is.
        self.check(result.returncode in (3, 4, 5, 8, 10, 127), f"{what}: exit {result.returncode}", result)
        self.check(result.returncode == 127 or "error" in result.stderr, f"{what}: no message", result)
        self.again(what)

    def lie(self, when):
        """A write says that it wrote one byte, and wrote none: what is verified before it is published must show it."""
        what = f"pwrite64 number {when} did nothing"
        result = self.inject("pwrite64", "retval=1", when)
        self.figures["injected faults"] += 1
        self.check(self.look(what, result) == (result.returncode == 0), f"{what}: reported as done", result)
        if result.returncode == 0:
            return
        again = self.run()
        if again.returncode == 9 and "RES-MISMATCH" in again.stderr:  # of the journal's first line there is nothing
            again = self.run(after=["--restart"])
        self.check(again.returncode == 0, f"{what}, and running again: exit {again.returncode}", again)
        self.check(digests(self.out) == self.expected, f"{what}, and running again gives other bytes")
        self.figures["resumes compared"] += 1

    def kill_everywhere(self, calls, every=1):
        """At each of these calls, or each `every`-th."""
        most = self.count_calls()
        for call, when in [(call, when) for call in calls for when in range(1, most[call] + 1)][::every]:
            self.kill(call, when)

    def fail_everywhere(self, every=1):
        most = self.count_calls()
        faults = [(call, error, when) for error, calls in ERRORS.items() for call in calls
                  for when in range(1, most[call] + 1)]
        for call, error, when in faults[::every]:
            self.fail(call, error, when)
        for when in range(1, most["pwrite64"] + 1)[::every]:
            self.lie(when)


def two_writers(bench, times):
    """Started together on one output: one writes it, the other is told so."""
    for number in range(times):
        bench.reset()
        both = [subprocess.Popen(bench.command(), cwd=bench.folder, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for _ in range(2)]
        texts = [process.communicate(timeout=100)[1] for process in both]
        statuses = sorted(process.returncode for process in both)
        # With --overwrite the second may start when the first is done.
        allowed = ([0, 9], [0, 0]) if bench.overwrites else ([0, 9],)
        bench.check(statuses in allowed, f"pair {number}: exits {statuses}: {texts}")
        bench.check(digests(bench.out) == bench.expected, f"pair {number}: other bytes")
        names = sorted(path.name for path in bench.out.parent.iterdir())
        bench.check(names == ["out"], f"pair {number}: left {names}")
        bench.figures["pairs of writers"] += 1


def killed_holder(bench):
    """Whoever holds the lock is killed: the next run may write at once."""
    bench.reset()
    holder = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fallocate", "-e",
                               "inject=fallocate:delay_enter=60000000"] + bench.command(), cwd=bench.folder,
                              start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lock = bench.out.parent / ".out.gpumerge.lock"
    try:
        while not (lock.exists() and lock.read_text()) and holder.poll() is None:
            pass
        pid = lock.read_text().split()[1]
        second = bench.run()
        bench.check(second.returncode == 9 and f"pid {pid} " in second.stderr, "the second is told who writes", second)
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
    # What was waited for is strace; the merge itself was killed with it, and ends when the system comes to it.
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    bench.again("the holder of the lock was killed")
    bench.figures["holders killed"] += 1


def limited_files(bench, limits):
    """RLIMIT_FSIZE: writes beyond it fail with EFBIG, and SIGXFSZ does not kill."""
    for limit in limits:
        bench.reset()
        result = bench.run(before=["prlimit", f"--fsize={limit}"])
        if result.returncode != 0:
            bench.check(result.returncode == 8, f"files of at most {limit} bytes: exit {result.returncode}", result)
            bench.figures["file size limits hit"] += 1
        bench.look(f"files of at most {limit} bytes", result)
        bench.again(f"files of at most {limit} bytes")


def unreadable_inputs(bench):
    """Each file of the inputs cannot be opened or read: an error, and nothing published."""
    log = bench.folder / "unreadable.txt"
    for name in ("a/model.safetensors", "b/model.safetensors", "a/config.json", "a/tokenizer.json", "recipe.yaml"):
        for call, error in (("openat,openat2", "EACCES"), ("openat,openat2", "EIO"), ("read,pread64", "EIO")):
            bench.reset()
            result = bench.run(before=["strace", "-f", "-qq", "-o", str(log), "-P", str(bench.folder / name), "-e",
                                       f"inject={call}:error={error}"])
            what = f"{name}: {call} gets {error}"
            if "INJECTED" not in log.read_text():  # strace does not know the path of every call
                bench.check(result.returncode == 0, f"{what}, not injected", result)
                continue
            bench.check(result.returncode in (2, 3, 4, 5), f"{what}: exit {result.returncode}", result)
            bench.check(not bench.look(what, result), f"{what}: published")
            bench.figures["unreadable files"] += 1


def forbidden_inputs(bench):
    """The same by permissions, as a user who is not root. To be called as root."""
    bench.folder.chmod(0o777)
    bench.reset()
    bench.out.parent.chmod(0o777)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for name in ("a/model.safetensors", "b/model.safetensors", "a/config.json", "a/tokenizer.json", "recipe.yaml", "a"):
        path = bench.folder / name
        mode = path.stat().st_mode
        path.chmod(0)
        result = bench.run(before=nobody)
        path.chmod(mode)
        bench.check(result.returncode in (2, 3, 4, 5), f"{name} without permissions: exit {result.returncode}", result)
        bench.check(not bench.look(name, result), f"{name} without permissions: published")
        bench.figures["forbidden files"] += 1
    bench.check(bench.run(before=nobody).returncode == 0, "with permissions it works")
