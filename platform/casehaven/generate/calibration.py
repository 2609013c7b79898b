"""Solve the levels of the ``ctdc-global`` world so that published shares come out: ``python -m casehaven.generate.calibration``.

Each round generates a fixed sample, compares it with ``targets`` and moves every level by the difference of logits. Countries are
not solved: they follow from the contributors' weights.
"""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np

from casehaven.generate.ctdc_global import AGE_BANDS, MEANS_COLUMNS, RECRUITER_COLUMNS, CtdcGlobalModel
from casehaven.generate.levels import Levels, solved_levels
from casehaven.generate.population import tabulate
from casehaven.generate.targets import Target, compare

__all__ = ["improved", "solve"]

_PEOPLE = 1_000_000
_SEED = 20_190_101
_KINDS = ("sexual only", "labour only", "both")
_GAPS = {"gender": 0, "ageBroad": 1, "both countries": 3, "traffickMonths": 4, "kind of exploitation": 5, "means of control": 6,
         "recruiter relation": 7}  # fmt: skip
_ASSISTANCE_ONLY = {"ageBroad", "means of control", "recruiter relation"}


def _move(target: Target) -> float:
    floor = 1e-5
    found = min(max(target.found, floor), 1 - floor)
    return log(target.published / (1 - target.published)) - log(found / (1 - found))


def improved(levels: Levels, targets: list[Target], step: float) -> Levels:
    """Return the levels moved towards the targets by a share of the distance."""
    moves = {(target.area, target.name): step * _move(target) for target in targets}
    new = {name: getattr(levels, name).copy() for name in ("type", "man", "age", "gap", "means", "recruiter")}
    for kind, name in enumerate(_KINDS):
        new["type"][0, kind] += moves["hotline", name]
        new["man"][0, kind] -= moves["hotline", f"woman, {name}"]
        for position, column in enumerate(MEANS_COLUMNS):
            new["means"][0, kind, position] += moves["hotline", f"{column}, {name}"]
        for position, column in enumerate(RECRUITER_COLUMNS):
            new["recruiter"][0, kind, position] += moves["hotline", f"{column}, {name}"]
    new["type"][1, 1] += moves["assistance", "labour"] * 0.5
    new["type"][1, 0] += moves["assistance", "sexual"] * 0.5
    new["type"][1, 2] += moves["assistance", "sexual"] * 0.5 + moves["assistance", "labour"] * 0.5
    new["man"][1, 1] -= moves["assistance", "woman"]
    new["age"][1, :2] += moves["assistance", "minor"]
    for position, band in enumerate(AGE_BANDS):
        new["age"][0, position] += moves["hotline", f"age {band}"]
    new["gap"][0, 1] -= moves["hotline", "age known"]
    for name, position in _GAPS.items():
        new["gap"][1 if name in _ASSISTANCE_ONLY else slice(None), position] += moves["empty", name]
    new["age"] -= new["age"].mean(axis=1, keepdims=True)
    new["type"] -= new["type"].mean(axis=1, keepdims=True)
    return replace(levels, **new)


def solve(levels: Levels, rounds: int) -> Levels:
    """Return levels after a number of rounds, printing the largest error of each."""
    for number in range(rounds):
        targets = compare(tabulate(CtdcGlobalModel(levels), _PEOPLE, _SEED))
        worst = max(targets, key=lambda target: abs(target.error))
        print(f"round {number}: largest error {100 * worst.error:+.2f} points, {worst.area}: {worst.name}")
        levels = improved(levels, targets, 1.0 if number < rounds // 2 else 0.7)
    return replace(
        levels,
        **{name: np.round(getattr(levels, name), 3) for name in ("type", "man", "age", "gap", "means", "recruiter")},
    )


if __name__ == "__main__":
    from pathlib import Path

    (Path(__file__).parent / "ctdc_levels.json").write_text(solve(solved_levels(), 12).to_json(), "utf-8")
