"""Pairs of which one column nearly follows from the other are found in noisy numbers alone, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from tests.near_people import NEAR_DOMAIN, near_people

from casehaven.generate import generate_population
from caseschemas import load_schema
from casesynth.codes import Codes
from casesynth.contrasts import Contrasts, combine
from casesynth.counting import count_signed
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.intervals import simulate
from casesynth.model import FitSettings, LatentClassModel, fit
from casesynth.near import followed, near_pairs, with_links
from casesynth.plan import ReleasePlan

SHORT = FitSettings(classes=40, steps=100, starts=1, pilot_classes=40, pilot_steps=60)
PLACE, REGION, CODE, LABEL = range(4)


def _fitted(domain: Domain, people: tuple[Codes, ...], epsilon: float, seed: int) -> tuple[LatentClassModel, Contrasts]:
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=1_000_000)
    marginals = count_signed([people], [table.clique for table in plan.tables], domain.sizes)
    contrasts = combine(simulate(plan, marginals, np.random.default_rng(seed)), domain.sizes)
    return fit(contrasts, bytes([seed]) * 32, settings=SHORT), contrasts


@lru_cache(maxsize=1)
def _near() -> tuple[LatentClassModel, Contrasts]:
    return _fitted(NEAR_DOMAIN, near_people(20_000, 1), 1.0, 3)


def _families(model: LatentClassModel) -> set[frozenset[int]]:
    return {frozenset((link.column, link.source)) for link in model.links}


@pytest.mark.parametrize(("epsilon", "exceptions"), [(1.0, 0.0), (4.0, 0.0), (2.0, 0.05)])
def test_one_function_and_one_bijection_are_linked_and_nothing_else(epsilon: float, exceptions: float) -> None:
    """Seeded, so no false alarm."""
    model, contrasts = _fitted(NEAR_DOMAIN, near_people(20_000, 1, exceptions=exceptions), epsilon, 3)
    found = with_links(model, contrasts)
    assert _families(found) == {frozenset((PLACE, REGION)), frozenset((CODE, LABEL))}
    assert (REGION, PLACE) in {(link.column, link.source) for link in found.links}
    for pair in near_pairs(found, NEAR_DOMAIN):
        assert pair.share == pytest.approx(1 - exceptions, abs=0.06)
        assert pair.column in pair.sentence() and "derived" in pair.sentence()


@pytest.mark.parametrize(
    "epsilon", [1.0, pytest.param(4.0, marks=pytest.mark.audit), pytest.param(0.5, marks=pytest.mark.audit)]
)
def test_ordinary_people_are_left_as_they_are(epsilon: float) -> None:
    """The 27 columns of ctdc-global hold strong dependencies between flags and between two countries, but no function."""
    domain = Domain.from_schema(load_schema("ctdc-global"))
    people = encode(generate_population(15_000, seed=2), domain, person=None).columns
    model, contrasts = _fitted(domain, people, epsilon, 1)
    assert with_links(model, contrasts) is model


def test_columns_that_have_nothing_to_do_with_each_other_are_never_linked() -> None:
    domain = Domain.declare({f"c{i}": [f"v{j}" for j in range(8)] for i in range(4)})
    random = np.random.default_rng(1)
    people = tuple(random.integers(1, 9, 3_000).astype(np.uint16) for _ in domain.columns)
    for seed in range(2):
        model, contrasts = _fitted(domain, people, 1.0, seed)
        assert with_links(model, contrasts) is model


def test_a_strong_dependence_that_tells_half_of_the_people_is_not_linked() -> None:
    model, contrasts = _fitted(NEAR_DOMAIN, near_people(20_000, 1, exceptions=0.5), 4.0, 3)
    assert with_links(model, contrasts) is model


def test_nobody_and_noise_alone_are_not_linked() -> None:
    people = tuple(np.zeros(0, dtype=np.uint16) for _ in NEAR_DOMAIN.columns)
    model, contrasts = _fitted(NEAR_DOMAIN, people, 0.1, 1)
    assert with_links(model, contrasts) is model


@pytest.mark.parametrize(("fixed", "column"), [(PLACE, None), (REGION, None), (CODE, LABEL), (LABEL, CODE)])
def test_a_column_that_others_are_derived_from_follows_from_none(fixed: int, column: int | None) -> None:
    model, contrasts = _near()
    found = with_links(model, contrasts, fixed=[fixed])
    assert fixed not in {link.column for link in found.links}
    if column is not None:
        assert (column, fixed) in {(link.column, link.source) for link in found.links}
    if fixed == REGION:
        assert frozenset((PLACE, REGION)) not in _families(found)


def test_links_keep_the_margins_and_all_pairs_of_other_columns() -> None:
    model, contrasts = _near()
    found = with_links(model, contrasts)
    for column in range(len(NEAR_DOMAIN.columns)):
        gap = np.abs(found.marginal((column,)) - model.marginal((column,))).sum() / model.people
        assert gap < 0.05
    for link in found.links:
        table = found.marginal((link.source, link.column))
        assert table.sum(axis=0) == pytest.approx(found.marginal((link.column,)))
    assert np.array_equal(found.marginal((5, 6)), model.marginal((5, 6)))


def test_a_refit_follows_the_same_links_with_its_own_numbers() -> None:
    model, contrasts = _near()
    found = with_links(model, contrasts)
    other, again = _fitted(NEAR_DOMAIN, near_people(20_000, 1), 1.0, 4)
    refitted = followed(other, again, found.links)
    assert [(link.column, link.source) for link in refitted.links] == [
        (link.column, link.source) for link in found.links
    ]
    assert not np.array_equal(refitted.links[0].table, found.links[0].table)
    assert followed(other, again, ()) is other


def test_where_noise_leaves_nobody_a_pair_that_stands_out_is_not_linked_and_a_link_says_what_all_have() -> None:
    model, contrasts = _near()
    links = with_links(model, contrasts).links
    for people in (0.0, -1_651.4):
        nobody = replace(model, people=people)
        assert with_links(nobody, contrasts).links == ()
        for link in followed(nobody, contrasts, links).links:
            assert np.allclose(link.table, model.shares[link.column] @ model.weights, atol=1e-6)


def test_the_same_numbers_give_the_same_links() -> None:
    model, contrasts = _near()
    one, two = with_links(model, contrasts), with_links(model, contrasts)
    for first, second in zip(one.links, two.links, strict=True):
        assert np.array_equal(first.table, second.table)


def test_a_long_bijection_stands_out_although_its_chi_square_per_cell_is_near_one() -> None:
    """Two columns of 150 values that say the same, among others: 22,500 cells share the evidence."""
    domain = Domain.declare(
        {"code": [str(i) for i in range(150)], "label": [str(i) for i in range(150)], "a": list("xyz"), "b": list("pq")}
    )
    random = np.random.default_rng(2)
    code = 1 + np.minimum(random.geometric(0.03, 20_000) - 1, 149)
    label = 1 + random.permutation(150)[code - 1]
    others = [1 + random.integers(0, size, 20_000) for size in (3, 2)]
    people = tuple(column.astype(np.uint16) for column in (code, label, *others))
    model, contrasts = _fitted(domain, people, 0.5, 1)
    assert _families(with_links(model, contrasts)) == {frozenset((0, 1))}
