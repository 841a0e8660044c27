# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""bfloat16 in, bfloat16 out: which share of the elements is the correctly rounded float64 result of the paper's formula
(scripts/goldens/paper*.py), for gpumerge and for mergekit computing in bfloat16 as it does by default."""
from dataclasses import dataclass

import gm_numpy  # noqa: F401
import numpy as np

from comparison import tools
from comparison.corners import Corner
from comparison.measures import round_to_bfloat16
from goldens import contract, paper

SHARE_WANTED, ULPS_ALLOWED = 0.9999, 1
# Numbers of float32, to which gpumerge rounds what a recipe says, and not simple decimals: 1.3 or 0.6 times a number of
# eight bits is halfway between two such numbers so often that the 25th bit of the parameter decides.
WEIGHTS = [float(np.float32(w)) for w in (0.61803399, 0.84147098, 0.48121183)]
LAMBDA, THIRD, SCALE, NEAR = (float(np.float32(v)) for v in (0.70710678, 0.36787944, 1.31950791, 0.00785398))
DENSITIES = {"density": [0.5, 0.25, 0.875]}
CORNERS = [
    Corner("linear", "", {"weight": WEIGHTS}, {}, False),
    Corner("passthrough", "", {"scale": [SCALE]}, {}, False, 1),
    Corner("slerp", "", {}, {"t": THIRD}, n_models=1),
    Corner("nuslerp", "", {"weight": WEIGHTS[:2]}, {}, True, 2),
    Corner("multislerp", "", {"weight": WEIGHTS}, {}, True),
    Corner("karcher", "", {}, {}, False),
    Corner("task_arithmetic", "", {"weight": WEIGHTS}, {"lambda": LAMBDA}),
    Corner("ties", "", {"weight": WEIGHTS, **DENSITIES}),
    Corner("breadcrumbs", "", {"weight": WEIGHTS, **DENSITIES, "gamma": [0.05] * 3}),
    Corner("breadcrumbs_ties", "", {"weight": WEIGHTS, **DENSITIES, "gamma": [0.05] * 3}),
    Corner("dare_linear", "", {"weight": WEIGHTS, **DENSITIES}),
    Corner("dare_ties", "", {"weight": WEIGHTS, **DENSITIES}),
    Corner("della", "", {"weight": WEIGHTS, "density": [0.5] * 3, "epsilon": [0.25] * 3}),
    Corner("della_linear", "", {"weight": WEIGHTS, "density": [0.5] * 3, "epsilon": [0.25] * 3}),
    Corner("sce", "", {}, {"select_topk": 0.5}),
    Corner("model_stock", "", {}, {}),
    Corner("nearswap", "", {}, {"t": NEAR}, n_models=1),
    Corner("arcee_fusion", "", {}, {}, n_models=1),
    Corner("ram", "", {}, {}),
    Corner("ramplus_tl", "", {}, {"r": 0.5, "alpha": 2.0}),
]
DRAWS = ("dare_linear", "dare_ties", "della", "della_linear")


@dataclass
class Accuracy:
    method: str
    elements: int
    cancelled: int  # elements whose terms cancel
    ours: tuple    # share correctly rounded, largest distance in units of the last place where nothing cancels
    theirs: tuple  # None: its random numbers are its own


# A result this much smaller than the inputs says little in float32: its absolute error is that of the terms.
CANCELLED = 2.0**-13


def _against(values, truth, cancelled):
    got, wanted = round_to_bfloat16(values).astype(np.int64), truth.astype(np.int64)

    def place(bits):
        return np.where(bits & 0x8000, -(bits & 0x7FFF), bits)

    apart = np.abs(place(got) - place(wanted))
    return float((apart == 0).mean()), int(apart[~cancelled].max())


def measure(gpumerge, models, only):
    (tensor,) = models.shapes
    for corner in CORNERS:
        if only and corner.method not in only:
            continue
        inputs = [x.reshape(-1) for x in models.inputs(corner, tensor)]
        params = contract.resolve(corner.method, {**corner.per_model, **corner.shared}, corner.n_models)
        exact = paper.merge(corner.method, inputs, params, 0, tensor, list(range(corner.n_models)),
                            models.shapes[tensor], corner.base)
        truth = round_to_bfloat16(exact)
        ours = gpumerge.merge(corner, models, preset=None)[tensor].reshape(-1)
        cancelled = np.abs(exact) < CANCELLED * np.abs(np.stack(inputs)).max(axis=0)
        theirs = None
        if corner.method not in DRAWS:
            theirs = _against(tools.mergekit(corner, models, tensor, "BF16").reshape(-1), truth, cancelled)
        yield Accuracy(corner.method, truth.size, int(cancelled.sum()), _against(ours, truth, cancelled), theirs)
