"""A whole synthesis for any number of people and any shape of data: no crash, no NaN, no warning (pytest makes warnings errors)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.seeded_release import seeded_synthesis

from casesynth.domain import Domain
from casesynth.model import FitSettings
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import PrivacyLoss, Receipt
from casesynth.progress import PHASES, Progress, silent
from casesynth.seeded import generator, measurements_digest
from casesynth.synthesis import Synthesis, recompute, synthesise

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, People


SEEDED = [190, 720, 220, 554, 531]
SEEDED_SHARE = 0.7200498809549842
"""Computed apart, from the words of the rule: SHA-256 of `seed|purpose` as a big-endian number seeds PCG64."""


def _charge(loss: PrivacyLoss) -> Receipt:
    return Receipt(charge_id="c1", loss=loss)


def _synthesise(
    domain: Domain, people: People, settings: FitSettings, *, epsilon: float = 1.0, progress: Progress = silent
) -> Synthesis:
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=10_000)
    return synthesise(
        plan,
        charge=_charge,
        open_people=lambda receipt: PersonTable(columns=people),
        settings=settings,
        progress=progress,
    )


def _assert_sound(made: Synthesis) -> None:
    """Everything is finite, inside the domain and fits together."""
    sizes = made.plan.domain.sizes
    model, table = made.model, made.aggregates
    numbers = [model.weights, *model.shares, table.estimate, table.low, table.high, made.errors.half_widths]
    numbers += [made.errors.misfit, np.array([model.people, model.people_sigma, model.stiffness, *model.residual])]
    assert all(np.isfinite(part).all() for part in numbers)
    rows = max(round(model.people), 0)
    assert [len(column) for column in made.records] == [rows] * len(sizes)
    assert all(column.max(initial=0) < size for column, size in zip(made.records, sizes, strict=True))
    assert (table.estimate >= 10).all() and (table.low >= 1).all() and (table.estimate <= table.high).all()
    assert [m.clique for m in made.measurements] == [t.clique for t in made.plan.tables]
    assert made.receipt.loss == made.plan.loss


@pytest.mark.parametrize("epsilon", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_any_number_of_people(shelter: Domain, quick: FitSettings, count: int, epsilon: float) -> None:
    random = np.random.default_rng(count)
    people = tuple(random.integers(0, size, count).astype(np.uint16) for size in shelter.sizes)
    made = _synthesise(shelter, people, quick, epsilon=epsilon)
    _assert_sound(made)
    # the number of rows is the noisy number of people; 7 standard deviations: false alarm 3e-12
    assert abs(made.model.people - count) < 7 * made.model.people_sigma + 1


@pytest.mark.parametrize("position", ["first", "last"])
@pytest.mark.parametrize("epsilon", [0.1, 100.0])
def test_everybody_the_same(shelter: Domain, quick: FitSettings, position: str, epsilon: float) -> None:
    """The first position of every column is missing: nobody said anything."""
    people = tuple(np.full(300, 0 if position == "first" else size - 1, dtype=np.uint16) for size in shelter.sizes)
    _assert_sound(_synthesise(shelter, people, quick, epsilon=epsilon))


@pytest.mark.parametrize("epsilon", [0.5, 100.0])
def test_columns_that_say_the_same(quick: FitSettings, epsilon: float) -> None:
    domain = Domain.declare({f"copy {i}": ["a", "b", "c"] for i in range(5)})
    one = np.random.default_rng(1).integers(0, 4, 800).astype(np.uint16)
    _assert_sound(_synthesise(domain, (one,) * 5, quick, epsilon=epsilon))


@pytest.mark.parametrize("sizes", [(2,), (9,), (2, 2), (2, 30), (2,) * 4, (3, 3, 3), (60, 50, 40)])
@pytest.mark.parametrize("count", [0, 200])
def test_any_shape_of_domain(quick: FitSettings, sizes: tuple[int, ...], count: int) -> None:
    domain = Domain.declare({f"c{i}": [str(v) for v in range(1, size)] for i, size in enumerate(sizes)})
    random = np.random.default_rng(3)
    people = tuple(random.integers(0, size, count).astype(np.uint16) for size in sizes)
    _assert_sound(_synthesise(domain, people, quick))


def test_one_column_at_high_epsilon_is_nearly_exact(quick: FitSettings) -> None:
    domain = Domain.declare({"sex": ["f", "m"]})
    people = (np.repeat(np.arange(3), [50, 300, 150]).astype(np.uint16),)
    made = _synthesise(domain, people, quick, epsilon=100.0)
    counts = np.bincount(made.records[0], minlength=3)
    assert np.abs(counts - [50, 300, 150]).max() <= 12


def test_at_high_epsilon_estimates_and_records_are_those_of_the_people(
    shelter: Domain, residents: People, brute: Brute
) -> None:
    """Seeded, so no false alarm."""
    settings = FitSettings(classes=30, steps=200, starts=1, pilot_classes=10, pilot_steps=30)
    made = seeded_synthesis(ReleasePlan.make(shelter, epsilon=50.0, people_cap=10_000), residents, settings=settings)
    table = made.aggregates
    single = [
        (int(c[0]), int(v[0]), float(e))
        for c, v, e, length in zip(table.columns, table.values, table.estimate, table.lengths, strict=True)
        if length == 1
    ]
    assert len(single) > 12
    for column, value, estimate in single:
        real = int((residents[column] == value).sum())
        assert abs(estimate - real) < 25
        assert abs(int((made.records[column] == value).sum()) - real) < 25
    for clique in ((0, 1), (2, 3), (1, 7)):
        gap = brute(made.records, clique, shelter.sizes) - brute(residents, clique, shelter.sizes)
        assert np.abs(gap).sum() / 2 / 2000 < 0.03


def test_anyone_who_holds_the_measurements_makes_the_same_release(
    shelter: Domain, residents: People, quick: FitSettings
) -> None:
    made = _synthesise(shelter, residents, quick)
    again = recompute(made.plan, made.receipt, made.measurements, settings=quick)
    assert [c.tobytes() for c in again.records] == [c.tobytes() for c in made.records]
    for name in ("columns", "values", "estimate", "low", "high"):
        assert getattr(again.aggregates, name).tobytes() == getattr(made.aggregates, name).tobytes()
    assert again.model.weights.tobytes() == made.model.weights.tobytes()


def test_two_releases_of_the_same_people_differ(shelter: Domain, residents: People, quick: FitSettings) -> None:
    one, two = (_synthesise(shelter, residents, quick) for _ in range(2))
    assert measurements_digest(one.measurements) != measurements_digest(two.measurements)
    assert [c.tobytes() for c in one.records] != [c.tobytes() for c in two.records]


def test_phases_come_in_their_public_order_and_shares_stay_between_0_and_1(
    shelter: Domain, residents: People, quick: FitSettings
) -> None:
    seen: list[tuple[str, float | None]] = []
    _synthesise(shelter, residents, quick, progress=lambda phase, share: seen.append((phase, share)))
    phases = [phase for phase, _ in seen]
    assert set(phases) == set(PHASES) - {"write"}
    assert all(share is None or 0 <= share <= 1 for _, share in seen)
    first = [phases.index(phase) for phase in ("count", "measure", "fit")]
    assert first == sorted(first)


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "write"])
def test_raising_from_progress_cancels_in_every_phase_and_the_charge_stands(
    shelter: Domain, residents: People, quick: FitSettings, phase: str
) -> None:
    charged: list[PrivacyLoss] = []

    def charge(loss: PrivacyLoss) -> Receipt:
        charged.append(loss)
        return Receipt(charge_id="c1", loss=loss)

    def cancel(now: str, share: float | None) -> None:
        if now == phase:
            raise KeyboardInterrupt

    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    with pytest.raises(KeyboardInterrupt):
        synthesise(
            plan, charge=charge, open_people=lambda r: PersonTable(columns=residents), settings=quick, progress=cancel
        )
    assert charged == [plan.loss]


def test_the_seed_is_a_hash_of_every_noisy_number(shelter: Domain, residents: People, quick: FitSettings) -> None:
    measured = _synthesise(shelter, residents, quick).measurements
    digest = measurements_digest(measured)
    assert digest == measurements_digest(measured)
    for place in (0, len(measured) - 1):
        values = measured[place].values.copy()
        values.flat[-1] += 1
        changed = type(measured[place])(clique=measured[place].clique, values=values, nano_rho=measured[place].nano_rho)
        assert measurements_digest([*measured[:place], changed, *measured[place + 1 :]]) != digest
    assert measurements_digest(measured[:-1]) != digest


def test_each_purpose_has_its_own_repeatable_numbers() -> None:
    draws = {
        (seed, purpose): generator(seed, purpose).random(4).tobytes() for seed in (b"a", b"b") for purpose in ("x", "y")
    }
    assert len(set(draws.values())) == 4
    assert generator(b"a", "x").random(4).tobytes() == draws[b"a", "x"]


def test_the_seeded_numbers_never_change_between_versions() -> None:
    # anyone who holds the measurements of an old release must get the same release: PCG64 seeded with SHA-256 of "seed|purpose"
    numbers = generator(b"seed", "purpose").integers(0, 1000, 5).tolist()
    assert numbers == SEEDED
    assert math.isclose(float(generator(b"seed", "purpose").random()), SEEDED_SHARE, rel_tol=1e-15)
