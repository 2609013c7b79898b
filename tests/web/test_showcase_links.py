"""The showcase reads combinations of columns that follow from each other as the aggregates do, declared or found in noisy numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from playwright.sync_api import Page
from tests.made_synthesis import model_of, scale, synthesis_of

from casesynth import showcase
from casesynth.aggregates import ABSENT, aggregate
from casesynth.apart import Apart
from casesynth.derived import derivations
from casesynth.domain import Domain, Function
from casesynth.links import Link
from casesynth.sharper import Sharper
from casesynth.showcase.data import scale_facts
from casesynth.showcase.quantised import CODES, FLOOR, STEP, QuantisedModel

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
    apart = (  # two pairs that are further off than others; regions are unions of places
        Apart(columns=(names.index("place"), names.index("work")), misfit=9.0),
        Apart(columns=(names.index("label"), names.index("sex")), misfit=4.0),
    )
    both = (names.index("sex"), names.index("work"))
    one = Sharper(columns=both, half_widths=random.uniform(5, 60, [DOMAIN.sizes[c] for c in both]))
    three = (names.index("place"), *both)
    two = Sharper(columns=three, half_widths=random.uniform(5, 60, [DOMAIN.sizes[c] for c in three]))
    synthesis = synthesis_of(DOMAIN, model, replace(scale(3), apart=apart, sharper=(one, two)))
    table = aggregate(model, DOMAIN, synthesis.errors)
    synthesis = replace(synthesis, aggregates=table)
    page = open_page(write_showcase(synthesis))
    rows, asked = [], []
    family = {names.index(name) for name in ("place", "region", "label")}
    for row in range(len(table.estimate)):
        used = [(int(c), int(v)) for c, v in zip(table.columns[row], table.values[row], strict=True) if c != ABSENT]
        columns = {column for column, _ in used}
        if (family & columns or columns == set(both)) and not any(v in DOMAIN.columns[c].missing for c, v in used):
            rows.append(row)
            asked.append([[names[c], DOMAIN.columns[c].values[v]] for c, v in used])
    found = page.evaluate("asked => asked.map((facts) => window.showcase.people(facts))", asked)
    pairs = {tuple(sorted(name for name, _ in facts)) for facts in asked}
    assert {("place", "region"), ("label", "place"), ("label", "region"), ("label", "place", "region")} <= pairs
    assert {("place", "work"), ("region", "work"), ("label", "sex"), ("sex", "work"), ("place", "sex", "work")} <= pairs
    for row, one in zip(rows, found, strict=True):
        assert one["shown"]
        assert one["estimate"] == pytest.approx(table.estimate[row], rel=1e-3)
        assert one["low"] == pytest.approx(table.low[row], rel=2e-3, abs=0.5)
        assert one["high"] == pytest.approx(table.high[row], rel=2e-3, abs=0.5)
    assert page.evaluate('window.showcase.people([["place", "a"], ["region", "south"]])') == {"shown": False}


def test_what_bars_and_flows_count_inside_a_view_follows_the_links(
    open_page: OpenPage, write_showcase: WriteShowcase
) -> None:
    """One more fact in a view, for every pair of values of the columns that hang together; the page's own script, in an empty page."""
    random = np.random.default_rng(9)
    shares = [random.dirichlet(np.full(size, 0.6), size=5).T for size in DOMAIN.measured.sizes]
    places = {column.name: place for place, column in enumerate(DOMAIN.columns)}
    near = Link(column=places["label"], source=places["place"], table=random.dirichlet(np.full(6, 0.2), size=6))
    model = model_of(shares, np.ones(5)).linked([near]).linked(derivations(DOMAIN))
    synthesis = synthesis_of(DOMAIN, model, scale(3))
    quantised = QuantisedModel.of(model)
    data = {
        "model": {
            "people": quantised.people,
            "classes": len(quantised.weights),
            "weights": quantised.weights_text(),
            "codes": quantised.codes_text(),
            "floor": FLOOR,
            "step": STEP,
            "largest": CODES,
            "links": quantised.links_facts(),
        },
        "columns": [{"size": size} for size in DOMAIN.sizes],
        "scale": scale_facts(synthesis.errors),
    }
    script = (Path(showcase.__file__).parent / "assets" / "model.js").read_text(encoding="utf-8")
    empty = open_page(write_showcase(synthesis)).context.new_page()
    for one, other in (("place", "label"), ("region", "label"), ("label", "region"), ("place", "region")):
        expected = model.marginal((places[one], places[other]))
        found = empty.evaluate(
            """([script, data, first, second]) => new Function("data", "first", "second", script + `
            DATA = data; readModel();
            return MODEL.shares[first].map((_, a) => { const view = { facts: [[first, a]], people: peopleWith([[first, a]]) };
              return MODEL.shares[second].map((_, b) => counted(view.people, view.facts, [second, b]).estimate); });`)(data, first, second)""",
            [script, data, places[one], places[other]],
        )
        assert np.array(found) == pytest.approx(expected, rel=1e-3, abs=0.01)
