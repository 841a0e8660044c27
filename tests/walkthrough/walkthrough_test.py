# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Does what .github/CONTRIBUTING.md tells a newcomer: adds the files it shows to a copy of the tree, builds, merges."""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Kept between runs, so that only the first one compiles everything.
WORK = pathlib.Path(os.environ["GPUMERGE"]).resolve().parent / "walkthrough"
COPIED = ("CMakeLists.txt", "CMakePresets.json", "cmake", "include", "kernels", "src", "configs", "tests/models")


def read_tensors(model):
    data = (model / "model.safetensors").read_bytes()
    length, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            yield name, data[begin:end]


def to_float(bits):
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def to_bfloat16(value):
    bits, = struct.unpack("<I", struct.pack("<f", value))
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


class Walkthrough(unittest.TestCase):
    maxDiff = 2000

    def run_checked(self, *words):
        result = subprocess.run(list(map(str, words)), cwd=WORK / "tree", capture_output=True, text=True, timeout=1150)
        self.assertEqual(result.returncode, 0, f"{words}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
        return result.stdout

    def copy_tree(self):
        tree = WORK / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        for name in COPIED:
            source, target = ROOT / name, tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # Times are kept, so that what did not change is not compiled again.
            shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)

    def add_files_of_the_page(self):
        page = (ROOT / ".github/CONTRIBUTING.md").read_text()
        files = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL)
        self.assertEqual([name for name, _ in files], ["kernels/methods/furthest.h", "configs/furthest.yaml"])
        written = (ROOT / ".github/CONTRIBUTING.md").stat().st_mtime
        for name, text in files:
            self.assertFalse((ROOT / name).exists(), f"{name} exists already")
            (WORK / "tree" / name).write_text(text)
            os.utime(WORK / "tree" / name, (written, written))

    def test_walkthrough_adds_a_method(self):
        self.copy_tree()
        self.add_files_of_the_page()
        # One instruction set is enough to see that the file is found, compiled and run.
        self.run_checked("cmake", "-S", ".", "-B", "../build", "-G", "Ninja", "-DGPUMERGE_TESTS=OFF", "-DGPUMERGE_CUDA=OFF",
                         "-DGM_CPU_ISAS=x86_64_v2", "-DCMAKE_CXX_FLAGS=-O0")
        self.run_checked("cmake", "--build", "../build", "--target", "gpumerge")
        binary = WORK / "build/gpumerge"
        self.assertIn("furthest", self.run_checked(binary, "methods"))
        self.assertIn("factor of the difference", self.run_checked(binary, "methods", "furthest"))
        for device in ("reference", "cpu"):
            self.run_checked(binary, "--config", "configs/furthest.yaml", "--out", f"out-{device}", "--device", device)
            self.check_output(WORK / "tree" / f"out-{device}")
        self.compile_for_gpus()

    def compile_for_gpus(self):
        """Where the build that is tested has GPU code, the new method has some as well."""
        cache = dict(re.findall(r"(?m)^(\w+):\w+=(.+)$", (WORK.parent / "CMakeCache.txt").read_text()))
        if "CMAKE_CUDA_COMPILER" not in cache or cache["GPUMERGE_CUDA"] == "OFF":
            return
        same = [f"-D{name}={cache[name]}" for name in ("GM_NVCC", "GM_CURAND_INCLUDE_DIR")]
        self.run_checked("cmake", "-S", ".", "-B", "../build-gpu", "-G", "Ninja", "-DGPUMERGE_TESTS=OFF", "-DGPUMERGE_CUDA=ON",
                         "-DCMAKE_CUDA_ARCHITECTURES=80-virtual", *same)
        self.run_checked("cmake", "--build", "../build-gpu", "--target", "CMakeFiles/gm_cuda.dir/generated/cuda_furthest.cu.o")
        self.assertIn("CudaMethods_furthest", (WORK / "build-gpu/generated/cuda_method_files.cpp").read_text())

    def check_output(self, folder):
        """Recomputes by hand what the page promises, for one tensor in full."""
        name = "model.norm.weight"
        models = [dict(read_tensors(WORK / "tree/tests/models" / model))[name] for model in ("base", "german", "python", "kjv")]
        columns = [struct.unpack(f"<{len(model) // 2}H", model) for model in models]
        expected = []
        for bits in zip(*columns):
            base, *others = map(to_float, bits)
            furthest = max((f32(other - base) for other in others), key=abs)
            expected.append(to_bfloat16(f32(base + f32(f32(0.8) * furthest))))
        merged = dict(read_tensors(folder))[name]
        self.assertEqual(struct.unpack(f"<{len(merged) // 2}H", merged), tuple(expected))
        self.assertNotIn(tuple(expected), columns)


if __name__ == "__main__":
    unittest.main()
