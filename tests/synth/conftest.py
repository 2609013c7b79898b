"""What tests of the engine share: slow and obvious references, quick fits, and made-up people."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.domain import Domain, Multi
from casesynth.measure import Measurement
from casesynth.model import FitSettings

People: TypeAlias = tuple[NDArray[np.uint16], ...]
"""Coded columns, one row per person."""

Brute: TypeAlias = Callable[[Sequence[NDArray[np.uint16]], Sequence[int], Sequence[int]], NDArray[np.int64]]
"""Columns, clique and sizes to a table, counted person by person: plain, or signed."""

Exact: TypeAlias = Callable[[People, Sequence[tuple[int, ...]], Sequence[int], int], list[Measurement]]
"""People, cliques, sizes and nano-rho to signed tables without noise, dressed up as measurements."""


def _brute(columns: Sequence[NDArray[np.uint16]], clique: Sequence[int], sizes: Sequence[int]) -> NDArray[np.int64]:
    table = {cell: 0 for cell in itertools.product(*(range(sizes[i]) for i in clique))}
    for person in zip(*(columns[i].tolist() for i in clique), strict=True):
        table[person] += 1
    return np.array(list(table.values()), dtype=np.int64).reshape([sizes[i] for i in clique])


def _brute_signed(
    columns: Sequence[NDArray[np.uint16]], clique: Sequence[int], sizes: Sequence[int]
) -> NDArray[np.int64]:
    axes, signs = ([i for i in clique if (sizes[i] == 2) == binary] for binary in (False, True))
    table = {cell: 0 for cell in itertools.product(*(range(sizes[i]) for i in axes))}
    for person in zip(*(column.tolist() for column in columns), strict=True):
        table[tuple(person[i] for i in axes)] += math.prod({0: 1, 1: -1}[person[i]] for i in signs)
    return np.array(list(table.values()), dtype=np.int64).reshape([sizes[i] for i in axes])


def _exact(
    people: People, cliques: Sequence[tuple[int, ...]], sizes: Sequence[int], nano_rho: int
) -> list[Measurement]:
    return [Measurement(clique=c, values=_brute_signed(people, c, sizes), nano_rho=nano_rho) for c in cliques]


@pytest.fixture(scope="session")
def brute() -> Brute:
    """Count a table person by person."""
    return _brute


@pytest.fixture(scope="session")
def brute_signed() -> Brute:
    """Count a signed table person by person: a person adds the product of their signs to the cell of their other values."""
    return _brute_signed


@pytest.fixture(scope="session")
def exact() -> Exact:
    """Count signed tables person by person and dress them up as measurements."""
    return _exact


@pytest.fixture(scope="session")
def quick() -> FitSettings:
    """A fit that takes a tenth of a second on a small domain."""
    return FitSettings(classes=20, steps=60, starts=1, pilot_classes=10, pilot_steps=30)


@pytest.fixture(scope="session")
def shelter() -> Domain:
    """Two categories, a list of three means as flags, a two-value attribute: seven columns or fewer of each size from 2 to 5."""
    return Domain.declare(
        {
            "gender": ["woman", "man"],
            "age": ["0-17", "18-29", "30+"],
            "means": Multi(values=["threats", "debt", "papers", "hours"]),
            "minor": ["yes"],
            "country": ["A", "B", "C", "D"],
        }
    )


@pytest.fixture(scope="session")
def residents(shelter: Domain) -> People:
    """Two thousand people of the shelter in three groups with habits of their own."""
    random = np.random.default_rng(20)
    group = random.choice(3, size=2000, p=[0.5, 0.3, 0.2])
    columns = []
    for size in shelter.sizes:
        habits = random.dirichlet(np.full(size, 0.7), size=3)
        columns.append(np.array([random.choice(size, p=habits[g]) for g in group], dtype=np.uint16))
    return tuple(columns)
