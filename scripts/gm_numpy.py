# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Makes sure that numpy can be imported: `import gm_numpy` before `import numpy`.

The first python3 on PATH may lack numpy although the system's has it (package python3-numpy). Then the running script
is started again with the system's; if that has none either, it ends with what to install.
"""
import importlib.util
import os
import subprocess
import sys

SYSTEM_PYTHON = "/usr/bin/python3"


def _has_numpy(python):
    return subprocess.run([python, "-c", "import numpy"], stderr=subprocess.DEVNULL, check=False).returncode == 0


if importlib.util.find_spec("numpy") is None:
    if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON) and _has_numpy(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
    sys.exit(f"{sys.argv[0]}: numpy is missing; install it with: sudo apt-get install python3-numpy")
