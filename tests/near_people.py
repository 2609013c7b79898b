"""Made-up people with one function (a region of a place) and one bijection (the label of a code), beside ordinary columns."""

from __future__ import annotations

import numpy as np

from casesynth.codes import Codes
from casesynth.domain import Domain

SIZES = {"place": 24, "region": 6, "code": 16, "label": 16, "first": 5, "u": 2, "v": 2, "w": 2}
"""Known values of each attribute, in the order of the columns."""
GROUPS = 12

NEAR_DOMAIN = Domain.declare({name: [f"{name}{value}" for value in range(size)] for name, size in SIZES.items()})


def near_people(people: int, seed: int, *, exceptions: float = 0.0) -> tuple[Codes, ...]:
    """Draw people from groups that lean to different values; everybody has an answer to everything.

    Args:
        people: how many.
        seed: of the draw.
        exceptions: share of the people whose region and label are any, whatever their place and code.
    """
    random = np.random.default_rng(seed)
    groups = random.choice(GROUPS, people, p=random.dirichlet(np.full(GROUPS, 3.0)))
    found = {}
    for name, size in SIZES.items():
        base = np.arange(1, size + 1) ** -0.8
        shares = random.dirichlet(base / base.sum() * size / 2 + 1e-3, size=GROUPS)
        found[name] = np.minimum((shares[groups].cumsum(axis=1) < random.random((people, 1))).sum(axis=1), size - 1)
    region_of = random.permutation(np.arange(SIZES["place"]) % SIZES["region"])
    label_of = random.permutation(SIZES["code"])
    for name, follows in (("region", region_of[found["place"]]), ("label", label_of[found["code"]])):
        found[name] = np.where(random.random(people) < exceptions, found[name], follows)
    return tuple((found[name] + 1).astype(np.uint16) for name in SIZES)
