# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Every code of include/gpumerge/error_codes.h is provoked: by the real program here, or by a test that is named here and
looked into. A code that nobody provokes, a status that is another one than the table's, or a warning that --strict
does not make an error, fails.

A scenario prepares files and returns the words to run. What it provokes must be said on standard error, as the first
error with the table's exit status, or as a warning of a run that succeeds; the same words and --strict must then
end with that error and publish nothing."""
import fcntl
import json
import os
import pathlib
import re
import shutil
import struct
import unittest

from support import BINARY, CliTest, MODELS, ROOT, f32

LIBRARY = pathlib.Path(BINARY).parent / "tests/cli/libfailing_libc.so"
TABLE = {code: (name, int(status)) for name, code, status in re.findall(
    r'X\((k\w+),\s*"([A-Z0-9-]+)",\s*(\d+),', (ROOT / "include/gpumerge/error_codes.h").read_text())}

# Codes that need a GPU, or one that fails: the test that expects the code, and how its line looks.
ELSEWHERE = {
    "DEV-NONE": ("tests/gpu/failures_test.cpp", r"EXPECT_EQ\(.*ErrorCode::kDeviceUnavailable\)"),
    "DEV-BUSY": ("tests/run/choose_devices_test.cpp", r'EXPECT_EQ\(CodeOf\(.*"DEV-BUSY"\)'),
    "DEV-DRIVER": ("tests/run/choose_devices_test.cpp", r'EXPECT_EQ\(CodeOf\(.*"DEV-DRIVER"\)'),
    "DEV-FAILED": ("tests/run/choose_devices_test.cpp", r'EXPECT_EQ\(CodeOf\(.*"DEV-FAILED"\)'),
    "DEV-MEMORY": ("tests/run/devices_test.cpp", r'EXPECT_EQ\(CodeOf\(.*"DEV-MEMORY"\)'),
    "CANCELLED": ("tests/cli/progress_test.py", r'assertIn\("error\[CANCELLED\]"'),
    "DEV-SELFCHECK": ("tests/run/selfcheck_test.cpp", r"EXPECT_EQ\(.*ErrorCode::kSelfcheck\)"),
}

SCENARIOS = {}


def provokes(code):
    def add(function):
        assert code not in SCENARIOS, code
        SCENARIOS[code] = function
        return function
    return add


def recipe_of(code, text, words=("recipe.yaml", "out")):
    """A scenario that is a recipe's text over the models a and b."""
    def scenario(test):
        test.write("recipe.yaml", text)
        return words
    provokes(code)(scenario)


TWO = "models: [{model: a, parameters: {weight: 1}}, {model: b, parameters: {weight: 1}}]\n"
LINEAR = "merge_method: linear\n" + TWO
BASE_A = "merge_method: ties\nbase_model: a\nmodels: [{model: b, parameters: {weight: 1}}]\n"

recipe_of("CFG-CHOICE", LINEAR + "slices: [{sources: [{model: a, layer_range: [0, 1]}]}]\n")
recipe_of("CFG-MODEL-TWICE", "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: a}, {model: a}]\n")
recipe_of("CFG-FILTER", "merge_method: linear\nparameters: {weight: [{filter: nowhere, value: 2}, {value: 1}]}\n"
          "models: [{model: a}, {model: b}]\n")
recipe_of("CFG-LAYERS", "merge_method: linear\nparameters: {weight: [1, 2]}\nmodels: [{model: a}, {model: b}]\n")
recipe_of("CFG-METHOD", "merge_method: linaer\n" + TWO)
recipe_of("CFG-MISSING", "merge_method: linear\nmodels: [{model: a}]\n")
recipe_of("CFG-NOEFFECT", BASE_A + "parameters: {int8_mask: true}\n")
recipe_of("CFG-PARAM", LINEAR + "parameters: {density: 1}\n")
recipe_of("CFG-RANGE", BASE_A + "parameters: {density: 1.5}\n")
recipe_of("CFG-TYPE", LINEAR + "seed: x\n")
recipe_of("CFG-UNKNOWN", LINEAR + "frobnicate: 1\n")
recipe_of("CFG-UNSUPPORTED", LINEAR + "tokenizer_source: union\n")
recipe_of("NUM-ZEROSUM", "merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}, {model: b, parameters: "
          "{weight: -1}}]\n")
recipe_of("REF-REV-LOCAL", "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: {model: {path: ./a, revision: "
          "x}}}]\n")
recipe_of("REF-SYNTAX", "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: 'org/name@../x'}]\n")
recipe_of("YAML-ALIAS", "a: &a [*a]\n" + LINEAR)
recipe_of("YAML-AMBIG", LINEAR + "seed: 010\n")
recipe_of("YAML-DEPTH", "x: " + "[" * 40 + "]" * 40 + "\n" + LINEAR)
recipe_of("YAML-DOCS", "name: x\n" + LINEAR + "---\nname: x\n" + LINEAR)
recipe_of("YAML-DUP", LINEAR + "seed: 1\nseed: 2\n")
recipe_of("YAML-MERGE", LINEAR + "parameters: {<<: {normalize: true}}\n")
recipe_of("YAML-SIZE", LINEAR + "#" * (1 << 20) + "\n")
recipe_of("YAML-SYNTAX", "merge_method: [\n")
recipe_of("YAML-TAG", LINEAR + "seed: !!python/object 1\n")
recipe_of("YAML-UTF8", LINEAR + "# \x01\n")
recipe_of("CFG-NOFILE", "", ("absent.yaml", "out"))
recipe_of("USAGE", "", ("--bogus",))
recipe_of("HUB-MISS", "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: org/name}]\n",
          ("recipe.yaml", "out", "--cache-dir", "cache"))
recipe_of("IN-MISSING", "merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: ./absent}]\n")
recipe_of("RES-MEM", LINEAR, ("recipe.yaml", "out", "--memory", "1K"))
recipe_of("OUT-IN-INPUT", LINEAR, ("recipe.yaml", "a/out"))


def weights_of(code, header, data=b"\0" * 4, length=None):
    """A scenario with a model of exactly this header."""
    def scenario(test):
        text = header if isinstance(header, bytes) else header.encode()
        path = test.folder / "c/model.safetensors"
        path.parent.mkdir()
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
        test.write_linear(models=("c",))
        return "recipe.yaml", "out"
    provokes(code)(scenario)


ENTRY = '"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
weights_of("ST-DTYPE", '{"x":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}')
weights_of("ST-DUP", "{" + ENTRY + "," + ENTRY + "}")
weights_of("ST-FIELD", '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}}')
weights_of("ST-HDRLEN", "{}", length=2**63)
weights_of("ST-HOLE", '{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"\0" * 8)
weights_of("ST-JSON", "{" + ENTRY + ",}")
weights_of("ST-META", '{"__metadata__":{"format":1},' + ENTRY + "}")
weights_of("ST-NAME", "{" + ENTRY.replace('"x"', '""') + "}")
weights_of("ST-OVERFLOW", '{"x":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,4]}}')
weights_of("ST-OVERLAP", "{" + ENTRY + "," + ENTRY.replace('"x"', '"y"') + "}")
weights_of("ST-SIZE", '{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}')
weights_of("ST-TRAILING", "{" + ENTRY + "}", b"\0" * 5)
weights_of("ST-TRUNCATED", "{" + ENTRY + "}", b"\0" * 3)
weights_of("ST-LIMIT", "{" + ENTRY.replace('"x"', '"' + "x" * 70000 + '"') + "}")


def sharded(code, edit, words=("recipe.yaml", "out")):
    """A scenario with a model of two shards, edited: edit(folder, index)."""
    def scenario(test):
        folder = test.folder / "c"
        folder.mkdir()
        test.write_shard(folder / "model-1.safetensors", {"x": ("F32", [1], f32(1))})
        test.write_shard(folder / "model-2.safetensors", {"y": ("F32", [1], f32(2))})
        index = {"metadata": {"total_size": 8}, "weight_map": {"x": "model-1.safetensors", "y": "model-2.safetensors"}}
        text = edit(test, folder, index)
        (folder / "model.safetensors.index.json").write_text(text or json.dumps(index))
        test.write_linear(models=("c",))
        return words
    provokes(code)(scenario)


sharded("IN-INCOMPLETE", lambda test, folder, index: (folder / "model-2.safetensors").unlink())
sharded("IX-AMBIGUOUS", lambda test, folder, index:
        test.write_shard(folder / "model.safetensors", {"x": ("F32", [1], f32(1))}))
sharded("IX-DUP", lambda test, folder, index:
        '{"weight_map":{"x":"model-1.safetensors","x":"model-2.safetensors"}}')
sharded("IX-FORMAT", lambda test, folder, index: '{"weight_map":[]}')
sharded("IX-MISSING", lambda test, folder, index: index["weight_map"].update(z="model-1.safetensors"))
sharded("IX-SIZE", lambda test, folder, index: index["metadata"].update(total_size=9))
sharded("IX-TRAVERSAL", lambda test, folder, index: index["weight_map"].update(y="../a/model.safetensors"))
sharded("IX-TWICE", lambda test, folder, index:
        test.write_shard(folder / "model-2.safetensors", {"x": ("F32", [1], f32(2)), "y": ("F32", [1], f32(2))}))
sharded("IX-UNLISTED", lambda test, folder, index:
        test.write_shard(folder / "model-2.safetensors", {"y": ("F32", [1], f32(2)), "z": ("F32", [1], f32(2))}))


def pair(code, first, second, method=LINEAR, **config):
    """A scenario with two models of these tensors; config: of both, or a list of two."""
    def scenario(test):
        for name, tensors in (("c", first), ("d", second)):
            test.write_model(name, tensors, **{key: value[name == "d"] if isinstance(value, list) else value
                                               for key, value in config.items()})
        test.write("recipe.yaml", method.replace("model: a", "model: c").replace("model: b", "model: d"))
        return "recipe.yaml", "out"
    provokes(code)(scenario)


X = {"x.weight": ("F32", [2], f32(1, 2))}
I = {"ids": ("I32", [1], b"\1\0\0\0")}
EMBED = {"model.embed_tokens.weight": ("F32", [2, 2], f32(1, 2, 3, 4))}
pair("DT-UNSUPPORTED", {"x": ("C64", [1], b"\0" * 8)}, {"x": ("C64", [1], b"\0" * 8)})
pair("MM-DTYPECLASS", {"x": ("F32", [1], f32(1))}, {"x": ("I32", [1], f32(1))})
pair("MM-EXTRA", X, {**X, "z": ("F32", [1], f32(1))})
pair("MM-MISSING", {**X, "z": ("F32", [1], f32(1))}, X)
pair("MM-INTDIFF", I, {"ids": ("I32", [1], b"\2\0\0\0")})
pair("MM-PROMOTED", X, {"x.weight": ("F16", [2], b"\0" * 4)})
pair("MM-F64", {"x": ("F64", [1], b"\0" * 8)}, {"x": ("F64", [1], b"\0" * 8)})
pair("MM-QUANT", {**X, "x.weight_scale": ("F32", [1], f32(1))}, {**X, "x.weight_scale": ("F32", [1], f32(1))})
pair("MM-SHAPE", X, {"x.weight": ("F32", [1, 2], f32(1, 2))})
pair("MM-VOCAB", EMBED, {"model.embed_tokens.weight": ("F32", [3, 2], f32(1, 2, 3, 4, 5, 6))})
pair("MM-HEADMISSING", EMBED, EMBED, architectures=[["XForCausalLM"]] * 2,
     tie_word_embeddings=False)
pair("MM-TIE", {**EMBED, "lm_head.weight": ("F32", [2, 2], f32(1, 2, 3, 4))},
     {**EMBED, "lm_head.weight": ("F32", [2, 2], f32(1, 2, 3, 4))}, tie_word_embeddings=True)
pair("MM-CONFIG", X, X, rope_theta=[10000.0, 20000.0])
pair("MM-BUFFER", {**X, "r.inv_freq": ("F32", [1], f32(1))}, X)
pair("CFG-REMOTECODE", X, X, auto_map={"AutoModel": "modeling_x.X"})
pair("CFG-JSON", X, X, model_type=["one", "two"])
pair("NUM-NAN-IN", {"x.weight": ("F32", [2], f32(1, float("nan")))}, X)
pair("NUM-OVERFLOW", {"x.weight": ("F32", [2], f32(1, 3e38))}, {"x.weight": ("F32", [2], f32(1, 3e38))},
     LINEAR + "out_dtype: float16\n")
pair("NUM-ROUNDING", {"x.weight": ("F32", [2], f32(1, 2))}, {"x.weight": ("F32", [2], f32(1.0001, 2.0001))},
     "merge_method: task_arithmetic\nbase_model: c\nmodels: [{model: b, parameters: {weight: 1}}]\nout_dtype: bfloat16\n")
pair("NUM-SINGULAR", {"x.weight": ("F32", [2], f32(1, 2))}, {"x.weight": ("F32", [2], f32(-1, -2))},
     "merge_method: karcher\nmodels: [{model: a}, {model: b}]\n")


@provokes("CFG-LAYERLIST")
def _(test):
    layers = {f"model.layers.{i}.w": ("F32", [1], f32(1)) for i in range(4)}
    test.write_model("c", layers, num_hidden_layers=4, strange_layers=["a", "b"], sliding_window_pattern=3)
    test.write("recipe.yaml", "merge_method: passthrough\nslices:\n- sources: [{model: c, layer_range: [0, 2]}]\n"
                              "- sources: [{model: c, layer_range: [1, 4]}]\n")
    return "recipe.yaml", "out"


@provokes("MM-TOKENIZER")
def _(test):
    for name, number in (("c", 0), ("d", 1)):
        test.write_model(name, EMBED, vocab_size=2)
        test.write(f"{name}/tokenizer.json", json.dumps({"model": {"type": "BPE", "vocab": {"p": number, "q": 1 - number}}}))
    test.write_linear(models=("c", "d"))
    return "recipe.yaml", "out"


@provokes("JSON-DUP")
def _(test):
    test.write("a/config.json", '{"model_type": "x", "model_type": "y"}')
    return "recipe.yaml", "out"


@provokes("JSON-SYNTAX")
def _(test):
    test.write("a/config.json", "{")
    return "recipe.yaml", "out"


@provokes("IN-NOTREG")
def _(test):
    (test.folder / "a/model.safetensors").unlink()
    os.mkfifo(test.folder / "a/model.safetensors")
    return "recipe.yaml", "out"


@provokes("IN-SYMLINK")
def _(test):
    (test.folder / "a/model.safetensors").rename(test.folder / "elsewhere.safetensors")
    (test.folder / "a/model.safetensors").symlink_to("../elsewhere.safetensors")
    return "recipe.yaml", "out"


@provokes("PKL-OFF")
def _(test):
    (test.folder / "a/model.safetensors").write_bytes(b"\x80\x02}q\x00." + b"x" * 40)
    return "recipe.yaml", "out"


@provokes("IN-HASH")
def _(test):
    test.write("SUMS", "0" * 64 + "  a/model.safetensors\n" + "0" * 64 + "  b/model.safetensors\n")
    return "recipe.yaml", "out", "--manifest", "SUMS"


@provokes("IN-EIO")
def _(test):
    test.preload(GM_FAIL_CALL="pread:1")
    return "recipe.yaml", "out"


def meddled_with(code, variable):
    """A scenario in which the only input changes at the read where that provokes the code."""
    def scenario(test):
        words = ("recipe.yaml", "out", "--threads", "1")
        for number in range(1, 40):
            test.prepare()
            test.write_linear(models=("a",))
            test.preload(**{variable: f"{number}:{test.folder}/a/model.safetensors"})
            if f"error[{code}]" in test.run_words(words).stderr:
                break
        test.prepare()
        test.write_linear(models=("a",))
        test.preload(**{variable: f"{number}:{test.folder}/a/model.safetensors"})
        return words
    provokes(code)(scenario)


meddled_with("IN-CHANGED", "GM_CHANGE")
meddled_with("IN-TRUNCATED", "GM_CUT")


@provokes("INTERNAL")
def _(test):
    test.preload(GM_BUG="1")
    return "recipe.yaml", "out"


@provokes("NUM-FTZ")
def _(test):
    test.preload(GM_FLUSH_DENORMALS="1")
    return "recipe.yaml", "out"


@provokes("OUT-FSYNC")
def _(test):
    test.preload(GM_FAIL_CALL="fdatasync:1")
    return "recipe.yaml", "out"


@provokes("OUT-IO")
def _(test):
    return "recipe.yaml", "out", "--stats", "no/such/folder/stats.json"


@provokes("OUT-SPACE")
def _(test):
    n_elems = 1 << 40
    text = json.dumps({"x": {"dtype": "F32", "shape": [n_elems], "data_offsets": [0, 4 * n_elems]}}).encode()
    path = test.folder / "c/model.safetensors"
    path.parent.mkdir()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + 4 * n_elems)
    test.write_linear(models=("c",))
    return "recipe.yaml", "out"


@provokes("OUT-VERIFY")
def _(test):
    test.expect(test.run_program("recipe.yaml", "made"), 0)
    path = test.folder / "made/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    return "verify", "made"


@provokes("OUT-EXISTS")
def _(test):
    test.write("out/mine.txt", "precious")
    return "recipe.yaml", "out"


@provokes("OUT-LOCKED")
def _(test):
    lock = open(test.folder / ".out.gpumerge.lock", "w")
    test.addCleanup(lock.close)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return "recipe.yaml", "out"


@provokes("RES-MISMATCH")
def _(test):
    test.preload(GM_DIE="2")
    test.assertEqual(test.run_words(("recipe.yaml", "out")).returncode, -9)
    test.environment = {}
    test.assertIn(".out.gpumerge-tmp", test.names())
    test.write_linear(extra="seed: 9\n", models=("b", "a"))
    return "recipe.yaml", "out"


@provokes("DEV-NOTBUILT")
def _(test):
    if json.loads(test.run_program("devices", "--json").stdout)["built_with_cuda"]:
        return None  # it is of builds without CUDA, such as the sanitizers'
    return "recipe.yaml", "out", "--device", "cuda"


class Codes(CliTest):
    def setUp(self):
        super().setUp()
        self.prepare()

    def prepare(self):
        self.environment = {}
        for path in list(self.folder.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.write_model("a", {"x.weight": ("F32", [2], f32(1, 2))})
        self.write_model("b", {"x.weight": ("F32", [2], f32(3, 5))})
        self.write_linear()

    def preload(self, **variables):
        if not LIBRARY.exists():
            raise unittest.SkipTest(f"{LIBRARY} was not built")
        self.environment = {"LD_PRELOAD": str(LIBRARY), **variables}

    @staticmethod
    def write_shard(path, tensors):
        from support import write_safetensors
        write_safetensors(path, tensors)

    def run_words(self, words):
        return self.run_program(*words, env=self.environment)

    def expect_provoked(self, code):
        """Runs the code's scenario in a clean folder; one without words is of another build."""
        status = TABLE[code][1]
        self.prepare()
        words = SCENARIOS[code](self)
        if words is None:
            return
        words = tuple(map(str, words))
        before = self.names()
        result = self.run_words(words)
        if f"warning[{code}]" in result.stderr:
            self.assertEqual(result.returncode, 0, result.stderr)
            shutil.rmtree(self.folder / "out")
            before = self.names()
            result = self.run_words((*words, "--strict"))
        self.assertIn(f"error[{code}]", result.stderr)
        first = re.search(r"error\[([A-Z0-9-]+)\]", result.stderr).group(1)
        self.assertEqual((first, result.returncode), (code, status), result.stderr)
        self.assertIn(f"exit:  {status}", result.stderr)
        self.assertEqual([name for name in self.names() if name not in before and "tmp" not in name
                          and not name.endswith(".lock")], [])
        return status

    def expect_all_of(self, statuses):
        codes = [code for code in SCENARIOS if TABLE.get(code, ("", None))[1] in statuses]
        self.assertTrue(codes)
        for code in codes:
            with self.subTest(code):
                self.expect_provoked(code)

    def test_the_table_is_read(self):
        shown = set(re.findall(r"(?m)\b[A-Z]+[A-Z0-9]*-[A-Z0-9-]+\b|\b(?:USAGE|INTERNAL|CANCELLED)\b",
                               self.run_program("errors", "--markdown").stdout))
        self.assertGreater(len(TABLE), 90)
        self.assertEqual(set(TABLE) - shown, set())

    def test_every_code_is_provoked_somewhere(self):
        here = set(SCENARIOS)
        self.assertEqual(set(TABLE) - here - set(ELSEWHERE), set(), "codes without a scenario")
        self.assertEqual((set(SCENARIOS) | set(ELSEWHERE)) - set(TABLE), set(), "scenarios of no code")
        for code, (path, pattern) in ELSEWHERE.items():
            self.assertTrue(TABLE[code][0] in pattern or code in pattern)
            self.assertRegex((ROOT / path).read_text(), pattern, code)

    def test_every_exit_status_is_provoked(self):
        statuses = {TABLE[code][1] for code in {*SCENARIOS, *ELSEWHERE}}
        self.assertEqual({status for _, status in TABLE.values()} - statuses, set())
        self.assertEqual(statuses, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130})

    def test_codes_of_this_program_and_the_command_line(self):
        self.expect_all_of({1, 2})

    def test_codes_of_recipes(self):
        self.expect_all_of({3})

    def test_codes_of_inputs(self):
        self.expect_all_of({4, 5})

    def test_codes_of_models_that_do_not_fit(self):
        self.expect_all_of({6})

    def test_codes_of_values(self):
        self.expect_all_of({7})

    def test_codes_of_outputs(self):
        self.expect_all_of({8, 9})

    def test_codes_of_limits_and_devices(self):
        self.expect_all_of({10})


if __name__ == "__main__":
    unittest.main()
