"""Synthetic records against noisy measurements: number by number as worked out by hand, and a missed pattern is found."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.seeded_release import seeded_synthesis

from casesynth.contrasts import basis
from casesynth.counting import count_signed
from casesynth.domain import Domain, Multi
from casesynth.marginals import axes_of, signed_shape, signs_of
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.plan import ReleasePlan
from casesynth.report import report_html
from casesynth.report.agreement import EDGES, WITHIN_EXPECTED, compare, expected_histogram
from casesynth.synthesis import Synthesis

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, People

QUICK = FitSettings(classes=20, steps=60, starts=1, pilot_classes=10, pilot_steps=30)
NOTES = ReleaseNotes(title="Shelters of the coast", created="2025-03-01", consent_applied=True)
DOMAIN = Domain.declare(
    {
        "gender": ["woman", "man"],
        "age": ["0-17", "18-29", "30+"],
        "minor": ["yes"],
        "means": Multi(values=["threats", "debt", "papers"]),
    }
)


@pytest.fixture(scope="module")
def people() -> People:
    """800 made-up people whose age leans on their gender."""
    random = np.random.default_rng(5)
    columns = [random.integers(0, size, 800).astype(np.uint16) for size in DOMAIN.sizes]
    columns[1] = np.where(random.random(800) < 0.6, columns[0], columns[1]).astype(np.uint16)
    return tuple(columns)


@pytest.fixture(scope="module")
def synthesis(people: People) -> Synthesis:
    """A release of them."""
    plan = ReleasePlan.make(DOMAIN, epsilon=8.0, people_cap=10_000)
    return seeded_synthesis(plan, people, settings=QUICK)


def _by_hand(synthesis: Synthesis, clique: tuple[int, ...], brute_signed: Brute) -> list[float]:
    """Return the differences of one column or pair in standard errors: from every table that tells it, weighted by its precision."""
    sizes = DOMAIN.sizes
    total: NDArray[np.float64] = np.zeros(signed_shape(clique, sizes))
    weight = 0.0
    for measured in synthesis.measurements:
        if set(clique) <= set(measured.clique) and signs_of(clique, sizes) == signs_of(measured.clique, sizes):
            axes = axes_of(measured.clique, sizes)
            more = tuple(place for place, column in enumerate(axes) if column not in clique)
            variance = measured.scale**2 * math.prod(sizes[axes[place]] for place in more)
            total = total + measured.values.sum(axis=more) / variance
            weight += 1 / variance
    gap = (brute_signed(synthesis.records, clique, sizes) - total / weight) * math.sqrt(weight)
    for axis, size in enumerate(gap.shape):
        gap = np.moveaxis(np.tensordot(gap, basis(size)[1:], axes=(axis, 1)), -1, axis)
    found: list[float] = np.ravel(gap).tolist()
    return found


def test_records_are_compared_with_what_all_tables_say_number_by_number(
    synthesis: Synthesis, brute_signed: Brute
) -> None:
    comparison = compare(synthesis)
    for agreement, length, numbers in zip(comparison.agreements, (1, 2), (9, 32), strict=True):
        cliques = list(itertools.combinations(range(6), length))
        every = [gap for clique in cliques for gap in _by_hand(synthesis, clique, brute_signed)]
        assert (agreement.tables, agreement.numbers) == (len(cliques), numbers) == (len(cliques), len(every))
        assert agreement.within == pytest.approx(np.mean([abs(gap) <= 2 for gap in every]))
        assert agreement.root_mean_square == pytest.approx(math.sqrt(np.mean([gap**2 for gap in every])))
    assert [agreement.kind for agreement in comparison.agreements] == ["single columns", "pairs of columns"]
    # a difference on an edge, often one of 0 people, counts half on each side; worked out by hand it may be off in the last digits
    rounded = [round(gap, 9) for gap in every]
    shares = [
        sum((low <= gap < high) + (low < gap <= high) for gap in rounded) / (2 * len(every))
        for low, high in itertools.pairwise(EDGES.tolist())
    ]
    assert comparison.histogram == pytest.approx(shares)


def test_records_that_are_the_people_differ_by_the_noise_alone(synthesis: Synthesis, people: People) -> None:
    perfect = compare(dataclasses.replace(synthesis, records=people))
    for agreement in perfect.agreements:
        # cube root of chi-square over its freedom (Wilson-Hilferty); 5 standard errors: false alarm 1e-6 for both
        spread = math.sqrt(2 / (9 * agreement.numbers))
        assert abs(math.cbrt(agreement.root_mean_square**2) - 1 + spread**2) < 5 * spread


def test_records_that_miss_a_pattern_are_found_and_the_pair_is_named(synthesis: Synthesis) -> None:
    random = np.random.default_rng(3)
    records = (synthesis.records[0], random.permutation(synthesis.records[1]), *synthesis.records[2:])
    spoilt = dataclasses.replace(synthesis, records=records)
    worst = compare(spoilt).strays[0]
    assert worst.columns == ("gender", "age") and worst.root_mean_square > 2
    assert "gender and age" in report_html(spoilt, NOTES)


def test_differences_of_nobody_count_half_below_and_half_above_zero(synthesis: Synthesis, people: People) -> None:
    exact = [
        dataclasses.replace(m, values=marginal.counts)
        for m, marginal in zip(
            synthesis.measurements,
            count_signed([people], [m.clique for m in synthesis.measurements], DOMAIN.sizes),
            strict=True,
        )
    ]
    found = compare(dataclasses.replace(synthesis, records=people, measurements=tuple(exact)))
    assert found.histogram == (0,) * 6 + (0.5, 0.5) + (0,) * 6
    assert all(agreement.root_mean_square < 1e-9 for agreement in found.agreements)


def test_shares_of_differences_sum_to_one_and_expected_ones_are_symmetric(synthesis: Synthesis) -> None:
    found, expected = compare(synthesis).histogram, expected_histogram()
    assert len(found) == len(expected) == len(EDGES) - 1
    assert sum(found) == pytest.approx(1) and sum(expected) == pytest.approx(1)
    assert expected == pytest.approx(expected[::-1])
    inner = [share for share, edge in zip(expected, EDGES[1:].tolist(), strict=True) if -2 < edge <= 2]
    assert sum(inner) == pytest.approx(WITHIN_EXPECTED, abs=1e-4)
