"""Synthetic records against noisy measurements: cell by cell as counted by hand, and a missed pattern is found."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from casesynth.contrasts import combine
from casesynth.domain import Domain, Multi
from casesynth.measure import Measurement
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import Receipt
from casesynth.report import report_html
from casesynth.report.agreement import EDGES, compare, expected_histogram, single_scale
from casesynth.synthesis import Synthesis, synthesise

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
def synthesis() -> Synthesis:
    """A release of 800 made-up people whose age leans on their gender."""
    random = np.random.default_rng(5)
    columns = [random.integers(0, size, 800).astype(np.uint16) for size in DOMAIN.sizes]
    columns[1] = np.where(random.random(800) < 0.6, columns[0], columns[1]).astype(np.uint16)
    plan = ReleasePlan.make(DOMAIN, epsilon=8.0, people_cap=10_000)
    return synthesise(
        plan,
        charge=lambda loss: Receipt(charge_id="charge-1", loss=loss),
        open_people=lambda _: PersonTable(columns=tuple(columns)),
        settings=QUICK,
    )


def test_records_are_compared_with_the_measured_pairs_cell_by_cell(synthesis: Synthesis) -> None:
    every: list[float] = []
    for measured in synthesis.measurements:
        if len(measured.clique) == 2:
            i, j = measured.clique
            counts = np.zeros(measured.values.shape)
            for a, b in zip(synthesis.records[i].tolist(), synthesis.records[j].tolist(), strict=True):
                counts[a, b] += 1
            every += ((counts - measured.values) / measured.scale).ravel().tolist()
    (single, pairs) = compare(synthesis).agreements
    assert (pairs.tables, pairs.cells) == (15, len(every))
    assert pairs.within == pytest.approx(np.mean([abs(gap) <= 2 for gap in every]))
    assert pairs.root_mean_square == pytest.approx(math.sqrt(np.mean([gap**2 for gap in every])))
    assert (single.tables, single.cells) == (6, sum(synthesis.plan.domain.sizes))


def test_the_noise_of_a_single_column_is_that_of_the_sums_it_is_made_of() -> None:
    values = np.zeros((3, 5), dtype=np.int64)
    measured = Measurement(clique=(0, 1), values=values, nano_rho=500_000_000)  # scale 1
    contrasts = combine([measured], (3, 5))
    assert single_scale(contrasts, 0) == pytest.approx(math.sqrt(5))
    assert single_scale(contrasts, 1) == pytest.approx(math.sqrt(3))


def test_records_that_miss_a_pattern_are_found_and_the_pair_is_named(synthesis: Synthesis) -> None:
    random = np.random.default_rng(3)
    records = (synthesis.records[0], random.permutation(synthesis.records[1]), *synthesis.records[2:])
    spoilt = dataclasses.replace(synthesis, records=records)
    worst = compare(spoilt).strays[0]
    assert worst.columns == ("gender", "age") and worst.root_mean_square > 2
    assert "gender and age" in report_html(spoilt, NOTES)


def test_shares_of_differences_sum_to_one_and_expected_ones_are_symmetric(synthesis: Synthesis) -> None:
    found, expected = compare(synthesis).histogram, expected_histogram(synthesis)
    assert len(found) == len(expected) == len(EDGES) - 1
    assert sum(found) == pytest.approx(1) and sum(expected) == pytest.approx(1)
    assert expected == pytest.approx(expected[::-1])
