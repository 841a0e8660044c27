# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""--trace: what each thread did when, and what becomes of the merge when that cannot be written."""
import collections
import json
import re
import struct
import unittest

from support import CliTest, ROOT, digests, f32

# Without GPUs, whose stages have other names.
CPU = ("--device", "cpu")


class Trace(CliTest):
    def setUp(self):
        super().setUp()
        (self.folder / "tests").symlink_to(ROOT / "tests")
        self.ties = ROOT / "configs/ties.yaml"

    def traced(self, *words):
        """The trace and the statistics of a merge into out."""
        self.expect(self.run_program(*words, "--out", "out", "--trace", "trace.json", "--stats", "stats.json", *CPU), 0)
        return self.trace(), json.loads((self.folder / "stats.json").read_text())

    def trace(self, of_threads=("main 0", "worker 0", "worker 1")):
        """Name -> its events; the file as a whole is checked. Threads are those of a merge on the CPU."""
        trace = json.loads((self.folder / "trace.json").read_text())
        self.assertEqual(trace["otherData"]["dropped_events"], 0)
        events, threads = collections.defaultdict(list), {}
        for event in trace["traceEvents"]:
            if event["ph"] == "X":
                events[event["name"]].append(event)
            elif event["name"] == "thread_name":
                threads[event["tid"]] = event["args"]["name"]
        self.assertEqual(len({event["pid"] for event in trace["traceEvents"]}), 1)
        self.check_nesting([event for of_name in events.values() for event in of_name])
        for event in (event for of_name in events.values() for event in of_name):
            self.assertIn(event["tid"], threads)
        self.assertLessEqual(set(of_threads), set(threads.values()))
        if "worker 0" in of_threads:  # which hand nothing to others
            self.assertFalse({"reader 0", "compute 0", "writer 0"} & set(threads.values()))
        return events

    def check_nesting(self, events):
        """Of two events of one thread one lies within the other, or they do not meet."""
        by_thread = collections.defaultdict(list)
        for event in events:
            begin = round(1000 * event["ts"])
            by_thread[event["tid"]].append((begin, -begin - round(1000 * event["dur"]), event["name"]))
        for of_thread in by_thread.values():
            open_ends = []
            for begin, minus_end, name in sorted(of_thread):
                while open_ends and open_ends[-1] <= begin:
                    open_ends.pop()
                if open_ends:
                    self.assertLessEqual(-minus_end, open_ends[-1], name)
                open_ends.append(-minus_end)

    def write_models(self):
        """A base and two fine-tunes with a tensor of several chunks of a small budget, and a small one."""
        for number, name in enumerate(("base", "a", "b")):
            large = struct.pack("<1000f", *((number * 7919 + i * 104729) % 8191 / 4096 for i in range(1000))) * 1000
            self.write_model(name, {"large": ("F32", [1000, 1000], large), "small": ("F32", [3], f32(1, 2, number))})

    def expect_bytes(self, events, stats):
        self.assertEqual(sum(event["args"].get("bytes", 0) for event in events["read"]), stats["bytes_read"])
        self.assertEqual(sum(event["args"].get("bytes", 0) for event in events["write"]), stats["bytes_written"])
        self.assertEqual(sum(event["args"].get("bytes", 0) for event in events["sync"]), stats["bytes_written"])

    def test_stages_tensors_and_bytes(self):
        events, stats = self.traced("--config", self.ties)
        self.assertEqual(set(events), {"read", "compute", "write", "sync", "check", "verify", "publish"})
        self.expect_bytes(events, stats)
        report = json.loads((self.folder / "out/gpumerge_report.json").read_text())
        tensors = {tensor["name"]: len(tensor["inputs"]) for tensor in report["tensors"]}
        self.assertEqual(len(tensors), 38)
        self.assertEqual(collections.Counter(event["args"]["tensor"] for event in events["read"]), tensors)
        for name in ("write", "check"):
            self.assertEqual(sorted(event["args"]["tensor"] for event in events[name]), sorted(tensors))
        self.assertEqual(sum(event["args"].get("tensors", 1) for event in events["compute"]), 38)
        self.assertEqual({event["args"]["reading"] for event in events["read"]}, {1})

    def test_a_streamed_tensor_is_read_again(self):
        self.write_models()
        self.write("recipe.yaml", "merge_method: ties\nbase_model: base\nparameters: {weight: 1, density: 0.5}\n"
                                  "models: [{model: a}, {model: b}]\n")
        events, stats = self.traced("recipe.yaml", "--memory", "32M", "--threads", "2")
        self.expect_bytes(events, stats)
        readings = collections.Counter()
        for event in events["read"]:
            if event["args"]["tensor"] == "large":
                readings[event["args"]["reading"]] += event["args"]["bytes"]
        self.assertGreater(len(readings), 1)
        self.assertEqual(readings, {reading: 12_000_000 for reading in range(1, len(readings) + 1)})
        self.assertIn(2, {event["args"].get("reading") for event in events["compute"]})
        self.assertEqual({event["args"]["tensor"] for event in events["begin"]}, {"large"})

    def test_stages_of_a_recipe_are_told_apart(self):
        events, stats = self.traced("--config", ROOT / "configs/hierarchical.yaml")
        self.expect_bytes({**events, "sync": events["write"]}, stats)
        self.assertIn("write stage", events)

    def test_stages_one_by_one_are_one_trace(self):
        events, _ = self.traced("--config", ROOT / "configs/hierarchical.yaml", "--keep-stages", "stages")
        self.assertGreaterEqual(len(events["publish"]), 2)

    def test_nothing_but_the_file_changes(self):
        self.traced("--config", self.ties)
        self.expect(self.run_program("--config", self.ties, "--out", "without", *CPU), 0)
        self.assertEqual(digests(self.folder / "out"), digests(self.folder / "without"))

    def test_it_counts_as_memory(self):
        def needed(*words):
            result = self.run_program("--config", self.ties, "--out", "out", "--memory", "1M", *words)
            self.assertEqual(result.returncode, 10)
            return int(re.search(r"at least (\d+) bytes", result.stderr)[1])
        self.assertGreater(needed("--trace", "trace.json") - needed(), 6_000_000)

    def test_a_merge_that_fails_is_traced(self):
        self.write_model("a", {"x": ("F32", [2], f32(1, 2))})
        self.write_model("b", {"x": ("F32", [2], f32(1, float("nan")))})
        self.write_linear()
        self.expect(self.run_program("recipe.yaml", "out", "--trace", "trace.json", *CPU), 7, "error[NUM-NAN-IN]")
        events = self.trace()
        self.assertEqual({event["args"]["tensor"] for event in events["compute"]}, {"x"})
        self.assertNotIn("publish", events)
        result = self.run_program("recipe.yaml", "out", "--trace", "/dev/full", *CPU)
        self.expect(result, 7, "warning[OUT-IO]: the trace file /dev/full cannot be written", "error[NUM-NAN-IN]")

    def test_a_file_that_cannot_be_written(self):
        self.write_model("a", {"x": ("F32", [1], f32(1))})
        self.write_linear(models=("a",))
        before = self.names()
        self.expect(self.run_program("recipe.yaml", "out", "--trace", "no/such/trace.json"), 8,
                    "error[OUT-IO]: the trace file no/such/trace.json cannot be written", "No such file or directory")
        self.assertEqual(self.names(), before)
        result = self.run_program("recipe.yaml", "out", "--trace", "/dev/full")
        self.expect(result, 8, "error[OUT-IO]: the output is complete, but the trace file /dev/full cannot be written")
        self.expect(self.run_program("verify", "out"), 0)

    def test_what_does_not_fit_is_counted(self):
        n_tensors = 40_000  # each is read, written and checked
        self.write_model("a", {f"{i}": ("F32", [1], f32(1)) for i in range(n_tensors)})
        self.write_linear(models=("a",))
        result = self.run_program("recipe.yaml", "out", "--trace", "trace.json", "--sync", "none", *CPU)
        self.expect(result, 0)
        trace = json.loads((self.folder / "trace.json").read_text())
        dropped = trace["otherData"]["dropped_events"]
        kept = sum(event["ph"] == "X" for event in trace["traceEvents"])
        self.assertEqual(kept, 100_000)
        self.assertGreater(kept + dropped, 3 * n_tensors)
        note = f"the trace was full, {dropped} later events are not in it"
        self.assertIn(f"gpumerge: {note}\n", result.stderr)
        self.assertIn(note, trace["traceEvents"][0]["args"]["name"])

    def test_wrong_usage(self):
        self.expect(self.run_program("recipe.yaml", "out", "--trace", "x.json", "--stats", "x.json"), 2,
                    "--stats and --trace name the same file")
        self.expect(self.run_program("plan", "recipe.yaml", "--trace", "x.json"), 2, "does not take --trace")
        self.expect(self.run_program("recipe.yaml", "--trcae", "x.json"), 2, "did you mean --trace?")

    def test_names_with_odd_letters(self):
        name = 'a"b\\c\u00e4\U0001f600\n'
        self.write_model("a", {name: ("F32", [1], f32(1))})
        self.write_linear(models=("a",))
        events, _ = self.traced("recipe.yaml")
        self.assertEqual([event["args"]["tensor"] for event in events["read"]], [name])


if __name__ == "__main__":
    unittest.main()
