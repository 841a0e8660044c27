#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the bits: GPU code may only use floating-point instructions whose result IEEE 754 defines. No fused
multiply-add (nor a multiplication that the driver's compiler may fuse), no flushing of denormals, no approximate
division, square root or transcendental function.

  scripts/check_ptx.py FILE...       PTX, or objects and programs of nvcc with uncompressed PTX in them (--no-compress)
  scripts/check_ptx.py --self-test   plants each violation in a small kernel and expects it to be found
"""
import collections
import pathlib
import re
import subprocess
import sys

# (regular expression of the function's demangled name, beginning of the instruction, reason why it is right there)
ALLOWED = ()

FLOAT = re.compile(r"\.(f16|f16x2|bf16|bf16x2|tf32|f32|f32x2|f64)(?=\.|$)")
ROUNDED = re.compile(r"\.r[nzmp](?=\.|$)")
TRANSCENDENTAL = {"ex2", "lg2", "sin", "cos", "tanh", "rsqrt"}

MODULE = re.compile(rb"\.version[ \t]+\d+\.\d+\s[^\0]*")
FUNCTION = re.compile(r"\.(?:entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)")
FILE = re.compile(r'\.file\s+(\d+)\s+"([^"]*)"')
LOC = re.compile(r"\.loc\s+(\d+)\s+(\d+)")
INSTRUCTION = re.compile(r"(?:@!?%\w+\s+)?([a-z][a-z0-9_]*(?:\.[\w:]+)*)[\s;]")

Finding = collections.namedtuple("Finding", "function instruction where reason")


def why_forbidden(instruction):
    """Why this opcode with its modifiers may not be used; None: it may."""
    operation, _, modifiers = instruction.partition(".")
    words = modifiers.split(".")
    if "ftz" in words:
        return "flushes denormals to zero"
    if "approx" in words or "full" in words:
        return "approximate"
    if not FLOAT.search("." + modifiers):
        return None
    if operation in ("fma", "mad"):
        return "fused multiply-add"
    if operation in TRANSCENDENTAL:
        return "not defined bit for bit"
    if operation == "mul" and not ROUNDED.search("." + modifiers):
        return "may be fused with an addition (compile with -fmad=false)"
    if operation in ("div", "sqrt", "rcp") and "rn" not in words:
        return "not rounded to nearest"
    return None


def modules_of(path):
    return [match.group().decode("utf-8", "replace") for match in MODULE.finditer(path.read_bytes())]


def check_module(text, counts):
    """The findings of one PTX module. counts: kernels and instructions seen so far."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    files = dict(FILE.findall(text))
    function, where, findings = "", "", []
    for line in text.splitlines():
        line = line.split("//")[0].strip()
        if match := FUNCTION.search(line):
            function, where = match.group(1), ""
            counts["kernels"] += ".entry" in line
        elif match := LOC.match(line):
            where = f"{files.get(match.group(1), '?')}:{match.group(2)}"
        elif line and not line.startswith(".") and (match := INSTRUCTION.match(line.lstrip("{ "))):
            counts["instructions"] += 1
            if reason := why_forbidden(match.group(1)):
                findings.append(Finding(function, match.group(1), where, reason))
    return findings


def demangled(names):
    try:
        result = subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {name: name for name in names}
    return dict(zip(names, result.stdout.splitlines()))


def is_allowed(finding, name, allowed):
    return any(re.search(function, name) and finding.instruction.startswith(beginning)
               for function, beginning, _ in allowed)


def check_files(paths):
    counts, findings = collections.Counter(), []
    for path in paths:
        modules = modules_of(path)
        if not modules:
            print(f"check_ptx: {path}: no PTX found in it (compressed?)")
            return 1
        for module in modules:
            findings += check_module(module, counts)
    names = demangled(sorted({finding.function for finding in findings})) if findings else {}
    bad = collections.Counter(f for f in findings if not is_allowed(f, names[f.function], ALLOWED))
    for (function, instruction, where, reason), times in sorted(bad.items()):
        print(f"{where or '?'}: {instruction} ({times}x): {reason}\n    in {names[function][:300]}")
    if counts["kernels"] == 0:
        print("check_ptx: no kernel found, which proves nothing")
        return 1
    verdict = f"{sum(bad.values())} forbidden instructions" if bad else "nothing forbidden"
    print(f"check_ptx: {counts['kernels']} kernels, {counts['instructions']} instructions: {verdict}")
    return 1 if bad else 0


FORBIDDEN = (
    "fma.rn.f32 %f1, %f2, %f3, %f4;", "fma.rn.f64 %d1, %d2, %d3, %d4;", "fma.rn.f16x2 %r1, %r2, %r3, %r4;",
    "fma.rn.bf16 %h1, %h2, %h3, %h4;", "mad.rn.f32 %f1, %f2, %f3, %f4;", "@%p1 fma.rz.f32 %f1, %f2, %f3, %f4;",
    "{ fma.rn.f16 %h1, %h2, %h3, %h4; }", "add.ftz.f32 %f1, %f2, %f3;", "mul.rn.ftz.f32 %f1, %f2, %f3;",
    "cvt.rn.ftz.f32.f64 %f1, %d1;", "setp.lt.ftz.f32 %p1, %f1, %f2;", "div.full.f32 %f1, %f2, %f3;",
    "div.approx.f32 %f1, %f2, %f3;", "sqrt.approx.f32 %f1, %f2;", "rcp.approx.ftz.f64 %d1, %d2;",
    "rsqrt.approx.f32 %f1, %f2;", "ex2.approx.f32 %f1, %f2;", "lg2.approx.f32 %f1, %f2;", "sin.approx.f32 %f1, %f2;",
    "cos.approx.f32 %f1, %f2;", "tanh.approx.f32 %f1, %f2;", "mul.f32 %f1, %f2, %f3;", "div.rz.f32 %f1, %f2, %f3;",
)
FINE = (
    "mad.lo.s32 %r1, %r2, %r3, %r4;", "mad.wide.u32 %rd1, %r2, %r3, %rd4;", "mul.rn.f32 %f1, %f2, %f3;",
    "mul.wide.u32 %rd1, %r2, 4;", "add.rn.f64 %d1, %d2, %d3;", "div.rn.f32 %f1, %f2, %f3;", "sqrt.rn.f64 %d1, %d2;",
    "div.u32 %r1, %r2, %r3;", "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1];", "cvt.rn.bf16.f32 %h1, %f1;",
    "@%p1 bra $L__BB0_2;", "// fma.rn.f32 in a comment", "bar.sync 0;", "atom.global.add.u32 %r1, [%rd1], 1;",
)
KERNEL = """.version 8.0
.target sm_80
.address_size 64
.file 1 "a.cuh"
.visible .entry kernel(
.param .u64 p
)
{{
\t.loc 1 7 3
\t{}
\tret;
}}
"""


def self_test():
    wrong = 0
    for line in FORBIDDEN + FINE:
        counts = collections.Counter()
        findings = check_module(KERNEL.format(line), counts)
        expected = [("kernel", "a.cuh:7")] if line in FORBIDDEN else []
        if [(f.function, f.where) for f in findings] != expected or counts["kernels"] != 1:
            print(f"self-test: {line}: {'not found' if expected else 'flagged, but allowed'}")
            wrong += 1
    finding = check_module(KERNEL.format(FORBIDDEN[0]), collections.Counter())[0]
    allowed = [("^kernel$", "fma.rn.f32", "")]
    if not is_allowed(finding, "kernel", allowed) or is_allowed(finding, "another", allowed):
        print("self-test: the list of allowed places does not work")
        wrong += 1
    print(f"self-test: {len(FORBIDDEN)} forbidden and {len(FINE)} allowed instructions, {wrong} wrong answers")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: check_ptx.py FILE... | --self-test")
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test())
    sys.exit(check_files([pathlib.Path(argument) for argument in sys.argv[1:]]))
