# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""The models that are merged: made once and kept."""
import os
import shutil
import subprocess
import sys

from benchmark.figures import NotMeasured
from benchmark.machine import memory_bytes
from benchmark.recipes import MODELS

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def require_space(folder, disk_bytes, memory_needed_bytes):
    """The inputs and one output, with a tenth to spare."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < 1.1 * disk_bytes:
        raise NotMeasured(f"it takes {disk_bytes / 1e9:.1f} GB of disk, {free_bytes / 1e9:.1f} GB are free")
    available_bytes = memory_bytes("MemAvailable")
    if available_bytes < 1.1 * memory_needed_bytes:
        raise NotMeasured(f"it takes {memory_needed_bytes / 1e9:.1f} GB of page cache, "
                          f"{available_bytes / 1e9:.1f} GB are available")


def _make(folder, fill):
    """All of it or nothing, so that a run that is stopped leaves no half models behind."""
    if os.path.isdir(folder):
        return
    print(f"bench: making models in {folder}", file=sys.stderr, flush=True)
    unfinished = folder + ".new"
    shutil.rmtree(unfinished, ignore_errors=True)
    fill(unfinished)
    os.rename(unfinished, folder)
    os.sync()


def make_models(folder, like, n_layers=None):
    def fill(unfinished):
        command = [os.path.join(SCRIPTS, "make_bench_models.py"), "--out", unfinished, "--models", str(len(MODELS)),
                   "--like", like, *(["--layers", str(n_layers)] if n_layers else [])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    _make(folder, fill)


def make_copies(folder, originals):
    """Copies, not links: the same pages twice would be in the processor's cache the second time."""
    def fill(unfinished):
        for model in MODELS:
            shutil.copytree(os.path.join(originals, model), os.path.join(unfinished, model))

    _make(folder, fill)
