# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""`gpumerge verify`: what it accepts, and that nothing can be changed in an output without being seen."""
import json
import os
import pathlib
import struct
import unittest

from support import CliTest, MODELS, f32


class Verify(CliTest):
    def setUp(self):
        super().setUp()
        for name, values in (("a", (1, 2, 3, 4)), ("b", (3, 4, 5, 7))):
            self.write_model(name, {"x.weight": ("F32", [2, 2], f32(*values)), "y": ("F32", [], f32(values[0])),
                                    "z.weight": ("F32", [0, 2], b"")})
        self.write_linear()
        self.expect(self.run_program("recipe.yaml", "out"), 0)
        self.shard = self.folder / "out/model.safetensors"

    def verify(self, *words, status=0, parts=()):
        result = self.run_program("verify", *words)
        self.expect(result, status, *parts)
        return result

    def flip(self, path, offset, mask=1):
        data = bytearray(path.read_bytes())
        data[offset] ^= mask
        path.write_bytes(data)

    def edit_report(self, edit):
        path = self.folder / "out/gpumerge_report.json"
        report = json.loads(path.read_text())
        edit(report)
        path.write_text(json.dumps(report))

    def test_an_output_as_it_was_written(self):
        result = self.verify("out", "--inputs")
        for part in ("3 tensors in 1 file", "3 tensors and 1 file beside them equal to the report's", "6 tensors of 2 models", "linear merge"):
            self.assertIn(part, result.stdout)
        self.assertEqual(result.stderr, "")
        report = json.loads(self.verify("out", "--inputs", "--json").stdout)
        self.assertEqual(report["report"]["hashes_equal"], 3)
        self.assertEqual(report["inputs"], {"models": 2, "tensors": 6, "tensor_bytes": 40})
        self.assertEqual(self.verify("out", "--quiet").stdout, "")

    def test_changes_nothing(self):
        before = {path: path.stat().st_mtime_ns for path in self.folder.rglob("*")}
        self.verify("out", "--inputs")
        self.assertEqual({path: path.stat().st_mtime_ns for path in self.folder.rglob("*")}, before)

    def test_any_model_for_its_structure_alone(self):
        result = self.verify(MODELS / "base")
        self.assertIn("only its structure", result.stdout)
        self.assertIsNone(json.loads(self.verify(MODELS / "base", "--json").stdout)["report"])
        self.verify("a", "--inputs", status=4, parts=("error[IN-MISSING]", "gpumerge_report.json"))

    def test_every_flipped_bit_of_the_weights_is_found(self):
        size = self.shard.stat().st_size
        whole = self.shard.read_bytes()
        header = 8 + struct.unpack("<Q", whole[:8])[0]
        for offset in list(range(header, size)) + list(range(0, header, 3)):
            self.flip(self.shard, offset, 1 << offset % 8)
            result = self.run_program("verify", "out")
            self.assertIn(result.returncode, (5, 8), offset)
            if offset >= header:
                self.expect(result, 8, "error[OUT-VERIFY]")
            self.shard.write_bytes(whole)
        self.verify("out")

    def test_truncated(self):
        os.truncate(self.shard, self.shard.stat().st_size - 1)
        self.verify("out", status=5, parts=("error[ST-TRUNCATED]", "model.safetensors"))

    def test_other_tensors_than_reported(self):
        self.edit_report(lambda report: report["tensors"].pop(0))
        self.verify("out", status=8, parts=("error[OUT-VERIFY]", "is not in the report"))
        self.edit_report(lambda report: report["tensors"][0].update(name="more", dtype="F32"))
        self.verify("out", status=8, parts=("\"more\" of the report is not in the model",))

    def test_another_type_or_shape(self):
        self.edit_report(lambda report: report["tensors"][0].update(dtype="I32"))
        self.verify("out", status=8, parts=("error[OUT-VERIFY]", "another type or shape", "I32"))

    def test_a_report_that_is_none(self):
        path = self.folder / "out/gpumerge_report.json"
        for text, code in (("{}", "JSON-SYNTAX"), ("{", "JSON-SYNTAX"), ("[]", "JSON-SYNTAX"),
                           ('{"gpumerge":"1","tensors":[{"name":"x"}]}', "JSON-SYNTAX"),
                           ('{"gpumerge":"1","tensors":[{"name":"x","dtype":"F99"}]}', "JSON-SYNTAX")):
            path.write_text(text)
            self.verify("out", status=5, parts=(f"error[{code}]", "gpumerge_report.json"))
        path.unlink()
        os.mkfifo(path)
        self.verify("out", status=5, parts=("error[IN-NOTREG]",))

    def test_a_tensor_twice_in_the_report(self):
        self.edit_report(lambda report: report["tensors"].append(report["tensors"][0]))
        self.verify("out", status=5, parts=("error[JSON-DUP]",))

    def test_config_that_lies(self):
        os.system(f"cp -r {MODELS}/base {MODELS}/german {self.folder}")
        self.write_linear(models=("base", "german"))
        self.expect(self.run_program("recipe.yaml", "real"), 0)
        self.verify("real")
        path = self.folder / "real/config.json"
        text = path.read_text()
        config = json.loads(text)
        for key, wrong, code in (("vocab_size", config["vocab_size"] + 1, "CFG-JSON"), ("num_hidden_layers", 99, "CFG-JSON"),
                                 ("tie_word_embeddings", False, "MM-HEADMISSING")):
            path.write_text(json.dumps(config | {key: wrong}))
            self.verify("real", status=6, parts=(f"error[{code}]", "config.json"))
        path.write_text(text[:-3])
        self.verify("real", status=5, parts=("error[JSON-SYNTAX]",))

    def test_files_beside_the_weights(self):
        os.system(f"cp -r {MODELS}/base {MODELS}/german {self.folder}")
        self.write_linear(models=("base", "german"))
        self.expect(self.run_program("recipe.yaml", "real"), 0)
        report = json.loads((self.folder / "real/gpumerge_report.json").read_text())
        names = [entry["name"] for entry in report["files"] if "xxh3_128" in entry]
        self.assertIn("config.json", names)
        self.assertIn("tokenizer.json", names)
        for name in names:
            path = self.folder / "real" / name
            whole = path.read_bytes()
            path.write_bytes(whole + b"\n")
            self.verify("real", status=8, parts=("error[OUT-VERIFY]", f'"{name}" is not what the merge wrote'))
            path.write_bytes(whole)
        (self.folder / "real/tokenizer.json").unlink()
        self.verify("real", status=8, parts=("error[OUT-VERIFY]", '"tokenizer.json" of the report is not there'))
        self.edit_report(lambda report: report.update(files=[{"name": "../a/config.json", "xxh3_128": "0" * 32}]))
        self.verify("out", status=5, parts=("error[JSON-SYNTAX]", "plain name"))

    def test_work_of_an_interrupted_run_is_no_model(self):
        for name in ("journal.gpj", "publishing.list"):
            (self.folder / "out" / name).write_text("")
            self.verify("out", status=4, parts=("error[IN-INCOMPLETE]", "interrupted merge", name))
            self.verify("out/model.safetensors", status=4, parts=("error[IN-INCOMPLETE]",))
            (self.folder / "out" / name).unlink()

    def test_of_another_model_a_config_that_lies_is_a_warning(self):
        os.system(f"cp -r {MODELS}/base {self.folder}/real")
        path = pathlib.Path(self.folder / "real/config.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 99}))
        self.assertIn("warning[CFG-JSON]", self.verify("real").stderr)
        self.verify("real", "--strict", status=6, parts=("error[CFG-JSON]",))

    def test_weights_of_another_export(self):
        (self.folder / "out/model-00001-of-00002.safetensors").write_bytes(self.shard.read_bytes())
        self.assertIn("warning[OUT-VERIFY]", self.verify("out").stderr)
        self.verify("out", "--strict", status=8, parts=("error[OUT-VERIFY]", "model-00001-of-00002"))

    def test_inputs_that_changed(self):
        self.flip(self.folder / "b/model.safetensors", -3)
        self.verify("out")
        self.verify("out", "--inputs", status=5, parts=("error[IN-HASH]", "tensor \"y\"", "\"b\""))
        (self.folder / "b").rename(self.folder / "moved")
        self.verify("out", "--inputs", status=4, parts=("error[IN-MISSING]",))

    def test_inputs_of_one_name(self):
        os.system(f"mkdir {self.folder}/p {self.folder}/q; cp -r {self.folder}/a {self.folder}/p/m; "
                  f"cp -r {self.folder}/b {self.folder}/q/m")
        self.write_linear(models=("./q/m", "./p/m"))
        self.expect(self.run_program("recipe.yaml", "same"), 0)
        self.verify("same", "--inputs")
        self.flip(self.folder / "p/m/model.safetensors", -1)
        self.verify("same", "--inputs", status=5, parts=("error[IN-HASH]",))

    def test_stages_and_shards(self):
        os.system(f"cp -r {MODELS}/base {MODELS}/german {MODELS}/kjv {self.folder}")
        self.write("recipe.yaml", "name: first\nmerge_method: linear\nparameters: {weight: 1}\nmodels: [{model: base}, "
                                  "{model: german}]\n---\nmerge_method: linear\nparameters: {weight: 1}\nmodels: [{model: "
                                  "first}, {model: kjv}]\n")
        self.expect(self.run_program("recipe.yaml", "staged", "--shard-size", "200K"), 0)
        self.assertIn("of 3 models", self.verify("staged", "--inputs").stdout)
        shards = sorted((self.folder / "staged").glob("model-*.safetensors"))
        self.assertGreater(len(shards), 2)
        self.flip(shards[1], -1)
        self.verify("staged", status=8, parts=("error[OUT-VERIFY]", shards[1].name))
        shards[1].unlink()
        self.verify("staged", status=4, parts=("error[IN-INCOMPLETE]", shards[1].name))

    def test_command_line(self):
        self.verify(status=2, parts=("no model is given",))
        self.verify("out", "--overwrite", status=2, parts=("does not take --overwrite",))
        self.verify("./absent", status=4, parts=("error[IN-MISSING]",))
        self.assertIn("verify merged --inputs", self.run_program("verify", "--help").stdout)


if __name__ == "__main__":
    unittest.main()
