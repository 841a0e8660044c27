# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""No instruction whose result differs from that of separate IEEE operations: usage instructions_test.py OBJDUMP OBJECT...
or instructions_test.py --self-test OBJDUMP COMPILER

The flags -ffp-contract=off and -fno-fast-math should keep the compiler from it; this looks at what it made of them, in
the machine code for every instruction set.
"""
import functools
import os
import re
import subprocess
import sys
import tempfile

# Names that are forbidden, and why: x86 first, then ARM.
FORBIDDEN = (
    (r"vf(n?m(add|sub)|maddsub|msubadd|c?maddc)\w*", "fused multiply-add"),
    (r"v(d|td)pbf16ps|tdp(bf16|fp16)ps", "fused multiply-add that flushes denormals"),
    (r"vcvtne2?ps2bf16\w*", "flushes denormals"),
    (r"v?(rcp|rsqrt)[sp]s|v(rcp|rsqrt)(14|28)?[sp][sdh]|vexp2p[sd]", "approximate"),
    (r"fn?m(add|sub)|fml[as]l?2?|fcmla|fn?ml[as]|fn?m(ad|sb)", "fused multiply-add"),
    (r"bf(dot|mmla|mlal[bt])|bfml[as]", "fused multiply-add that may flush denormals"),
    (r"fr(ecp|sqrt)e|f(exp|rsqrt|recp)a", "approximate"),
)

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\t(?:\{\w+\} )?(?:(?:rep[nz]*|lock|data16|cs|ds|notrack|bnd) )*([a-z][\w.]*)")


@functools.cache
def reason_of(mnemonic):
    """Why it is forbidden; None: it may be there. ARM's kinds of operand (fmla.4s) do not count."""
    name = mnemonic.split(".")[0]
    return next((reason for pattern, reason in FORBIDDEN if re.fullmatch(pattern, name)), None)


def findings(listing):
    """The number of instructions in objdump's listing, and what is forbidden: (function, mnemonic, reason)."""
    function, n_instructions, found = "", 0, set()
    for line in listing.splitlines():
        if match := INSTRUCTION.match(line):
            n_instructions += 1
            if reason := reason_of(match[1]):
                found.add((function, match[1], reason))
        elif match := FUNCTION.match(line):
            function = match[1]
    return n_instructions, sorted(found)


def disassembled(objdump, path):
    return subprocess.run([objdump, "-d", "--demangle", "--no-show-raw-insn", path], capture_output=True, text=True,
                          check=True).stdout


def check(objdump, objects):
    n_all, failures = 0, []
    for path in objects:
        n_instructions, found = findings(disassembled(objdump, path))
        n_all += n_instructions
        failures += [f"{os.path.basename(path)}: {mnemonic}: {reason}\n    in {function[:300]}"
                     for function, mnemonic, reason in found]
    print(f"{len(objects)} objects with {n_all} instructions looked at")
    if failures:
        sys.exit("instructions that change bits:\n" + "\n".join(failures))
    if n_all < 10_000:
        sys.exit("that is too few to prove anything: does objdump know this machine's code?")


BAD = (
    "vfmadd231ps zmm0,zmm1,zmm2", "vfmadd132ss xmm0,xmm1,xmm2", "vfmsub213pd ymm0,ymm1,ymm2", "vfnmadd231sd xmm0,xmm1,xmm2",
    "vfnmsub132ps xmm0,xmm1,xmm2", "vfmaddsub213ps ymm0,ymm1,ymm2", "vfmsubadd231pd ymm0,ymm1,ymm2", "vfmadd132ph zmm0,zmm1,zmm2",
    "vfmaddps xmm0,xmm1,xmm2,xmm3", "vfmaddcph zmm0,zmm1,zmm2", "vfcmaddcph zmm0,zmm1,zmm2", "{vex} vfmadd231ps ymm0,ymm1,ymm2",
    "vcvtneps2bf16 ymm0,zmm1", "{vex} vcvtneps2bf16 xmm0,xmm1", "vcvtneps2bf16x xmm0,XMMWORD PTR [rax]",
    "vcvtne2ps2bf16 zmm0,zmm1,zmm2", "vdpbf16ps zmm0,zmm1,zmm2", "tdpbf16ps tmm0,tmm1,tmm2", "rcpps xmm0,xmm1", "vrsqrtss xmm0,xmm1,xmm2",
    "vrcp14ps zmm0,zmm1", "vrsqrt14sd xmm0,xmm1,xmm2", "vrcp28ps zmm0,zmm1", "vexp2ps zmm0,zmm1",
    "fmadd\ts0, s1, s2, s3", "fmsub\td0, d1, d2, d3", "fnmadd\ts0, s1, s2, s3", "fnmsub\ts0, s1, s2, s3",
    "fmla\tv0.4s, v1.4s, v2.4s", "fmls\tv0.2d, v1.2d, v2.2d", "fmla.4s\tv0, v1, v2", "fmlal\tv0.4s, v1.4h, v2.4h",
    "fmad\tz0.s, p0/m, z1.s, z2.s", "fnmls\tz0.s, p0/m, z1.s, z2.s", "bfdot\tv0.4s, v1.8h, v2.8h", "frecpe\tv0.4s, v1.4s",
)
FINE = (
    "vmulps zmm0,zmm1,zmm2", "vaddsd xmm0,xmm1,xmm2", "mulss xmm0,xmm1", "vdivps zmm0,zmm1,zmm2", "sqrtsd xmm0,xmm1",
    "vpmaddwd ymm0,ymm1,ymm2", "pmaddubsw xmm0,xmm1", "vcvtps2ph ymm0,zmm1,0x4", "vfixupimmps zmm0,zmm1,zmm2,0x0",
    "vfpclassps k0,zmm1,0x1", "vpmadd52luq zmm0,zmm1,zmm2", "rep movs QWORD PTR es:[rdi],QWORD PTR ds:[rsi]",
    "call   0 <vfmadd231ps>", "fmul\ts0, s1, s2", "fadd\tv0.4s, v1.4s, v2.4s", "madd\tx0, x1, x2, x3", "msub\tw0, w1, w2, w3",
    "fmov\ts0, #1.0", "mla\tv0.4s, v1.4s, v2.4s", "fmax\ts0, s1, s2",
)
LISTING = "\na.o:     file format elf64\n\n\n0000000000000000 <gpumerge::Merge(int)>:\n   0:\t{}\n   6:\tret\n"

# Compiled as the project's code must never be.
CONTRACTED = "float Fused(float a, float b, float c) { return a * b + c; }\n"


def self_test(objdump, compiler):
    wrong = 0
    for line in BAD + FINE:
        n_instructions, found = findings(LISTING.format(line))
        named = [function for function, _, _ in found] == ["gpumerge::Merge(int)"]
        if n_instructions != 2 or named != (line in BAD) or len(found) > 1:
            print(f"self-test: {line!r}: {'not found' if line in BAD else 'flagged, but allowed'}")
            wrong += 1
    with tempfile.TemporaryDirectory() as folder:
        source, compiled = os.path.join(folder, "a.cpp"), os.path.join(folder, "a.o")
        with open(source, "w") as file:
            file.write(CONTRACTED)
        machine = ["-march=x86-64-v3"] if os.uname().machine in ("x86_64", "AMD64") else []
        for contract, n_expected in (("fast", 1), ("off", 0)):
            subprocess.run([compiler, "-O2", *machine, f"-ffp-contract={contract}", "-c", source, "-o", compiled], check=True)
            _, found = findings(disassembled(objdump, compiled))
            if len(found) != n_expected:
                print(f"self-test: compiled with -ffp-contract={contract}: {found}")
                wrong += 1
    print(f"self-test: {len(BAD)} forbidden and {len(FINE)} allowed instructions, compiled code: {wrong} wrong answers")
    return 1 if wrong else 0


def main():
    if sys.argv[1] == "--self-test":
        sys.exit(self_test(*sys.argv[2:]))
    check(sys.argv[1], sys.argv[2:])


if __name__ == "__main__":
    main()
