# SPDX-FileCopyrightText: 2026 the gpumerge authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the corners and gathers what is printed, a row a method."""
from dataclasses import dataclass, field

import gm_numpy  # noqa: F401
import numpy as np

from comparison import corners, tools
from comparison.measures import Difference, compare
from comparison.data import NAMES


@dataclass
class MethodResult:
    corners: int = 0
    small: Difference = field(default_factory=Difference)
    medium: Difference = field(default_factory=Difference)
    kinds: set = field(default_factory=set)  # float32, float64
    listed: list = field(default_factory=list)  # (corner, elements, reason)
    failures: list = field(default_factory=list)


def compare_corner(gpumerge, corner, models):
    merged = gpumerge.merge(corner, models)
    found = Difference()
    for tensor in models.shapes:
        theirs = tools.mergekit(corner, models, tensor)
        found.add(compare(corner, models.inputs(corner, tensor), merged[tensor], theirs))
    return found


def bit_comparison(gpumerge, small, medium, only, say):
    """small: every corner is run on each of them; medium: None, or for the corners that say so."""
    results = {}
    for corner in corners.all_corners():
        if only and corner.method not in only:
            continue
        result = results.setdefault(corner.method, MethodResult())
        result.corners += 1
        result.kinds.add("float64" if corner.in_double else "float32")
        runs = [(models, result.small) for models in small]
        if medium is not None and corner.medium:
            runs.append((medium, result.medium))
        for models, total in runs:
            try:
                found = compare_corner(gpumerge, corner, models)
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                result.failures.append((corner.name, str(error)))
                say(f"  {corner.method}, {corner.name}: {error}")
                continue
            total.add(found)
            say(f"  {corner.method}, {corner.name}, {models.label}: {found.equal_bits} of {found.elements} equal bits, "
                f"max {found.max_ulp} ulp, {found.beyond} beyond the limit, {found.unexplained} unexplained")
            for reason, count in found.reasons.items():
                result.listed.append((f"{corner.name}, {models.label}", count, reason))
            if found.unexplained:
                result.failures.append((f"{corner.name}, {models.label}", f"{found.unexplained} elements without a reason"))
    return results


# ---------------------------------------------------------------------------------------------- DARE and DELLA
@dataclass
class Draws:
    method: str
    tool: str
    kept: float
    sigmas: float
    mean: float          # of what is added over the sum of the differences; 1: unbiased
    halves: tuple        # of the smaller and of the larger half of a row's differences: kept, expected


def draw_statistics(gpumerge, models, density=0.3):
    """One model, weight 1, its differences all of one sign, so that what is added shows what was kept."""
    tensor = max(models.shapes, key=lambda name: np.prod(models.shapes[name]))
    base, tuned = models.arrays[NAMES[0]][tensor], models.arrays[NAMES[1]][tensor]
    delta = (tuned - base).astype(np.float64)
    ranks = np.argsort(np.argsort(np.abs(delta), axis=1, kind="stable"), axis=1) / (delta.shape[1] - 1)
    for method, own in corners.DRAWING.items():
        per_model = {"weight": [1.0], "density": [density], **{name: [value] for name, value in own.items()}}
        corner = corners.Corner(method, "draws", per_model, {}, n_models=1)
        epsilon = own.get("epsilon", 0.0)
        chance = density - epsilon + ranks * 2 * epsilon
        for tool, merged in (("gpumerge", gpumerge.merge(corner, models, rescale=True)[tensor]),
                             ("gpumerge, `rescale: l1`", gpumerge.merge(corner, models)[tensor]),
                             ("mergekit", tools.mergekit(corner, models, tensor))):
            added = merged.astype(np.float64) - base
            counted, kept = delta != 0, (added != 0) & (delta != 0)
            deviation = np.sqrt((chance * (1 - chance))[counted].sum())
            halves = [(float(kept[half].mean()), float(chance[half].mean()))
                      for half in (counted & (ranks < 0.6), counted & (ranks >= 0.6))]
            yield Draws(method, tool, kept.sum() / counted.sum(),
                        (kept.sum() - chance[counted].sum()) / deviation,
                        float((added * np.sign(delta)).sum() / np.abs(delta).sum()), tuple(halves))
