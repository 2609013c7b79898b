"""The showcase reads combinations of columns that follow from each other as the aggregates do, declared or found in noisy numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from playwright.sync_api import Page
from tests.web.conftest import model_of, scale, synthesis_of

from casesynth.aggregates import ABSENT, aggregate
from casesynth.derived import derivations
from casesynth.domain import Domain, Function
from casesynth.links import Link

OpenPage: TypeAlias = Callable[..., Page]
WriteShowcase: TypeAlias = Callable[..., Path]

PLACES = ["a", "b", "c", "d", "e"]
REGIONS = dict(zip(PLACES, ["north", "north", "south", "south", ""], strict=True))
DOMAIN = Domain.declare(
    {
        "place": PLACES,
        "region": Function(of="place", table=REGIONS),
        "label": ["p", "q", "r", "s", "t"],
        "sex": ["f", "m"],
        "work": ["x", "y", "z"],
    }
)


def test_every_shown_combination_has_the_number_of_the_aggregates(
    open_page: OpenPage, write_showcase: WriteShowcase
) -> None:
    random = np.random.default_rng(7)
    shares = [random.dirichlet(np.full(size, 0.6), size=5).T for size in DOMAIN.measured.sizes]
    names = [column.name for column in DOMAIN.columns]
    near = Link(
        column=names.index("label"), source=names.index("place"), table=random.dirichlet(np.full(6, 0.2), size=6)
    )
    declared = [replace(link, doubt=np.array([0.3, 0.02, 0.1])) for link in derivations(DOMAIN)]
    model = model_of(shares, np.ones(5)).linked([near]).linked(declared)
    synthesis = synthesis_of(DOMAIN, model, scale(3))
    table = aggregate(model, DOMAIN, synthesis.errors)
    synthesis = replace(synthesis, aggregates=table)
    page = open_page(write_showcase(synthesis))
    rows, asked = [], []
    family = {names.index(name) for name in ("place", "region", "label")}
    for row in range(len(table.estimate)):
        used = [(int(c), int(v)) for c, v in zip(table.columns[row], table.values[row], strict=True) if c != ABSENT]
        if family & {column for column, _ in used} and not any(v in DOMAIN.columns[c].missing for c, v in used):
            rows.append(row)
            asked.append([[names[c], DOMAIN.columns[c].values[v]] for c, v in used])
    found = page.evaluate("asked => asked.map((facts) => window.showcase.people(facts))", asked)
    pairs = {tuple(sorted(name for name, _ in facts)) for facts in asked}
    assert {("place", "region"), ("label", "place"), ("label", "region"), ("label", "place", "region")} <= pairs
    for row, one in zip(rows, found, strict=True):
        assert one["shown"]
        assert one["estimate"] == pytest.approx(table.estimate[row], rel=1e-3)
        assert one["low"] == pytest.approx(table.low[row], rel=2e-3, abs=0.5)
        assert one["high"] == pytest.approx(table.high[row], rel=2e-3, abs=0.5)
    assert page.evaluate('window.showcase.people([["place", "a"], ["region", "south"]])') == {"shown": False}
