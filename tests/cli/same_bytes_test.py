# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Whole outputs, every file of them, are the same bytes whatever the machine is told to use: executor, instruction set,
threads, memory. Chunk sizes, which no flag sets, are varied in tests/run/same_bytes_test.cpp."""
import itertools
import json
import unittest

import numpy

from support import CliTest, ROOT, digests

# Around the sizes at which work is cut: blocks of 4096 elements, ranges of 65536, chunks of a small budget.
SHAPES = {
    "model.embed_tokens.weight": [1300, 1009],
    "model.layers.0.mlp.weight": [65537],
    "model.layers.0.norm.weight": [63],
    "model.layers.1.mlp.weight": [257, 255],
    "model.layers.1.norm.weight": [4096],
    "model.norm.weight": [1],
}
MODELS = ("base", "a", "b", "c")


def axes(instruction_sets):
    """What an output must not depend on: name -> words on the command line, or a function of the others' words."""
    return {
        "executor": [["--device", "cpu", "--isa", isa] for isa in instruction_sets] + [["--device", "reference"]],
        "threads": [["--threads", str(n)] for n in (1, 2, 3, 7)],
        "io": [["--io", mode] for mode in ("auto", "pread", "sync")],
        "memory": ["least", ["--memory", "96M"], []],
    }


def pairwise(lists):
    """Rows of one value a list, so that every two values of different lists stand in a row together."""
    missing = {(i, j, a, b) for i, j in itertools.combinations(range(len(lists)), 2)
               for a in range(len(lists[i])) for b in range(len(lists[j]))}
    while missing:
        def gain(row):
            return len(missing & {(i, j, row[i], row[j]) for i, j in itertools.combinations(range(len(lists)), 2)})
        best = max(itertools.product(*(range(len(values)) for values in lists)), key=gain)
        missing -= {(i, j, best[i], best[j]) for i, j in itertools.combinations(range(len(lists)), 2)}
        yield [values[k] for values, k in zip(lists, best)]


def stored(dtype, values):
    """float32 values, exact in each of these types."""
    if dtype == "BF16":
        return (values.view(numpy.uint32) >> 16).astype(numpy.uint16).tobytes()
    return values.astype({"F16": numpy.float16, "F32": numpy.float32}[dtype]).tobytes()


class SameBytes(CliTest):
    def write_models(self):
        """Differences from the base are of few magnitudes, so that selections have to share out many ties."""
        for number, name in enumerate(MODELS):
            tensors = {}
            for tensor, shape in SHAPES.items():
                random = numpy.random.default_rng([len(tensor), *shape])  # the same base for all models
                values = random.integers(-32, 33, numpy.prod(shape)).astype(numpy.float32) / 64
                if name != "base":
                    steps = numpy.random.default_rng([number, *shape]).integers(-3, 4, values.size)
                    values = values + steps.astype(numpy.float32) / 64
                dtype = "F32" if tensor == "model.norm.weight" else "F16" if name == "c" and "layers.1" in tensor else "BF16"
                tensors[tensor] = (dtype, shape, stored(dtype, values))
            tensors["model.rotary.ids"] = ("I64", [17], numpy.arange(17).tobytes())
            self.write_model(name, tensors, num_hidden_layers=2, vocab_size=1300)

    def expect_same(self, recipe):
        self.write("recipe.yaml", recipe)
        machine = json.loads(self.run_program("devices", "--json").stdout)
        expected = None
        for row in pairwise(list(axes(machine["cpu"]["instruction_sets"]).values())):
            words = ["recipe.yaml", *itertools.chain(*(value for value in row if value != "least"))]
            if "least" in row:
                plan = self.run_program("plan", "--json", *words)
                self.expect(plan, 0)
                words += ["--memory", json.loads(plan.stdout)["run"]["memory_needed_bytes"]]
            result = self.run_program(*words, "--out", "out", "--overwrite", "--sync", "none", "--verify", "header",
                                      "--quiet")
            self.expect(result, 0)
            got = digests(self.folder / "out")
            expected = expected or got
            self.assertIn("gpumerge_report.json", got)
            self.assertEqual(got, expected, words)
        return expected

    def expect_method(self, method, parameters="", models=MODELS[1:], base="base_model: base\n", weight="weight: 0.6"):
        self.write_models()
        lines = "".join(f"  - model: {model}\n" + (f"    parameters: {{{weight}}}\n" if weight else "") for model in models)
        files = self.expect_same(f"merge_method: {method}\nseed: 7\n{base}dtype: bfloat16\nshard_size: 140K\nmodels:\n{lines}"
                                 f"parameters: {{{parameters}}}\n")
        self.assertGreaterEqual(sum(name.endswith(".safetensors") for name in files), 3)

    def test_linear(self):
        self.expect_method("linear", base="")

    def test_ties(self):
        self.expect_method("ties", "density: 0.37")

    def test_ties_over_all_tensors(self):
        self.expect_method("ties", "density: 0.37, trim_scope: model")

    def test_dare_ties(self):
        self.expect_method("dare_ties", "density: 0.37, rescale: l2")

    def test_breadcrumbs_ties(self):
        self.expect_method("breadcrumbs_ties", "density: 0.6, gamma: 0.05")

    def test_della(self):
        self.expect_method("della", "density: 0.5, epsilon: 0.2")

    def test_sce(self):
        self.expect_method("sce", "select_topk: 0.3", weight="")

    def test_slerp(self):
        self.expect_method("slerp", "t: 0.3", models=["a"], weight="")

    def test_nuslerp_of_rows(self):
        self.expect_method("nuslerp", "nuslerp_flatten: false, nuslerp_row_wise: true", models=["a", "b"])

    def test_nuslerp_of_columns(self):
        self.expect_method("nuslerp", "nuslerp_flatten: false", models=["a", "b"])

    def test_model_stock(self):
        self.expect_method("model_stock", weight="")

    def test_karcher(self):
        self.expect_method("karcher", base="", weight="")

    def test_arcee_fusion(self):
        self.expect_method("arcee_fusion", models=["a"], weight="")

    def test_frankenmerge(self):
        self.write_models()
        self.expect_same("merge_method: passthrough\nshard_size: 140K\nslices:\n"
                         "  - sources: [{model: a, layer_range: [0, 2], parameters: {scale: 0.5}}]\n"
                         "  - sources: [{model: c, layer_range: [0, 2]}]\n")

    def test_stages(self):
        self.write_models()
        self.expect_same("name: inner\nmerge_method: ties\nbase_model: base\ndtype: bfloat16\n"
                         "models: [{model: a}, {model: b}]\nparameters: {weight: 1, density: 0.4}\n"
                         "---\nmerge_method: slerp\nbase_model: inner\ndtype: bfloat16\nmodels: [{model: c}]\nparameters: {t: 0.4}\n")

    def test_tiny_real_models(self):
        (self.folder / "tests").symlink_to(ROOT / "tests")
        self.expect_same((ROOT / "configs/ties.yaml").read_text())


if __name__ == "__main__":
    unittest.main()
