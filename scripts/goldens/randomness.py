# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Philox4x32-10 and XXH64 from their published descriptions, for numpy; independent of the C++ ones.

Philox: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). XXH64: the xxHash
specification. `check()` holds the known answers: Random123's vectors, words drawn with cuRAND's host generator,
XXH64's own vectors.
"""
import gm_numpy  # noqa: F401
import numpy as np

_MASK32 = np.uint64(0xFFFFFFFF)
_MASK64 = (1 << 64) - 1


def philox(counter, key):
    """counter: four equal-shaped arrays of 32-bit words; key: two words. Returns four arrays of uint32."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = int(key[0]), int(key[1])
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & _MASK32,
                          (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & _MASK32)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return tuple(c.astype(np.uint32) for c in (c0, c1, c2, c3))


def draw_words(n, seed, name_hash, model_index):
    """The random word of each of n elements of one model's tensor."""
    block = np.arange((n + 3) // 4, dtype=np.uint64)
    same = np.ones_like(block)
    counter = (block, same * np.uint64(model_index), same * np.uint64(name_hash & 0xFFFFFFFF),
               same * np.uint64(name_hash >> 32))
    return np.stack(philox(counter, (seed & 0xFFFFFFFF, seed >> 32)), axis=1).reshape(-1)[:n]


def xxh64(data, seed=0):
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                          0x27D4EB2F165667C5)

    def rotate(x, r):
        return ((x << r) | (x >> (64 - r))) & _MASK64

    def mix(acc, lane):
        return rotate((acc + lane * p2) & _MASK64, 31) * p1 & _MASK64

    def word(at, size):
        return int.from_bytes(data[at:at + size], "little")

    at = 0
    if len(data) >= 32:
        lanes = [seed + p1 + p2, seed + p2, seed, seed - p1]
        while at + 32 <= len(data):
            lanes = [mix(lane & _MASK64, word(at + 8 * i, 8)) for i, lane in enumerate(lanes)]
            at += 32
        acc = sum(rotate(lane, r) for lane, r in zip(lanes, (1, 7, 12, 18))) & _MASK64
        for lane in lanes:
            acc = ((acc ^ mix(0, lane)) * p1 + p4) & _MASK64
    else:
        acc = (seed + p5) & _MASK64
    acc = (acc + len(data)) & _MASK64
    while at + 8 <= len(data):
        acc = (rotate(acc ^ mix(0, word(at, 8)), 27) * p1 + p4) & _MASK64
        at += 8
    if at + 4 <= len(data):
        acc = (rotate(acc ^ (word(at, 4) * p1 & _MASK64), 23) * p2 + p3) & _MASK64
        at += 4
    for byte in data[at:]:
        acc = rotate(acc ^ (byte * p5 & _MASK64), 11) * p1 & _MASK64
    acc = ((acc ^ (acc >> 33)) * p2) & _MASK64
    acc = ((acc ^ (acc >> 29)) * p3) & _MASK64
    return acc ^ (acc >> 32)


class Noise:
    """Seeded inputs by exact arithmetic only, so that every machine and numpy version makes the same ones."""

    def __init__(self, name):
        self._key = xxh64(name.encode("utf-8"))
        self._drawn = 0

    def words(self, n):
        self._drawn += 1
        return draw_words(n, self._key, self._drawn, 0)

    def normal(self, n, scale):
        """About normal with standard deviation `scale`: the sum of four 16-bit uniforms; float32."""
        a, b = self.words(n).astype(np.int64), self.words(n).astype(np.int64)
        total = (a >> 16) + (a & 0xFFFF) + (b >> 16) + (b & 0xFFFF) - 2 * 0xFFFF
        return (total / 37837.0 * scale).astype(np.float32)

    def below(self, n, limit):
        """Integers in [0, limit)."""
        return (self.words(n).astype(np.uint64) * np.uint64(limit)) >> np.uint64(32)


def check():
    """Known answers; raises when one differs."""
    known = [((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
             ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
             ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
              "d16cfe09 94fdcceb 5001e420 24126ea1"),
             # cuRAND: seed 42, subsequence 5, offset 4
             ((1, 0, 5, 0), (42, 0), "98712bb9 c696c1de 5845cbee 74a6ba17"),
             # cuRAND's host generator, seed 0x9E3779B97F4A7C15, words 835812 to 835815: subsequence 12345, offset 12
             ((3, 0, 12345, 0), (0x7F4A7C15, 0x9E3779B9), "d4545e8a 1dc706ba 98b4f8bd b0320907")]
    for counter, key, expected in known:
        got = " ".join(f"{int(word):08x}" for word in philox(counter, key))
        assert got == expected, (counter, got, expected)
    for text, expected in ((b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)):
        assert xxh64(text) == expected, text
