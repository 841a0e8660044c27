# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of golden cases: seeded, made by exact arithmetic only."""
import math

import gm_numpy  # noqa: F401
import gm_safetensors
import numpy as np

from goldens.randomness import Noise

# Flat sizes and shapes around what kernels cut by: lanes, blocks, rows, quads of random words.
SHAPES = [(1,), (2,), (63,), (64,), (65,), (100,), (1000,), (4097,), (8, 9), (33, 65), (2, 3, 5), (),
          (4, 0)]
# The same for methods whose cutting is not their own.
FEW_SHAPES = [(1,), (2,), (65,), (8, 9), (9, 1), (1, 33), (2, 3, 5), (), (4, 0), (4099,)]


def shape_name(shape):
    return "shape_" + ("x".join(map(str, shape)) or "scalar")


# Values that a kernel might get wrong; each is exact in float32.
ODD_VALUES = [0.0, -0.0, 1e-40, -1e-40, 2.0**-149, -(2.0**-149), 2.0**-126, 1.0, -1.0, 1 + 2.0**-23, 1e30, -1e30,
              65504.0, -65504.0, 2.0**-24, 3e-8, 0.1, -0.1]


def raw(values, dtype="F32"):
    """(dtype, bytes) of numbers."""
    return dtype, gm_safetensors.narrow(np.asarray(values, np.float32), dtype)


def doubles(values):
    return "F64", np.asarray(values, "<f8").tobytes()


def family(name, shape, n_models, dtypes, base_sd=0.02, delta_sd=1e-3):
    """A base and fine-tunes of it. dtypes: one an input. In a 16-bit type the deltas lie on a coarse grid, as real
    ones do, so that many magnitudes are equal and many are zero."""
    noise, n = Noise(name), math.prod(shape)
    base = noise.normal(n, base_sd)
    values = [base] + [base + noise.normal(n, delta_sd * (1 + 0.25 * m)) for m in range(n_models)]
    return [raw(v, d) for v, d in zip(values, dtypes)]


def models(name, shape, dtypes, sd=0.5):
    """Unrelated tensors."""
    noise, n = Noise(name), math.prod(shape)
    return [raw(noise.normal(n, sd), dtype) for dtype in dtypes]


def odd(n, turn):
    """ODD_VALUES in a rotated order, to pair each with others."""
    return np.array([ODD_VALUES[(i * (turn + 1) + 5 * turn) % len(ODD_VALUES)] for i in range(n)], np.float32)


def unit_pair(n, cos, scale_a=1.0, scale_b=1.0):
    """Two vectors of n elements with very nearly that cosine; only the first two elements of b are not zero."""
    a, b = np.zeros(n), np.zeros(n)
    a[0] = scale_a
    b[0], b[1] = scale_b * cos, scale_b * math.sqrt(1 - cos * cos)
    return raw(a), raw(b)
