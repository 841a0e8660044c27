# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Shared by the tests of this folder: makes scripts/ importable, with an interpreter that has numpy."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS, MODELS = ROOT / "scripts", ROOT / "tests" / "models"
sys.path.insert(0, str(SCRIPTS))
import gm_numpy  # noqa: E402,F401


def run_script(name, *arguments):
    return subprocess.run([sys.executable, "-B", SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, check=False)


def gpumerge(*arguments):
    result = subprocess.run([os.environ["GPUMERGE"], *map(str, arguments)], capture_output=True, text=True, timeout=300,
                            check=False)
    if result.returncode != 0:
        raise AssertionError(f"gpumerge {arguments} exits {result.returncode}: {result.stderr}")
    return result.stdout


def write_recipe(path, recipe):
    """As JSON, which is YAML too."""
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path
