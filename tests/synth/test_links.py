"""Links: columns that follow from another column, against brute force over every person."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.aggregates import large_cells
from casesynth.domain import Domain
from casesynth.estimates import Estimates
from casesynth.intervals import ErrorScale
from casesynth.links import Link, LinkError, family, joint, related
from casesynth.model import LatentClassModel
from casesynth.sample import draw_people, sample_records

SIZES = (4, 3, 2, 5, 4)
"""Columns 1 and 4 follow from column 3."""
DOMAIN = Domain.declare({f"c{i}": [f"v{j}" for j in range(size - 1)] for i, size in enumerate(SIZES)})
ERRORS = ErrorScale(centres=np.log([10.0, 1e9]), half_widths=np.full((3, 2), 0.5), misfit=np.zeros(3))


def _table(rows: int, columns: int, random: np.random.Generator) -> NDArray[np.float64]:
    return random.dirichlet(np.full(columns, 0.3), size=rows)


def _model(people: float = 50_000.0) -> LatentClassModel:
    random = np.random.default_rng(5)
    model = LatentClassModel(
        people=people,
        people_sigma=3.0,
        weights=random.dirichlet(np.ones(6)),
        shares=tuple(random.dirichlet(np.ones(size), size=6).T for size in SIZES),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )
    links = [Link(column=column, source=3, table=_table(5, SIZES[column], random)) for column in (1, 4)]
    return model.linked(links)


def _whole(model: LatentClassModel) -> NDArray[np.float64]:
    """Every cell of the table over all columns, written out: the source by class, the others by class or by the source."""
    one, four = (link.table for link in model.links)
    whole: NDArray[np.float64] = np.einsum(
        "ak,db,ck,dk,de,k->abcde", model.shares[0], one, model.shares[2], model.shares[3], four, model.weights
    )
    return whole * model.people


CLIQUES = [clique for length in (1, 2, 3) for clique in itertools.permutations(range(5), length)]


@pytest.mark.parametrize("clique", CLIQUES, ids=str)
def test_a_table_of_linked_columns_is_that_of_every_person(clique: tuple[int, ...]) -> None:
    model = _model()
    whole = _whole(model)
    ordered = tuple(sorted(clique))
    expected = whole.sum(axis=tuple(set(range(5)) - set(clique))).transpose([ordered.index(c) for c in clique])
    assert model.marginal(clique) == pytest.approx(expected)
    some = [np.arange(1, size) for size in SIZES]
    assert model.marginal(clique, some) == pytest.approx(expected[np.ix_(*(some[c] for c in clique))])


def test_aggregates_and_estimates_have_the_same_numbers_as_the_tables() -> None:
    model, seen = _model(), set()
    estimates = Estimates(domain=DOMAIN, model=model, errors=ERRORS)
    for cells in large_cells(model, DOMAIN):
        table = model.marginal(cells.columns)
        assert cells.estimate == pytest.approx(table[tuple(cells.values.T)])
        for values, estimate in zip(cells.values[:20], cells.estimate[:20], strict=False):
            facts = list(zip(cells.columns, values.tolist(), strict=True))
            assert estimates.of(facts).value == pytest.approx(estimate)
        seen.add(cells.columns)
    assert {(1, 3), (1, 4), (0, 1, 4), (0, 1, 2), (1, 3, 4), (1, 2, 3)} <= seen


def test_no_combination_is_larger_than_its_parts() -> None:
    model = _model()
    for clique in itertools.combinations(range(5), 3):
        whole = model.marginal(clique)
        for axis in range(3):
            part = model.marginal(tuple(c for place, c in enumerate(clique) if place != axis))
            assert (whole.sum(axis=axis) == pytest.approx(part)) and (whole <= np.expand_dims(part, axis) + 1e-9).all()


@pytest.mark.parametrize("pair", [(1, 3), (3, 4), (1, 4), (1, 2)])
def test_records_and_drawn_people_follow_the_links(pair: tuple[int, int]) -> None:
    """Seeded, so no false alarm. Rounding alone keeps records within a few people of each cell of a linked pair."""
    model = _model()
    expected = model.marginal(pair)
    for columns, off in (
        (sample_records(model, b"r" * 32), 0.004),
        (draw_people(model, np.random.default_rng(1)), 0.02),
    ):
        found = np.zeros_like(expected)
        np.add.at(found, tuple(columns[c].astype(np.int64) for c in pair), 1)
        assert np.abs(found - expected).sum() / (2 * model.people) < off


def test_records_have_the_rounded_counts_of_a_link_inside_every_value_of_its_source() -> None:
    model = _model()
    columns = sample_records(model, b"s" * 32)
    for link in model.links:
        source, column = columns[link.source].astype(np.int64), columns[link.column].astype(np.int64)
        found = np.zeros(link.table.shape)
        np.add.at(found, (source, column), 1)
        assert np.abs(found - found.sum(axis=1, keepdims=True) * link.table).max() <= 2.0


def test_many_records_keep_a_declared_table_exactly() -> None:
    table = np.eye(3)[[0, 1, 1, 2]]
    model = _model(500_000.0).linked([Link(column=5, source=0, table=table, declared=True)])
    columns = sample_records(model, b"t" * 32)
    assert len(columns) == 6 and len(columns[0]) == 500_000
    assert np.array_equal(columns[5], np.array([0, 1, 1, 2])[columns[0]])


def test_a_model_without_links_is_read_as_before() -> None:
    model = _model()
    assert model.linked(()) is model
    assert not related((0, 1), ())
    assert family(2, model.links) == 2 and family(4, model.links) == 3


@pytest.mark.parametrize(
    "links",
    [
        [(1, 0), (1, 2)],
        [(1, 0), (0, 2)],
        [(1, 0), (2, 1)],
    ],
)
def test_links_that_build_on_each_other_are_refused(links: list[tuple[int, int]]) -> None:
    random = np.random.default_rng(1)
    model = LatentClassModel(**{**vars(_model()), "links": ()})
    made = [Link(column=c, source=s, table=_table(SIZES[s], SIZES[c], random)) for c, s in links]
    with pytest.raises(LinkError):
        model.linked(made)


@pytest.mark.parametrize("table", [np.array([[0.5, 0.4]]), np.array([[1.5, -0.5]]), np.ones(2)])
def test_a_link_needs_shares_that_sum_to_one(table: NDArray[np.float64]) -> None:
    with pytest.raises(LinkError):
        Link(column=1, source=0, table=table)


def test_a_joint_share_needs_a_column() -> None:
    shares: Any = _model().shares
    with pytest.raises(LinkError):
        joint((), shares, ())
