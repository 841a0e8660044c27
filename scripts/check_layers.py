#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the layers: a file includes its own folder or folders of lower rank, folders of equal rank are strangers, and each
heavy library is seen only by the files that are there for it.

  scripts/check_layers.py [ROOT]        exit 1 and one line a violation
  scripts/check_layers.py --self-test   plants violations in a small tree and expects each to be found
"""
import pathlib
import re
import sys
import tempfile

RANKS = {
    "include/gpumerge": 0,
    "kernels": 1,
    "src/base": 1,
    "src/config": 2,
    "src/io": 2,
    "src/plan": 3,
    "src/reference": 3,
    "src/cpu": 3,
    "src/cuda": 3,
    "src/run": 4,
    "src/cli": 5,
    "src/main.cpp": 6,
}

# Beginning of an #include <...> -> paths that may have it. Everything else may not.
CAGES = {
    "yaml-cpp/": r"src/config/yaml_[^/]*",
    "nlohmann/": r"src/(io|plan|run|cli)/[^/]*\.cpp",  # never in a header: it costs every file that includes it seconds
    "CLI/": r"src/cli/parse_flags\.cpp",
    "spdlog/": r"src/cli/messages\.cpp",
    "xxhash": r"src/base/[^/]*\.cpp",
    "fmt/": r"src/.*",
    "gtest/": r"tests/.*",
    "gmock/": r"tests/.*",
    "rapidcheck": r"tests/.*",
    "benchmark/": r"tests/.*",
    "cuda": r"(src/cuda/.*|kernels/.*\.cuh)",
    "cub/": r"kernels/.*\.cuh|src/cuda/.*\.cuh?",
    "thrust/": r"kernels/.*\.cuh|src/cuda/.*\.cuh?",
    "curand": r"kernels/.*\.cuh|tests/.*",
    "nvtx3/": r"src/base/trace_range\.h",
}

SUFFIXES = (".h", ".cpp", ".cuh", ".cu", ".in")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def folder_of(path):
    """The entry of RANKS that a path from the repository's root belongs to."""
    if path in RANKS:
        return path
    return next((folder for folder in RANKS if path.startswith(folder + "/")), None)


def target_of(quoted):
    """The path from the root that an #include "..." names; public headers are named without include/."""
    return "include/" + quoted if quoted.startswith("gpumerge/") else quoted


def quoted_violation(path, quoted):
    here, there = folder_of(path), folder_of(target_of(quoted))
    if path.startswith("tests/"):
        return None if there or quoted.startswith("tests/") else f'"{quoted}" is not a path from the repository root'
    if there is None:
        return f'"{quoted}" is not a path from the repository root into a layer'
    if here == there or RANKS[there] < RANKS[here]:
        return None
    kind = "of the same rank" if RANKS[there] == RANKS[here] else "above it"
    return f'"{quoted}": {here} (rank {RANKS[here]}) must not see {there} (rank {RANKS[there]}), which is {kind}'


def angled_violation(path, angled):
    for beginning, allowed in CAGES.items():
        if angled.startswith(beginning) and not path.startswith("tests/") and not re.fullmatch(allowed, path):
            return f"<{angled}> belongs only in {allowed}"
    return None


def violations(root):
    for top in ("include", "kernels", "src", "tests"):
        for file in sorted((root / top).rglob("*")):
            path = file.relative_to(root).as_posix()
            if not file.is_file() or not path.endswith(SUFFIXES):
                continue
            if not path.startswith("tests/") and folder_of(path) is None:
                yield f"{path}: lies in no layer (see RANKS in scripts/check_layers.py)"
                continue
            for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                if not match or "@" in line:
                    continue
                quoted, angled = match.groups()
                found = quoted_violation(path, quoted) if quoted else angled_violation(path, angled)
                if found:
                    yield f"{path}:{number}: {found}"


PLANTED = {
    "src/io/up.cpp": '#include "src/run/merge.h"',
    "src/plan/stranger.cpp": '#include "src/cpu/backend.h"',
    "kernels/stranger.h": '#include "src/base/text.h"',
    "src/base/relative.cpp": '#include "text.h"',
    "include/gpumerge/leak.h": "#include <fmt/format.h>",
    "src/io/json.h": "#include <nlohmann/json.hpp>",
    "src/config/check.cpp": "#include <yaml-cpp/yaml.h>",
    "src/run/log.cpp": "#include <spdlog/spdlog.h>",
    "src/extra/file.cpp": "#include <vector>",
}
ALLOWED = {
    "src/run/merge.cpp": '#include "src/plan/plan.h"\n#include "gpumerge/merge.h"\n#include <vector>',
    "src/config/yaml_reader.cpp": "#include <yaml-cpp/yaml.h>",
    "src/io/json.cpp": "#include <nlohmann/json.hpp>",
    "tests/io/json_test.cpp": '#include "src/io/json.h"\n#include <gtest/gtest.h>\n#include <nlohmann/json.hpp>',
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in (PLANTED | ALLOWED).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text + "\n")
        found = {line.split(":")[0] for line in violations(root)}
    wrong = found ^ set(PLANTED)
    for path in sorted(wrong):
        print(f"self-test: {path}: {'not found' if path in PLANTED else 'flagged, but allowed'}")
    print(f"self-test: {len(found & set(PLANTED))} of {len(PLANTED)} planted violations found")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    found = list(violations(root))
    print("\n".join(found) if found else "check_layers: every include keeps to the layers")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
