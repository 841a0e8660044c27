# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""No inline code compiled for a newer processor may be shared: usage symbols_test.py NM OBJECT...

The methods' files are compiled once an instruction set. What each of them defines weakly (inline functions, templates)
the linker merges by name, so that all of the program might run the copy made for the newest processor. Only names
inside the file's own namespace on_cpu_<instruction set> are safe.
"""
import os
import re
import subprocess
import sys

WEAK = "WwVvu"  # weak functions and objects, unique ones (static locals of inline functions)
# Constants, the same for every processor: the table of element types, and a pointer for exceptions.
CONSTANTS = ("_ZN8gpumerge7kDTypesE", "DW.ref.__gxx_personality_v0")


def shared_symbols(nm, path, namespace):
    """Weak definitions outside the namespace, as mangled names."""
    listing = subprocess.run([nm, "--defined-only", "--format=posix", path], capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines():
        name, kind = line.split()[:2]
        # A mangled name spells each namespace with its length; as a template argument it makes the name unique too.
        if kind in WEAK and name not in CONSTANTS and f"{len(namespace)}{namespace}" not in name:
            yield name


def demangled(names):
    result = subprocess.run(["c++filt", *names], capture_output=True, text=True, check=False)
    return result.stdout.splitlines() if result.returncode == 0 else names


def main():
    nm, *objects = sys.argv[1:]
    n_checked, failures = 0, []
    for path in objects:
        match = re.match(r"cpu_(x86_64_v\d|baseline)_", os.path.basename(path))
        if not match:
            continue
        n_checked += 1
        names = sorted(shared_symbols(nm, path, f"on_cpu_{match[1]}"))
        failures += [f"{os.path.basename(path)}: {name}" for name in (demangled(names) if names else [])]
    print(f"{n_checked} objects looked at")
    if n_checked == 0:
        sys.exit("no objects of methods among the arguments")
    if failures:
        sys.exit("weak symbols that the linker may take for every processor:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
