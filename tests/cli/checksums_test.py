# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""`--verify-inputs`: inputs against the hub's names for them and against a user's manifest, before any work."""
import hashlib
import json
import pathlib
import shutil
import unittest

from support import CliTest, f32

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Checksums(CliTest):
    def setUp(self):
        super().setUp()
        self.write_model("a", {"x.weight": ("F32", [3], f32(1, 2, 3))})
        self.write_model("b", {"x.weight": ("F32", [3], f32(3, 4, 5))})
        self.write_linear()

    def merge(self, *words, status=0, parts=()):
        result = self.run_program("recipe.yaml", "out", *words)
        self.expect(result, status, *parts)
        if status != 0:
            self.assertEqual([name for name in self.names() if "out" in name], [])
        return result

    def manifest(self, *names, name="SUMS", edit=lambda line: line):
        lines = [edit(f"{sha256((self.folder / path).read_bytes())}  {path}") for path in names]
        return self.write(name, "\n".join(lines) + "\n")

    def hub_model(self, name, tensors):
        """A snapshot whose files are links to blobs that are named by their checksums."""
        source = self.write_model("source-" + name.replace("/", "-"), tensors)
        repo = self.folder / "hub" / ("models--" + name.replace("/", "--"))
        snapshot = repo / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (repo / "blobs").mkdir()
        (repo / "refs").mkdir()
        (repo / "refs/main").write_text(COMMIT)
        for path in source.iterdir():
            data = path.read_bytes()
            blob = sha256(data) if path.suffix == ".safetensors" else git_sha1(data)
            (repo / "blobs" / blob).write_bytes(data)
            (snapshot / path.name).symlink_to(f"../../blobs/{blob}")
        shutil.rmtree(source)
        return snapshot

    def test_a_manifest_that_agrees(self):
        self.manifest("a/model.safetensors", "b/model.safetensors")
        result = self.merge("--manifest", "SUMS")
        self.assertIn("inputs verified: 2 files", result.stderr)
        self.assertIn("warning[IN-HASH]: no checksum is known of 2 files read beside the weights", result.stderr)
        self.assertIn("a/config.json", result.stderr)
        # The report is the same however the inputs were verified.
        self.assertNotIn("IN-HASH", (self.folder / "out/gpumerge_report.json").read_text())

    def test_what_is_unverified_or_not_read_is_said(self):
        for name in ("a", "b"):
            self.write(f"{name}/tokenizer.json", '{"added_tokens": [], "model": {"vocab": {"x": 0}}}')
        listed = [f"{name}/{file}" for name in ("a", "b") for file in ("model.safetensors", "config.json")]
        self.manifest(*listed, "a/tokenizer.json", "recipe.yaml")
        parts = ("IN-HASH", "1 file read beside the weights", "b/tokenizer.json")
        self.merge("--manifest", "SUMS", "--strict", "--quiet", status=5, parts=parts)
        result = self.merge("--manifest", "SUMS", parts=parts)
        self.assertIn("1 file that this merge does not read", result.stderr)
        shutil.rmtree(self.folder / "out")
        self.manifest(*listed, "a/tokenizer.json", "b/tokenizer.json")
        result = self.merge("--manifest", "SUMS", "--strict")
        self.assertIn("6 files", result.stderr)
        self.assertNotIn("does not read", result.stderr)

    def test_an_index_of_another_name_is_read_too(self):
        self.write("a/other.index.json", json.dumps({"weight_map": {"x.weight": "model.safetensors"}}))
        self.write_linear(models=("a/other.index.json", "b"))
        self.manifest("a/model.safetensors", "b/model.safetensors", "a/config.json", "b/config.json")
        self.merge("--manifest", "SUMS", "--strict", status=5, parts=("IN-HASH", "other.index.json"))

    def test_as_sha256sum_writes_it(self):
        self.manifest("a/model.safetensors", "b/model.safetensors", "a/config.json", "b/config.json",
                      edit=lambda line: line.replace("  ", " *").upper().replace("MODEL.SAFETENSORS", "model.safetensors")
                      .replace("CONFIG.JSON", "config.json").replace("*A/", "*a/").replace("*B/", "*b/"))
        self.assertIn("4 files", self.merge("--verify-inputs", "--manifest", "SUMS").stderr)
        shutil.rmtree(self.folder / "out")
        self.write("sub/SUMS", (self.folder / "SUMS").read_text().replace("*", "*../") + "# a comment\n\n")
        self.assertIn("4 files", self.merge("--manifest", "sub/SUMS").stderr)

    def test_one_flipped_bit(self):
        self.manifest("a/model.safetensors", "b/model.safetensors")
        path = self.folder / "b/model.safetensors"
        data = bytearray(path.read_bytes())
        data[-2] ^= 8
        path.write_bytes(data)
        result = self.merge("--manifest", "SUMS", status=5, parts=("error[IN-HASH]", str(path), "SUMS:2"))
        self.assertIn(sha256(data), result.stderr)
        self.merge()

    def test_a_side_file_that_differs(self):
        self.manifest("a/model.safetensors", "b/model.safetensors", "a/config.json")
        (self.folder / "a/config.json").write_text('{"model_type": "tiny" }')
        self.merge("--manifest", "SUMS", status=5, parts=("error[IN-HASH]", "a/config.json"))

    def test_weights_without_a_checksum(self):
        self.merge("--verify-inputs", status=5, parts=("error[IN-HASH]", "no checksum is known of 2 weight files"))
        self.manifest("a/model.safetensors")
        self.merge("--manifest", "SUMS", status=5, parts=("error[IN-HASH]", "1 weight file", "b/model.safetensors"))

    def test_manifests_that_are_none(self):
        good = self.manifest("a/model.safetensors", "b/model.safetensors").read_text()
        for text in ("not a sum\n", good.replace("  ", " ", 1), good[1:], "g" + good[1:],
                     good + "0" * 64 + "  a/model.safetensors\n"):
            self.write("SUMS", text)
            self.merge("--manifest", "SUMS", status=5, parts=("error[IN-HASH]", "SUMS:"))
        self.merge("--manifest", "absent", status=4, parts=("error[IN-MISSING]", "absent"))

    def test_blobs_of_the_hub(self):
        snapshot = self.hub_model("org/a", {"x.weight": ("F32", [3], f32(1, 2, 3))})
        self.hub_model("org/b", {"x.weight": ("F32", [3], f32(1, 2, 5))})
        self.write_linear(models=("org/a", "org/b"))
        words = ("--verify-inputs", "--cache-dir", "hub")
        self.assertIn("inputs verified: 4 files", self.merge(*words).stderr)
        shutil.rmtree(self.folder / "out")
        for name, end in (("model.safetensors", b"\0\0\x81\x3f"), ("config.json", b" ")):
            blob = pathlib.Path(snapshot / name).resolve()
            data = blob.read_bytes()
            blob.write_bytes(data[:-len(end)] + end if name.startswith("model") else data + end)
            self.merge(*words, status=5, parts=("error[IN-HASH]", name, "the blob's name"))
            blob.write_bytes(data)

    def test_downloads_into_a_directory(self):
        for name in ("a", "b"):
            folder = self.folder / name
            for path in list(folder.iterdir()):
                digest = sha256(path.read_bytes()) if path.suffix == ".safetensors" else git_sha1(path.read_bytes())
                self.write(f"{name}/.cache/huggingface/download/{path.name}.metadata", f"{COMMIT}\n{digest}\n1700000000.5\n")
        self.assertIn("inputs verified: 4 files", self.merge("--verify-inputs").stderr)
        shutil.rmtree(self.folder / "out")
        path = self.folder / "b/model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x41")
        self.merge("--verify-inputs", status=5, parts=("error[IN-HASH]", ".metadata"))

    def test_only_a_merge_verifies(self):
        result = self.run_program("plan", "recipe.yaml", "--verify-inputs")
        self.expect(result, 2, "does not take --verify-inputs")


if __name__ == "__main__":
    unittest.main()
