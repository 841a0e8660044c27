# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench makes of its numbers: verdicts, tables, comparisons. No program is run and no time is taken."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmark import compare, figures, page, recipes  # noqa: E402
from benchmark.figures import Figure, Row, Section  # noqa: E402
from benchmark.runs import in_turns  # noqa: E402

ABOUT = {"date": "2026-01-02 03:04 UTC", "commit": "abc1234", "load_average": 0.25,
         "settings": {"threads": 2, "memory": None, "quick": False, "repeat": 5, "model_bytes": 620_000_000,
                      "n_params": 310_000_000},
         "machine": {"CPU": "a processor", "cores": 2}}


def share(values, **keys):
    return Figure("share", "%", values, **{"better": "more", **keys})


def duration(values, **keys):
    return Figure("time", "ms", values, **{"better": "less", **keys})


def section(*figure_list, work="ties"):
    return Section("methods", "Methods", "A note.", [Row(work, list(figure_list))])


def changes(before, after):
    return compare.compare([section(before)], [section(after)]).changes


class Bench(unittest.TestCase):
    def test_verdicts(self):
        self.assertEqual(share([0.2, 0.5, 0.6], at_least=0.45).verdict(), "met")
        self.assertEqual(share([0.2, 0.4, 0.6], at_least=0.45).verdict(), "short")
        self.assertEqual(duration([0.009, 0.010, 0.5], at_most=0.010).verdict(), "met")
        self.assertEqual(duration([0.009, 0.011, 0.5], at_most=0.010).verdict(), "short")
        self.assertEqual(share([0.2]).verdict(), "")

    def test_a_promise_for_every_run_counts_the_worst(self):
        peaks = [0.9, 0.9, 0.9, 0.9, 1.01]
        self.assertEqual(Figure("peak", "%", peaks, "less", at_most=1.0).verdict(), "met")
        self.assertEqual(Figure("peak", "%", peaks, "less", at_most=1.0, worst_counts=True).verdict(), "short")

    def test_a_lower_share_beyond_the_spread_is_worse(self):
        found = changes(share([0.50, 0.51, 0.52, 0.53, 0.54]), share([0.40, 0.40, 0.41, 0.42, 0.42]))
        self.assertEqual([(change.name, change.is_worse) for change in found], [("Methods, ties, share", True)])

    def test_a_higher_share_is_better_and_a_longer_time_is_worse(self):
        self.assertEqual([change.is_worse for change in changes(share([0.4] * 5), share([0.5] * 5))], [False])
        self.assertEqual([change.is_worse for change in changes(duration([0.004] * 5), duration([0.005] * 5))], [True])
        self.assertEqual([change.is_worse for change in changes(duration([0.005] * 5), duration([0.004] * 5))], [False])

    def test_ranges_that_overlap_are_noise(self):
        self.assertEqual(changes(share([0.42, 0.52, 0.52, 0.53, 0.54]), share([0.40, 0.40, 0.41, 0.42, 0.42])), [])
        self.assertEqual(changes(share([0.40, 0.40, 0.41, 0.42, 0.42]), share([0.42, 0.52, 0.52, 0.53, 0.54])), [])

    def test_a_change_of_at_most_five_percent_does_not_count(self):
        self.assertEqual(changes(share([1.0] * 5), share([0.951] * 5)), [])
        self.assertEqual(len(changes(share([1.0] * 5), share([0.949] * 5))), 1)

    def test_figures_for_information_and_of_few_runs_are_not_compared(self):
        result = compare.compare([section(share([0.5] * 4))], [section(share([0.1] * 5))])
        self.assertEqual((result.changes, result.n_compared), ([], 0))
        self.assertEqual(result.not_compared, {"of fewer than 5 runs": 1})
        self.assertEqual(compare.compare([section(share([0.5] * 5, better=""))],
                                         [section(share([0.1] * 5, better=""))]).n_compared, 0)

    def test_figures_of_one_side_are_counted(self):
        result = compare.compare([section(share([0.5] * 5))], [section(share([0.1] * 5), work="sce")])
        self.assertEqual(result.not_compared, {"only in the old results": 1, "only in the new results": 1})

    def test_other_settings_are_refused_another_number_of_runs_is_not(self):
        other = copy.deepcopy(ABOUT)
        other["settings"]["repeat"] = 9
        compare.check_settings(ABOUT, other)
        other["settings"]["threads"] = 1
        with self.assertRaisesRegex(compare.Incomparable, "threads: 2, 1"):
            compare.check_settings(ABOUT, other)

    def test_a_table(self):
        found = Section("methods", "Methods", "A note.", [
            Row("ties", [share([0.40, 0.46, 0.50], at_least=0.45), duration([0.01, 0.02, 0.04])]),
            Row("linear", [share([0.6], at_least=0.65), duration([0.01])])])
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.section_lines(found)[4:]]
        self.assertEqual(cells[0], ["work", "goal", "share", "lowest - highest", "verdict", "time"])
        self.assertEqual(cells[1], ["---"] * 6)
        self.assertEqual(cells[2], ["ties", ">= 45 %", "46.0 %", "40.0 - 50.0", "met", "20.0 ms (10.0 - 40.0)"])
        self.assertEqual(cells[3], ["linear", ">= 65 %", "60.0 %", "60.0 - 60.0", "short", "10.0 ms"])

    def test_a_page(self):
        short = section(share([0.3] * 5, at_least=0.45))
        absent = Section("cold", "Cold", "Why.", [], not_measured="there is no disk")
        lines = page.page(ABOUT, [short, absent, section(share([0.5] * 5, at_least=0.45))]).splitlines()
        for line in ("1 of 2 goals met.", "- short: Methods, ties: 30.0 %, goal >= 45 %", "- not measured: Cold",
                     "**Not measured:** there is no disk", "| commit | abc1234 |", "| CPU | a processor |",
                     "| models | 310 million parameters, bf16, 620 MB each |"):
            self.assertIn(line, lines)
        self.assertFalse(any("--quick" in line for line in lines))

    def test_sections_survive_json(self):
        before = section(share([0.4, 0.5], at_least=0.45), duration([0.1], at_most=0.2, worst_counts=True))
        after = figures.section_from_json(json.loads(json.dumps(figures.to_json(before))))
        self.assertEqual(after, before)

    def test_turns(self):
        order = []
        results = in_turns(3, [lambda: order.append("a") or 1, lambda: order.append("b") or 2])
        self.assertEqual("".join(order), "abbaab")
        self.assertEqual(results, [[1, 1, 1], [2, 2, 2]])

    def test_two_files_are_compared_without_running_anything(self):
        def report(values):
            return json.dumps({"about": ABOUT, "sections": [figures.to_json(section(share(values)))]})

        with tempfile.TemporaryDirectory() as folder:
            old, new = pathlib.Path(folder) / "old.json", pathlib.Path(folder) / "new.json"
            old.write_text(report([0.5] * 5))
            new.write_text(report([0.3] * 5))
            results = [subprocess.run([SCRIPTS / "bench", "--compare", *files], capture_output=True, text=True,
                                      timeout=60) for files in ((old, new), (new, old))]
        self.assertEqual([result.returncode for result in results], [1, 0], results)
        self.assertIn("worse: Methods, ties, share: 50.0 % (50.0 % - 50.0 %) -> 30.0 % (30.0 % - 30.0 %)",
                      results[0].stdout.splitlines())
        self.assertIn("1 figures compared, 0 worse, 1 better beyond noise", results[1].stdout)

    def test_a_program_that_fails_fails_the_run(self):
        with tempfile.TemporaryDirectory() as folder:
            for model in recipes.MODELS:
                path = pathlib.Path(recipes.model_file(folder, model))
                path.parent.mkdir()
                path.write_bytes(b"x")
            command = [SCRIPTS / "bench_merges.py", "--quick", "--parts", "startup", "--data", folder, "--work",
                       pathlib.Path(folder) / "work", "--program"]
            results = [subprocess.run([*command, program], capture_output=True, text=True, timeout=60)
                       for program in ("/bin/false", "/bin/true")]
        self.assertEqual([result.returncode for result in results], [1, 0], results)
        self.assertIn("**Failed:** `/bin/false --version` ended with 1: ", results[0].stdout)
        self.assertIn("- failed: Start-up", results[0].stdout.splitlines())

    def test_recipes_name_their_models(self):
        self.assertEqual(recipes.recipe_text("slerp", "/d"),
                         "merge_method: slerp\ndtype: bfloat16\nbase_model: /d/base\n"
                         "models:\n  - model: /d/base\n  - model: /d/model1\nparameters: {\"t\": 0.5}\n")
        self.assertEqual(recipes.input_files("nuslerp", "/d"),
                         ["/d/model1/model.safetensors", "/d/model2/model.safetensors"])


if __name__ == "__main__":
    unittest.main()
