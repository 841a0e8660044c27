# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""tests/golden is what its generator makes (as far as that goes without mergekit), and notices every constant."""
import json
import os
import unittest

from oracle_support import ROOT

import gm_safetensors
from goldens import cases_geometry, cases_simple, cases_sparse, cases_task_vectors, mutations, oracles, randomness

GOLDEN = ROOT / "tests" / "golden"


def contract_cases():
    modules = (cases_simple, cases_task_vectors, cases_sparse, cases_geometry)
    return [case for module in modules for case in module.all_cases() if case.oracle == "contract"]


def stored(folder, name):
    infos, _ = gm_safetensors.read_header(folder / name)
    return {tensor: gm_safetensors.read_bytes(info) for tensor, info in infos.items()}


class Goldens(unittest.TestCase):
    def test_known_answers_of_the_random_words(self):
        randomness.check()

    def test_stored_cases_are_the_generators(self):
        cases = contract_cases() + [*oracles.paper_cases(), *oracles.paper_cases_of_others()]
        self.assertGreater(len(cases), 650)
        for case in cases:
            with self.subTest(method=case.method, case=case.folder):
                folder = GOLDEN / case.method / case.folder
                text = json.loads((folder / "case.json").read_text(encoding="utf-8"))
                self.assertEqual((text["params"], text["seed"]), (case.params, case.seed))
                self.assertEqual(text["shape"], list(case.shape))
                inputs = stored(folder, "inputs.safetensors")
                self.assertEqual([inputs[name] for name in text["inputs"]], [data for _, data in case.inputs])
                if case.error:
                    self.assertEqual(text["expected_error"], case.error)
                    self.assertIsNone(case.contract_result())
                    continue
                expected = case.contract_result() if case.oracle == "contract" else case.paper_result().tobytes()
                self.assertEqual(stored(folder, "expected.safetensors")["y"], expected)

    def test_provenance_counts_the_folders(self):
        provenance = json.loads((GOLDEN / "PROVENANCE.json").read_text(encoding="utf-8"))
        self.assertEqual(provenance["versions"]["mergekit"], "0.1.5")
        for method, counts in provenance["cases"].items():
            self.assertEqual(len(os.listdir(GOLDEN / method)), sum(counts.values()), method)
        self.assertEqual(set(provenance["cases"]), {path.name for path in GOLDEN.iterdir() if path.is_dir()})

    def test_every_constant_is_noticed(self):
        cases = contract_cases()
        for case in cases:
            case.expected = case.contract_result()
        mutations.check_library_independence(cases)
        mutations.report(cases)


if __name__ == "__main__":
    unittest.main()
